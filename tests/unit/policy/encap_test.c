/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encapsulations as such: the table of them, and what any of them has to keep, NVGRE and the test's VXLAN
 * alike.
 */
#include <stdbool.h>

#include "policy/policy.h"
#include "frame.h"
#include "packet.h"
#include "unit.h"
#include "vxlan_ops.h"

static const struct encap_ops *const all[] = { &nvgre_ops, &vxlan_ops };

static void table_by_kind(void **state)
{
	assert_ptr_equal(policy_encap(ENCAP_NVGRE), &nvgre_ops);
	assert_null(policy_encap(ENCAP_TEST));
	assert_null(policy_encap(ENCAP_TEST + 1));
	assert_null(policy_encap(255));
	policy_encap_register(ENCAP_TEST, &vxlan_ops);
	policy_encap_register(255, &vxlan_ops);
	assert_ptr_equal(policy_encap(ENCAP_TEST), &vxlan_ops);
	assert_ptr_equal(policy_encap(ENCAP_NVGRE), &nvgre_ops);
	assert_null(policy_encap(255));
	policy_encap_register(ENCAP_TEST, NULL);
	assert_null(policy_encap(ENCAP_TEST));
}

static struct encap_path make_path(unsigned int shape)
{
	static const uint8_t a[16] = { 0x20, 1, [15] = 1 }, b[16] = { 0x20, 1, [15] = 2 };
	struct encap_path path = { .src_mac = { { 2, 0, 0, 0, 0, 1 } }, .dst_mac = { { 2, 0, 0, 0, 0, 2 } } };

	path.vlan = shape & 2 ? 77 : 0;
	path.src = shape & 1 ? ip6_from(a) : ip4_from(a);
	path.dst = shape & 1 ? ip6_from(b) : ip4_from(b + 12);
	return path;
}

/* What goes in comes out: frame, VSID, source PA, for every shape; lengths are as the overhead says. */
static void round_trip(void **state)
{
	for (unsigned int i = 0; i < 8; i++) {
		const struct encap_ops *ops = all[i / 4];
		struct encap_path path = make_path(i % 4);
		struct encap_local l = { .address = path.dst, .mac = path.dst_mac, .vlan = path.vlan };
		struct encap_template t;
		const struct encap_template *tmpl = &t;
		struct packet *p = packet_new(NULL, 60, ENCAP_HDR_MAX, 0);
		struct rte_mbuf *m = &p->m;
		struct encap_rx rx;
		unsigned int hint = 0;
		uint16_t id = 1;

		memset(&t, 0xee, sizeof(t));
		assert_int_equal(ops->template_build(&t, &path), 0);
		memset(packet_data(p), 0x42, 60);
		p->meta.vsid_out = 6001;
		p->meta.hash = 0xdeadbeef;
		ops->encap(&m, &tmpl, 1, &id, true);
		assert_int_equal(id, 2);
		assert_int_equal(m->pkt_len - 60, t.len);
		assert_int_equal(t.len - t.l3_off + 14, i & 1 ? ops->overhead6 : ops->overhead4);
		assert_int_equal(
			ops->parse(packet_data(p), m->data_len, m->pkt_len, false, &l, 1, &hint, &rx),
			DROP_NONE);
		assert_int_equal(rx.vsid, 6001);
		assert_true(ip_equal(&rx.outer_src, &path.src));
		assert_int_equal(rx.inner_off, t.len);
		assert_int_equal(rx.inner_len, 60);
		for (unsigned int k = 0; k < 60; k++)
			assert_int_equal(packet_data(p)[rx.inner_off + k], 0x42);
		/* Nobody else's, and to the other encapsulation not a packet of its own. */
		l.address.b[3] ^= 1;
		assert_int_equal(
			ops->parse(packet_data(p), m->data_len, m->pkt_len, false, &l, 1, &hint, &rx),
			DROP_NOT_PA);
		l.address.b[3] ^= 1;
		assert_int_equal(all[1 - i / 4]->parse(packet_data(p), m->data_len, m->pkt_len, false, &l, 1,
						       &hint, &rx),
				 DROP_WIRE_OTHER);
		packet_free(p);
	}
}

/* The frame builder writes the same VXLAN, and its frames are accepted. */
static void vxlan_is_vxlan(void **state)
{
	struct encap_path path = make_path(0);
	struct encap_template t;
	const struct encap_template *tmpl = &t;
	uint8_t buf[256];
	struct frame f;
	struct packet *p;
	struct rte_mbuf *m;
	uint16_t id = 7;
	uint32_t src, dst;

	memcpy(&src, path.src.b, 4);
	memcpy(&dst, path.dst.b, 4);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &path.dst_mac, &path.src_mac, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = src, .dst = dst, .id = 7, .frag = 0x4000 });
	frame_vxlan(&f, 6001, 0xc000 | (0x12345678 & 0x3fff));
	frame_eth(&f, FRAME_MAC(2, 0, 0, 0, 1, 1), FRAME_MAC(2, 0, 0, 0, 1, 2), 0x88b5);
	frame_fill(&f, 46, 1);
	assert_int_equal(frame_finish(&f), 110);

	p = packet_new(buf + 50, 60, 50, 0);
	m = &p->m;
	p->meta.vsid_out = 6001;
	p->meta.hash = 0x12345678;
	assert_int_equal(vxlan_ops.template_build(&t, &path), 0);
	vxlan_ops.encap(&m, &tmpl, 1, &id, true);
	assert_memory_equal(packet_data(p), buf, 110);
	packet_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_by_kind),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(vxlan_is_vxlan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
