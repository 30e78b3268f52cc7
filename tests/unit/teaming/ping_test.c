/* SPDX-License-Identifier: BSD-3-Clause */
/* Echo to provider addresses: how it is sent, whose answer counts, and what a failure is called. */
#include "world.h"

static struct world w;
static struct mac peer;

static int setup(void **state)
{
	world_init(&w, 2);
	peer = mac_of(9);
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static struct teaming_ping to(const char *address)
{
	return (struct teaming_ping){ .to = ip(address), .member = TEAM_NO_MEMBER, .sequence = 3, .size = 100 };
}

static enum teaming_ping_state state_of(int handle)
{
	struct teaming_pong pong;

	assert_int_equal(tw_ping_poll(&w.core, (unsigned int)handle, &pong), 0);
	return pong.state;
}

static enum teaming_ping_state once(const struct teaming_ping *p)
{
	int h = tw_ping(&w.core, p);
	enum teaming_ping_state s;

	assert_true(h >= 0);
	s = state_of(h);
	tw_ping_end(&w.core, (unsigned int)h);
	return s;
}

/* The peer's answer to the last frame sent. */
static size_t answer(uint8_t *buf, uint8_t type)
{
	const struct sent *s = world_last(&w);
	struct frame f;

	frame_init(&f, buf, 256);
	frame_eth(&f, pa_mac(&w, 0), &peer, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(10, 0, 0, 9), FRAME_IPV4(10, 0, 0, 1), FRAME_AUTO);
	frame_icmp4(&f, type, 0, load_be32(s->data + 38));
	frame_payload(&f, s->data + 42, s->len - 42);
	return (size_t)frame_finish(&f);
}

static void an_echo_goes_when_its_next_hop_is_known(void **state)
{
	struct teaming_ping p = to("10.0.0.9");
	struct teaming_pong pong;
	const struct sent *s;
	uint8_t buf[256];
	size_t n;
	int h;

	world_ready(&w);
	p.df = true;
	h = tw_ping(&w.core, &p);
	assert_int_equal(state_of(h), PING_NO_NEIGHBOUR);
	world_run(&w, S_NS / 10);
	assert_true(world_sent_arp(&w, TEAM_NO_MEMBER, ARP_REQUEST, "10.0.0.1", "10.0.0.9") +
		    world_sent_arp(&w, TEAM_NO_MEMBER, ARP_REQUEST, "10.0.0.2", "10.0.0.9") > 0);
	world_arp(&w, 0, 0, ARP_REPLY, &peer, "10.0.0.9", pa_mac(&w, 0), "10.0.0.1");
	world_arp(&w, 1, 0, ARP_REPLY, &peer, "10.0.0.9", pa_mac(&w, 1), "10.0.0.2");
	world_forget(&w);
	assert_int_equal(state_of(h), PING_WAITING);
	s = world_last(&w);
	assert_int_equal(s->member, 0);
	assert_int_equal(s->len, 14 + 100);
	assert_memory_equal(s->data, &peer, 6);
	assert_memory_equal(s->data + 6, pa_mac(&w, 0), 6);
	assert_int_equal(s->data[20], 0x40);
	assert_int_equal(frame_csum(s->data + 14, 20, 0), 0);
	assert_int_equal(frame_csum(s->data + 34, 80, 0), 0);
	assert_int_equal(load_be16(s->data + 40), 3);
	world_run(&w, 5 * MS_NS);

	n = answer(buf, 0);
	buf[41] ^= 1; /* another sequence number: not ours */
	world_input(&w, 0, buf, n);
	assert_int_equal(state_of(h), PING_WAITING);
	buf[41] ^= 1;
	world_input(&w, 1, buf, n); /* any member may bring it */
	assert_int_equal(tw_ping_poll(&w.core, (unsigned int)h, &pong), 0);
	assert_int_equal(pong.state, PING_OK);
	assert_int_equal(pong.came_by, 1);
	assert_in_range(pong.rtt_ns, 5 * MS_NS, 6 * MS_NS);
	tw_ping_end(&w.core, (unsigned int)h);
	assert_int_equal(tw_ping_poll(&w.core, (unsigned int)h, &pong), -ENOENT);
	assert_null(tw_neigh_find(&w.core, 0, &p.to)); /* nobody else wanted it */
}

static void failures_have_names(void **state)
{
	struct teaming_ping p;

	world_ready(&w);
	p = to("203.0.113.1");
	assert_int_equal(once(&p), PING_NO_ROUTE);
	p = to("10.0.0.2");
	assert_int_equal(once(&p), PING_OWN);
	p = to("2001:db8::9");
	assert_int_equal(once(&p), PING_NO_PA);
	p = to("10.0.0.9");
	p.from = ip("10.0.0.77");
	assert_int_equal(once(&p), PING_NO_PA);
	p.from = ip("10.0.0.1");
	p.member = 1;
	assert_int_equal(once(&p), PING_NOT_HOME);
	p = to("10.0.0.9");
	p.size = TEAMING_PING_MAX;
	assert_int_equal(once(&p), PING_MTU);
	p.size = 10;
	assert_int_equal(tw_ping(&w.core, &p), -EINVAL);
	world_link(&w, 0, false);
	world_link(&w, 1, false);
	p = to("10.0.0.9");
	assert_int_equal(once(&p), PING_NO_MEMBER);
}

static void routers_say_why(void **state)
{
	struct teaming_ping p = to("10.0.0.9");
	struct teaming_pong pong;
	struct frame f;
	uint8_t buf[256];
	size_t n;
	int h;

	world_ready(&w);
	h = tw_ping(&w.core, &p);
	world_arp(&w, 0, 0, ARP_REPLY, &peer, "10.0.0.9", pa_mac(&w, 0), "10.0.0.1");
	assert_int_equal(state_of(h), PING_WAITING);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, pa_mac(&w, 0), &peer, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(10, 0, 0, 77), FRAME_IPV4(10, 0, 0, 1), FRAME_AUTO);
	frame_icmp4(&f, 3, 4, 1400);
	frame_payload(&f, world_last(&w)->data + 14, 28);
	n = (size_t)frame_finish(&f);
	world_input(&w, 0, buf, n - 10); /* cut short */
	assert_int_equal(state_of(h), PING_WAITING);
	world_input(&w, 0, buf, n);
	assert_int_equal(tw_ping_poll(&w.core, (unsigned int)h, &pong), 0);
	assert_int_equal(pong.state, PING_TOO_BIG);
	assert_int_equal(pong.mtu, 1400);
	tw_ping_end(&w.core, (unsigned int)h);
}

static void there_are_so_many_and_no_more(void **state)
{
	struct teaming_ping p = to("10.0.0.9");

	world_ready(&w);
	for (unsigned int i = 0; i < TW_PINGS; i++)
		assert_int_equal(tw_ping(&w.core, &p), i);
	assert_int_equal(tw_ping(&w.core, &p), -EBUSY);
	for (unsigned int i = 0; i < TW_PINGS; i++)
		tw_ping_end(&w.core, i);
	assert_null(tw_neigh_find(&w.core, 0, &p.to));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_echo_goes_when_its_next_hop_is_known),
		TEST(failures_have_names),
		TEST(routers_say_why),
		TEST(there_are_so_many_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
