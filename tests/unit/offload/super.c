/* SPDX-License-Identifier: BSD-3-Clause */
#include "super.h"

#include <linux/virtio_net.h>

#include "base/flowhash.h"
#include "frame.h"
#include "policy/policy.h"
#include "unit.h"

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 1 }, far_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t pa_mac[6] = { 2, 0xfa, 0, 0, 0, 1 }, next_mac[6] = { 2, 0xfb, 0, 0, 0, 1 };
static const uint8_t ca6[2][16] = { { 0xfd, 1, [15] = 1 }, { 0xfd, 1, [15] = 2 } };
static const uint8_t pa6[2][16] = { { 0xfd, 9, [15] = 1 }, { 0xfd, 9, [15] = 2 } };
#define PA_VLAN 77

void super_random(struct super *s, uint64_t *state)
{
	static const uint16_t mtus[] = { 1280, 1500, 1500, 1600, 9000 };

	*s = (struct super){
		.outer6 = unit_below(state, 2), .outer_vlan = unit_below(state, 4) == 0, .inner6 = unit_below(state, 2),
		.inner_id = (uint16_t)unit_random(state), .outer_id = (uint16_t)unit_random(state),
		.mss = (uint16_t)(unit_below(state, 3) ? 536 + unit_below(state, 1000) : 1 + unit_below(state, 9000)),
		.path_mtu = mtus[unit_below(state, 5)], .seq = (uint32_t)unit_random(state),
		.vsid = 4096 + (uint32_t)unit_below(state, 1000000), .hash = (uint32_t)unit_random(state),
		.flags = (uint8_t)(unit_random(state) | 0x10), .tos = (uint8_t)unit_random(state),
		.fill = (uint8_t)unit_random(state),
	};
	for (unsigned int i = 0; i < 40; i++) {
		s->ip_opts[i] = (uint8_t)unit_random(state);
		s->tcp_opts[i] = (uint8_t)unit_random(state);
		s->ext[i] = (uint8_t)unit_random(state);
	}
	s->ip_opts_len = unit_below(state, 4) || s->inner6 ? 0 : 4 * (uint32_t)unit_below(state, 11);
	s->tcp_opts_len = unit_below(state, 2) ? 12 : 4 * (uint32_t)unit_below(state, 11);
	s->n_ext = unit_below(state, 4) || !s->inner6 ? 0 : 1 + (uint32_t)unit_below(state, 2);
	s->payload = (uint32_t)(unit_below(state, 2) ? unit_below(state, 65535 - super_headers(s)) :
						       unit_below(state, 5000));
	if (s->payload / s->mss > 500) /* enough is enough */
		s->payload = s->mss * 500;
}

uint32_t super_headers(const struct super *s)
{
	return 14 + (s->inner6 ? 40 + 40 * s->n_ext : 20 + s->ip_opts_len) + 20 + s->tcp_opts_len;
}

static uint32_t max_inner(const struct super *s)
{
	return s->path_mtu - (s->outer6 ? 62 : 42);
}

uint32_t super_segment(const struct super *s)
{
	uint32_t room = max_inner(s) + 14 - super_headers(s);

	return s->mss < room ? s->mss : room;
}

uint32_t super_frames(const struct super *s)
{
	uint32_t mss = super_segment(s), n = s->payload / mss + (s->payload % mss != 0);

	return n ? n : 1;
}

static void push_inner(struct frame *f, const struct super *s, uint32_t seq, uint16_t id, uint8_t flags)
{
	frame_eth(f, far_mac, guest_mac, FRAME_AUTO);
	if (s->inner6) {
		uint8_t *ip = frame_ip6(f, ca6[0], ca6[1], FRAME_AUTO, 61);

		if (ip) {
			ip[0] = (uint8_t)(0x60 | s->tos >> 4);
			ip[1] = (uint8_t)(s->tos << 4 | 0x5);
			ip[2] = s->fill;
		}
		for (uint32_t i = 0; i < s->n_ext; i++) /* 38 bytes and a header of 2 */
			frame_ip6_ext(f, 60, s->ext, 38, FRAME_AUTO);
	} else {
		frame_ip4_full(f, &(struct frame_ip4){ .src = FRAME_IPV4(10, 0, 0, 1), .dst = FRAME_IPV4(10, 0, 0, 2),
						       .ttl = 61, .tos = s->tos, .id = id, .frag = 0x4000,
						       .opts = s->ip_opts, .opts_len = s->ip_opts_len });
	}
	frame_tcp_opts(f, (uint16_t)(1000 + s->sport), 2000, seq, 77777, flags, s->tcp_opts, s->tcp_opts_len);
}

static void push_payload(struct frame *f, const struct super *s, uint32_t from, uint32_t n)
{
	uint8_t *p = frame_payload(f, NULL, n);

	for (uint32_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(s->fill + (from + i) * 7 + (from + i) / 251);
}

uint32_t super_frame(const struct super *s, uint8_t *buf)
{
	struct frame f;
	ssize_t n;

	frame_init(&f, buf, SUPER_MAX);
	f.partial_csum = true;
	push_inner(&f, s, s->seq, s->inner_id, s->flags);
	push_payload(&f, s, 0, s->payload);
	n = frame_finish(&f);
	assert_true(n > 0);
	return (uint32_t)n;
}

static void push_outer(struct frame *f, const struct super *s, uint16_t id)
{
	frame_eth(f, next_mac, pa_mac, FRAME_AUTO);
	if (s->outer_vlan)
		frame_vlan(f, 0x8100, PA_VLAN, FRAME_AUTO);
	if (s->outer6) {
		uint32_t label = (s->hash ^ s->hash >> 12) & 0xfffff;
		uint8_t *ip = frame_ip6(f, pa6[0], pa6[1], FRAME_AUTO, 64);

		if (ip) {
			ip[1] = (uint8_t)(label >> 16);
			ip[2] = (uint8_t)(label >> 8);
			ip[3] = (uint8_t)label;
		}
	} else {
		frame_ip4_full(f, &(struct frame_ip4){ .src = FRAME_IPV4(192, 0, 2, 1), .dst = FRAME_IPV4(192, 0, 2, 2),
						       .id = id, .frag = 0x4000 });
	}
	frame_nvgre(f, s->vsid, (uint8_t)(s->hash >> 16));
}

uint32_t super_expect(const struct super *s, uint32_t n, bool whole, uint8_t *buf)
{
	uint32_t mss = super_segment(s), from = n * mss, len = s->payload - from < mss ? s->payload - from : mss;
	uint8_t flags = s->flags;
	struct frame f;
	ssize_t r;

	if (n + 1 < super_frames(s))
		flags &= (uint8_t)~0x09; /* FIN and PSH: the last only */
	if (n)
		flags &= (uint8_t)~0x80; /* CWR: the first only */
	frame_init(&f, buf, WIRE_MAX);
	if (whole)
		push_outer(&f, s, (uint16_t)(s->outer_id + n));
	push_inner(&f, s, s->seq + from, (uint16_t)(s->inner_id + n), flags);
	push_payload(&f, s, from, len);
	r = frame_finish(&f);
	assert_true(r > 0);
	return (uint32_t)r;
}

void super_template(const struct super *s, struct encap_template *ret)
{
	struct encap_path path = { .vlan = s->outer_vlan ? PA_VLAN : 0 };

	memcpy(&path.src_mac, pa_mac, 6);
	memcpy(&path.dst_mac, next_mac, 6);
	path.src = s->outer6 ? ip6_from(pa6[0]) : ip4_from((uint8_t[]){ 192, 0, 2, 1 });
	path.dst = s->outer6 ? ip6_from(pa6[1]) : ip4_from((uint8_t[]){ 192, 0, 2, 2 });
	memset(ret, 0, sizeof(*ret));
	assert_int_equal(nvgre_ops.template_build(ret, &path), 0);
	ret->ops = &nvgre_ops;
	ret->max_inner = (uint16_t)max_inner(s);
}

/* Cut points: mostly whole buffers, now and then single bytes. The headers of half of them are in one piece. */
static uint32_t piece(const struct rte_mbuf *m, uint32_t left, unsigned int pieces, uint64_t *state)
{
	uint32_t room = rte_pktmbuf_tailroom(m), n = room;

	if (pieces > 1 && unit_below(state, 3) == 0)
		n = 1 + (uint32_t)unit_below(state, room);
	return n < left ? n : left;
}

void super_meta(const struct super *s, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);

	memset(meta, 0, sizeof(*meta));
	assert_int_equal(pkt_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &meta->pkt), 0);
	meta->vsid_in = meta->vsid_out = s->vsid;
	meta->hash = s->hash;
	meta->gso_type = s->inner6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	meta->gso_size = s->mss;
	meta->gso_hdr_len = (uint16_t)super_headers(s);
	meta->csum_state = CSUM_PARTIAL;
	meta->csum_start = meta->pkt.l4_off;
	meta->csum_offset = 16;
}

struct rte_mbuf *super_mbuf(const struct super *s, struct rte_mempool *pool, unsigned int pieces, uint64_t *state)
{
	static uint8_t buf[SUPER_MAX];
	uint32_t len = super_frame(s, buf), done = 0, headers = super_headers(s);
	struct rte_mbuf *first = rte_pktmbuf_alloc(pool), *m = first;

	assert_non_null(first);
	for (;;) {
		uint32_t n = piece(m, len - done, pieces, state);

		if (!done && n < headers)
			n = headers; /* base/pkt wants IP headers in one piece */
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), buf + done, n);
		done += n;
		if (done == len)
			break;
		m->next = rte_pktmbuf_alloc(pool);
		assert_non_null(m->next);
		m = m->next;
		first->nb_segs++;
	}
	first->pkt_len = len;
	super_meta(s, first);
	return first;
}

uint32_t super_read(const struct rte_mbuf *m, uint8_t *buf, uint32_t max)
{
	uint32_t n = 0;

	for (; m && n + m->data_len <= max; m = m->next) {
		memcpy(buf + n, rte_pktmbuf_mtod(m, const void *), m->data_len);
		n += m->data_len;
	}
	assert_null(m);
	return n;
}
