/* SPDX-License-Identifier: BSD-3-Clause */
/* The netdev that stands for a device without one: what passes, in which order, how much, and the netdev itself. */
#include <poll.h>
#include <unistd.h>

#include "base/meta.h"
#include "base/rcu.h"
#include "base/str.h"
#include "eal.h"
#include "frame.h"
#include "netns.h"
#include "teaming/ethtool.h"
#include "teaming/team.h"

#define WAIT_MS 3000

static struct rte_mempool *pool;
static const struct mac device_mac = { { 0x02, 0xdd, 0, 0, 0, 1 } }, stranger = { { 0x02, 0xee, 0, 0, 0, 1 } };
static const struct mac slow = { { 0x01, 0x80, 0xc2, 0, 0, 2 } }, all = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static size_t frame_to(uint8_t *buf, size_t size, const void *dst, uint16_t type)
{
	struct frame f;

	frame_init(&f, buf, size);
	frame_eth(&f, dst, &stranger, type);
	frame_fill(&f, 110, 0);
	return (size_t)frame_finish(&f);
}

/* ---- what passes ---- */

static struct tw_relay pure(void)
{
	struct tw_relay r = { .fd = -1, .mac = device_mac };

	for (unsigned int i = 0; i < 2; i++)
		rate_init(&r.rate[i], TW_RELAY_PPS, 256, 1000000000, 0);
	return r;
}

static void inward_for_the_kernel_only(void **state)
{
	static const struct mac lldp = { { 0x01, 0x80, 0xc2, 0, 0, 0x0e } };
	static const struct mac gmrp = { { 0x01, 0x80, 0xc2, 0, 0, 0x20 } };
	struct tw_relay r = pure();
	uint8_t buf[256];
	const struct {
		const struct mac *dst;
		uint16_t type;
		bool passes;
	} cases[] = {
		{ &slow, 0x8809, true }, { &lldp, 0x88cc, true },	 { &gmrp, 0x88f5, true },
		{ &all, 0x0806, true },	 { &device_mac, 0x0800, true }, { &stranger, 0x0800, false },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = frame_to(buf, sizeof(buf), cases[i].dst, cases[i].type);

		assert_int_equal(tw_relay_passes(&r, true, buf, (uint32_t)len, 0), cases[i].passes);
		assert_true(tw_relay_passes(&r, false, buf, (uint32_t)len, 0));
	}
	assert_false(tw_relay_passes(&r, true, buf, 13, 0));
}

static void the_rest_is_limited_link_local_is_not(void **state)
{
	uint8_t bulk[256], lacp[256];
	size_t len = frame_to(bulk, sizeof(bulk), &all, 0x0806), lacp_len = frame_to(lacp, sizeof(lacp), &slow, 0x8809);
	struct tw_relay r = pure();

	for (unsigned int way = 0; way < 2; way++) {
		unsigned int n = 0;

		/* ten times the rate, for a second */
		for (uint64_t now = 0; now < 1000000000; now += 1000000000 / (10 * TW_RELAY_PPS)) {
			n += tw_relay_passes(&r, way, bulk, (uint32_t)len, now);
			assert_true(tw_relay_passes(&r, way, lacp, (uint32_t)lacp_len, now));
		}
		assert_true(n <= TW_RELAY_PPS + 256 && n >= TW_RELAY_PPS * 9 / 10);
	}
}

/* ---- rings ---- */

static bool to_ring(struct tw_io *io, const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	if (tw_io_punt_rx(io, &m, 1))
		return true;
	rte_pktmbuf_free(m);
	return false;
}

static void workers_hand_over_what_is_wanted(void **state)
{
	uint8_t buf[256];
	struct tw_io *io;
	size_t len;

	assert_int_equal(tw_io_punt_open(pool, &io), 0);
	len = frame_to(buf, sizeof(buf), &slow, 0x8809);
	assert_false(to_ring(io, buf, len)); /* no relay */
	tw_io_punt_relay(io, &device_mac);
	assert_true(to_ring(io, buf, len));
	len = frame_to(buf, sizeof(buf), &device_mac, 0x0800);
	assert_true(to_ring(io, buf, len));
	len = frame_to(buf, sizeof(buf), &all, 0x88b5);
	assert_true(to_ring(io, buf, len));
	len = frame_to(buf, sizeof(buf), &stranger, 0x0800);
	assert_false(to_ring(io, buf, len));
	assert_false(to_ring(io, buf, 10));
	tw_io_punt_relay(io, NULL);
	len = frame_to(buf, sizeof(buf), &slow, 0x8809);
	assert_false(to_ring(io, buf, len));
	io->ops->close(io);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* However much else there is: LACPDUs are taken, and read first. Neighbour discovery keeps room, too. */
static void lacpdus_overtake(void **state)
{
	uint8_t lacp[256], bulk[256], arp[256], buf[256];
	size_t lacp_len = frame_to(lacp, sizeof(lacp), &slow, 0x8809);
	size_t len = frame_to(bulk, sizeof(bulk), &all, 0x88b5), arp_len = frame_to(arp, sizeof(arp), &all, 0x0806);
	unsigned int n = 0;
	struct tw_io *io;

	assert_int_equal(tw_io_punt_open(pool, &io), 0);
	tw_io_punt_relay(io, &device_mac);
	while (to_ring(io, bulk, len))
		n++;
	assert_true(n > 100);
	assert_true(to_ring(io, arp, arp_len));
	assert_true(to_ring(io, lacp, lacp_len));
	assert_int_equal(io->ops->recv(io, buf, sizeof(buf)), lacp_len);
	assert_memory_equal(buf, lacp, lacp_len);
	assert_int_equal(io->ops->recv(io, buf, sizeof(buf)), len);
	assert_memory_equal(buf, bulk, len);
	/* outward: what has no hurry leaves half of the slots */
	for (n = 0; tw_io_punt_quiet(io); n++)
		assert_int_equal(io->ops->send(io, bulk, (uint32_t)len), 0);
	assert_int_equal(io->ops->send(io, lacp, (uint32_t)lacp_len), 0);
	assert_true(n >= 32);
	io->ops->close(io);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* A frame that no buffer can take is refused, and not in the way of others. */
static void too_long_for_a_buffer(void **state)
{
	static uint8_t big[4000];
	struct rte_mbuf *m;
	struct tw_io *io;

	assert_int_equal(tw_io_punt_open(pool, &io), 0);
	assert_int_equal(io->ops->send(io, big, sizeof(big)), -EMSGSIZE);
	assert_int_equal(io->ops->send(io, big, 2048), 0);
	assert_int_equal(tw_io_punt_tx(io, &m, 1), 1);
	assert_int_equal(m->pkt_len, 2048);
	rte_pktmbuf_free(m);
	io->ops->close(io);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* ---- the whole, with a device of the test's own ---- */

static struct teaming *team;
static struct member_spec member;
static struct teaming_config config;
static bool up;

static const struct member_ops fake_ops;

static int fake_open(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err)
{
	*ret = (struct member_dev){ .ops = &fake_ops };
	return 0;
}

static int fake_info(const struct member_dev *d, struct member_info *ret)
{
	*ret = (struct member_info){ .max_rxq = 1, .max_txq = 1, .mac = device_mac };
	return 0;
}

static int fake_configure(struct member_dev *d, const struct member_config *c, struct errbuf *err)
{
	d->rxq = d->txq = 1;
	return 0;
}

static void fake_close(struct member_dev *d)
{
}

static int fake_link(const struct member_dev *d, bool *ret_up, uint32_t *ret_speed)
{
	*ret_up = __atomic_load_n(&up, __ATOMIC_RELAXED);
	*ret_speed = 25000;
	return 0;
}

static uint16_t fake_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static const struct member_ops fake_ops = {
	.name = "fake", .open = fake_open, .info = fake_info, .configure = fake_configure, .close = fake_close,
	.rx = fake_rx, .link = fake_link,
};

static int member_up(struct errbuf *err)
{
	struct member_config c = { .rxq = 1, .txq = 1, .mtu = 1600, .pool = pool };

	teaming_member_ops(team, 0, &fake_ops);
	return teaming_member_open(team, 0, &c, err);
}

static void create(const char *relay, const char *device)
{
	struct errbuf err = { "" };

	memset(&member, 0, sizeof(member));
	str_copy(member.name, sizeof(member.name), "m0");
	str_copy(member.devargs, sizeof(member.devargs), "unused");
	str_copy(member.relay, sizeof(member.relay), relay);
	member.type = MEMBER_DPDK;
	config = (struct teaming_config){ .host_id = "h1", .n_members = 1, .members = &member, .device = device };
	if (teaming_create(&config, &team, &err) < 0)
		fail_msg("%s", err.text);
}

static int teardown(void **state)
{
	teaming_free(team);
	team = NULL;
	(void)!system("ip link del r0 2>/dev/null");
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

static bool shows(const char *pattern)
{
	char command[128];

	snprintf(command, sizeof(command), "ip -d link show dev r0 2>/dev/null | grep -q -- '%s'", pattern);
	return system(command) == 0;
}

static void wait_shows(const char *pattern, bool want)
{
	for (unsigned int i = 0; i < WAIT_MS / 10; i++, poll(NULL, 0, 10))
		if (shows(pattern) == want)
			return;
	fail_msg("r0 does %sshow '%s'", want ? "not " : "", pattern);
}

static void carrier_and_mac_are_the_devices(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	create("r0", NULL);
	assert_false(shows("r0"));
	up = false;
	assert_int_equal(member_up(&err), 0);
	ip_run("link set r0 up");
	assert_true(shows("02:dd:00:00:00:01") && shows("NO-CARRIER"));
	__atomic_store_n(&up, true, __ATOMIC_RELAXED);
	wait_shows("LOWER_UP", true);
	assert_int_equal(tw_ethtool_speed("r0"), 25000);
	__atomic_store_n(&up, false, __ATOMIC_RELAXED);
	wait_shows("NO-CARRIER", true);
	__atomic_store_n(&up, true, __ATOMIC_RELAXED);
	wait_shows("LOWER_UP", true);
	teaming_member_close(team, 0);
	assert_true(shows("NO-CARRIER")); /* stays, for the device may come back */
	assert_int_equal(member_up(&err), 0);
	wait_shows("LOWER_UP", true);
	teaming_free(team);
	team = NULL;
	assert_false(shows("r0"));
}

static void one_that_is_there_is_taken_and_left(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	ip_run("tuntap add dev r0 mode tap");
	create("r0", NULL);
	up = true;
	assert_int_equal(member_up(&err), 0);
	ip_run("link set r0 up");
	wait_shows("LOWER_UP", true);
	teaming_free(team);
	team = NULL;
	assert_true(shows("r0") && shows("NO-CARRIER"));
}

static void what_cannot_be_had_is_named(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	cable("r0", "s0");
	create("r0", NULL);
	assert_int_equal(member_up(&err), -EINVAL);
	assert_string_equal(err.text, "relay r0: there is a device of that name which is no (single-queue) TAP");
}

static void a_member_that_loses_its_relay(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	create("r0", NULL);
	assert_int_equal(member_up(&err), 0);
	assert_true(shows("r0"));
	*member.relay = '\0';
	assert_int_equal(teaming_configure(team, &config, &err), 0);
	assert_false(shows("r0"));
}

/* What the test's worker gets from teamwatch. */
static bool worker_sends(const uint8_t *frame, size_t len)
{
	for (unsigned int i = 0; i < WAIT_MS; i++, poll(NULL, 0, 1)) {
		struct rte_mbuf *m;
		bool same;

		if (!teaming_punt_tx(team, 0, &m, 1))
			continue;
		same = m->pkt_len == len && memcmp(rte_pktmbuf_mtod(m, void *), frame, len) == 0;
		rte_pktmbuf_free(m);
		if (same)
			return true;
	}
	return false;
}

static void frames_pass_both_ways(void **state)
{
	struct errbuf err = { "" };
	uint8_t lacp[256], buf[256];
	size_t len = frame_to(lacp, sizeof(lacp), &slow, 0x8809);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	int kernel;

	netns_need();
	create("r0", NULL);
	up = true;
	assert_int_equal(member_up(&err), 0);
	ip_run("link set r0 addrgenmode none up");
	wait_shows("LOWER_UP", true);
	kernel = raw_open("r0");
	assert_int_equal(write(kernel, lacp, len), len);
	assert_true(worker_sends(lacp, len));
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), lacp, len);
	lacp[20] ^= 1; /* not what was sent */
	memcpy(rte_pktmbuf_mtod(m, void *), lacp, len);
	assert_int_equal(teaming_punt_rx(team, 0, &m, 1), 1);
	assert_int_equal(raw_recv(kernel, buf, sizeof(buf), WAIT_MS), len);
	assert_memory_equal(buf, lacp, len);
	/* the TAP gets another MAC, as ports of a team do */
	ip_run("link set r0 address 02:dd:00:00:00:99");
	frame_to(buf, sizeof(buf), &(struct mac){ { 2, 0xdd, 0, 0, 0, 0x99 } }, 0x88b5);
	for (unsigned int i = 0;; i++, poll(NULL, 0, 10)) {
		assert_true(i < WAIT_MS / 10);
		m = rte_pktmbuf_alloc(pool);
		memcpy(rte_pktmbuf_append(m, 124), buf, 124);
		if (teaming_punt_rx(team, 0, &m, 1))
			break;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(raw_recv(kernel, lacp, sizeof(lacp), WAIT_MS), 124);
	assert_memory_equal(buf, lacp, 124);
	close(kernel);
}

/* The relay of a team's member is there before it is a port: somebody has to be able to add it. */
static void waits_for_the_team(void **state)
{
	struct teaming_member_status st[2];
	struct errbuf err = { "" };

	netns_need();
	create("r0", "team0");
	assert_int_equal(teaming_members(team, st, 2), 1);
	up = true;
	assert_int_equal(member_up(&err), 0);
	assert_true(shows("r0"));
	assert_int_equal(teaming_members(team, st, 2), 1);
	assert_false(st[0].usable);
	assert_string_equal(st[0].why, "its relay is not a port of the team");
	assert_string_equal(st[0].netdev, "r0");
}

/* The team knows a device by its relay, and one that it does not know yet is a member as well. */
static void ports_and_relays_become_members(void **state)
{
	struct member_spec specs[] = { { .name = "nic0", .type = MEMBER_DPDK, .devargs = "a", .relay = "r0" },
				       { .name = "nic1", .type = MEMBER_DPDK, .devargs = "b", .relay = "r1" } };
	struct teaming_config c = { .n_members = 2, .members = specs, .member_type = MEMBER_AF_XDP };
	char ports[TEAM_MEMBERS][IFNAMSIZ] = { "eth0", "r1", "nic0" };
	static struct member_spec got[TEAM_MEMBERS];

	assert_int_equal(tw_config_merge(&c, ports, 2, got), 3);
	assert_true(!strcmp(got[0].name, "eth0") && got[0].type == MEMBER_AF_XDP);
	assert_true(!strcmp(got[1].name, "nic1") && got[1].type == MEMBER_DPDK);
	assert_true(!strcmp(got[2].name, "nic0") && !strcmp(got[2].relay, "r0"));
	/* a port that is called as the device is: names are of one member only */
	assert_int_equal(tw_config_merge(&c, ports, 3, got), 3);
	assert_true(!strcmp(got[2].name, "nic0") && !strcmp(got[2].relay, "r0"));
	strcpy(ports[0], "r0");
	assert_int_equal(tw_config_merge(&c, ports, 3, got), 2);
}

static void two_members_with_one_relay(void **state)
{
	struct member_spec two[2] = { { .name = "m0", .type = MEMBER_DPDK, .devargs = "a", .relay = "r0" },
				      { .name = "m1", .type = MEMBER_DPDK, .devargs = "b", .relay = "r0" } };
	struct teaming_config c = { .host_id = "h1", .n_members = 2, .members = two };
	struct errbuf err = { "" };

	assert_int_equal(teaming_check(&c, &err), -EEXIST);
	assert_string_equal(err.text, "member m1: its relay or name is a relay of member m0, too");
	*two[1].relay = '\0';
	assert_int_equal(teaming_check(&c, &err), 0);
	str_copy(two[1].name, sizeof(two[1].name), "r0");
	assert_int_equal(teaming_check(&c, &err), -EEXIST);
	two[1] = (struct member_spec){ .name = "m1", .relay = "r1" };
	assert_int_equal(teaming_check(&c, &err), -EINVAL);
}

static int group_setup(void **state)
{
	if (test_eal_init_args(128, NULL) < 0 || rcu_init() < 0)
		return -1;
	pool = meta_pool_create("test", 4095, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return pool ? netns_setup(state) : -1;
}

static int group_teardown(void **state)
{
	rcu_fini();
	return 0;
}

#define WHOLE(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inward_for_the_kernel_only),
		cmocka_unit_test(the_rest_is_limited_link_local_is_not),
		cmocka_unit_test(workers_hand_over_what_is_wanted),
		cmocka_unit_test(lacpdus_overtake),
		cmocka_unit_test(too_long_for_a_buffer),
		cmocka_unit_test(two_members_with_one_relay),
		cmocka_unit_test(ports_and_relays_become_members),
		WHOLE(carrier_and_mac_are_the_devices),
		WHOLE(one_that_is_there_is_taken_and_left),
		WHOLE(what_cannot_be_had_is_named),
		WHOLE(a_member_that_loses_its_relay),
		WHOLE(frames_pass_both_ways),
		WHOLE(waits_for_the_team),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
