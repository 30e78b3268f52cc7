/* SPDX-License-Identifier: BSD-3-Clause */
/* The emulated NIC, software and the specification give the same frames. */
#include "unit.h"

#include "below.h"
#include "eal.h"
#include "emunic.h"
#include "frame.h"
#include "offload/offload.h"
#include "super.h"

#define PACKETS 10000
#define TRUST	(OFFLOAD_F_CHAINS | OFFLOAD_F_TX_CSUM | OFFLOAD_F_TX_TSO)

static struct rte_mempool *pool;
static struct offload_counters counters;

static void to_nic(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	struct member_dev *dev = arg;

	assert_int_equal(dev->ops->tx(dev, 0, pkts, n), n);
}

static void transmit(const struct super *s, struct member_dev *dev, struct rte_mbuf *m)
{
	struct encap_template t;
	uint16_t id = s->outer_id;
	struct offload_out out = { .dev = dev, .flow_id = true, .pool = pool, .ip_id = &id, .emit = to_nic, .arg = dev,
				   .counters = &counters };

	super_template(s, &t);
	assert_int_equal(offload_transmit(&out, m, &t), DROP_NONE);
	assert_int_equal((uint16_t)(id - s->outer_id), super_frames(s));
}

static void compare(const struct super *s)
{
	static uint8_t want[WIRE_MAX], got[WIRE_MAX];

	assert_int_equal(below.n_sent, super_frames(s));
	for (unsigned int i = 0; i < below.n_sent; i++) {
		uint32_t len = super_read(below.sent[i], got, WIRE_MAX);

		assert_int_equal(len, super_expect(s, i, true, want));
		assert_memory_equal(got, want, len);
	}
	below_clear();
}

/* HNV row 65: 10,000 packets of all kinds, twice each. */
static void test_row65_same_bytes(void **state)
{
	uint64_t seed = unit_seed(), frames = 0;
	struct member_dev dev;

	emunic_config = (struct emunic_config){ .claims = EMUNIC_ALL, .max_segs = 1000 };
	below_nic(pool, 1, &dev);
	memset(&counters, 0, sizeof(counters));
	for (unsigned int i = 0; i < PACKETS; i++) {
		struct super s;

		super_random(&s, &seed);
		frames += 2 * super_frames(&s);
		dev.offload = 0;
		transmit(&s, &dev, super_mbuf(&s, pool, 1 + i % 2, &seed));
		compare(&s);
		dev.offload = TRUST;
		transmit(&s, &dev, super_mbuf(&s, pool, 1 + i % 2, &seed));
		compare(&s);
	}
	fprintf(stderr, "%llu by the NIC, %llu by software\n", (unsigned long long)counters.n[OFFLOAD_TSO_HW],
		(unsigned long long)counters.n[OFFLOAD_TSO_SW]);
	assert_true(counters.n[OFFLOAD_TSO_HW] > PACKETS / 2);
	assert_int_equal(emunic_stats(&dev)->tso, counters.n[OFFLOAD_TSO_HW]);
	assert_int_equal(counters.n[OFFLOAD_TSO_HW_FRAMES] + counters.n[OFFLOAD_TSO_FRAMES], frames);
	assert_true(counters.n[OFFLOAD_REFUSED] < PACKETS / 10); /* segments below 64 bytes */
	dev.ops->close(&dev);
}

/* Checksums alone, TCP and UDP; a UDP sum of 0 is sent as 0xffff (RFC 768). */
static void test_checksums(void **state)
{
	uint64_t seed = unit_seed();
	struct member_dev dev;

	emunic_config = (struct emunic_config){ .claims = EMUNIC_ALL };
	below_nic(pool, 1, &dev);
	memset(&counters, 0, sizeof(counters));
	for (unsigned int i = 0; i < 2000; i++) {
		struct rte_mbuf *m;
		struct super s;

		super_random(&s, &seed);
		s.path_mtu = 9000;
		s.mss = 9000;
		s.payload %= 5000;
		m = super_mbuf(&s, pool, 1, &seed);
		pkt_meta(m)->gso_type = 0;
		dev.offload = i % 2 ? TRUST : 0;
		transmit(&s, &dev, m);
		compare(&s);
	}
	assert_true(counters.n[OFFLOAD_CSUM_HW] > 800);
	assert_true(counters.n[OFFLOAD_CSUM_SW] >= 1000);
	dev.ops->close(&dev);
}

static struct rte_mbuf *udp(bool v6, uint16_t last, bool partial)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t buf[200], *p;
	struct frame f;
	ssize_t n;

	frame_init(&f, buf, sizeof(buf));
	f.partial_csum = partial;
	frame_eth(&f, "\2\0\0\0\0\1", "\2\0\0\0\0\2", FRAME_AUTO);
	if (v6)
		frame_ip6(&f, "\xfd\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "\xfd\1\0\0\0\0\0\0\0\0\0\0\0\0\0\2",
			  FRAME_AUTO, 64);
	else
		frame_ip4_full(&f, &(struct frame_ip4){ .src = FRAME_IPV4(10, 0, 0, 1), .dst = FRAME_IPV4(10, 0, 0, 2),
							.frag = 0x4000 });
	frame_udp(&f, 1000, 2000);
	p = frame_payload(&f, NULL, 16);
	p[0] = (uint8_t)(last >> 8);
	p[1] = (uint8_t)last;
	n = frame_finish(&f);
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), buf, (size_t)n);
	memset(pkt_meta(m), 0, sizeof(struct pkt_meta));
	assert_int_equal(pkt_parse(rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len, &pkt_meta(m)->pkt), 0);
	pkt_meta(m)->csum_state = partial ? CSUM_PARTIAL : CSUM_UNKNOWN;
	pkt_meta(m)->csum_start = f.csum_start;
	pkt_meta(m)->csum_offset = f.csum_offset;
	return m;
}

static void test_udp(void **state)
{
	const struct super s = { .mss = 1000, .path_mtu = 1500, .vsid = 5001 };
	struct member_dev dev;
	unsigned int ones = 0;

	emunic_config = (struct emunic_config){ .claims = EMUNIC_ALL };
	below_nic(pool, 1, &dev);
	for (unsigned int i = 0; i < 80; i++) {
		bool v6 = i & 1;
		struct rte_mbuf *whole = udp(v6, (uint16_t)i, false);
		uint16_t last = (uint16_t)i;
		uint8_t got[200];
		uint32_t len;

		if (i >= 70) { /* a word that is the checksum makes the sum all ones */
			rte_pktmbuf_free(whole);
			whole = udp(v6, 0, false);
			last = load_be16(rte_pktmbuf_mtod_offset(whole, uint8_t *, pkt_meta(whole)->pkt.l4_off + 6));
			rte_pktmbuf_free(whole);
			whole = udp(v6, last, false);
		}
		dev.offload = i & 2 ? TRUST : 0;
		transmit(&s, &dev, udp(v6, last, true));
		assert_int_equal(below.n_sent, 1);
		len = super_read(below.sent[0], got, sizeof(got));
		assert_int_equal(len, 42 + whole->pkt_len);
		assert_memory_equal(got + 42, rte_pktmbuf_mtod(whole, void *), whole->pkt_len);
		ones += load_be16(got + 42 + pkt_meta(whole)->pkt.l4_off + 6) == 0xffff;
		below_clear();
		rte_pktmbuf_free(whole);
	}
	assert_int_equal(ones, 10);
	dev.ops->close(&dev);
}

/* HNV row 70: what a NIC does not accept leaves by software, with the same bytes, and is counted. */
static void test_row70_refused(void **state)
{
	struct super s = { .mss = 1000, .path_mtu = 1500, .payload = 30000, .vsid = 5001, .flags = 0x98 };
	uint64_t seed = 1;
	struct member_dev dev;
	const struct {
		unsigned int claims;
		uint16_t max_segs, mss;
	} cards[] = {
		{ EMUNIC_ALL, 4, 1000 },	    /* too many buffers */
		{ EMUNIC_ALL, 64, 50 },		    /* segments too small for it */
		{ EMUNIC_TX_CSUM | EMUNIC_CHAINS, 64, 1000 }, /* trusted with what it was not configured for */
	};

	for (unsigned int i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
		emunic_config = (struct emunic_config){ .claims = cards[i].claims, .max_segs = cards[i].max_segs };
		below_nic(pool, 1, &dev);
		memset(&counters, 0, sizeof(counters));
		dev.offload = TRUST;
		s.mss = cards[i].mss;
		s.inner6 = i & 1;
		transmit(&s, &dev, super_mbuf(&s, pool, 1, &seed));
		compare(&s);
		assert_int_equal(counters.n[OFFLOAD_REFUSED], 1);
		assert_int_equal(counters.n[OFFLOAD_TSO_SW], 1);
		assert_int_equal(counters.n[OFFLOAD_TSO_HW], 0);
		dev.ops->close(&dev);
	}
	/* A card that cannot send chains gets none. */
	emunic_config = (struct emunic_config){ .claims = EMUNIC_TSO };
	below_nic(pool, 1, &dev);
	dev.offload = OFFLOAD_F_TX_TSO | OFFLOAD_F_TX_CSUM;
	transmit(&s, &dev, super_mbuf(&s, pool, 1, &seed));
	compare(&s);
	dev.ops->close(&dev);
}

/* What the card receives of its own frames, it finds right: and wrong where it is. */
static void test_row67_received(void **state)
{
	uint64_t seed = unit_seed();
	struct member_dev dev;

	emunic_config = (struct emunic_config){ .claims = EMUNIC_ALL };
	below_nic(pool, 1, &dev);
	dev.offload = OFFLOAD_F_RX_CSUM;
	for (unsigned int i = 0; i < 3000; i++) {
		static uint8_t buf[WIRE_MAX];
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		struct super s;
		uint32_t len, outer, bad;
		bool good;

		super_random(&s, &seed);
		s.path_mtu = 1500;
		s.ip_opts_len = s.n_ext = 0;
		s.mss = 1000;
		len = super_expect(&s, 0, true, buf);
		outer = len - super_expect(&s, 0, false, buf);
		super_expect(&s, 0, true, buf);
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
		/* Somewhere in what a checksum covers, or nowhere. */
		bad = i % 3 == 0 ? 0 : i % 3 == 1 ? outer + 34 + (s.inner6 ? 20 : 0) : outer - 8 - 12;
		if (i % 3 == 2 && s.outer6)
			bad = 0;
		if (bad)
			rte_pktmbuf_mtod(m, uint8_t *)[bad] ^= 0x10;
		good = !bad;
		below.coming[below.n_coming++] = m;
		assert_int_equal(dev.ops->rx(&dev, 0, &m, 1), 1);
		rte_pktmbuf_adj(m, (uint16_t)outer);
		super_meta(&s, m);
		pkt_meta(m)->csum_state = CSUM_UNKNOWN;
		offload_rx_verdict(&dev, m, &counters);
		assert_int_equal(pkt_meta(m)->csum_state, good ? CSUM_GOOD : CSUM_UNKNOWN);
		rte_pktmbuf_free(m);
	}
	dev.ops->close(&dev);
}

static int setup(void **state)
{
	int r = test_eal_init();

	pool = r == 0 ? meta_pool_create("nic", 2047, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY) : NULL;
	return pool ? 0 : -1;
}

static int all_back(void **state)
{
	assert_int_equal(rte_mempool_avail_count(pool), 2047);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_row65_same_bytes, all_back),
		cmocka_unit_test_teardown(test_checksums, all_back),
		cmocka_unit_test_teardown(test_udp, all_back),
		cmocka_unit_test_teardown(test_row70_refused, all_back),
		cmocka_unit_test_teardown(test_row67_received, all_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
