/* SPDX-License-Identifier: BSD-3-Clause */
/* mode=gen: the frames of a file, in turn, copied into the ring as a guest's driver writes its packets. */
#include "offload.h"
#include "pace.h"
#include "pcap.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() __asm__ volatile("" : : : "memory")
#endif

enum { BACK_OFF = 16 };

/* A queue pair sends its share of the frames, so that a flow stays on its queue. */
struct share {
	unsigned int first, n, next;
};

struct gen {
	struct peer_port *port;
	struct pcap_frames frames;
	struct pace pace;
	struct share share[VHU_MAX_PAIRS];
	unsigned int pairs; /* that the shares are made for */
	unsigned int turn;  /* pair that begins */
	bool blocked;	    /* a ring was full in the last turn */
	bool told;
};

static int gen_open(struct peer_port *p, void **ret_priv)
{
	struct gen *g = calloc(1, sizeof(*g));
	int err = -EINVAL;

	if (!g)
		return -ENOMEM;
	g->port = p;
	g->pace = (struct pace){ .rate = p->opt.rate, .count = p->opt.count };
	if (!p->opt.frames)
		fprintf(stderr, "%s: mode=gen needs frames=FILE\n", p->opt.name);
	else if (p->opt.tx_csum && !p->opt.csum)
		fprintf(stderr, "%s: tx-csum=1 needs csum=1\n", p->opt.name);
	else if (p->opt.tx_gso && !(p->opt.gso && p->opt.tx_csum))
		fprintf(stderr, "%s: tx-gso needs gso=1 and tx-csum=1\n", p->opt.name);
	else if ((err = pcap_read(p->opt.frames, &g->frames)))
		fprintf(stderr, "%s: %s: %s\n", p->opt.name, p->opt.frames, strerror(-err));
	if (err) {
		free(g);
		return err;
	}
	for (unsigned int i = 0; p->opt.tx_csum && i < g->frames.n; i++)
		offload_checksum(&g->frames.frame[i]);
	for (unsigned int i = 0; p->opt.tx_gso && i < g->frames.n; i++)
		offload_segment(&g->frames.frame[i], (uint16_t)p->opt.tx_gso);
	*ret_priv = g;
	return 0;
}

static void gen_close(void *priv)
{
	struct gen *g = priv;

	pcap_frames_free(&g->frames);
	free(g);
}

/* A pair beyond the number of frames shares with others. */
static void make_shares(struct gen *g, unsigned int pairs)
{
	for (unsigned int i = 0; i < pairs; i++) {
		unsigned int first = (unsigned int)((uint64_t)g->frames.n * i / pairs);
		unsigned int end = (unsigned int)((uint64_t)g->frames.n * (i + 1) / pairs);

		g->share[i] = (struct share){ first, end - first ? end - first : 1, 0 };
	}
	g->pairs = pairs;
	g->turn = 0;
}

static void gen_ready(void *priv)
{
	struct gen *g = priv;

	make_shares(g, g->port->vhu->enabled);
	pace_restart(&g->pace, now_ns());
}

static unsigned int send_share(struct gen *g, unsigned int pair, unsigned int n)
{
	struct share *s = &g->share[pair];
	const struct vhu_frame *f = &g->frames.frame[s->first + s->next];
	struct vhu_queue *q = vhu_port_txq(g->port->vhu, pair);
	unsigned int ahead, sent;

	if (n > s->n - s->next)
		n = s->n - s->next;
	/* what the next burst will copy */
	ahead = s->n - s->next - n < n ? s->n - s->next - n : n;
	for (unsigned int i = 0; i < ahead; i++)
		__builtin_prefetch(f[n + i].data);
	vhu_disarm(q);
	sent = vhu_tx(q, f, n);
	s->next += sent;
	if (s->next == s->n)
		s->next = 0;
	return sent;
}

/* A ring that is full stays full for a while: asking again at once would only take the line of the used
 * index away from who is to write it. */
static void back_off(void)
{
	for (unsigned int i = 0; i < BACK_OFF; i++)
		cpu_relax();
}

static unsigned int gen_poll(void *priv, uint64_t now)
{
	struct gen *g = priv;
	unsigned int total = 0;

	g->blocked = false;
	if (!g->port->running)
		return 0;
	if (g->pairs != g->port->vhu->enabled)
		make_shares(g, g->port->vhu->enabled);
	for (unsigned int i = 0; i < g->pairs; i++) {
		unsigned int n = pace_allowed(&g->pace, now, VHU_BURST), sent;

		if (!n)
			break;
		sent = send_share(g, g->turn, n);
		g->turn = g->turn + 1 < g->pairs ? g->turn + 1 : 0;
		g->blocked |= !sent;
		g->pace.sent += sent;
		total += sent;
	}
	if (g->blocked && !total)
		back_off();
	if (pace_done(&g->pace) && !g->told) {
		g->told = true;
		port_request(g->port, REQUEST_DONE);
	}
	return total;
}

static bool gen_arm(void *priv)
{
	struct gen *g = priv;
	bool room = false;

	for (unsigned int i = 0; g->blocked && i < g->pairs; i++)
		room |= vhu_arm(vhu_port_txq(g->port->vhu, i));
	return room;
}

static uint64_t gen_deadline(void *priv)
{
	const struct gen *g = priv;

	return g->blocked || !g->port->running ? UINT64_MAX : pace_deadline(&g->pace);
}

static void gen_report(void *priv, struct json *j)
{
	const struct gen *g = priv;

	json_u64(j, "sent", g->pace.sent);
	json_u64(j, "frames", g->frames.n);
	json_u64(j, "rate", g->pace.rate);
	json_bool(j, "done", pace_done(&g->pace));
}

static void gen_reset(void *priv)
{
	struct gen *g = priv;

	g->pace.sent = 0;
	g->told = false;
	pace_restart(&g->pace, now_ns());
}

static void gen_set_rate(void *priv, uint64_t rate)
{
	struct gen *g = priv;

	g->pace.rate = rate;
	pace_restart(&g->pace, now_ns());
}

const struct mode_ops mode_gen = {
	.name = "gen",
	.open = gen_open,
	.close = gen_close,
	.ready = gen_ready,
	.poll = gen_poll,
	.arm = gen_arm,
	.deadline = gen_deadline,
	.report = gen_report,
	.reset = gen_reset,
	.set_rate = gen_set_rate,
};
