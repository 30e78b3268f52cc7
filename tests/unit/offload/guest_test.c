/* SPDX-License-Identifier: BSD-3-Clause */
/* What the vhost library says of guests' packets: believed where it can be true; and what it is told. */
#include <linux/virtio_net.h>
#include <rte_net.h>

#include "unit.h"

#include "eal.h"
#include "frame.h"
#include "offload/offload.h"
#include "super.h"

#define ROUNDS 2000
#define ALL    0xff
#define LRO    (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE)

static struct rte_mempool *pool;

/* As the library hands it over; *ret_want is what has to become of it. */
static struct rte_mbuf *from_guest(const struct super *s, uint64_t *seed, struct pkt_meta *ret_want)
{
	struct rte_mbuf *m = super_mbuf(s, pool, 1, seed);
	struct pkt_meta *meta = pkt_meta(m);

	*ret_want = *meta;
	if (s->flags & 0x80)
		ret_want->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	meta->gso_type = meta->csum_state = 0;
	meta->gso_size = meta->gso_hdr_len = meta->csum_start = meta->csum_offset = 0;
	m->ol_flags |= LRO;
	m->tso_segsz = s->mss;
	return m;
}

static struct super sound(void)
{
	return (struct super){ .mss = 1000, .path_mtu = 1500, .payload = 3000, .vsid = 5001, .flags = 0x10 };
}

static void test_taken(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct pkt_meta want;
		struct rte_mbuf *m;
		struct super s;

		super_random(&s, &seed);
		s.flags &= (uint8_t)~6; /* SYN, RST */
		m = from_guest(&s, &seed, &want);
		if (s.payload <= s.mss) { /* one segment */
			want.gso_type = 0;
			want.gso_size = want.gso_hdr_len = 0;
		}
		/* Nothing to cut, or too many pieces: no sender means that. */
		if (!s.payload || s.payload > 2048u * s.mss) {
			assert_int_equal(offload_guest_take(m, pkt_meta(m), ALL), DROP_GUEST_META);
		} else {
			assert_int_equal(offload_guest_take(m, pkt_meta(m), ALL), DROP_NONE);
			assert_memory_equal(pkt_meta(m), &want, sizeof(want));
		}
		assert_int_equal(m->ol_flags, 0);
		rte_pktmbuf_free(m);
	}
}

static uint32_t may;

static void no_size(struct rte_mbuf *m)
{
	m->tso_segsz = 0;
}

static void tiny(struct rte_mbuf *m)
{
	m->tso_segsz = 2;
}

static void not_tcp(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.proto = IPPROTO_UDP_;
}

static void sctp(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.proto = 132;
}

static void fragment(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.flags |= PKT_F_FRAGMENT;
}

static void no_header(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.flags &= (uint8_t)~PKT_F_L4;
}

static void other_kind(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.kind = PKT_OTHER;
}

static void nd(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.kind = PKT_ND;
}

static uint8_t *tcp_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_meta(m)->pkt.l4_off);
}

static void short_header(struct rte_mbuf *m)
{
	tcp_of(m)[12] = 0x40;
}

static void long_header(struct rte_mbuf *m)
{
	m->pkt_len = m->data_len = 54 + 20;
	pkt_meta(m)->pkt.l3_end = m->pkt_len;
	tcp_of(m)[12] = 0xb0;
}

static void headers_only(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.l3_end = m->pkt_len = 54;
}

static void padded(struct rte_mbuf *m)
{
	pkt_meta(m)->pkt.l3_end--;
}

static void syn(struct rte_mbuf *m)
{
	tcp_of(m)[13] |= 2;
}

static void rst(struct rte_mbuf *m)
{
	tcp_of(m)[13] |= 4;
}

static void apart(struct rte_mbuf *m)
{
	m->data_len = 40;
}

static void no_csum(struct rte_mbuf *m)
{
	may = ALL & ~PORT_CSUM;
}

static void no_tso(struct rte_mbuf *m)
{
	may = ALL & ~PORT_TSO4;
}

static void csum_good(struct rte_mbuf *m)
{
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static void other_flag(struct rte_mbuf *m)
{
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
}

/* HNV pitfalls and CVE-2024-11614's kind: each is a drop, and nothing is believed. */
static void test_refused(void **state)
{
	static void (*const spoil[])(struct rte_mbuf *m) = {
		no_size, tiny, not_tcp, sctp, fragment, no_header, other_kind, nd, short_header, apart, long_header,
		headers_only, padded, syn, rst, no_csum, no_tso, csum_good, other_flag,
	};
	uint64_t seed = 1;

	for (unsigned int i = 0; i < RTE_DIM(spoil); i++) {
		struct super s = sound();
		uint16_t data_len;
		struct pkt_meta want;
		struct rte_mbuf *m;

		s.payload = 1900;
		s.mss = 900;
		if (spoil[i] == tiny)
			s.payload = 9000;
		m = from_guest(&s, &seed, &want);
		data_len = m->data_len;
		may = ALL;
		spoil[i](m);
		if (offload_guest_take(m, pkt_meta(m), may) != DROP_GUEST_META)
			fail_msg("number %u is taken", i);
		assert_int_equal(m->ol_flags, 0);
		m->data_len = data_len;
		rte_pktmbuf_free(m);
	}
}

/* What the library does with a packet before it copies it, and the header that it shows the guest. */
static struct virtio_net_hdr library(struct rte_mbuf *m)
{
	struct virtio_net_hdr h = { 0 };

	if (!(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)))
		return h;
	rte_net_intel_cksum_prepare(m);
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.csum_start = (uint16_t)(m->l2_len + m->l3_len);
	h.csum_offset = (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM ? 6 : 16;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		h.gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		h.gso_size = m->tso_segsz;
		h.hdr_len = (uint16_t)(m->l2_len + m->l3_len + m->l4_len);
	}
	return h;
}

/* From one guest to another not a byte changes, and the header says the same. */
static void test_given_whole(void **state)
{
	static uint8_t sent[SUPER_MAX], got[SUPER_MAX];
	uint64_t seed = unit_seed();
	unsigned int whole = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		enum drop_reason why = DROP_NONE;
		struct virtio_net_hdr h;
		struct pkt_meta want;
		struct rte_mbuf *m;
		struct super s;
		uint32_t len;

		super_random(&s, &seed);
		s.flags &= (uint8_t)~6;
		m = from_guest(&s, &seed, &want);
		len = super_frame(&s, sent);
		if (offload_guest_take(m, pkt_meta(m), ALL)) {
			rte_pktmbuf_free(m);
			continue;
		}
		switch (offload_guest_give(&m, ALL, pool, &why)) {
		case OFFLOAD_GIVE_WHOLE:
			h = library(m);
			whole++;
			assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			assert_int_equal(h.csum_start, want.csum_start);
			assert_int_equal(h.csum_offset, 16);
			assert_int_equal(h.gso_type, s.payload <= s.mss ? 0 : want.gso_type & 0x7f);
			assert_int_equal(h.gso_size, s.payload <= s.mss ? 0 : s.mss);
			assert_int_equal(h.hdr_len, s.payload <= s.mss ? 0 : want.gso_hdr_len);
			assert_int_equal(m->pkt_len, len);
			assert_int_equal(super_read(m, got, sizeof(got)), len);
			assert_memory_equal(got, sent, len);
			break;
		case OFFLOAD_GIVE_SEGMENTS:
		case OFFLOAD_GIVE_FINISHED:
			assert_true((s.inner6 && s.n_ext) || want.gso_type & VIRTIO_NET_HDR_GSO_ECN);
			break;
		default:
			fail_msg("not given: %s", drop_name(why));
		}
		rte_pktmbuf_free(m);
	}
	assert_true(whole > ROUNDS / 8);
}

static enum offload_give give(const struct super *s, uint32_t takes, bool shared, uint64_t *ret_flags)
{
	enum drop_reason why = DROP_NONE;
	struct pkt_meta want;
	struct rte_mbuf *m;
	enum offload_give r;
	uint64_t seed = 1;

	m = from_guest(s, &seed, &want);
	assert_int_equal(offload_guest_take(m, pkt_meta(m), ALL), DROP_NONE);
	if (shared)
		rte_pktmbuf_refcnt_update(m, 1);
	r = offload_guest_give(&m, takes, pool, &why);
	*ret_flags = m->ol_flags;
	if (r == OFFLOAD_GIVE_FINISHED) {
		assert_int_equal(pkt_meta(m)->csum_state, CSUM_UNKNOWN);
		assert_true(offload_csum_verify(m));
	}
	if (shared)
		rte_pktmbuf_refcnt_update(m, -1);
	rte_pktmbuf_free(m);
	return r;
}

static void test_given_by_negotiation(void **state)
{
	struct super s = sound();
	uint64_t flags;

	assert_int_equal(give(&s, PORT_RX_CSUM | PORT_RX_TSO4, false, &flags), OFFLOAD_GIVE_WHOLE);
	assert_int_equal(give(&s, PORT_RX_CSUM | PORT_RX_TSO6, false, &flags), OFFLOAD_GIVE_SEGMENTS);
	assert_int_equal(give(&s, 0, false, &flags), OFFLOAD_GIVE_SEGMENTS);
	assert_int_equal(give(&s, ALL, true, &flags), OFFLOAD_GIVE_SEGMENTS);
	s.flags = 0x90; /* CWR */
	assert_int_equal(give(&s, PORT_RX_CSUM | PORT_RX_TSO4, false, &flags), OFFLOAD_GIVE_SEGMENTS);
	assert_int_equal(give(&s, PORT_RX_CSUM | PORT_RX_TSO4 | PORT_RX_ECN, false, &flags), OFFLOAD_GIVE_SEGMENTS);
	s.payload = 500; /* one segment: only the checksum */
	assert_int_equal(give(&s, PORT_RX_CSUM, false, &flags), OFFLOAD_GIVE_WHOLE);
	assert_int_equal(flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_TCP_CKSUM);
	assert_int_equal(give(&s, PORT_RX_CSUM, true, &flags), OFFLOAD_GIVE_WHOLE);
	assert_int_equal(give(&s, 0, false, &flags), OFFLOAD_GIVE_FINISHED);
	assert_int_equal(flags, 0);
}

/* 802.1ad, as the segment without virtual subnet carries it; the checksum is finished if there is one to finish. */
static ssize_t tagged_twice(uint8_t *buf, size_t size, bool v6, bool tcp, bool partial)
{
	struct frame f;

	frame_init(&f, buf, size);
	f.partial_csum = partial;
	frame_eth(&f, "\2\0\0\0\0\1", "\2\0\0\0\0\2", FRAME_AUTO);
	frame_vlan(&f, 0x88a8, 100, FRAME_AUTO);
	frame_vlan(&f, 0x8100, 200, FRAME_AUTO);
	if (v6)
		frame_ip6(&f, "\xfd\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "\xfd\1\0\0\0\0\0\0\0\0\0\0\0\0\0\2",
			  FRAME_AUTO, 64);
	else
		frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
	if (tcp)
		frame_tcp(&f, 1000, 2000, 1, 1, 0x10);
	else
		frame_udp(&f, 1000, 2000);
	frame_fill(&f, 301, 3);
	return frame_finish(&f);
}

static void test_two_tags(void **state)
{
	for (unsigned int i = 0; i < 16; i++) {
		uint8_t whole[600], buf[600];
		ssize_t n = tagged_twice(buf, sizeof(buf), i & 1, i & 2, true);
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		struct pkt_meta *meta = pkt_meta(m);
		enum drop_reason why = DROP_NONE;

		assert_int_equal(tagged_twice(whole, sizeof(whole), i & 1, i & 2, false), n);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), buf, (size_t)n);
		memset(meta, 0, sizeof(*meta));
		m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
		if (i & 4) { /* nobody lets others cut such packets */
			m->ol_flags |= RTE_MBUF_F_RX_LRO;
			m->tso_segsz = 100;
			why = DROP_GUEST_META;
		}
		if (i & 8) { /* no header where one has to be */
			m->data_len = m->pkt_len = i & 4 ? 20 : 50;
			why = DROP_GUEST_META;
		}
		assert_int_equal(pkt_parse(rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len, &meta->pkt), 0);
		assert_int_equal(meta->pkt.kind, PKT_OTHER);
		assert_int_equal(offload_guest_take(m, meta, ALL), why);
		assert_int_equal(meta->pkt.kind, PKT_OTHER);
		assert_int_equal(meta->csum_state, CSUM_UNKNOWN);
		if (!why)
			assert_memory_equal(rte_pktmbuf_mtod(m, void *), whole, n);
		rte_pktmbuf_free(m);
	}
}

/* What the library has summed before it was there: only what ends in a short piece of a buffer behind the first. */
static void test_summed_too_early(void **state)
{
	static const struct {
		uint16_t last;
		uint32_t packet_type;
		uint64_t flags;
		enum drop_reason why;
	} ends[] = {
		{ 100, RTE_PTYPE_L2_ETHER, 0, DROP_GUEST_SUM },
		{ 256, RTE_PTYPE_L2_ETHER, 0, DROP_GUEST_SUM },
		{ 257, RTE_PTYPE_L2_ETHER, 0, DROP_NONE },
		{ 100, 0, 0, DROP_NONE }, /* the guest has not asked for anything */
		{ 100, RTE_PTYPE_L2_ETHER, RTE_MBUF_F_RX_L4_CKSUM_NONE, DROP_NONE }, /* it is ours to do */
		{ 0, RTE_PTYPE_L2_ETHER, 0, DROP_NONE },
	};

	for (unsigned int i = 0; i < RTE_DIM(ends); i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		rte_pktmbuf_append(m, rte_pktmbuf_tailroom(m));
		m->packet_type = ends[i].packet_type;
		m->ol_flags |= ends[i].flags;
		if (ends[i].last) {
			m->next = rte_pktmbuf_alloc(pool);
			m->next->data_len = ends[i].last;
			m->pkt_len += ends[i].last;
			m->nb_segs = 2;
		}
		assert_int_equal(offload_guest_chain(m), ends[i].why);
		rte_pktmbuf_free(m);
	}
}

static int setup(void **state)
{
	int r = test_eal_init();

	pool = r == 0 ? meta_pool_create("guest", 1023, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY) : NULL;
	return pool ? 0 : -1;
}

static int all_back(void **state)
{
	assert_int_equal(rte_mempool_avail_count(pool), 1023);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_taken, all_back),
		cmocka_unit_test_teardown(test_refused, all_back),
		cmocka_unit_test_teardown(test_two_tags, all_back),
		cmocka_unit_test_teardown(test_summed_too_early, all_back),
		cmocka_unit_test_teardown(test_given_whole, all_back),
		cmocka_unit_test_teardown(test_given_by_negotiation, all_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
