/* SPDX-License-Identifier: BSD-3-Clause */
/* mode=hostile: runs a script of hostile_ring.c, hostile_msg.c or hostile_live.c. */
#include "hostile.h"

#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_RATE = 1000, DEFAULT_COUNT = 1000, LIVE_FRAMES = 16, LIVE_EVERY_NS = 200000 };

static const struct hostile_script *const tables[] = {
	hostile_ring_scripts,
	hostile_message_scripts,
	hostile_live_scripts,
};

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((next_random(state) >> 32) * n >> 32);
}

uint64_t hostile_random(struct hostile *h)
{
	return next_random(&h->random);
}

uint32_t hostile_below(struct hostile *h, uint32_t n)
{
	return below(&h->random, n);
}

uint32_t hostile_frame(const struct hostile *h, uint64_t *random, uint8_t *room)
{
	static const uint8_t a6[16] = { 0xfd, [15] = 1 }, b6[16] = { 0xfd, [15] = 2 };
	const uint8_t *mac = h->port->mac;
	uint32_t payload = below(random, 1400);
	struct frame f;
	ssize_t len;

	frame_init(&f, room, 2048);
	frame_eth(&f, FRAME_MAC(2, 0, 0, 0, 0, 0x99), mac, FRAME_AUTO);
	switch (below(random, 5)) {
	case 0:
		frame_arp(&f, 1, mac, FRAME_IPV4(10, 0, 0, 1), FRAME_MAC(0, 0, 0, 0, 0, 0),
			  FRAME_IPV4(10, 0, 0, 2));
		break;
	case 1:
		frame_ip6(&f, a6, b6, FRAME_AUTO, 64);
		frame_tcp(&f, 1000, 2000, 1, 1, 0x10);
		frame_fill(&f, payload, 0);
		break;
	case 2:
		frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
		frame_tcp(&f, 1000, 2000, 1, 1, 0x10);
		frame_fill(&f, payload, 0);
		break;
	case 3:
		frame_ip6(&f, a6, b6, FRAME_AUTO, 255);
		frame_nd_ns(&f, b6, mac);
		break;
	default:
		frame_ip4(&f, FRAME_IPV4(10, 0, 0, 1), FRAME_IPV4(10, 0, 0, 2), FRAME_AUTO);
		frame_udp(&f, 1000, 2000);
		frame_fill(&f, payload, 0);
		break;
	}
	frame_pad(&f, 60);
	len = frame_finish(&f);
	return len < 0 ? 0 : (uint32_t)len;
}

static const struct hostile_script *find(const char *name)
{
	for (size_t t = 0; t < N_TABLES; t++)
		for (const struct hostile_script *s = tables[t]; s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	return NULL;
}

void hostile_help(FILE *out)
{
	for (size_t t = 0; t < N_TABLES; t++)
		for (const struct hostile_script *s = tables[t]; s->name; s++)
			fprintf(out, "    %-14s %-8s %s%s\n", s->name,
				s->kind == HOSTILE_RING	  ? "ring"
				: s->kind == HOSTILE_LIVE ? "live"
							  : "message",
				s->help, s->dangerous ? " (dangerous)" : "");
}

static int hostile_open(struct peer_port *p, void **ret_priv)
{
	struct hostile *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->port = p;
	h->script = p->opt.hostile ? find(p->opt.hostile) : NULL;
	if (!h->script) {
		fprintf(stderr, "%s: hostile=%s: no such script, see --list-hostile\n", p->opt.name,
			p->opt.hostile ? p->opt.hostile : "");
		free(h);
		return -EINVAL;
	}
	h->random = h->random_frames = p->seed;
	h->pace = (struct pace){
		.rate = p->opt.rate ? p->opt.rate : DEFAULT_RATE,
		.count = p->opt.count ? p->opt.count : DEFAULT_COUNT,
	};
	*ret_priv = h;
	return 0;
}

static void hostile_close(void *priv)
{
	free(priv);
}

static void hostile_ready(void *priv)
{
	struct hostile *h = priv;

	pace_restart(&h->pace, now_ns());
	h->in_round = 0;
	h->posted = 0;
	h->slot = 0;
	h->restarting = false;
	/* A wish to act goes with the connection that it was for. */
	__atomic_store_n(&h->acting, 0, __ATOMIC_RELEASE);
	h->connections++;
}

static void attacked(struct hostile *h)
{
	h->pace.sent++;
	h->in_round++;
	if (pace_done(&h->pace) && !h->told) {
		h->told = true;
		port_request(h->port, REQUEST_DONE);
	}
}

static void restart(struct hostile *h)
{
	if (h->restarting)
		return;
	h->restarting = true;
	port_request(h->port, REQUEST_RESTART);
}

/* An attack is under way on the control thread: what it counts is not to be looked at. */
static bool acting(const struct hostile *h)
{
	return __atomic_load_n(&h->acting, __ATOMIC_ACQUIRE);
}

static bool finished(const struct hostile *h)
{
	return !h->port->running || h->restarting || (!acting(h) && pace_done(&h->pace));
}

static unsigned int poll_live(struct hostile *h, uint64_t now)
{
	if (now >= h->next_frames) {
		h->next_frames = now + LIVE_EVERY_NS;
		for (int i = 0; i < LIVE_FRAMES; i++)
			hostile_send_good(h);
	}
	if (!acting(h) && pace_allowed(&h->pace, now, 1)) {
		__atomic_store_n(&h->acting, 1, __ATOMIC_RELEASE);
		port_request(h->port, REQUEST_ACT);
	}
	return 0;
}

static unsigned int hostile_poll(void *priv, uint64_t now)
{
	struct hostile *h = priv;
	int err;

	if (finished(h))
		return 0;
	if (h->script->kind == HOSTILE_LIVE)
		return poll_live(h, now);
	if (!pace_allowed(&h->pace, now, 1))
		return 0;
	if (h->in_round >= h->port->opt.round) {
		restart(h);
		return 1;
	}
	err = h->script->attack(h);
	if (err != -EAGAIN)
		attacked(h);
	if (err)
		restart(h);
	return 1;
}

static int hostile_act(void *priv)
{
	struct hostile *h = priv;
	int err = h->script->attack(h);

	attacked(h);
	__atomic_store_n(&h->acting, 0, __ATOMIC_RELEASE);
	return err;
}

static bool hostile_arm(void *priv)
{
	(void)priv;
	return false;
}

static uint64_t hostile_deadline(void *priv)
{
	const struct hostile *h = priv;

	if (finished(h))
		return UINT64_MAX;
	if (h->script->kind == HOSTILE_LIVE)
		return h->next_frames;
	return pace_deadline(&h->pace);
}

static bool hostile_owns_connection(void *priv)
{
	const struct hostile *h = priv;

	return h->script->kind == HOSTILE_MESSAGE && h->port->running && !pace_done(&h->pace);
}

static void hostile_connected(void *priv)
{
	struct hostile *h = priv;

	h->connections++;
	for (uint64_t i = 0; i < h->port->opt.round && !pace_done(&h->pace); i++) {
		int err = h->script->attack(h);

		attacked(h);
		if (err)
			break;
	}
}

static void hostile_report(void *priv, struct json *j)
{
	const struct hostile *h = priv;

	json_str(j, "script", h->script->name);
	json_u64(j, "seed", h->port->seed);
	json_u64(j, "attacks", h->pace.sent);
	json_u64(j, "connections", h->connections);
	json_u64(j, "answers", h->answers);
	json_u64(j, "closed", h->closed);
	json_u64(j, "frames", h->frames);
	json_bool(j, "done", pace_done(&h->pace));
}

static void hostile_reset(void *priv)
{
	struct hostile *h = priv;

	h->pace.sent = h->connections = h->answers = h->closed = h->frames = 0;
	h->told = false;
	h->random = h->random_frames = h->port->seed;
	pace_restart(&h->pace, now_ns());
}

const struct mode_ops mode_hostile = {
	.name = "hostile",
	.receives = true, /* reads nothing: a full ring is part of it */
	.open = hostile_open,
	.close = hostile_close,
	.ready = hostile_ready,
	.poll = hostile_poll,
	.arm = hostile_arm,
	.deadline = hostile_deadline,
	.report = hostile_report,
	.reset = hostile_reset,
	.owns_connection = hostile_owns_connection,
	.connected = hostile_connected,
	.act = hostile_act,
};
