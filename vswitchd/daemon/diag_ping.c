/* SPDX-License-Identifier: BSD-3-Clause */
/* Ping: echo to provider addresses, one reply of the stream per echo. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/diag.h"

#define POLL_US	     2000
#define COUNT_MAX    1000000
#define SIZE_DEFAULT 84
#define MS	     UINT64_C(1000)

struct ping_call {
	struct call *c;
	struct manager *m;
	sd_event_source *timer;
	struct teaming_ping ping;
	uint64_t count, done, interval_ms, timeout_ms, began;
	int handle; /* of the one on its way, -1: none */
};

static const char *const state_names[PING_STATES] = {
#define X(sym, name, text) [PING_##sym] = name,
	PING_LIST(X)
#undef X
};
static const char *const state_texts[PING_STATES] = {
#define X(sym, name, text) [PING_##sym] = text,
	PING_LIST(X)
#undef X
};

static void ping_end(struct call *c)
{
	struct ping_call *p = c->state;

	sd_event_source_disable_unref(p->timer);
	if (p->handle >= 0)
		teaming_ping_end(manager_teaming(p->m), (unsigned int)p->handle);
	free(p);
}

static void add_ip(struct json_object *o, const char *name, const struct ip_addr *a)
{
	char text[IP_STR];

	if (ip_is_set(a))
		json_object_object_add(o, name, json_object_new_string(format_ip(a, text)));
}

static struct json_object *pong_json(struct manager *m, const struct teaming_pong *p)
{
	struct json_object *reply = json_object_new_object(), *o = json_object_new_object();
	char name[ID_SIZE];

	json_object_object_add(o, "result", json_object_new_string(state_names[p->state]));
	json_object_object_add(o, "text", json_object_new_string(state_texts[p->state]));
	add_ip(o, "to", &p->to);
	add_ip(o, "from", &p->from);
	add_ip(o, "next-hop", &p->hop);
	add_ip(o, "by", &p->by);
	json_object_object_add(o, "sequence", json_object_new_int(p->sequence));
	json_object_object_add(o, "size", json_object_new_int((int)p->size));
	if (p->member != TEAM_NO_MEMBER)
		json_object_object_add(o, "member", json_object_new_string(diag_member_name(m, p->member, name)));
	if (p->state == PING_OK) {
		json_object_object_add(o, "came-by",
				       json_object_new_string(diag_member_name(m, p->came_by, name)));
		json_object_object_add(o, "rtt-us", json_object_new_double((double)p->rtt_ns / 1000.));
	}
	if (p->mtu)
		json_object_object_add(o, "mtu", json_object_new_int(p->mtu));
	json_object_object_add(reply, "pong", o);
	return reply;
}

/* The next echo would say the same: that is for the configuration to change, or for the caller. */
static bool is_permanent(enum teaming_ping_state state)
{
	return state == PING_OWN || state == PING_NO_PA || state == PING_NO_ROUTE || state == PING_MTU;
}

/* One echo has its result. @return false: that was the last. */
static bool answer(struct ping_call *p, const struct teaming_pong *pong)
{
	struct json_object *o = pong_json(p->m, pong);
	struct call *c = p->c;

	if (++p->done == p->count || is_permanent(pong->state)) {
		call_reply(c, o);
		return false;
	}
	return call_stream(c, o) >= 0;
}

static bool is_final(const struct ping_call *p, struct teaming_pong *pong, uint64_t now)
{
	if (pong->state != PING_WAITING && pong->state != PING_NO_NEIGHBOUR)
		return true;
	if (now - p->began < p->timeout_ms * MS)
		return false;
	if (pong->state == PING_WAITING)
		pong->state = PING_TIME_OUT;
	return true;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct ping_call *p = arg;
	struct teaming_pong pong;
	uint64_t now = diag_now_us(p->m);

	if (p->handle < 0) {
		p->began = now;
		p->handle = teaming_ping(manager_teaming(p->m), &p->ping);
		if (p->handle < 0) {
			call_fail(p->c, p->handle, "too many pings at the same time");
			return 0;
		}
	}
	if (teaming_ping_poll(manager_teaming(p->m), (unsigned int)p->handle, &pong) < 0)
		return 0;
	if (!is_final(p, &pong, now)) {
		diag_again(p->timer, POLL_US);
		return 0;
	}
	teaming_ping_end(manager_teaming(p->m), (unsigned int)p->handle);
	p->handle = -1;
	p->ping.sequence++;
	if (answer(p, &pong)) {
		uint64_t next = p->began + p->interval_ms * MS;

		diag_again(p->timer, next > now ? next - now : 0);
	}
	return 0;
}

static int parse(struct manager *m, struct call *c, struct ping_call *p, struct errbuf *err)
{
	uint64_t size = SIZE_DEFAULT;
	const char *member = NULL;
	int r = diag_ip(c->parameters, "to", true, &p->ping.to, err);

	p->ping.member = TEAM_NO_MEMBER;
	p->count = 4;
	p->interval_ms = 1000;
	p->timeout_ms = 2000;
	p->ping.sequence = 1;
	if (r >= 0)
		r = diag_ip(c->parameters, "from", false, &p->ping.from, err);
	if (r >= 0)
		r = parameter_string(c->parameters, "member", false, &member, err);
	if (r >= 0 && member)
		r = diag_member(m, member, &p->ping.member, err);
	if (r >= 0)
		r = diag_number(c->parameters, "size", p->ping.to.family == 4 ? 28 : 48, TEAMING_PING_MAX, &size, err);
	if (r >= 0)
		r = diag_number(c->parameters, "count", 1, COUNT_MAX, &p->count, err);
	if (r >= 0)
		r = diag_number(c->parameters, "interval", 1, 3600000, &p->interval_ms, err);
	if (r >= 0)
		r = diag_number(c->parameters, "timeout", 1, 60000, &p->timeout_ms, err);
	if (r >= 0)
		r = diag_bool(c->parameters, "df", &p->ping.df, err);
	p->ping.size = (uint32_t)size;
	if (r >= 0 && ip_is_set(&p->ping.from) && p->ping.from.family != p->ping.to.family)
		r = err_set(err, EINVAL, "from and to have to be of one family");
	if (r >= 0 && p->count > 1 && !c->more)
		r = err_set(err, EINVAL, "Ping streams: the call needs \"more\": true");
	return r;
}

int do_ping(struct manager *m, struct call *c, struct errbuf *err)
{
	struct ping_call *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, ENOMEM, "out of memory");
	*p = (struct ping_call){ .c = c, .m = m, .handle = -1 };
	r = parse(m, c, p, err);
	if (r >= 0)
		r = diag_timer(m, &p->timer, on_timer, p);
	if (r < 0) {
		free(p);
		return r;
	}
	c->state = p;
	c->end = ping_end;
	return 0;
}
