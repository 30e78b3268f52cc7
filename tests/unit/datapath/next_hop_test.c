/* SPDX-License-Identifier: BSD-3-Clause */
/* HNV row 41: what the next-hop query says is what the packet path does, for 1000 random pairs. */
#include <stdlib.h>

#include "world.h"

#define PAIRS 1000

static const struct {
	unsigned int port;
	uint32_t vsid;
	const uint8_t *mac;
	uint8_t ip[4];
} senders[] = {
	{ A, 5001, mac_a, { 10, 0, 0, 2 } },
	{ B, 5001, mac_b, { 10, 0, 0, 3 } },
	{ C, 5002, mac_c, { 10, 0, 1, 2 } },
	{ X, 6001, mac_a, { 10, 0, 0, 2 } },
};

/* Guests, gateways, nobody in a subnet that learns and in one that does not, other domains, nowhere. */
static const uint8_t receivers[][4] = {
	{ 10, 0, 0, 2 },  { 10, 0, 0, 3 },  { 10, 0, 1, 2 }, { 10, 0, 0, 9 },  { 10, 0, 1, 9 },	   { 10, 0, 0, 1 },
	{ 10, 0, 1, 1 },  { 10, 0, 0, 77 }, { 10, 0, 1, 77 }, { 10, 0, 2, 1 }, { 172, 16, 0, 1 },
};

static struct frame *echo(uint8_t *buf, const void *dst, const void *src, const uint8_t *from, const uint8_t *to)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, dst, src, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(from[0], from[1], from[2], from[3]),
		  FRAME_IPV4(to[0], to[1], to[2], to[3]), FRAME_AUTO);
	frame_icmp4(&f, 8, 0, 1);
	return &f;
}

static unsigned int got_by_guests(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_PORTS; i++)
		n += world.ports[i].n_got;
	return n;
}

static void check_remote(const struct policy_next_hop *nh)
{
	unsigned int m = world.members[1].n_sent ? 1 : 0;
	const uint8_t *sent = world.members[m].sent[0];

	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 1);
	assert_int_equal(got_by_guests(), 0);
	assert_int_equal(load_be32(sent + 38) >> 8, nh->vsid_out);
	assert_memory_equal(sent + 42, &nh->dst_mac, 6);
	if (nh->routed)
		assert_memory_equal(sent + 48, &nh->src_mac, 6);
}

static void check_local(const struct policy_next_hop *nh)
{
	for (unsigned int i = 0; i < N_PORTS; i++) {
		if (world.ports[i].q.port != nh->port)
			continue;
		assert_int_equal(world.ports[i].n_got, 1);
		assert_memory_equal(world.ports[i].got[0], &nh->dst_mac, 6);
	}
	assert_int_equal(got_by_guests(), 1);
	assert_int_equal(world.members[0].n_sent + world.members[1].n_sent, 0);
}

static void row41_the_query_and_the_packet_agree(void **state)
{
	unsigned int seen[VERDICT_CONSUMED] = { 0 };

	srandom(41);
	for (unsigned int i = 0; i < PAIRS; i++) {
		unsigned int s = (unsigned int)random() % (sizeof(senders) / sizeof(senders[0]));
		const uint8_t *to = receivers[(unsigned int)random() % (sizeof(receivers) / sizeof(receivers[0]))];
		struct ip_addr src = ip4_from(senders[s].ip), dst = ip4_from(to);
		struct mac mac = { { 2, 0, 0, 0, 0, 0x77 } };
		struct policy_next_hop nh;
		uint8_t buf[SIZE];
		uint64_t dropped;

		if (ip_equal(&src, &dst))
			continue;
		assert_int_equal(policy_next_hop(world.policy, senders[s].vsid, &src, &dst, &nh), 0);
		if (nh.routed || nh.verdict == VERDICT_ROUTE)
			mac = gateway_mac(senders[s].vsid);
		else if (!mac_is_zero(&nh.dst_mac))
			mac = nh.dst_mac;
		dropped = drops_of(nh.drop);
		guest_sends(senders[s].port, echo(buf, &mac, senders[s].mac, senders[s].ip, to));
		world_turn();
		seen[nh.verdict]++;
		switch (nh.verdict) {
		case VERDICT_LOCAL:
			check_local(&nh);
			break;
		case VERDICT_REMOTE:
			check_remote(&nh);
			break;
		case VERDICT_ROUTE: /* the gateway answers */
			if (world.ports[senders[s].port].n_got != 1)
				fail_msg("vsid %u to %u.%u.%u.%u: no answer by the gateway", senders[s].vsid, to[0],
					 to[1], to[2], to[3]);
			break;
		case VERDICT_FLOOD:
			if (world.members[0].n_sent + world.members[1].n_sent != 1)
				fail_msg("%u: vsid %u to %u.%u.%u.%u: not flooded", i, senders[s].vsid, to[0], to[1],
					 to[2], to[3]);
			break;
		default:
			assert_int_equal(nh.verdict, VERDICT_DROP);
			if (drops_of(nh.drop) != dropped + 1)
				fail_msg("%u: vsid %u to %u.%u.%u.%u: not dropped as %s", i, senders[s].vsid, to[0],
					 to[1], to[2], to[3], drop_name(nh.drop));
		}
	}
	assert_true(seen[VERDICT_LOCAL] && seen[VERDICT_REMOTE] && seen[VERDICT_ROUTE] && seen[VERDICT_FLOOD] &&
		    seen[VERDICT_DROP]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(row41_the_query_and_the_packet_agree, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
