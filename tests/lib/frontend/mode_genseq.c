/* SPDX-License-Identifier: BSD-3-Clause */
/* mode=genseq: one UDP frame in N flows, each packet with a number and the time (probe.h). */
#include "pace.h"
#include "pcap.h"
#include "peer.h"
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_RATE = 1000, CHOSEN_MAX = 64 };

struct genseq {
	struct peer_port *port;
	struct pcap_frames frames;
	struct pace pace;
	size_t udp; /* offset of the UDP header */
	uint16_t base_port;
	uint32_t rest_sum; /* checksum's sum over all that does not change */
	uint32_t flows;
	uint32_t next; /* of those that are sent */
	uint32_t chosen[CHOSEN_MAX]; /* flows that are sent */
	uint32_t n_chosen;	     /* 0: all */
	uint64_t pause;		     /* ns of every second */
	uint32_t *seq; /* by flow */
	bool blocked;
	bool told;
};

static uint8_t *template(const struct genseq *g)
{
	return (uint8_t *)(uintptr_t)g->frames.frame[0].data;
}

static uint32_t sum_words(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	return len ? sum + (uint32_t)(p[0] << 8) : sum;
}

/* Pseudo-header, lengths, and the payload behind the probe; source port, checksum and probe count as 0. */
static uint32_t constant_sum(const uint8_t *frame, size_t udp)
{
	const uint8_t *u = frame + udp;
	uint32_t len = (uint32_t)(u[4] << 8 | u[5]), sum = len * 2 + 17;
	/* IPv6 stands 40 bytes before, and an IPv4 header is never that long with version 6 in its first
	 * byte */
	bool v6 = udp >= 54 && frame[udp - 40] >> 4 == 6;

	sum = v6 ? sum_words(u - 32, 32, sum) : sum_words(u - 8, 8, sum);
	sum = sum_words(u + 2, 2, sum);
	return sum_words(u + 8 + PROBE_LEN, len - 8 - PROBE_LEN, sum);
}

static int check_template(struct genseq *g, const char *name)
{
	const struct vhu_frame *f = &g->frames.frame[0];
	const uint8_t *u;
	unsigned int len;

	g->udp = probe_udp_offset(f->data, f->len);
	u = f->data + g->udp;
	len = g->udp ? (unsigned int)(u[4] << 8 | u[5]) : 0;
	if (len < 8 + PROBE_LEN || g->udp + len > f->len) {
		fprintf(stderr,
			"%s: the first frame of the file has to be UDP with at least %d bytes of payload\n",
			name, PROBE_LEN);
		return -EINVAL;
	}
	g->base_port = (uint16_t)(u[0] << 8 | u[1]);
	g->rest_sum = constant_sum(f->data, g->udp);
	return 0;
}

static void genseq_close(void *priv)
{
	struct genseq *g = priv;

	pcap_frames_free(&g->frames);
	free(g->seq);
	free(g);
}

static int genseq_open(struct peer_port *p, void **ret_priv)
{
	struct genseq *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	g->port = p;
	g->flows = (uint32_t)p->opt.flows;
	g->pace = (struct pace){ .rate = p->opt.rate ? p->opt.rate : DEFAULT_RATE, .count = p->opt.count };
	g->seq = calloc(g->flows, sizeof(*g->seq));
	err = g->seq ? p->opt.frames ? pcap_read(p->opt.frames, &g->frames) : -EINVAL : -ENOMEM;
	if (err)
		fprintf(stderr, "%s: mode=genseq, frames=%s: %s\n", p->opt.name,
			p->opt.frames ? p->opt.frames : "", strerror(-err));
	else
		err = check_template(g, p->opt.name);
	if (err) {
		genseq_close(g);
		return err;
	}
	*ret_priv = g;
	return 0;
}

static void genseq_ready(void *priv)
{
	struct genseq *g = priv;

	pace_restart(&g->pace, now_ns());
}

/* The template becomes the next packet of a flow. */
static void fill(struct genseq *g, uint32_t flow)
{
	const struct probe probe = { (uint16_t)flow, g->seq[flow], now_ns() };
	uint16_t sport = (uint16_t)(g->base_port + flow);
	uint8_t *u = template(g) + g->udp;
	uint32_t sum;

	u[0] = (uint8_t)(sport >> 8);
	u[1] = (uint8_t)sport;
	probe_put(u + 8, &probe);
	sum = sum_words(u + 8, PROBE_LEN, g->rest_sum + sport);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = sum == 0xffff ? 0xffff : ~sum & 0xffff;
	u[6] = (uint8_t)(sum >> 8);
	u[7] = (uint8_t)sum;
}

static uint32_t next_flow(const struct genseq *g)
{
	return g->n_chosen ? g->chosen[g->next] : g->next;
}

static bool pausing(const struct genseq *g, uint64_t now)
{
	return now % PACE_NS_PER_S < g->pause;
}

static unsigned int genseq_poll(void *priv, uint64_t now)
{
	struct genseq *g = priv;
	unsigned int n, sent = 0;

	g->blocked = false;
	if (!g->port->running || pausing(g, now))
		return 0;
	n = pace_allowed(&g->pace, now, VHU_BURST);
	while (sent < n) {
		uint32_t flow = next_flow(g);

		fill(g, flow);
		if (!vhu_tx(vhu_port_txq(g->port->vhu, flow % g->port->vhu->enabled), &g->frames.frame[0],
			    1)) {
			g->blocked = true;
			break;
		}
		g->seq[flow]++;
		g->next = (g->next + 1) % (g->n_chosen ? g->n_chosen : g->flows);
		sent++;
	}
	g->pace.sent += sent;
	if (pace_done(&g->pace) && !g->told) {
		g->told = true;
		port_request(g->port, REQUEST_DONE);
	}
	return sent;
}

static bool genseq_arm(void *priv)
{
	struct genseq *g = priv;

	return g->blocked && vhu_arm(vhu_port_txq(g->port->vhu, next_flow(g) % g->port->vhu->enabled));
}

static uint64_t genseq_deadline(void *priv)
{
	const struct genseq *g = priv;

	uint64_t now = now_ns();

	if (g->blocked || !g->port->running)
		return UINT64_MAX;
	return pausing(g, now) ? now - now % PACE_NS_PER_S + g->pause : pace_deadline(&g->pace);
}

static void genseq_report(void *priv, struct json *j)
{
	const struct genseq *g = priv;

	json_u64(j, "sent", g->pace.sent);
	json_u64(j, "flows", g->flows);
	json_u64(j, "rate", g->pace.rate);
	json_bool(j, "done", pace_done(&g->pace));
}

static void genseq_reset(void *priv)
{
	struct genseq *g = priv;

	g->pace.sent = 0;
	g->next = 0;
	g->told = false;
	memset(g->seq, 0, g->flows * sizeof(*g->seq));
	pace_restart(&g->pace, now_ns());
}

static void genseq_set_rate(void *priv, uint64_t rate)
{
	struct genseq *g = priv;

	g->pace.rate = rate ? rate : DEFAULT_RATE;
	pace_restart(&g->pace, now_ns());
}

static int genseq_set_flows(void *priv, const char *list)
{
	uint32_t chosen[CHOSEN_MAX], n = 0;
	struct genseq *g = priv;
	char *end;

	if (strcmp(list, "all") != 0) {
		do {
			uint64_t flow = strtoull(list, &end, 10);

			if (end == list || (*end && *end != ',') || n == CHOSEN_MAX || flow >= g->flows)
				return -EINVAL;
			chosen[n++] = (uint32_t)flow;
			list = end + 1;
		} while (*end);
	}
	memcpy(g->chosen, chosen, n * sizeof(chosen[0]));
	g->n_chosen = n;
	g->next = 0;
	return 0;
}

static void genseq_set_pause(void *priv, uint64_t ms)
{
	struct genseq *g = priv;

	g->pause = ms * 1000000;
}

const struct mode_ops mode_genseq = {
	.name = "genseq",
	.open = genseq_open,
	.close = genseq_close,
	.ready = genseq_ready,
	.poll = genseq_poll,
	.arm = genseq_arm,
	.deadline = genseq_deadline,
	.report = genseq_report,
	.reset = genseq_reset,
	.set_rate = genseq_set_rate,
	.set_flows = genseq_set_flows,
	.set_pause = genseq_set_pause,
};
