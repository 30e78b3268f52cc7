/* SPDX-License-Identifier: BSD-3-Clause */
/* What a member is trusted with: claims, proofs, lies, knobs; and rules that put guests on queues of their own. */
#include <rte_ethdev.h>

#include "unit.h"

#include "below.h"
#include "eal.h"
#include "emunic.h"
#include "frame.h"
#include "offload/offload.h"
#include "policy/policy.h"
#include "super.h"

static struct rte_mempool *pool;
static struct offload *o;
static struct member_dev dev;
static struct offload_member_status st;
static bool careless, outer_rss;

static void open_with(unsigned int claims, unsigned int lies, bool no_loop, uint8_t trust)
{
	struct offload_knobs knobs = { .trust = trust, .vmq = true };
	struct member_config c = { .rxq = 4, .txq = 1, .pool = pool };
	struct member_info all = { .tx_capa = UINT64_MAX, .rx_capa = UINT64_MAX }, info;
	struct member_spec spec = { .name = "nic" };
	struct errbuf err = { "" };

	emunic_config = (struct emunic_config){ .claims = claims, .lies = lies, .no_loop = no_loop, .rxq = 4,
						.careless = careless, .outer_rss = outer_rss,
						.below = &below_ops };
	o = offload_create(&knobs);
	assert_non_null(o);
	offload_member_config(&all, &c);
	assert_int_equal(emunic_ops.open(&spec, &dev, &err), 0);
	assert_int_equal(dev.ops->configure(&dev, &c, &err), 0);
	assert_int_equal(dev.ops->info(&dev, &info), 0);
	offload_member_open(o, "nic", &dev, &info, &c, &nvgre_ops);
	assert_int_equal(offload_status(o, &st, 1), 1);
	assert_int_equal(below.n_sent, 0); /* no test left the device */
}

static void close_all(void)
{
	offload_member_close(o, "nic");
	assert_int_equal(offload_status(o, &st, 1), 0);
	assert_int_equal(emunic_stats(&dev)->rules, 0);
	offload_free(o);
	dev.ops->close(&dev);
}

static void expect(enum offload_bit_index b, bool claimed, enum offload_proof proof, bool used)
{
	if (st.bits[b].claimed != claimed || st.bits[b].proof != proof || st.bits[b].used != used)
		fail_msg("%s: claimed %d, %s, used %d (%s)", offload_bit_name(b), st.bits[b].claimed,
			 offload_proof_names[st.bits[b].proof], st.bits[b].used, st.bits[b].why);
	assert_int_equal(!!(dev.offload & 1u << b), used);
}

/* HNV row 70: what does not claim anything is served by software, and says so. */
static void test_row70_plain(void **state)
{
	open_with(0, 0, false, OFFLOAD_TRUST_ACCEPTED);
	expect(OFFLOAD_I_TX_TSO, false, OFFLOAD_PROOF_NO, false);
	expect(OFFLOAD_I_TX_CSUM, false, OFFLOAD_PROOF_NO, false);
	expect(OFFLOAD_I_RX_CSUM, false, OFFLOAD_PROOF_NO, false);
	assert_string_equal(st.paths[OFFLOAD_PATH_TSO], "software");
	close_all();
}

static void test_row70_proven(void **state)
{
	open_with(EMUNIC_ALL, 0, false, OFFLOAD_TRUST_PROVEN);
	expect(OFFLOAD_I_CHAINS, true, OFFLOAD_PROOF_GRANTED, true);
	expect(OFFLOAD_I_TX_TSO, true, OFFLOAD_PROOF_PROVEN, true);
	expect(OFFLOAD_I_TX_CSUM, true, OFFLOAD_PROOF_PROVEN, true);
	expect(OFFLOAD_I_RX_CSUM, true, OFFLOAD_PROOF_PROVEN, true);
	expect(OFFLOAD_I_RX_RSS, true, OFFLOAD_PROOF_PROVEN, true);
	assert_int_equal(st.bits[OFFLOAD_I_STEER].proof, OFFLOAD_PROOF_PROVEN);
	assert_string_equal(st.paths[OFFLOAD_PATH_TSO], "hardware");
	close_all();
}

/* HNV row 70: each lie is seen, alone, and what it was about is left to software. */
static void test_row70_lies(void **state)
{
	const struct {
		unsigned int lie;
		enum offload_bit_index bit;
	} lies[] = {
		{ EMUNIC_TSO, OFFLOAD_I_TX_TSO },
		{ EMUNIC_TX_CSUM, OFFLOAD_I_TX_CSUM },
		{ EMUNIC_RX_CSUM, OFFLOAD_I_RX_CSUM },
	};
	static const enum offload_bit_index all[] = { OFFLOAD_I_TX_TSO, OFFLOAD_I_TX_CSUM, OFFLOAD_I_RX_CSUM };

	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		open_with(EMUNIC_ALL, lies[i].lie, false, OFFLOAD_TRUST_ACCEPTED);
		for (unsigned int k = 0; k < 3; k++) {
			bool bad = all[k] == lies[i].bit;

			expect(all[k], true, bad ? OFFLOAD_PROOF_REFUTED : OFFLOAD_PROOF_PROVEN, !bad);
			assert_int_equal(*st.bits[all[k]].why != '\0', bad);
		}
		close_all();
	}
	open_with(EMUNIC_ALL, EMUNIC_FLOW, false, OFFLOAD_TRUST_ACCEPTED);
	assert_int_equal(st.bits[OFFLOAD_I_STEER].proof, OFFLOAD_PROOF_REFUTED);
	close_all();
	open_with(EMUNIC_ALL, EMUNIC_RSS, false, OFFLOAD_TRUST_ACCEPTED);
	expect(OFFLOAD_I_RX_RSS, true, OFFLOAD_PROOF_REFUTED, false);
	close_all();
}

/* What was configured is what is told; the queues of a card that refuses it go by outer headers. */
static void test_inner_rss(void **state)
{
	const struct offload_claim *b = &st.bits[OFFLOAD_I_RX_RSS];

	open_with(EMUNIC_ALL, 0, true, OFFLOAD_TRUST_ACCEPTED);
	assert_true(b->requested && b->granted);
	expect(OFFLOAD_I_RX_RSS, true, OFFLOAD_PROOF_GRANTED, true);
	assert_string_equal(st.paths[OFFLOAD_PATH_RX_QUEUE], "hardware");
	close_all();
	open_with(EMUNIC_ALL & ~EMUNIC_RSS, 0, false, OFFLOAD_TRUST_ACCEPTED);
	assert_true(b->requested && !b->granted);
	expect(OFFLOAD_I_RX_RSS, false, OFFLOAD_PROOF_NO, false);
	assert_string_equal(b->why, "its driver does not offer it");
	assert_string_equal(st.paths[OFFLOAD_PATH_RX_QUEUE], "software");
	close_all();
	outer_rss = true;
	open_with(EMUNIC_ALL, 0, false, OFFLOAD_TRUST_ACCEPTED);
	outer_rss = false;
	expect(OFFLOAD_I_RX_RSS, true, OFFLOAD_PROOF_NO, false);
	assert_string_equal(b->why, "refused at configuration");
	close_all();
}

/* Half a claim is none. */
static void test_choose(void **state)
{
	struct member_info all = { .tx_capa = UINT64_MAX, .rx_capa = UINT64_MAX }, half = all;
	struct member_config wish = { 0 }, c;

	offload_member_config(&all, &wish);
	assert_false(wish.tx_offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
	c = wish;
	offload_member_choose(&all, &c);
	assert_int_equal(c.tx_offloads, wish.tx_offloads);
	assert_int_equal(c.rx_offloads, wish.rx_offloads);
	/* A virtio device: TCP and UDP, and nothing of tunnels. */
	half.tx_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
		       RTE_ETH_TX_OFFLOAD_TCP_TSO;
	half.rx_capa = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	offload_member_choose(&half, &c);
	assert_int_equal(c.tx_offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	assert_int_equal(c.rx_offloads, 0);
	/* Cuts what is in tunnels of other kinds: checksums are left to it, segmentation is not. */
	half.tx_capa = (wish.tx_offloads & ~RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO) | RTE_ETH_TX_OFFLOAD_IP_TNL_TSO |
		       RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO;
	c = wish;
	offload_member_choose(&half, &c);
	assert_int_equal(c.tx_offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
						RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
						RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM);
}

/* Without a loop its driver's check is what can be had; it depends on the knob whether that is enough. */
static void test_trust(void **state)
{
	struct offload_knobs knobs = { .trust = OFFLOAD_TRUST_PROVEN };

	open_with(EMUNIC_ALL, EMUNIC_TSO, true, OFFLOAD_TRUST_ACCEPTED);
	expect(OFFLOAD_I_TX_TSO, true, OFFLOAD_PROOF_ACCEPTED, true);
	expect(OFFLOAD_I_RX_CSUM, true, OFFLOAD_PROOF_GRANTED, false); /* nobody has looked at that */
	knobs.trust = OFFLOAD_TRUST_GRANTED;
	offload_set_knobs(o, &knobs);
	offload_status(o, &st, 1);
	expect(OFFLOAD_I_TX_TSO, true, OFFLOAD_PROOF_ACCEPTED, true);
	expect(OFFLOAD_I_RX_CSUM, true, OFFLOAD_PROOF_GRANTED, true);
	knobs.trust = OFFLOAD_TRUST_PROVEN;
	offload_set_knobs(o, &knobs);
	offload_status(o, &st, 1);
	expect(OFFLOAD_I_TX_TSO, true, OFFLOAD_PROOF_ACCEPTED, false);
	expect(OFFLOAD_I_RX_CSUM, true, OFFLOAD_PROOF_GRANTED, false);
	expect(OFFLOAD_I_CHAINS, true, OFFLOAD_PROOF_GRANTED, true);
	knobs.trust = OFFLOAD_TRUST_NONE;
	offload_set_knobs(o, &knobs);
	close_all();

	/* A check that takes everything says nothing. */
	careless = true;
	open_with(EMUNIC_ALL, 0, true, OFFLOAD_TRUST_ACCEPTED);
	careless = false;
	expect(OFFLOAD_I_TX_TSO, true, OFFLOAD_PROOF_GRANTED, false);
	expect(OFFLOAD_I_TX_CSUM, true, OFFLOAD_PROOF_GRANTED, false);
	close_all();

	open_with(EMUNIC_ALL, 0, false, OFFLOAD_TRUST_NONE);
	expect(OFFLOAD_I_TX_TSO, true, OFFLOAD_PROOF_PROVEN, false);
	close_all();
}

static struct rte_mbuf *tunnel_frame(uint32_t vsid, const struct mac *dst, uint16_t sport)
{
	struct super s = { .mss = 100, .path_mtu = 1500, .payload = 100, .vsid = vsid, .flags = 0x10, .sport = sport };
	static uint8_t buf[WIRE_MAX];
	uint32_t len = super_expect(&s, 0, true, buf);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memcpy(buf + 42, dst, 6);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
	return m;
}

/* By which queue does it come? */
static uint16_t queue_of(uint32_t vsid, const struct mac *dst, uint16_t sport)
{
	struct rte_mbuf *m;

	below.coming[below.n_coming++] = tunnel_frame(vsid, dst, sport);
	for (uint16_t i = 0; i < 4 * 2; i++) {
		if (dev.ops->rx(&dev, i % 4, &m, 1) != 1)
			continue;
		rte_pktmbuf_free(m);
		return i % 4;
	}
	fail_msg("lost");
	return 0;
}

/* HNV row 68: two tenants with one MAC on different queues; rules go when they are not wanted any more. */
static void test_row68_queues(void **state)
{
	const struct mac same = { { 2, 0, 0, 0, 0, 9 } };
	struct offload_want wants[] = {
		{ .member = "nic", .vsid = 5001, .mac = same, .queue = 3, .family = 4 },
		{ .member = "nic", .vsid = 6001, .mac = same, .queue = 1, .family = 4 },
		{ .member = "other", .vsid = 7001, .mac = same, .queue = 1, .family = 4 },
		{ .member = "nic", .vsid = 7001, .mac = same, .queue = 9, .family = 4 }, /* it has no such queue */
	};
	struct offload_knobs off = { .trust = OFFLOAD_TRUST_ACCEPTED };

	for (unsigned int way = 0; way < 2; way++) {
		open_with(EMUNIC_RSS | (way ? EMUNIC_FLOW_GRE : EMUNIC_FLOW), 0, false, OFFLOAD_TRUST_ACCEPTED);
		assert_int_equal(offload_steer(o, wants, 4), 0);
		offload_status(o, &st, 1);
		assert_int_equal(st.rules_wanted, 2);
		assert_int_equal(st.rules, 2);
		assert_true(st.bits[OFFLOAD_I_STEER].used);
		for (uint16_t port = 0; port < 50; port++) {
			assert_int_equal(queue_of(5001, &same, port), 3);
			assert_int_equal(queue_of(6001, &same, port), 1);
		}
		/* What stays is not touched. */
		assert_int_equal(offload_steer(o, wants + 1, 1), 0);
		assert_int_equal(emunic_stats(&dev)->rules, 1);
		assert_int_equal(queue_of(6001, &same, 1), 1);
		wants[1].queue = 2;
		assert_int_equal(offload_steer(o, wants, 2), 0);
		assert_int_equal(emunic_stats(&dev)->rules, 2);
		assert_int_equal(queue_of(6001, &same, 1), 2);
		wants[1].queue = 1;
		/* Switched off while it runs. */
		offload_set_knobs(o, &off);
		assert_int_equal(offload_steer(o, wants, 2), 0);
		assert_int_equal(emunic_stats(&dev)->rules, 0);
		close_all();
	}
}

/* HNV row 69: without a rule the flows of one tunnel use many queues. */
static void test_row69_spread(void **state)
{
	const struct mac any = { { 2, 0, 0, 0, 0, 9 } };
	unsigned int seen[4] = { 0 };

	open_with(EMUNIC_RSS, 0, false, OFFLOAD_TRUST_ACCEPTED);
	expect(OFFLOAD_I_RX_RSS, true, OFFLOAD_PROOF_PROVEN, true);
	for (uint16_t port = 0; port < 200; port++)
		seen[queue_of(5001, &any, port)]++;
	for (unsigned int q = 0; q < 4; q++)
		assert_in_range(seen[q], 20, 100);
	close_all();
	open_with(EMUNIC_FLOW, 0, false, OFFLOAD_TRUST_ACCEPTED);
	expect(OFFLOAD_I_RX_RSS, false, OFFLOAD_PROOF_NO, false);
	close_all();
}

/* A card without rules: wanted, refused, said; nothing else changes. */
static void test_row68_refused(void **state)
{
	struct offload_want want = { .member = "nic", .vsid = 5001, .queue = 3, .family = 4 };

	open_with(EMUNIC_TSO, 0, false, OFFLOAD_TRUST_ACCEPTED);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(offload_steer(o, &want, 1), 0);
		offload_status(o, &st, 1);
		assert_int_equal(st.rules_wanted, 1);
		assert_int_equal(st.rules, 0);
		assert_string_equal(st.rules_why, "the card does not know such a rule");
		assert_string_equal(st.paths[OFFLOAD_PATH_RX_QUEUE], "software");
	}
	close_all();
}

/* A full card: what found no room is tried again when there is some, and not before. Trust counts for rules as well. */
static void test_row68_full(void **state)
{
	struct offload_want wants[65];
	struct offload_knobs knobs = { .trust = OFFLOAD_TRUST_NONE, .vmq = true };

	for (unsigned int i = 0; i < 65; i++)
		wants[i] = (struct offload_want){ .member = "nic", .vsid = 5001 + i, .queue = 1, .family = 4 };
	open_with(EMUNIC_FLOW, 0, false, OFFLOAD_TRUST_ACCEPTED);
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int gone = i == 2;

		assert_int_equal(offload_steer(o, wants + gone, 65 - gone), 0);
		offload_status(o, &st, 1);
		assert_int_equal(st.rules_wanted, 65 - gone);
		assert_int_equal(st.rules, 64);
		assert_int_equal(*st.rules_why != '\0', !gone);
	}
	offload_set_knobs(o, &knobs);
	assert_int_equal(offload_steer(o, wants, 65), 0);
	offload_status(o, &st, 1);
	assert_int_equal(st.rules, 0);
	assert_false(st.bits[OFFLOAD_I_STEER].used);
	close_all();
}

static int setup(void **state)
{
	int r = test_eal_init();

	pool = r == 0 ? meta_pool_create("member", 1023, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY) : NULL;
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
		cmocka_unit_test_teardown(test_row70_plain, all_back),
		cmocka_unit_test_teardown(test_row70_proven, all_back),
		cmocka_unit_test_teardown(test_row70_lies, all_back),
		cmocka_unit_test_teardown(test_inner_rss, all_back),
		cmocka_unit_test(test_choose),
		cmocka_unit_test_teardown(test_trust, all_back),
		cmocka_unit_test_teardown(test_row68_queues, all_back),
		cmocka_unit_test_teardown(test_row68_refused, all_back),
		cmocka_unit_test_teardown(test_row68_full, all_back),
		cmocka_unit_test_teardown(test_row69_spread, all_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
