/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes from the provider network into teamwatch. An input is a list of {how, length, frame}: `how`
 * chooses the member, lets time pass, breaks and mends links and repairs checksums, so that mutated messages
 * get behind them. All that is sent in answer has to be sound, from a MAC of ours, by a member that is
 * usable.
 */
#include <string.h>

#include "fuzz.h"
#include "teaming/core.h"
#include "teaming/frames.h"

#define HOW_MEMBER 0x01
#define HOW_REPAIR 0x02
#define HOW_WAIT   0x04
#define HOW_LINK   0x08 /* the member's link changes before the frame comes */
#define MAX_FRAME  2048

struct state {
	struct tw_core core;
	uint64_t now, random;
	struct team_view *view;
};

static uint64_t env_now(void *arg)
{
	return ((struct state *)arg)->now;
}

static uint32_t env_random(void *arg)
{
	struct state *s = arg;

	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->random >> 32);
}

static void env_send(void *arg, unsigned int member, const uint8_t *frame, uint32_t len)
{
	struct state *s = arg;
	struct pkt_info info;

	FUZZ_CHECK(tw_member_usable(&s->core, member), "sent by member %u, which is not usable", member);
	FUZZ_CHECK(len >= TW_FRAME_MIN && len <= MAX_FRAME + 4, "sent %u bytes", len);
	FUZZ_CHECK(tw_pa_is_own_mac(&s->core, (const struct mac *)(frame + 6)), "sent from a MAC that is not ours");
	FUZZ_CHECK(pkt_parse(frame, len, len, &info) == DROP_NONE, "sent what we would not accept ourselves");
	FUZZ_CHECK(info.kind == PKT_ARP || info.kind == PKT_ND || info.proto == IPPROTO_ICMP_ ||
		   info.proto == IPPROTO_ICMP6_ || info.proto == IPPROTO_IGMP_, "sent something else");
}

static void env_event(void *arg, const struct teaming_event *ev)
{
	FUZZ_CHECK(memchr(ev->text, 0, sizeof(ev->text)), "event without end");
}

static void env_publish(void *arg, struct team_view *view)
{
	struct state *s = arg;

	free(s->view);
	s->view = view;
}

static bool env_settled(void *arg)
{
	return true;
}

static const struct member_spec members[2] = { { .name = "m0" }, { .name = "m1" } };
static const struct pa_spec pas[4] = {
	{ .address = { 4, { 10, 0, 0, 1 } }, .prefix_len = 24 },
	{ .address = { 4, { 10, 0, 0, 2 } }, .prefix_len = 24, .vlan = 5 },
	{ .address = { 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } }, .prefix_len = 64 },
	{ .address = { 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 } }, .prefix_len = 64, .vlan = 5 },
};
static const struct provider_route_spec route = { { { 4, { 192, 0, 2 } }, 24 }, { 4, { 10, 0, 0, 254 } }, 0 };
static const struct ip_addr remotes[3] = {
	{ 4, { 10, 0, 0, 9 } }, { 4, { 192, 0, 2, 7 } }, { 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 } },
};

static const struct ip_addr groups[2] = {
	{ 4, { 239, 1, 2, 3 } }, { 6, { 0xff, 0x15, [15] = 7 } },
};

static void link_is(struct state *s, unsigned int m, bool up)
{
	struct provider_port port = { .if_index = 100 + m, .admin_up = true, .link = up, .enabled = true, .mtu = 1600 };

	tw_member_port(&s->core, m, &port);
}

static void pass_time(struct state *s, uint64_t ns)
{
	uint64_t next, until = s->now + ns;

	while ((next = tw_timers_next(&s->core.timers)) <= until) {
		s->now = next > s->now ? next : s->now;
		tw_timers_run(&s->core.timers, s->now, 1);
		tw_settle(&s->core);
	}
	s->now = until;
}

static void begin(struct state *s)
{
	static struct member_dev devs[2];
	struct tw_env env = { .arg = s,
			     .tsc_hz = S_NS,
			     .now = env_now,
			     .tsc = env_now,
			     .random = env_random,
			     .send = env_send,
			     .event = env_event,
			     .publish = env_publish,
			     .settled = env_settled };
	struct teaming_config config = { .host_id = "h",
					.hold_down_ms = 1000,
					.n_members = 2,
					.n_pas = 4,
					.n_routes = 1,
					.members = members,
					.pas = pas,
					.routes = &route };
	struct errbuf err = { "" };

	memset(s, 0, sizeof(*s));
	s->now = S_NS;
	FUZZ_CHECK(tw_init(&s->core, &env) == 0 && tw_check(&config, &err) == 0 &&
		   tw_configure(&s->core, &config, &err) == 0, "cannot begin: %s", err.text);
	for (unsigned int m = 0; m < 2; m++) {
		link_is(s, m, true);
		tw_member_device(&s->core, m, &devs[m], &(struct member_info){ .if_index = 100 + m }, 1600);
	}
	tw_remotes_set(&s->core, remotes, 3);
	tw_groups_set(&s->core, groups, 2);
	tw_settle(&s->core);
	pass_time(s, 3 * S_NS);
}

static void repair(uint8_t *frame, uint32_t len)
{
	uint32_t at = len > 17 && frame[12] == 0x81 && frame[13] == 0 ? 18 : 14;
	struct ipv6_hdr *ip6 = (void *)(frame + at);
	struct ipv4_hdr *ip4 = (void *)(frame + at);
	uint8_t *msg, tail[8] = { [7] = IPPROTO_ICMP6_ };
	uint32_t msg_len;
	uint16_t sum;

	if (len >= at + 48 && frame[at - 2] == 0x86 && frame[at - 1] == 0xdd) {
		msg = (uint8_t *)(ip6 + 1);
		msg_len = len - at - 40;
		store_be16(&ip6->plen, (uint16_t)msg_len);
		store_be32(tail, msg_len);
		memset(msg + 2, 0, 2);
		sum = csum_fold(csum_partial(msg, msg_len, csum_partial(tail, 8, csum_partial(ip6->src, 32, 0))));
		memcpy(msg + 2, &sum, 2);
	} else if (len >= at + 28 && frame[at - 2] == 8 && frame[at - 1] == 0) {
		ip4->ver_ihl = 0x45;
		store_be16(&ip4->len, (uint16_t)(len - at));
		memset(&ip4->csum, 0, 2);
		sum = csum_fold(csum_partial(ip4, 20, 0));
		memcpy(&ip4->csum, &sum, 2);
		msg = (uint8_t *)(ip4 + 1);
		memset(msg + 2, 0, 2);
		sum = csum_fold(csum_partial(msg, len - at - 20, 0));
		memcpy(msg + 2, &sum, 2);
	}
}

static void one(struct state *s, uint8_t how, const uint8_t *data, uint32_t len)
{
	unsigned int m = how & HOW_MEMBER;
	uint8_t *exact = calloc(1, len ? len : 1);

	FUZZ_CHECK(exact, "no memory");
	if (len)
		memcpy(exact, data, len);
	if (how & HOW_REPAIR)
		repair(exact, len);
	if (how & HOW_LINK)
		link_is(s, m, !s->core.members[m].port.link);
	tw_settle(&s->core);
	tw_input(&s->core, m, exact, len);
	tw_settle(&s->core);
	pass_time(s, how & HOW_WAIT ? 7 * S_NS : 10 * MS_NS);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state s;

	begin(&s);
	while (size >= 3) {
		uint32_t len = load_be16(data + 1) % (MAX_FRAME + 1);
		uint8_t how = data[0];

		data += 3;
		size -= 3;
		len = len < size ? len : (uint32_t)size;
		one(&s, how, data, len);
		data += len;
		size -= len;
	}
	pass_time(&s, 100 * S_NS);
	tw_fini(&s.core);
	free(s.view);
	return 0;
}
