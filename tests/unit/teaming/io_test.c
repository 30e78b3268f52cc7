/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One suite on both ways that teamwatch's frames can take: a packet socket on a netdev, and rings to the
 * workers.
 */
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <unistd.h>

#include "base/meta.h"
#include "base/str.h"
#include "eal.h"
#include "frame.h"
#include "netns.h"
#include "teaming/io.h"

#define WAIT_MS 2000

static struct rte_mempool *pool;
static struct tw_io *io;
static int wire = -1; /* other end of the cable; -1: rings */
static struct tw_io_filter filter;
static const uint8_t peer[6] = { 0x02, 0xee, 0, 0, 0, 1 }, all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void set_filter(void)
{
	static const char *const pas[] = { "10.0.0.1", "2001:db8::1" };

	memset(&filter, 0, sizeof(filter));
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(parse_ip(pas[i], &filter.pas[i]), 0);
		filter.macs[i] = (struct mac){ { 0x02, 0xaa, 0, 0, 0, (uint8_t)(i + 1) } };
	}
	filter.n_pas = 2;
	assert_int_equal(io->ops->filter(io, &filter), 0);
}

static int setup_packet(void **state)
{
	netns_need();
	cable("v0", "v1");
	assert_int_equal(tw_io_packet_open(if_nametoindex("v0"), &io), 0);
	wire = raw_open("v1");
	set_filter();
	return 0;
}

static int setup_rings(void **state)
{
	wire = -1;
	assert_int_equal(tw_io_punt_open(pool, &io), 0);
	set_filter();
	return 0;
}

static int teardown(void **state)
{
	if (!io)
		return 0;
	io->ops->close(io);
	io = NULL;
	if (wire >= 0) {
		close(wire);
		ip_run("link del v0");
	}
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

/* The wire, or the worker, hands a frame over. */
static void inject(const void *frame, size_t len)
{
	struct rte_mbuf *m;

	if (wire >= 0) {
		assert_int_equal(write(wire, frame, len), len);
		return;
	}
	m = rte_pktmbuf_alloc(pool);
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	if (!tw_io_punt_rx(io, &m, 1))
		rte_pktmbuf_free(m);
}

/* @return length, 0: nothing comes. */
static int receive(uint8_t *buf, uint32_t size)
{
	struct pollfd p = { .fd = io->ops->fd(io), .events = POLLIN };

	if (wire >= 0 && poll(&p, 1, WAIT_MS) <= 0)
		return 0;
	return io->ops->recv(io, buf, size);
}

/* What teamwatch sent, on the wire or at the worker. */
static int extract(uint8_t *buf, size_t size)
{
	struct rte_mbuf *m;
	int len;

	if (wire >= 0)
		return raw_recv(wire, buf, size, WAIT_MS);
	if (tw_io_punt_tx(io, &m, 1) != 1)
		return 0;
	len = (int)m->pkt_len;
	memcpy(buf, rte_pktmbuf_mtod(m, void *), m->pkt_len);
	rte_pktmbuf_free(m);
	return len;
}

static size_t arp(uint8_t *buf, size_t size, const void *dst, uint16_t vlan, uint16_t op, uint32_t spa, uint32_t tpa)
{
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, size);
	frame_eth(&f, dst, peer, FRAME_AUTO);
	if (vlan)
		frame_vlan(&f, 0x8100, vlan, FRAME_AUTO);
	frame_arp(&f, op, peer, spa, all, tpa);
	frame_pad(&f, 60);
	len = frame_finish(&f);
	assert_true(len > 0);
	return (size_t)len;
}

#define PA    FRAME_IPV4(10, 0, 0, 1)
#define PEER  FRAME_IPV4(10, 0, 0, 9)
#define OTHER FRAME_IPV4(10, 0, 0, 8)

static void expect(const void *frame, size_t len)
{
	uint8_t buf[2048];
	int n = receive(buf, sizeof(buf));

	assert_int_equal(n, len);
	assert_memory_equal(buf, frame, len);
}

static void questions_come_in(void **state)
{
	uint8_t buf[128];
	size_t len = arp(buf, sizeof(buf), all, 0, 1, PEER, PA);

	inject(buf, len);
	expect(buf, len);
	len = arp(buf, sizeof(buf), &filter.macs[0], 0, 2, PEER, PA); /* an answer */
	inject(buf, len);
	expect(buf, len);
	len = arp(buf, sizeof(buf), all, 0, 1, PEER, PEER); /* an announcement */
	inject(buf, len);
	expect(buf, len);
}

static void tags_stay_on(void **state)
{
	uint8_t buf[128], back[128];
	size_t len = arp(buf, sizeof(buf), all, 42 | 3 << 13, 1, PEER, PA);

	inject(buf, len);
	expect(buf, len);
	assert_int_equal(io->ops->send(io, buf, (uint32_t)len), 0);
	/* (the test's socket shows a tag aside: the length tells) */
	assert_true(extract(back, sizeof(back)) >= (int)len - 4);
}

static void v6_comes_in(void **state)
{
	static const uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, 0, 0, 1 };
	struct ip_addr src;
	uint8_t buf[256];
	struct frame f;
	ssize_t len;

	assert_int_equal(parse_ip("2001:db8::9", &src), 0);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, "\x33\x33\xff\0\0\x01", peer, FRAME_AUTO);
	frame_ip6(&f, src.b, group, FRAME_AUTO, 255);
	frame_nd_ns(&f, filter.pas[1].b, peer);
	len = frame_finish(&f);
	inject(buf, (size_t)len);
	expect(buf, (size_t)len);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &filter.macs[1], peer, FRAME_AUTO);
	frame_ip6(&f, src.b, filter.pas[1].b, FRAME_AUTO, 255);
	frame_nd_na(&f, src.b, 0x60, peer);
	len = frame_finish(&f);
	inject(buf, (size_t)len);
	expect(buf, (size_t)len);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &filter.macs[1], peer, FRAME_AUTO);
	frame_ip6(&f, src.b, filter.pas[1].b, FRAME_AUTO, 64);
	frame_icmp6(&f, 128, 0, 1);
	frame_fill(&f, 20, 0);
	len = frame_finish(&f);
	inject(buf, (size_t)len);
	expect(buf, (size_t)len);
}

static size_t echo(uint8_t *buf, size_t size, uint32_t dst, size_t payload)
{
	struct frame f;

	frame_init(&f, buf, size);
	frame_eth(&f, &filter.macs[0], peer, FRAME_AUTO);
	frame_ip4(&f, PEER, dst, FRAME_AUTO);
	frame_icmp4(&f, 8, 0, 7);
	frame_fill(&f, payload, 0);
	return (size_t)frame_finish(&f);
}

static void echo_comes_in(void **state)
{
	uint8_t buf[2048];
	size_t len = echo(buf, sizeof(buf), PA, 1400);

	inject(buf, len);
	expect(buf, len);
}

/* What comes back of our own echo requests: the answer, and what a router says. */
static void answers_to_echo_come_in(void **state)
{
	static const struct {
		uint8_t type4, type6;
	} list[] = { { 0, 129 }, { 3, 1 }, { 3, 2 } };
	struct ip_addr src;
	uint8_t buf[256];
	struct frame f;
	size_t len;

	assert_int_equal(parse_ip("2001:db8::9", &src), 0);
	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, &filter.macs[0], peer, FRAME_AUTO);
		frame_ip4(&f, PEER, PA, FRAME_AUTO);
		frame_icmp4(&f, list[i].type4, 0, 7);
		frame_fill(&f, 60, 0);
		len = (size_t)frame_finish(&f);
		inject(buf, len);
		expect(buf, len);
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, &filter.macs[1], peer, FRAME_AUTO);
		frame_ip6(&f, src.b, filter.pas[1].b, FRAME_AUTO, 64);
		frame_icmp6(&f, list[i].type6, 0, 7);
		frame_fill(&f, 60, 0);
		len = (size_t)frame_finish(&f);
		inject(buf, len);
		expect(buf, len);
	}
}

/* Tunnels, TCP, what is not ours: never reaches teamwatch; the question sent behind it does. */
static void traffic_stays_out(void **state)
{
	uint8_t buf[256], mark[128];
	size_t len, mark_len = arp(mark, sizeof(mark), all, 0, 1, PEER, PA);
	struct frame f;

	for (unsigned int kind = 0; kind < 4; kind++) {
		frame_init(&f, buf, sizeof(buf));
		frame_eth(&f, &filter.macs[0], peer, kind == 3 ? 0x88cc : FRAME_AUTO);
		if (kind < 3)
			frame_ip4(&f, PEER, PA, FRAME_AUTO);
		if (kind == 0) {
			frame_nvgre(&f, 5001, 0);
			frame_eth(&f, peer, peer, 0x88b5);
		} else if (kind == 1) {
			frame_udp(&f, 1, 2);
		} else if (kind == 2) {
			frame_tcp(&f, 1, 2, 3, 4, 2);
		}
		frame_fill(&f, 60, 0);
		len = (size_t)frame_finish(&f);
		inject(buf, len);
	}
	inject(mark, mark_len);
	expect(mark, mark_len);
}

static void short_frames_do_no_harm(void **state)
{
	uint8_t buf[128], mark[128], out[64];
	size_t mark_len = arp(mark, sizeof(mark), all, 0, 1, PEER, PA);

	arp(buf, sizeof(buf), all, 0, 1, PEER, PA);
	for (size_t len = 14; len < 42; len++)
		inject(buf, len);
	inject(mark, mark_len);
	expect(mark, mark_len);
	/* a buffer too small: cut, not overrun */
	inject(mark, mark_len);
	assert_true(receive(out, 20) <= 20);
}

static void sent_frames_go_out_and_do_not_come_back(void **state)
{
	uint8_t buf[128], back[2048], mark[128];
	size_t len = arp(buf, sizeof(buf), all, 0, 1, PA, PA), mark_len;

	assert_int_equal(io->ops->send(io, buf, (uint32_t)len), 0);
	assert_int_equal(extract(back, sizeof(back)), len);
	assert_memory_equal(back, buf, len);
	mark_len = arp(mark, sizeof(mark), all, 0, 1, PEER, PA);
	inject(mark, mark_len);
	expect(mark, mark_len);
}

static void nothing_there_is_no_error(void **state)
{
	uint8_t buf[64];

	assert_int_equal(io->ops->recv(io, buf, sizeof(buf)), 0);
}

/* ---- what only a socket has ---- */

static void the_socket_filter_knows_our_addresses(void **state)
{
	uint8_t buf[128], mark[128];
	size_t len, mark_len = arp(mark, sizeof(mark), all, 0, 1, PEER, PA);

	len = arp(buf, sizeof(buf), all, 0, 1, PEER, OTHER); /* not for us */
	inject(buf, len);
	len = echo(buf, sizeof(buf), OTHER, 10);
	inject(buf, len);
	inject(mark, mark_len);
	expect(mark, mark_len);
	/* a claim of our address */
	len = arp(buf, sizeof(buf), all, 0, 1, PA, PEER);
	inject(buf, len);
	expect(buf, len);
	/* another address from now on */
	memcpy(filter.pas[0].b, &(uint32_t){ OTHER }, 4);
	assert_int_equal(io->ops->filter(io, &filter), 0);
	inject(mark, mark_len);
	len = arp(buf, sizeof(buf), all, 0, 1, PEER, OTHER);
	inject(buf, len);
	expect(buf, len);
}

/* What the data path sends by the same device. */
static void outgoing_frames_of_others_stay_out(void **state)
{
	int other = raw_open("v0");
	uint8_t buf[128];
	size_t len = arp(buf, sizeof(buf), all, 0, 1, PA, PA);

	assert_int_equal(write(other, buf, len), len);
	len = arp(buf, sizeof(buf), all, 0, 1, PEER, PA);
	inject(buf, len);
	expect(buf, len);
	close(other);
}

/* In the NIC's filter as long as the socket lives. */
static void the_nic_accepts_the_macs(void **state)
{
	static const struct mac plain = { { 0x02, 0xbb, 0, 0, 0, 9 } };

	assert_int_equal(system("bridge fdb show dev v0 | grep -q 02:aa:00:00:00:01"), 0);
	assert_int_equal(system("ip maddress show dev v0 | grep -q 33:33:ff:00:00:01"), 0);
	filter.n_pas = 1;
	filter.n_plain = 1;
	filter.plain = &plain;
	assert_int_equal(io->ops->filter(io, &filter), 0);
	assert_int_equal(system("bridge fdb show dev v0 | grep -q 02:aa:00:00:00:01"), 0);
	assert_int_equal(system("bridge fdb show dev v0 | grep -q 02:bb:00:00:00:09"), 0);
	assert_int_not_equal(system("bridge fdb show dev v0 | grep -q 02:aa:00:00:00:02"), 0);
	assert_int_not_equal(system("ip maddress show dev v0 | grep -q 33:33:ff:00:00:01"), 0);
}

static void a_dead_device_is_an_error_not_a_loop(void **state)
{
	uint8_t buf[128];
	size_t len = arp(buf, sizeof(buf), all, 0, 1, PA, PA);

	ip_run("link set v0 down");
	assert_true(io->ops->send(io, buf, (uint32_t)len) < 0);
	assert_true(io->ops->recv(io, buf, sizeof(buf)) <= 0);
	ip_run("link set v0 up");
	cable_wait("v0", "v1");
	len = arp(buf, sizeof(buf), all, 0, 1, PEER, PA);
	inject(buf, len);
	expect(buf, len);
}

static void the_largest_filter_fits(void **state)
{
	struct sock_filter code[TW_FILTER_MAX];
	struct tw_io_filter f = { .n_pas = LOCAL_PAS };

	for (unsigned int family = 4; family <= 6; family += 2) {
		for (unsigned int i = 0; i < LOCAL_PAS; i++)
			f.pas[i] = (struct ip_addr){ (uint8_t)family, { 10, 0, 0, (uint8_t)i } };
		assert_true(tw_io_program(&f, code) < TW_FILTER_MAX);
	}
}

/* ---- what only rings have ---- */

static void a_full_ring_leaves_frames_with_the_worker(void **state)
{
	struct rte_mbuf *m;
	uint8_t buf[2048];
	unsigned int n = 0;
	size_t len = arp(buf, sizeof(buf), all, 0, 1, PEER, PA);

	for (;;) {
		m = rte_pktmbuf_alloc(pool);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
		if (!tw_io_punt_rx(io, &m, 1))
			break;
		n++;
	}
	rte_pktmbuf_free(m);
	assert_true(n >= 512);
	while (n--)
		assert_int_equal(io->ops->recv(io, buf, sizeof(buf)), len);
	assert_int_equal(io->ops->recv(io, buf, sizeof(buf)), 0);
	for (n = 0; io->ops->send(io, buf, (uint32_t)len) == 0;)
		n++;
	assert_true(n > 64);
	while (n--) {
		assert_int_equal(tw_io_punt_tx(io, &m, 1), 1);
		assert_int_equal(m->pkt_len, len);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(tw_io_punt_tx(io, &m, 1), 0);
	assert_int_equal(io->ops->send(io, buf, 70000), -EMSGSIZE);
}

static void several_segments_are_one_frame(void **state)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool), *tail = rte_pktmbuf_alloc(pool);
	uint8_t buf[512];
	size_t len = echo(buf, sizeof(buf), PA, 300);

	assert_true(head && tail);
	memcpy(rte_pktmbuf_append(head, 50), buf, 50);
	memcpy(rte_pktmbuf_append(tail, (uint16_t)(len - 50)), buf + 50, len - 50);
	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	assert_int_equal(tw_io_punt_rx(io, &head, 1), 1);
	expect(buf, len);
}

static int group_setup(void **state)
{
	if (test_eal_setup(state) < 0)
		return -1;
	pool = meta_pool_create("test", 4095, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return pool ? netns_setup(state) : -1;
}

#define BOTH(name)                                                                                 \
	{ #name " (socket)", name, setup_packet, teardown, NULL },                                 \
	{ #name " (rings)", name, setup_rings, teardown, NULL }
#define SOCKET(name) cmocka_unit_test_setup_teardown(name, setup_packet, teardown)
#define RINGS(name)  cmocka_unit_test_setup_teardown(name, setup_rings, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(questions_come_in),
		BOTH(tags_stay_on),
		BOTH(v6_comes_in),
		BOTH(echo_comes_in),
		BOTH(answers_to_echo_come_in),
		BOTH(traffic_stays_out),
		BOTH(short_frames_do_no_harm),
		BOTH(sent_frames_go_out_and_do_not_come_back),
		BOTH(nothing_there_is_no_error),
		SOCKET(the_socket_filter_knows_our_addresses),
		SOCKET(outgoing_frames_of_others_stay_out),
		SOCKET(the_nic_accepts_the_macs),
		SOCKET(a_dead_device_is_an_error_not_a_loop),
		cmocka_unit_test(the_largest_filter_fits),
		RINGS(a_full_ring_leaves_frames_with_the_worker),
		RINGS(several_segments_are_one_frame),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
