/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include "base/str.h"

static uint64_t env_now(void *arg)
{
	return ((struct world *)arg)->now;
}

static uint64_t env_tsc(void *arg)
{
	return ((struct world *)arg)->now;
}

static uint32_t env_random(void *arg)
{
	return (uint32_t)unit_random(&((struct world *)arg)->random);
}

static void env_send(void *arg, unsigned int member, const uint8_t *frame, uint32_t len)
{
	struct world *w = arg;
	struct sent *s = &w->sent[w->n_sent];

	assert_true(w->n_sent < SENT_MAX);
	assert_true(len >= TW_FRAME_MIN && len <= sizeof(s->data));
	assert_true(tw_member_usable(&w->core, member));
	*s = (struct sent){ .at = w->now, .member = member, .len = len };
	memcpy(s->data, frame, len);
	w->n_sent++;
}

static void env_event(void *arg, const struct teaming_event *ev)
{
	struct world *w = arg;

	assert_true(w->n_events < EVENTS_MAX);
	assert_true(str_is_text(ev->text));
	w->events[w->n_events++] = *ev;
}

static void env_publish(void *arg, struct team_view *view)
{
	struct world *w = arg;

	free(w->view);
	w->view = view;
	w->n_published++;
}

static bool env_settled(void *arg)
{
	return !((struct world *)arg)->unsettled;
}

struct ip_addr ip(const char *text)
{
	struct ip_addr a;

	assert_int_equal(parse_ip(text, &a), 0);
	return a;
}

struct mac mac_of(uint8_t last)
{
	return (struct mac){ { 0x02, 0xee, 0, 0, 0, last } };
}

const struct mac *pa_mac(const struct world *w, unsigned int i)
{
	return &w->core.pas[w->core.pa_order[i]].spec.mac;
}

void world_init(struct world *w, unsigned int n)
{
	struct tw_env env = { .arg = w,
			     .tsc_hz = S_NS,
			     .now = env_now,
			     .tsc = env_tsc,
			     .random = env_random,
			     .send = env_send,
			     .event = env_event,
			     .publish = env_publish,
			     .settled = env_settled };

	memset(w, 0, sizeof(*w));
	w->now = 1000 * S_NS;
	w->random = 1;
	for (unsigned int i = 0; i < n; i++) {
		snprintf(w->members[i].name, sizeof(w->members[i].name), "m%u", i);
		w->pas[i].address = (struct ip_addr){ 4, { 10, 0, 0, (uint8_t)(i + 1) } };
		w->pas[i].prefix_len = 24;
	}
	w->config = (struct teaming_config){ .host_id = "h1", .hold_down_ms = 1000, .n_members = (uint16_t)n,
					     .n_pas = (uint16_t)n, .members = w->members, .pas = w->pas,
					     .routes = w->routes };
	assert_int_equal(tw_init(&w->core, &env), 0);
}

void world_free(struct world *w)
{
	tw_fini(&w->core);
	free(w->view);
}

void world_configure(struct world *w, const struct tw_state_pa *trusted, unsigned int n_trusted)
{
	struct errbuf err = { "" };

	if (tw_check(&w->config, &err) < 0)
		fail_msg("%s", err.text);
	w->core.trusted = trusted;
	w->core.n_trusted = n_trusted;
	assert_int_equal(tw_configure(&w->core, &w->config, &err), 0);
	w->core.trusted = NULL;
	w->core.n_trusted = 0;
	tw_settle(&w->core);
}

void world_link(struct world *w, unsigned int member, bool up)
{
	struct provider_port port = { .if_index = 100 + member,
				     .admin_up = true,
				     .link = up,
				     .enabled = true,
				     .speed = up ? 10000 : 0,
				     .mtu = 1600,
				     .mac = mac_of((uint8_t)(200 + member)) };

	snprintf(port.name, sizeof(port.name), "m%u", member);
	tw_member_port(&w->core, member, &port);
	tw_settle(&w->core);
}

void world_open(struct world *w, unsigned int member, bool open)
{
	struct member_info info = { .if_index = 100 + member, .mac = mac_of((uint8_t)(200 + member)) };

	tw_member_device(&w->core, member, open ? &w->devs[member] : NULL, open ? &info : NULL, 1500);
	tw_settle(&w->core);
}

void world_up(struct world *w)
{
	for (unsigned int m = 0; m < w->config.n_members; m++) {
		world_link(w, m, true);
		world_open(w, m, true);
	}
}

void world_run(struct world *w, uint64_t ns)
{
	uint64_t until = w->now + ns;

	for (;;) {
		uint64_t next = tw_timers_next(&w->core.timers);

		if (next > until)
			break;
		if (next > w->now)
			w->now = next;
		tw_timers_run(&w->core.timers, w->now, 1);
		tw_settle(&w->core);
	}
	w->now = until;
}

void world_forget(struct world *w)
{
	w->n_sent = 0;
	w->n_events = 0;
}

void world_ready(struct world *w)
{
	world_configure(w, NULL, 0);
	world_up(w);
	world_run(w, 5 * S_NS);
	for (unsigned int i = 0; i < w->config.n_pas; i++)
		assert_int_equal(w->core.pas[w->core.pa_order[i]].state, PA_PREFERRED);
	world_forget(w);
}

void world_input(struct world *w, unsigned int member, const void *frame, size_t len)
{
	uint8_t *exact = unit_exact_copy(frame, len);

	tw_input(&w->core, member, exact, (uint32_t)len);
	free(exact);
	tw_settle(&w->core);
}

void world_flood(struct world *w, const void *frame, size_t len)
{
	for (unsigned int m = 0; m < w->config.n_members; m++)
		world_input(w, m, frame, len);
}

unsigned int world_sent_arp(const struct world *w, unsigned int member, uint16_t op, const char *spa, const char *tpa)
{
	struct ip_addr s = ip(spa), t = ip(tpa);
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->n_sent; i++) {
		const struct arp_hdr *arp = (const void *)(w->sent[i].data + ETH_HLEN_);

		n += load_be16(w->sent[i].data + 12) == ETHERTYPE_ARP_ && load_be16(&arp->op) == op &&
		     (member == TEAM_NO_MEMBER || w->sent[i].member == member) && !memcmp(arp->spa, s.b, 4) &&
		     !memcmp(arp->tpa, t.b, 4);
	}
	return n;
}

unsigned int world_events(const struct world *w, enum teaming_event_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->n_events; i++)
		n += w->events[i].type == type;
	return n;
}

const struct sent *world_last(const struct world *w)
{
	assert_true(w->n_sent > 0);
	return &w->sent[w->n_sent - 1];
}

void world_arp(struct world *w, unsigned int member, uint16_t vlan, uint16_t op, const struct mac *sha, const char *spa,
	       const struct mac *to, const char *tpa)
{
	static const struct mac all = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct ip_addr s = ip(spa), t = ip(tpa);
	uint32_t s4, t4;
	uint8_t buf[128];
	struct frame f;
	ssize_t len;

	memcpy(&s4, s.b, 4);
	memcpy(&t4, t.b, 4);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, to ? to : &all, sha, FRAME_AUTO);
	if (vlan)
		frame_vlan(&f, 0x8100, vlan, FRAME_AUTO);
	frame_arp(&f, op, sha, s4, to ? to : &(struct mac){ { 0 } }, t4);
	frame_pad(&f, 60);
	len = frame_finish(&f);
	assert_true(len > 0);
	world_input(w, member, buf, (size_t)len);
}

static struct mac multicast_mac(const uint8_t *group)
{
	return (struct mac){ { 0x33, 0x33, group[12], group[13], group[14], group[15] } };
}

void world_ns(struct world *w, unsigned int member, const struct mac *from, const char *src, const char *target,
	      bool option)
{
	struct ip_addr s = ip(src), t = ip(target);
	uint8_t group[16] = { 0xff, 0x02, [11] = 1, 0xff, t.b[13], t.b[14], t.b[15] }, buf[128];
	struct mac dst = multicast_mac(group);
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, &dst, from, FRAME_AUTO);
	frame_ip6(&f, s.b, group, FRAME_AUTO, 255);
	frame_nd_ns(&f, t.b, option ? from : NULL);
	len = frame_finish(&f);
	assert_true(len > 0);
	world_input(w, member, buf, (size_t)len);
}

void world_na(struct world *w, unsigned int member, const struct mac *from, const char *target, const struct mac *to,
	      const char *dst, uint8_t flags, const struct mac *option)
{
	struct ip_addr t = ip(target), d = ip(dst);
	uint8_t buf[128];
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, to, from, FRAME_AUTO);
	frame_ip6(&f, t.b, d.b, FRAME_AUTO, 255);
	frame_nd_na(&f, t.b, flags, option);
	len = frame_finish(&f);
	assert_true(len > 0);
	world_input(w, member, buf, (size_t)len);
}
