/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control side sends to guests: answers that nobody asked for (policy_neigh_tell). */
#include "base/str.h"
#include "world.h"

static struct rte_mbuf *tell(unsigned int port, struct ip_addr target)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(world.pool);
	static const char *const ids[] = { "a", "b", "c", "x" };
	uint16_t index = policy_port_index(world.policy, ids[port]);

	if (policy_neigh_tell(world.policy, policy_port(world.policy, index), &target, m))
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

static struct ip_addr v4(uint8_t c, uint8_t d)
{
	return ip4_from((uint8_t[]){ 10, 0, c, d });
}

/* A gratuitous reply to the guest alone: sender and target are the address told of (RFC 5944 4.6). */
static void check_arp(const uint8_t *frame, const uint8_t *to, const void *mac, struct ip_addr target)
{
	const struct arp_hdr *arp = (const void *)(frame + ETH_HLEN_);

	assert_memory_equal(frame, to, 6);
	assert_memory_equal(frame + 6, mac, 6);
	assert_int_equal(load_be16(frame + 12), ETHERTYPE_ARP_);
	assert_int_equal(load_be16(&arp->op), 2);
	assert_memory_equal(&arp->sha, mac, 6);
	assert_memory_equal(arp->spa, target.b, 4);
	assert_memory_equal(&arp->tha, mac, 6);
	assert_memory_equal(arp->tpa, target.b, 4);
}

static void a_guest_is_told_its_gateway_and_neighbours(void **state)
{
	struct mac gw = gateway_mac(5001);

	assert_int_equal(datapath_inject(world.dp, tell(A, v4(0, 1))), 0);
	assert_int_equal(datapath_inject(world.dp, tell(A, v4(0, 9))), 0);
	assert_int_equal(datapath_inject(world.dp, tell(A, v4(0, 3))), 0);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 3);
	check_arp(world.ports[A].got[0], mac_a, &gw, v4(0, 1));
	check_arp(world.ports[A].got[1], mac_a, mac_far, v4(0, 9));
	check_arp(world.ports[A].got[2], mac_a, mac_b, v4(0, 3));
	assert_int_equal(world.ports[B].n_got + world.ports[X].n_got, 0);
}

static void an_advertisement_goes_to_all_nodes_unsolicited(void **state)
{
	struct ip_addr target;
	const uint8_t *got;

	assert_int_equal(parse_ip("2001:db8::9", &target), 0);
	world_set(OBJECT_SUBNET, "vsid=5001 rdid=t gateways=[10.0.0.1/24,2001:db8::1/64] learning=true");
	world_set(OBJECT_RECORD, "vsid=5001 ca=2001:db8::9 mac=02:00:00:00:00:09 host=far");
	assert_int_equal(datapath_inject(world.dp, tell(A, target)), 0);
	world_turn();
	assert_int_equal(world.ports[A].n_got, 1);
	got = world.ports[A].got[0];
	assert_memory_equal(got, ((uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }), 6);
	assert_int_equal(got[ETH_HLEN_ + 40], 136);
	assert_int_equal(got[ETH_HLEN_ + 44] >> 5, 1); /* override alone */
}

static void nobody_is_told_of_itself_or_of_strangers(void **state)
{
	assert_null(tell(A, v4(0, 2)));
	assert_null(tell(A, v4(0, 77)));
	assert_null(tell(A, v4(1, 2))); /* of another subnet */
	assert_null(tell(X, v4(0, 9))); /* of another tenant */
}

static void what_has_no_port_or_no_room_stays_the_callers(void **state)
{
	struct rte_mbuf *m;
	unsigned int taken = 0;

	for (m = tell(A, v4(0, 1)); datapath_inject(world.dp, m) == 0; m = tell(A, v4(0, 1)))
		taken++;
	assert_true(taken >= 64);
	assert_int_equal(datapath_inject(world.dp, m), -ENOBUFS);
	datapath_port_detach(world.dp, pkt_meta(m)->dst, NULL);
	assert_int_equal(datapath_inject(world.dp, m), -ENOENT);
	rte_pktmbuf_free(m);
	/* Those on their way to the port that has gone are dropped by name. */
	while (taken > drops_of(DROP_PORT_DOWN))
		world_turn();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(a_guest_is_told_its_gateway_and_neighbours),
		T(an_advertisement_goes_to_all_nodes_unsolicited),
		T(nobody_is_told_of_itself_or_of_strangers),
		T(what_has_no_port_or_no_room_stays_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
