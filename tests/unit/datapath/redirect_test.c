/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests that have moved (HNV row 28): b, 10.0.0.3 in 5001, goes from this host to host "new" with PA 192.0.2.31; "far"
 * still sends to us. And the messages of MS-NVGREE, in both directions.
 */
#include <stdlib.h>

#include "base/pkt_redirect.h"
#include "world.h"

#define IP_NEW FRAME_IPV4(10, 0, 0, 31)
#define NEW_PA "\xc0\x00\x02\x1f"
#define FAR_PA "\xc0\x00\x02\x15"

static const uint8_t mac_new[6] = { 2, 0, 0, 0, 0x31, 1 }, mac_nobody[6] = { 2, 0, 0, 0, 0x77, 7 };
static const uint8_t mac_host[6] = { 2, 0xfc, 0, 0, 0, 1 }; /* under which far's host speaks */

static void knob(bool on)
{
	struct datapath_params params = world.dp->params;

	params.redirect = on;
	datapath_set_knobs(world.dp, &params);
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
}

static int setup(void **state)
{
	world_setup(state);
	policy_set_departed(world.policy, 30000);
	world_set(OBJECT_HOST, "id=new pas=[{address=192.0.2.31}]");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.31 mac=02:00:00:00:31:01 host=new");
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	return 0;
}

static int setup_two(void **state)
{
	int r;

	world_workers = 2;
	r = setup(state);
	world_workers = 1;
	return r;
}

static void drop_port(const char *id)
{
	struct port_spec spec = { 0 };
	enum origin origin;

	snprintf(spec.id, sizeof(spec.id), "%s", id);
	datapath_port_detach(world.dp, policy_port_index(world.policy, id), NULL);
	assert_int_equal(policy_get(world.policy, OBJECT_PORT, &spec, &origin), 0);
	assert_int_equal(policy_remove(world.policy, OBJECT_PORT, &spec, origin, NULL), 0);
}

/* b is at host new from now on. */
static void b_moves(void)
{
	drop_port("b");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.3 mac=02:00:00:00:00:0b host=new");
}

static struct frame *tunnel_flow(uint8_t *buf, unsigned int from_pa, uint8_t ttl, const void *dst, const void *src,
				 uint32_t from, uint32_t to, uint16_t port)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_host, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(from_pa), .dst = PA(11), .frag = 0x4000, .ttl = ttl });
	frame_nvgre(&f, 5001, 0xa7);
	frame_eth(&f, dst, src, FRAME_AUTO);
	frame_ip4(&f, from, to, FRAME_AUTO);
	frame_udp(&f, port, 2000);
	frame_fill(&f, 30, 1);
	return &f;
}

static struct frame *tunnel(uint8_t *buf, unsigned int from_pa, uint8_t ttl, const void *dst, const void *src,
			    uint32_t from, uint32_t to)
{
	return tunnel_flow(buf, from_pa, ttl, dst, src, from, to, 1000);
}

static struct frame *to_b(uint8_t *buf, uint8_t ttl)
{
	return tunnel(buf, 21, ttl, mac_b, mac_far, IP_FAR, IP_B);
}

static unsigned int sent(void)
{
	return world.members[0].n_sent + world.members[1].n_sent;
}

/* The i-th frame sent, first those of member 0. */
static const uint8_t *frame_of(unsigned int i, uint16_t *ret_len)
{
	const struct fake_member *m = &world.members[i >= world.members[0].n_sent];

	i -= i >= world.members[0].n_sent ? world.members[0].n_sent : 0;
	assert_true(i < m->n_sent);
	*ret_len = m->sent_len[i];
	return m->sent[i];
}

/* An inner frame passed on to 192.0.2.31, as `buf` came. */
static void assert_passed_on(const uint8_t *p, uint16_t len, const uint8_t *buf, uint32_t whole)
{
	assert_int_equal(len, whole);
	assert_memory_equal(p, mac_next, 6);
	assert_int_equal(p[22], 32);
	assert_int_equal(frame_csum(p + 14, 20, 0), 0);
	assert_memory_equal(p + 26, FAR_PA, 4); /* its sender's */
	assert_memory_equal(p + 30, NEW_PA, 4);
	assert_memory_equal(p + 34, buf + 34, 8); /* GRE, VSID, FlowID */
	assert_int_equal(p[41], 0xa7);
	assert_memory_equal(p + 42, buf + 42, len - 42u);
}

static uint64_t stage(enum stage s)
{
	uint64_t n[STAGE_COUNT];

	datapath_stages(world.dp, n);
	return n[s];
}

static void row28_passed_on_to_the_new_host(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f;
	uint16_t len;

	b_moves();
	f = to_b(buf, 64);
	wire_brings(0, f);
	world_turn();
	assert_int_equal(sent(), 1);
	assert_passed_on(frame_of(0, &len), world.members[0].n_sent ? world.members[0].sent_len[0] :
								      world.members[1].sent_len[0], buf, f->len);
	assert_int_equal(stage(STAGE_REDIRECT), 1);
	assert_int_equal(stage(STAGE_REDIRECT_TELL), 0); /* the knob is off */
	assert_int_equal(drops_of(DROP_NOT_LOCAL), 0);
}

static void once_only(void **state)
{
	uint8_t buf[SIZE];

	b_moves();
	for (unsigned int ttl = 1; ttl <= 33; ttl++) {
		wire_brings(0, to_b(buf, (uint8_t)ttl));
		world_turn();
		assert_int_equal(sent(), ttl > 32);
	}
	assert_int_equal(drops_of(DROP_REDIRECT_AGAIN), 32);
	/* from the host that we would send it to */
	wire_brings(0, tunnel(buf, 31, 64, mac_b, mac_new, IP_NEW, IP_B));
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_REDIRECT_AGAIN), 33);
}

/* Two hosts of which each says that the guest is at the other: what one passes on the other does not. */
static void no_loop_between_hosts_that_contradict(void **state)
{
	uint8_t buf[SIZE], back[SIZE];
	struct frame *f;
	uint16_t len;

	b_moves();
	f = to_b(buf, 64);
	wire_brings(0, f);
	world_turn();
	memcpy(back, frame_of(0, &len), f->len);
	/* the other host's way of doing the same: to us, where the sender's record had it */
	f = to_b(buf, back[22]);
	wire_brings(0, f);
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_REDIRECT_AGAIN), 1);
}

static void only_those_that_were_here(void **state)
{
	uint32_t cursor = 0, vsid = 0;
	uint8_t buf[SIZE];

	wire_brings(0, tunnel(buf, 21, 64, mac_new, mac_far, IP_FAR, IP_NEW));
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_NOT_LOCAL), 1);
	/* here, and gone, but for too long */
	b_moves();
	assert_false(policy_expire(world.policy, tick_ms() + 29000));
	assert_true(policy_departed_next(world.policy, &cursor, &vsid));
	assert_int_equal(vsid, 5001);
	assert_false(policy_departed_next(world.policy, &cursor, &vsid));
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 1);
	assert_true(policy_expire(world.policy, tick_ms() + 31000));
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_NOT_LOCAL), 2);
}

static void back_again(void **state)
{
	uint8_t buf[SIZE];
	struct port_queue *q = &world.ports[B].q;

	b_moves();
	world_set(OBJECT_PORT, "id=b2 vsid=5001 macs=[02:00:00:00:00:0b]");
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.3 mac=02:00:00:00:00:0b host=self");
	q->port = policy_port_index(world.policy, "b2");
	assert_int_equal(datapath_port_attach(world.dp, q->port, &q, 1), 0);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(world.ports[B].n_got, 1);
	policy_expire(world.policy, tick_ms() + 31000);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(world.ports[B].n_got, 1);
	assert_int_equal(policy_away(world.policy, 5001, mac_load(mac_b)), MACV_MISS);
	/* gone again, which is remembered anew */
	drop_port("b2");
	assert_int_equal(policy_away(world.policy, 5001, mac_load(mac_b)), AWAY_UNKNOWN);
}

/* More than are remembered: the first are forgotten, and nothing of them stays. */
static void many(void **state)
{
	enum { MACS = 4200, KEPT = 4096 };
	char line[128];
	unsigned int n = 0;

	for (unsigned int i = 0; i < MACS; i++) {
		snprintf(line, sizeof(line), "id=many vsid=5001 macs=[02:77:00:00:%02x:%02x]", i >> 8, i & 255);
		world_set(OBJECT_PORT, line);
		if (i % 64 == 0)
			rcu_reclaim(1);
	}
	drop_port("many");
	for (unsigned int i = 0; i < MACS; i++) {
		uint8_t mac[6] = { 2, 0x77, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

		n += policy_away(world.policy, 5001, mac_load(mac)) == AWAY_UNKNOWN;
		assert_true(i >= MACS - KEPT || policy_away(world.policy, 5001, mac_load(mac)) == MACV_MISS);
	}
	assert_int_equal(n, KEPT);
	assert_true(policy_expire(world.policy, tick_ms() + 31000));
	for (unsigned int i = 0; i < MACS; i++) {
		uint8_t mac[6] = { 2, 0x77, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

		assert_int_equal(policy_away(world.policy, 5001, mac_load(mac)), MACV_MISS);
	}
}

/* The port is still configured, but its guest runs elsewhere: from the wire, and from a guest beside it. */
static void port_without_guest(void **state)
{
	uint8_t buf[SIZE];
	const uint8_t *p;
	struct frame *f;
	uint16_t len;

	world.ports[B].q.tx_ready = world.ports[C].q.tx_ready = 0;
	knob(true);
	f = tunnel(buf, 21, 64, mac_c, mac_far_c, IP_FAR_C, IP_C); /* which does not learn */
	frame_finish(f);
	store_be32(buf + 38, 5002u << 8);
	wire_brings(0, f);
	f = to_b(buf, 64);
	wire_brings(0, f);
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_PORT_DOWN), 2); /* policy still has them here: nobody was wrong */
	knob(false);
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.3 mac=02:00:00:00:00:0b host=new");
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 1);
	p = frame_of(0, &len);
	assert_passed_on(p, len, buf, f->len);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 20));
	world_turn();
	assert_int_equal(sent(), 1);
	p = frame_of(0, &len);
	assert_memory_equal(p + 30, NEW_PA, 4);
	assert_int_equal(p[22], 64);
	assert_true(p[29] == 11 || p[29] == 12);
	assert_int_equal(drops_of(DROP_PORT_DOWN), 2);
	assert_int_equal(stage(STAGE_REDIRECT), 2);
}

/* From a guest of this host to one that has gone where so long packets do not get: cut, or named. */
static void too_long_for_the_way_there(void **state)
{
	uint8_t buf[SIZE];
	struct frame f;

	world.ports[B].q.tx_ready = 0;
	knob(true);
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.3 mac=02:00:00:00:00:0b host=new");
	world.mtu = 400;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	guest_sends(A, udp(buf, mac_b, mac_a, IP_A, IP_B, 700));
	world_turn();
	assert_int_equal(drops_of(DROP_TOO_BIG), 1);
	assert_int_equal(drops_of(DROP_PORT_DOWN), 0);
	assert_int_equal(sent(), 0);
	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_b, mac_a, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_B, FRAME_AUTO); /* without DF */
	frame_udp(&f, 1, 2);
	frame_fill(&f, 700, 1);
	guest_sends(A, &f);
	world_turn();
	assert_true(sent() > 1);
	assert_int_equal(stage(STAGE_REDIRECT), 1);
}

static void what_cannot_go_has_a_name(void **state)
{
	uint8_t buf[SIZE];
	struct frame *f;

	b_moves();
	world.mtu = 80;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(drops_of(DROP_TOO_BIG), 1);
	world.mtu = 1500;
	world.resolved = false;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	f = to_b(buf, 64);
	wire_brings(0, f);
	world_turn();
	assert_int_equal(drops_of(DROP_NO_NEIGHBOUR), 1);
	assert_int_equal(sent(), 0);
}

/* The new host has IPv6 only: under an IPv6 address of the sender, if it has one. */
static void another_family(void **state)
{
	static const uint8_t six[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, far6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 0x21 };
	static const uint8_t new6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 0x31 };
	uint8_t buf[SIZE];
	const uint8_t *p;
	struct frame *f;
	uint16_t len;

	b_moves();
	world.view.pas[1].local.address = world.view.local[1].address = ip6_from(six);
	memset(world.view.bucket, 1, sizeof(world.view.bucket));
	world.view.gen++;
	world_set(OBJECT_HOST, "id=new pas=[{address=2001:db8::31}]");
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 0);
	assert_int_equal(drops_of(DROP_REDIRECT_FAMILY), 1);
	world_set(OBJECT_HOST, "id=far pas=[{address=192.0.2.21},{address=2001:db8::21}]");
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	f = to_b(buf, 64);
	wire_brings(0, f);
	world_turn();
	assert_int_equal(sent(), 1);
	p = frame_of(0, &len);
	assert_int_equal(len, f->len + 20u);
	assert_int_equal(load_be16(p + 12), 0x86dd);
	assert_int_equal(load_be16(p + 18), f->len - 34u);
	assert_int_equal(p[20], 47);
	assert_int_equal(p[21], 32);
	assert_memory_equal(p + 22, far6, 16);
	assert_memory_equal(p + 38, new6, 16);
	assert_memory_equal(p + 54, buf + 34, f->len - 34u); /* GRE and inner frame */
}

/* Carried by the worker that the inner flow chooses, to its own member queue. */
static void with_two_workers(void **state)
{
	struct datapath_params p = world.dp->params;
	unsigned int by0, n[2];
	uint8_t buf[SIZE];
	uint64_t offload[OFFLOAD_COUNTERS];

	b_moves();
	p.rss = OFFLOAD_RSS_ALWAYS;
	datapath_set_knobs(world.dp, &p);
	for (unsigned int i = 0; i < 32; i++) {
		wire_brings(0, tunnel_flow(buf, 21, 64, mac_b, mac_far, IP_FAR, IP_B, (uint16_t)(1000 + i)));
	}
	world_turn_of(0);
	by0 = sent();
	world_turn_of(1);
	n[0] = by0;
	n[1] = sent() - by0;
	assert_true(n[0] && n[1]);
	assert_int_equal(n[0] + n[1], 32);
	assert_true(world.members[0].n_sent && world.members[1].n_sent); /* by flow */
	datapath_offload(world.dp, offload);
	assert_int_equal(offload[OFFLOAD_RSS_SW], n[1]);
	assert_int_equal(stage(STAGE_REDIRECT), 32);
}

/* A trace tells it: redirect with the host, then encap, then the wire. */
static void traced(void **state)
{
	static const struct {
		enum watch_point point;
		enum stage stage;
	} want[] = { { WATCH_STAGE, STAGE_WIRE_RX }, { WATCH_STAGE, STAGE_INGRESS }, { WATCH_STAGE, STAGE_REDIRECT },
		     { WATCH_STAGE, STAGE_ENCAP }, { WATCH_WIRE_TX, 0 } };
	size_t size = watch_memory_bytes(1, WATCH_RING_MIN);
	struct watch_spec spec = { .kind = WATCH_TRACE, .snap = 2048, .ring_size = WATCH_RING_MIN,
				   .filter = { .points = ~0u, .port = PORT_NONE, .member = TEAM_NO_MEMBER } };
	struct watch_reader reader;
	struct watch_record rec;
	struct watch *watch;
	uint8_t buf[SIZE];

	assert_int_equal(posix_memalign((void **)&spec.memory, 64, size), 0);
	memset(spec.memory, 0, size);
	reader = (struct watch_reader){ .ring = watch_ring_of(spec.memory, 0, WATCH_RING_MIN), .size = WATCH_RING_MIN };
	b_moves();
	assert_int_equal(datapath_watch_start(world.dp, &spec, &watch, NULL), 0);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	for (unsigned int i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_non_null(watch_next(&reader, &rec));
		assert_int_equal(rec.point, want[i].point);
		if (want[i].point == WATCH_STAGE)
			assert_int_equal(rec.stage, want[i].stage);
		if (rec.stage == STAGE_REDIRECT && rec.point == WATCH_STAGE) {
			assert_int_equal(rec.verdict, VERDICT_REMOTE);
			assert_int_equal(rec.dst, policy_host_index(world.policy, "new"));
		}
		watch_done(&reader, &rec);
	}
	assert_null(watch_next(&reader, &rec));
	datapath_watch_stop(world.dp, watch, NULL, NULL);
	free(spec.memory);
}

/* ---- telling ---- */

static unsigned int told(struct redirect_msg *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < sent(); i++) {
		struct redirect_msg msg;
		uint16_t len;
		const uint8_t *p = frame_of(i, &len);

		assert_int_equal(redirect_read(p + 42, len - 42u, &msg), DROP_NONE);
		if (msg.kind == REDIRECT_NONE)
			continue;
		*ret = msg;
		assert_int_equal(p[22], 64);
		assert_true(p[33] == 21 || p[33] == 22); /* to the sender's host, from one of ours */
		assert_true(p[29] == 11 || p[29] == 12);
		n++;
	}
	return n;
}

static void sender_is_told(void **state)
{
	struct redirect_msg msg;
	uint8_t buf[SIZE];
	struct ip_addr a;

	b_moves();
	knob(true);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 2);
	assert_int_equal(told(&msg), 1);
	assert_int_equal(msg.kind, REDIRECT_MOVED);
	a = ip4_from(NEW_PA);
	assert_true(ip_equal(&msg.target, &a));
	assert_true(ip_equal(&msg.from, &world.view.pas[0].local.address));
	assert_true(ip_equal(&msg.outer_dst, &world.view.pas[0].local.address));
	a = ip4_from(FAR_PA);
	assert_true(ip_equal(&msg.outer_src, &a));
	assert_int_equal(msg.vsid, 5001);
	assert_memory_equal(&msg.dst, mac_b, 6);
	assert_memory_equal(&msg.src, mac_far, 6);
	assert_memory_equal(&msg.to_mac, mac_host, 6);
	assert_memory_equal(&msg.from_mac, mac_pa[0], 6);
	/* what was passed on already is not told once more */
	wire_brings(0, to_b(buf, 32));
	world_turn();
	assert_int_equal(sent(), 0);
	knob(false);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(sent(), 1);
	assert_int_equal(stage(STAGE_REDIRECT_TELL), 1);
}

static void told_at_a_rate(void **state)
{
	unsigned int n = 0;
	struct redirect_msg msg;
	uint8_t buf[SIZE];

	b_moves();
	knob(true);
	for (unsigned int i = 0; i < 500; i++) { /* half a second */
		wire_brings(0, to_b(buf, 64));
		world_turn();
		n += told(&msg);
	}
	assert_in_range(n, 10, 30);
	assert_int_equal(stage(STAGE_REDIRECT), 500);
}

static void unreachable_where_nothing_is_known(void **state)
{
	static const uint32_t vsid_at = 42 - 4;
	struct redirect_msg msg;
	uint8_t buf[SIZE];
	struct frame *f;

	knob(true);
	/* 5001 learns: it may have been flooded to us */
	wire_brings(0, tunnel(buf, 21, 64, mac_nobody, mac_far, IP_FAR, IP_NEW));
	world_turn();
	assert_int_equal(sent(), 0);
	/* 5002 does not */
	f = tunnel(buf, 21, 64, mac_nobody, mac_far_c, IP_FAR_C, IP_C);
	frame_finish(f);
	store_be32(buf + vsid_at, 5002u << 8);
	wire_brings(0, f);
	world_turn();
	assert_int_equal(drops_of(DROP_NOT_LOCAL), 2);
	assert_int_equal(sent(), 1);
	assert_int_equal(told(&msg), 1);
	assert_int_equal(msg.kind, REDIRECT_UNKNOWN);
	assert_int_equal(msg.vsid, 5002);
	assert_memory_equal(&msg.dst, mac_nobody, 6);
	/* one that has gone from here without a record */
	drop_port("b");
	assert_int_equal(policy_remove(world.policy, OBJECT_RECORD,
				       &(struct record_spec){ .vsid = 5001, .ca = ip4_from("\x0a\0\0\x03") },
				       ORIGIN_CONFIG, NULL), 0);
	wire_brings(0, to_b(buf, 64));
	world_turn();
	assert_int_equal(told(&msg), 1);
	assert_int_equal(msg.kind, REDIRECT_UNKNOWN);
}

/* ---- being told ---- */

/* What far says of its guest mac_far, to whom a has sent. Everything may be changed before it is sent. */
static struct say {
	struct redirect_msg msg;
	uint8_t quote[SIZE];
	uint32_t vsid, damage; /* of the message; offset in the inner frame, 0: none */
	unsigned int pa;
} say;

static void says(enum redirect_kind kind)
{
	struct frame f;

	say = (struct say){ .vsid = 5001, .pa = 21 };
	say.msg = (struct redirect_msg){ .kind = (uint8_t)kind, .from = ip4_from(FAR_PA),
					 .target = ip4_from(kind == REDIRECT_MOVED ? NEW_PA : "\xc0\x00\x02\x0b") };
	memcpy(&say.msg.from_mac, mac_host, 6);
	memcpy(&say.msg.to_mac, mac_pa[0], 6);
	frame_init(&f, say.quote, SIZE);
	frame_eth(&f, mac_host, mac_pa[0], FRAME_AUTO);
	frame_ip4(&f, PA(11), PA(21), FRAME_AUTO);
	frame_nvgre(&f, 5001, 3);
	frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
	frame_ip4(&f, IP_A, IP_FAR, FRAME_AUTO);
	frame_udp(&f, 1, 2);
	frame_fill(&f, 10, 1);
	assert_true(frame_finish(&f) > 0);
}

static void said(void)
{
	uint8_t buf[SIZE], inner[REDIRECT_MAX];
	uint32_t n = redirect_write(&say.msg, say.quote + 14, 100, inner);
	struct frame f;

	assert_int_not_equal(n, 0);
	if (say.damage)
		inner[say.damage] ^= 1;
	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_pa[0], mac_next, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = PA(say.pa), .dst = PA(11), .frag = 0x4000 });
	frame_nvgre(&f, say.vsid, 0);
	frame_payload(&f, inner, n);
	wire_brings(0, &f);
	world_turn();
}

static unsigned int sights(struct sighting *ret)
{
	struct sighting all[64];
	unsigned int n = datapath_sights(world.dp, all, 64), k = 0;

	for (unsigned int i = 0; i < n; i++)
		if (all[i].kind == SIGHT_REDIRECT) {
			*ret = all[i];
			k++;
		}
	return k;
}

static void heeded(void **state)
{
	uint16_t far = policy_host_index(world.policy, "far"), new = policy_host_index(world.policy, "new");
	struct mac mac;
	struct sighting s;
	struct ip_addr a;

	memcpy(&mac, mac_far, 6);
	says(REDIRECT_MOVED);
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_TAKEN), 0); /* the knob is off */
	assert_int_equal(sights(&s), 0);
	knob(true);
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_TAKEN), 1);
	assert_int_equal(sights(&s), 1);
	a = ip4_from(NEW_PA);
	assert_true(ip_equal(&s.ca, &a));
	a = ip4_from(FAR_PA);
	assert_true(ip_equal(&s.pa, &a));
	assert_memory_equal(&s.mac, mac_far, 6);
	assert_int_equal(s.vsid, 5001);
	says(REDIRECT_UNKNOWN);
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_TAKEN), 2);
	assert_int_equal(sights(&s), 1);
	assert_false(ip_is_set(&s.ca));
	assert_int_equal(sent(), 0); /* nothing is said about such a message */
	/* once believed, what the old host says is out of date */
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, UINT64_MAX), 0);
	says(REDIRECT_MOVED);
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_REFUSED), 1);
}

/* Over IPv6, where the type of a REDIRECT is neighbour discovery's. */
static void heeded_in_ipv6(void **state)
{
	struct sighting s;

	knob(true);
	world_set(OBJECT_HOST, "id=far pas=[{address=192.0.2.21},{address=2001:db8::21}]");
	world_set(OBJECT_HOST, "id=new pas=[{address=192.0.2.31},{address=2001:db8::31}]");
	says(REDIRECT_MOVED);
	say.msg.from = ip6_from("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x21");
	say.msg.target = ip6_from("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x31");
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_TAKEN), 1);
	assert_int_equal(sights(&s), 1);
	say.msg.kind = REDIRECT_UNKNOWN;
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_TAKEN), 2);
}

/* Each of these alone. */
static void refused(void **state)
{
	struct sighting s;

	knob(true);
	says(REDIRECT_MOVED);
	say.msg.from = ip4_from("\xc0\x00\x02\x1f"); /* not of the host that sends it */
	said();
	says(REDIRECT_MOVED);
	say.msg.from = ip4_from("\xc0\x00\x02\x63"); /* nobody's */
	said();
	says(REDIRECT_MOVED);
	say.pa = 31; /* far's address, but new sends it */
	said();
	says(REDIRECT_MOVED);
	say.msg.target = ip4_from("\xc0\x00\x02\x63"); /* to nobody */
	said();
	says(REDIRECT_MOVED);
	say.msg.target = ip4_from("\xc0\x00\x02\x16"); /* to itself */
	said();
	says(REDIRECT_MOVED);
	memcpy(say.quote + 42, mac_new, 6); /* about a guest that is elsewhere */
	said();
	says(REDIRECT_MOVED);
	memcpy(say.quote + 42, mac_b, 6); /* about one of ours */
	said();
	says(REDIRECT_MOVED);
	memcpy(say.quote + 48, mac_new, 6); /* about a packet of somebody else's */
	said();
	says(REDIRECT_MOVED);
	say.quote[29] = 99; /* that we have not sent */
	said();
	says(REDIRECT_MOVED);
	say.quote[33] = 31; /* or not to it */
	said();
	says(REDIRECT_MOVED);
	say.quote[40] ^= 0x10; /* in another subnet than the message's */
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_REFUSED), 11);
	says(REDIRECT_MOVED);
	memcpy(&say.msg.from_mac, mac_far, 6); /* a guest's own message is a packet like others: not for us */
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_REFUSED), 12);
	for (uint32_t at = 34; at < 46; at++) { /* ICMP from its checksum on, and the quote */
		says(REDIRECT_MOVED);
		say.damage = at + 2;
		said();
	}
	assert_int_equal(drops_of(DROP_REDIRECT_BAD), 12);
	assert_int_equal(drops_of(DROP_REDIRECT_TAKEN), 0);
	assert_int_equal(sights(&s), 0);
}

static void a_flood_of_them(void **state)
{
	struct sighting s;
	uint64_t taken;

	knob(true);
	says(REDIRECT_UNKNOWN);
	for (unsigned int i = 0; i < 395; i++) /* 0.4 s, and not the turn after which there is one for all */
		said();
	taken = drops_of(DROP_REDIRECT_TAKEN);
	assert_in_range(taken, 50, 250); /* 50 at once, 25 a second */
	assert_int_equal(taken + drops_of(DROP_REDIRECT_LIMIT), 395);
	assert_true(sights(&s));
	say.pa = 31; /* another host is heard all the same, though what it says is not true */
	memcpy(say.msg.from.b, NEW_PA, 4);
	said();
	assert_int_equal(drops_of(DROP_REDIRECT_LIMIT), 395 - taken);
	assert_int_equal(drops_of(DROP_REDIRECT_REFUSED), 1);
}

/* A guest cannot have its host say it. */
static void guests_cannot(void **state)
{
	static const uint8_t *const to[] = { mac_nobody, mac_far }; /* flooded; or of a guest that may have moved */
	unsigned int refused = 0;
	uint8_t buf[SIZE];
	struct frame f;

	knob(true);
	for (unsigned int i = 0; i < 4; i++) {
		bool forged = i >= 2;

		frame_init(&f, buf, SIZE);
		frame_eth(&f, to[i % 2], mac_a, FRAME_AUTO);
		/* its own address, or one that is a host's; 10.0.0.77 is in the subnet that learns */
		frame_ip4(&f, forged ? FRAME_IPV4(10, 0, 0, 77) : IP_A, PA(31), FRAME_AUTO);
		frame_icmp4(&f, 5, 10, 0);
		frame_fill(&f, 60, 1);
		if (i == 2)
			world_set(OBJECT_HOST, "id=odd pas=[{address=10.0.0.77}]");
		guest_sends(A, &f);
		world_turn();
		refused += forged;
		assert_int_equal(drops_of(DROP_REDIRECT_REFUSED), refused);
		assert_int_equal(sent() > 0, !forged);
	}
}

/* ---- hints ---- */

static const uint8_t *goes_to(const uint8_t *dst, uint32_t ip)
{
	static uint8_t buf[SIZE];
	uint16_t len;

	guest_sends(A, udp(buf, dst, mac_a, IP_A, ip, 10));
	world_turn();
	assert_int_equal(sent(), 1);
	return frame_of(0, &len) + 30;
}

static void hint_holds_until_policy_speaks(void **state)
{
	struct record_spec rec = { .vsid = 5002, .ca = ip4_from("\x0a\0\x01\x09") };
	uint16_t far = policy_host_index(world.policy, "far"), new = policy_host_index(world.policy, "new");
	struct mac gw = gateway_mac(5001), mac, mac_c_;
	enum origin origin;
	uint64_t soon = tick_ms() + 10000;
	uint8_t buf[SIZE];

	memcpy(&mac, mac_far, 6);
	memcpy(&mac_c_, mac_far_c, 6);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, new, far, soon), -ESTALE);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, far, soon), -EINVAL);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, policy_host_index(world.policy, "self"), soon),
			 -EINVAL);
	memcpy(&mac, mac_nobody, 6);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), -ENOENT);
	memcpy(&mac, mac_a, 6);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), -ENOENT);
	memcpy(&mac, mac_far, 6);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), 0);
	assert_int_equal(policy_hint(world.policy, 5002, &mac_c_, far, new, soon), 0);
	assert_memory_equal(goes_to(mac_far, IP_FAR), NEW_PA, 4);
	assert_memory_equal(goes_to((uint8_t *)&gw, IP_FAR_C), NEW_PA, 4); /* routed */
	/* it may send from there, and not from where it was */
	wire_brings(0, tunnel(buf, 31, 64, mac_a, mac_far, IP_FAR, IP_A));
	wire_brings(0, tunnel(buf, 21, 64, mac_a, mac_far, IP_FAR, IP_A));
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	assert_int_equal(drops_of(DROP_SRC_PA_MISMATCH), 1);
	/* listed as policy has it */
	assert_int_equal(policy_get(world.policy, OBJECT_RECORD, &rec, &origin), 0);
	assert_string_equal(rec.host, "far");
	/* policy says the same once more: that holds */
	world_set(OBJECT_RECORD, "vsid=5002 ca=10.0.1.9 mac=02:00:00:00:09:02 host=far");
	assert_memory_equal(goes_to((uint8_t *)&gw, IP_FAR_C), "\xc0\x00\x02", 3);
	assert_int_not_equal(goes_to((uint8_t *)&gw, IP_FAR_C)[3], 31);
	/* time */
	policy_expire(world.policy, soon - 1);
	assert_memory_equal(goes_to(mac_far, IP_FAR), NEW_PA, 4);
	policy_expire(world.policy, soon);
	assert_int_not_equal(goes_to(mac_far, IP_FAR)[3], 31);
	/* back again, said by the host that it is said to be at */
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), 0);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, new, far, soon), 0);
	assert_int_not_equal(goes_to(mac_far, IP_FAR)[3], 31);
	/* another record of the MAC, and the end of that one */
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), 0);
	world_set(OBJECT_RECORD, "vsid=5001 ca=10.0.0.10 mac=02:00:00:00:09:01 host=far");
	assert_int_not_equal(goes_to(mac_far, IP_FAR)[3], 31);
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), 0);
	rec = (struct record_spec){ .vsid = 5001, .ca = ip4_from("\x0a\0\0\x0a") };
	assert_int_equal(policy_remove(world.policy, OBJECT_RECORD, &rec, ORIGIN_CONFIG, NULL), 0);
	assert_int_not_equal(goes_to(mac_far, IP_FAR)[3], 31);
	/* and gone with its record */
	assert_int_equal(policy_hint(world.policy, 5001, &mac, far, new, soon), 0);
	rec = (struct record_spec){ .vsid = 5001, .ca = ip4_from("\x0a\0\0\x09") };
	assert_int_equal(policy_remove(world.policy, OBJECT_RECORD, &rec, ORIGIN_CONFIG, NULL), 0);
	policy_expire(world.policy, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(row28_passed_on_to_the_new_host, setup, world_teardown),
		cmocka_unit_test_setup_teardown(once_only, setup, world_teardown),
		cmocka_unit_test_setup_teardown(no_loop_between_hosts_that_contradict, setup, world_teardown),
		cmocka_unit_test_setup_teardown(only_those_that_were_here, setup, world_teardown),
		cmocka_unit_test_setup_teardown(back_again, setup, world_teardown),
		cmocka_unit_test_setup_teardown(many, setup, world_teardown),
		cmocka_unit_test_setup_teardown(port_without_guest, setup, world_teardown),
		cmocka_unit_test_setup_teardown(what_cannot_go_has_a_name, setup, world_teardown),
		cmocka_unit_test_setup_teardown(too_long_for_the_way_there, setup, world_teardown),
		cmocka_unit_test_setup_teardown(another_family, setup, world_teardown),
		cmocka_unit_test_setup_teardown(with_two_workers, setup_two, world_teardown),
		cmocka_unit_test_setup_teardown(traced, setup, world_teardown),
		cmocka_unit_test_setup_teardown(sender_is_told, setup, world_teardown),
		cmocka_unit_test_setup_teardown(told_at_a_rate, setup, world_teardown),
		cmocka_unit_test_setup_teardown(unreachable_where_nothing_is_known, setup, world_teardown),
		cmocka_unit_test_setup_teardown(heeded, setup, world_teardown),
		cmocka_unit_test_setup_teardown(heeded_in_ipv6, setup, world_teardown),
		cmocka_unit_test_setup_teardown(refused, setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_them, setup, world_teardown),
		cmocka_unit_test_setup_teardown(guests_cannot, setup, world_teardown),
		cmocka_unit_test_setup_teardown(hint_holds_until_policy_speaks, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
