/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVGRE as it is written, and read back: against frames of scapy, and by the numbers (HNV rows 20, 24, 27).
 */
#include <stdbool.h>

#include "base/flowhash.h"
#include "policy/policy.h"
#include "../golden/nvgre.h"
#include "frame.h"
#include "packet.h"
#include "unit.h"

#define N_GOLDEN (sizeof(golden) / sizeof(golden[0]))

static struct encap_path golden_path(const struct golden *g)
{
	struct encap_path path = { .vlan = g->vlan };

	memcpy(&path.src_mac, golden_src_mac, 6);
	memcpy(&path.dst_mac, golden_dst_mac, 6);
	path.src = g->family == 4 ? ip4_from(golden_src4) : ip6_from(golden_src6);
	path.dst = g->family == 4 ? ip4_from(golden_dst4) : ip6_from(golden_dst6);
	return path;
}

static struct encap_local golden_local(const struct golden *g)
{
	struct encap_path path = golden_path(g);
	struct encap_local l = { .address = path.dst, .mac = path.dst_mac, .vlan = g->vlan };

	return l;
}

static struct encap_template build(const struct encap_path *path)
{
	struct encap_template t;

	memset(&t, 0xee, sizeof(t));
	assert_int_equal(nvgre_ops.template_build(&t, path), 0);
	return t;
}

static struct packet *golden_inner(const struct golden *g, uint16_t headroom)
{
	struct packet *p = packet_new(g->frame + g->len - g->inner_len, (uint16_t)g->inner_len, headroom, 0);

	p->meta.vsid_in = 1;
	p->meta.vsid_out = g->vsid;
	p->meta.hash = g->hash;
	return p;
}

static void encapsulation_is_scapys(void **state)
{
	for (unsigned int i = 0; i < N_GOLDEN; i++) {
		const struct golden *g = &golden[i];
		struct encap_path path = golden_path(g);
		struct encap_template t = build(&path);
		const struct encap_template *tmpl = &t;
		struct packet *p = golden_inner(g, t.len); /* not a byte of headroom more */
		struct rte_mbuf *m = &p->m;
		uint16_t id = g->ip_id;

		nvgre_ops.encap(&m, &tmpl, 1, &id, g->flow_id);
		print_message("%s\n", g->name);
		assert_int_equal(m->data_off, 0);
		assert_int_equal(m->data_len, g->len);
		assert_int_equal(m->pkt_len, g->len);
		assert_memory_equal(packet_data(p), g->frame, g->len);
		assert_int_equal(id, (uint16_t)(g->ip_id + 1));
		packet_free(p);
	}
}

static void scapys_frames_are_accepted(void **state)
{
	for (unsigned int i = 0; i < N_GOLDEN; i++) {
		const struct golden *g = &golden[i];
		struct encap_path path = golden_path(g);
		struct encap_local l = golden_local(g);
		uint8_t *frame = unit_exact_copy(g->frame, g->len);
		struct encap_rx rx;
		unsigned int hint = 0;

		memset(&rx, 0xee, sizeof(rx));
		print_message("%s\n", g->name);
		assert_int_equal(nvgre_ops.parse(frame, g->len, g->len, false, &l, 1, &hint, &rx), DROP_NONE);
		assert_int_equal(rx.vsid, g->vsid);
		assert_true(ip_equal(&rx.outer_src, &path.src));
		assert_memory_equal(&rx.outer_src, &path.src, sizeof(path.src));
		assert_int_equal(rx.inner_off, g->len - g->inner_len);
		assert_int_equal(rx.inner_len, g->inner_len);
		assert_false(rx.inner_tag);
		free(frame);
	}
}

static void families_must_agree(void **state)
{
	struct encap_path path = golden_path(&golden[0]);
	struct encap_template t, before;

	memset(&t, 0xee, sizeof(t));
	before = t;
	path.dst = ip6_from(golden_dst6);
	assert_int_equal(nvgre_ops.template_build(&t, &path), -EAFNOSUPPORT);
	memset(&path.src, 0, sizeof(path.src));
	memset(&path.dst, 0, sizeof(path.dst));
	assert_int_equal(nvgre_ops.template_build(&t, &path), -EAFNOSUPPORT);
	assert_memory_equal(&t, &before, sizeof(t));
}

static void overheads_are_the_documented(void **state)
{
	static const struct {
		unsigned int golden;
		uint8_t len, l3_off;
		uint16_t overhead;
	} rows[] = { { 0, 42, 14, 42 }, { 5, 46, 18, 42 }, { 8, 62, 14, 62 }, { 12, 66, 18, 62 } };

	for (unsigned int i = 0; i < 4; i++) {
		struct encap_path path = golden_path(&golden[rows[i].golden]);
		struct encap_template t = build(&path);

		assert_int_equal(t.len, rows[i].len);
		assert_int_equal(t.l3_off, rows[i].l3_off);
		assert_int_equal(t.family, path.src.family);
		assert_int_equal(load_be32(t.hdr + t.len - 4), 0); /* the key is the packet's */
		if (t.family == 6)
			assert_int_equal(t.csum, 0);
		assert_int_equal(t.family == 4 ? nvgre_ops.overhead4 : nvgre_ops.overhead6, rows[i].overhead);
		/* The inner Ethernet header takes the place of the outer: both count 14. */
		assert_int_equal(t.len - t.l3_off + ETH_HLEN_, rows[i].overhead);
	}
	assert_int_equal(nvgre_ops.ip_proto, 47);
}

/* A burst: templates of all four shapes mixed, IDs in a row over the wrap, each packet its own key. */
static void bursts_keep_packets_apart(void **state)
{
	enum { N = 64 };
	struct encap_template t[4];
	const struct encap_template *tmpl[N];
	struct packet *p[N];
	struct rte_mbuf *m[N];
	static const unsigned int shape[4] = { 0, 5, 8, 12 };
	uint16_t id = 0xffe0;

	for (unsigned int i = 0; i < 4; i++) {
		struct encap_path path = golden_path(&golden[shape[i]]);

		t[i] = build(&path);
	}
	for (unsigned int i = 0; i < N; i++) {
		p[i] = packet_new(NULL, (uint16_t)(14 + i * 20), 128, 0);
		memset(packet_data(p[i]), (int)i, 14 + i * 20);
		p[i]->meta.vsid_out = 5000 + i;
		p[i]->meta.hash = i << 16;
		m[i] = &p[i]->m;
		tmpl[i] = &t[i % 4];
	}
	nvgre_ops.encap(m, tmpl, N, &id, true);
	assert_int_equal(id, 0x20);
	for (unsigned int i = 0; i < N; i++) {
		struct encap_local l = golden_local(&golden[shape[i % 4]]);
		const uint8_t *d = packet_data(p[i]);
		struct encap_rx rx;
		unsigned int hint = 0;

		assert_int_equal(nvgre_ops.parse(d, m[i]->data_len, m[i]->pkt_len, false, &l, 1, &hint, &rx),
				 DROP_NONE);
		assert_int_equal(rx.vsid, 5000 + i);
		assert_int_equal(rx.inner_len, 14 + i * 20);
		assert_int_equal(d[rx.inner_off - 1], i);
		assert_int_equal(d[rx.inner_off], i);
		assert_int_equal(d[m[i]->data_len - 1], i);
		if (tmpl[i]->family == 4) {
			assert_int_equal(load_be16(d + tmpl[i]->l3_off + 4), (uint16_t)(0xffe0 + i));
			assert_int_equal(load_be16(d + tmpl[i]->l3_off + 6), 0x4000); /* row 20: DF, row 27 */
		}
		packet_free(p[i]);
	}
}

/* Only the first segment grows; lengths count all of them. */
static void chains_count_whole(void **state)
{
	struct encap_path path = golden_path(&golden[0]);
	struct encap_template t = build(&path);
	const struct encap_template *tmpl = &t;
	struct packet *a = packet_new(NULL, 100, 128, 0), *b = packet_new(NULL, 1000, 0, 0);
	struct rte_mbuf *m = &a->m;
	uint16_t id = 0;

	a->m.next = &b->m;
	a->m.nb_segs = 2;
	a->m.pkt_len = 1100;
	nvgre_ops.encap(&m, &tmpl, 1, &id, true);
	assert_int_equal(m->data_len, 142);
	assert_int_equal(m->pkt_len, 1142);
	assert_int_equal(b->m.data_len, 1000);
	assert_int_equal(load_be16(packet_data(a) + 16), 1128);
	packet_free(a);
	packet_free(b);
}

/* Row 24: 10,000 flows use at least 200 of 256 FlowIDs, one flow always the same, and the option forces 0. */
static void flow_ids_spread(void **state)
{
	struct encap_path path = golden_path(&golden[0]);
	struct encap_template t = build(&path);
	const struct encap_template *tmpl = &t;
	unsigned int seen[256] = { 0 }, used = 0, most = 0;
	uint16_t id = 0;

	for (unsigned int flow = 0; flow < 10000; flow++) {
		uint8_t buf[128], first = 0;
		struct frame f;
		struct pkt_info info;
		ssize_t len;

		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, FRAME_MAC(2, 0, 0, 0, 0, 2), FRAME_MAC(2, 0, 0, 0, 0, 1), FRAME_AUTO);
		frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
		frame_udp(&f, (uint16_t)(1024 + flow % 5000), (uint16_t)(53 + flow / 5000));
		len = frame_finish(&f);
		assert_true(len > 0);
		assert_int_equal(pkt_parse(buf, (uint32_t)len, (uint32_t)len, &info), DROP_NONE);
		for (unsigned int again = 0; again < 3; again++) {
			struct packet *p = packet_new(buf, (uint16_t)len, 128, 0);
			struct rte_mbuf *m = &p->m;
			uint8_t flow_id;

			p->meta.vsid_out = 5001;
			p->meta.hash = flowhash(buf, &info, 0x5eed);
			nvgre_ops.encap(&m, &tmpl, 1, &id, again < 2);
			assert_int_equal(load_be32(packet_data(p) + 38) >> 8, 5001);
			flow_id = packet_data(p)[41];
			if (again == 0)
				first = flow_id;
			else
				assert_int_equal(flow_id, again == 1 ? first : 0);
			packet_free(p);
		}
		seen[first]++;
	}
	for (unsigned int i = 0; i < 256; i++) {
		used += seen[i] != 0;
		most = seen[i] > most ? seen[i] : most;
	}
	print_message("%u FlowIDs used, the busiest by %u of 10000 flows\n", used, most);
	assert_true(used >= 200);
	assert_true(most < 10000 / 256 * 4);
}

/* Row 24: the receiver does not look at the FlowID. */
static void any_flow_id_is_accepted(void **state)
{
	const struct golden *g = &golden[0];
	struct encap_local l = golden_local(g);
	uint8_t *frame = unit_exact_copy(g->frame, g->len);

	for (unsigned int i = 0; i < 256; i++) {
		struct encap_rx rx;
		unsigned int hint = 0;

		frame[41] = (uint8_t)i;
		assert_int_equal(nvgre_ops.parse(frame, g->len, g->len, false, &l, 1, &hint, &rx), DROP_NONE);
		assert_int_equal(rx.vsid, g->vsid);
	}
	free(frame);
}

/* RFC 6438: the label follows the flow, FlowID or not, and is not one value for all. */
static void flow_labels_spread(void **state)
{
	struct encap_path path = golden_path(&golden[8]);
	struct encap_template t = build(&path);
	const struct encap_template *tmpl = &t;
	uint64_t seed = unit_seed();
	uint32_t first = 0;
	bool differs = false;
	uint16_t id = 0;

	for (unsigned int i = 0; i < 100; i++) {
		struct packet *p = packet_new(NULL, 60, 128, 0);
		struct rte_mbuf *m = &p->m;
		uint32_t vtf;

		p->meta.vsid_out = 5001;
		p->meta.hash = (uint32_t)unit_random(&seed);
		nvgre_ops.encap(&m, &tmpl, 1, &id, i & 1);
		vtf = load_be32(packet_data(p) + 14);
		assert_int_equal(vtf >> 20, 0x600);
		assert_int_equal(vtf & 0xfffff, (p->meta.hash ^ p->meta.hash >> 12) & 0xfffff);
		differs |= i > 0 && vtf != first;
		first = vtf;
		packet_free(p);
	}
	assert_true(differs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encapsulation_is_scapys),   cmocka_unit_test(scapys_frames_are_accepted),
		cmocka_unit_test(families_must_agree),	     cmocka_unit_test(overheads_are_the_documented),
		cmocka_unit_test(bursts_keep_packets_apart), cmocka_unit_test(chains_count_whole),
		cmocka_unit_test(flow_ids_spread),	     cmocka_unit_test(any_flow_id_is_accepted),
		cmocka_unit_test(flow_labels_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
