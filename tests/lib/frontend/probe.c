/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct wire {
	uint16_t magic;
	uint16_t flow;
	uint32_t seq;
	uint64_t sent_ns;
} __attribute__((packed));

_Static_assert(sizeof(struct wire) == PROBE_LEN, "layout of the probe");

void probe_put(uint8_t p[PROBE_LEN], const struct probe *probe)
{
	struct wire w = { htobe16(PROBE_MAGIC), htobe16(probe->flow), htobe32(probe->seq),
			  htobe64(probe->sent_ns) };

	memcpy(p, &w, sizeof(w));
}

bool probe_get(const uint8_t p[PROBE_LEN], struct probe *ret_probe)
{
	struct wire w;

	memcpy(&w, p, sizeof(w));
	if (w.magic != htobe16(PROBE_MAGIC))
		return false;
	*ret_probe = (struct probe){ be16toh(w.flow), be32toh(w.seq), be64toh(w.sent_ns) };
	return true;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

size_t probe_udp_offset(const uint8_t *frame, size_t len)
{
	size_t off = 12, udp;
	uint16_t type;

	while (off + 6 <= len && (get16(frame + off) == 0x8100 || get16(frame + off) == 0x88a8))
		off += 4;
	if (off + 2 + 20 + 8 > len)
		return 0;
	type = get16(frame + off);
	off += 2;
	if (type == 0x0800 && frame[off] >> 4 == 4 && frame[off + 9] == 17 &&
	    !(get16(frame + off + 6) & 0x3fff))
		udp = off + (frame[off] & 15u) * 4;
	else if (type == 0x86dd && frame[off + 6] == 17)
		udp = off + 40;
	else
		return 0;
	return udp + 8 + PROBE_LEN <= len ? udp : 0;
}

int probe_stats_init(struct probe_stats *s)
{
	memset(s, 0, sizeof(*s));
	s->flow = calloc(PROBE_MAX_FLOWS, sizeof(*s->flow));
	return s->flow ? 0 : -ENOMEM;
}

void probe_stats_free(struct probe_stats *s)
{
	free(s->flow);
	s->flow = NULL;
}

void probe_stats_reset(struct probe_stats *s)
{
	struct probe_flow *flow = s->flow;

	/* only what was touched: most of the table never is */
	for (unsigned int i = 0; i < PROBE_MAX_FLOWS; i++)
		if (flow[i].seen)
			memset(&flow[i], 0, sizeof(flow[i]));
	memset(s, 0, sizeof(*s));
	s->flow = flow;
}

static bool test_and_set(struct probe_flow *f, uint32_t seq)
{
	uint64_t *word = &f->window[seq % PROBE_WINDOW / 64], bit = 1ULL << seq % 64;
	bool was = *word & bit;

	*word |= bit;
	return was;
}

/* A younger packet than all before: what was skipped counts as lost until it comes. */
static void advance(struct probe_stats *s, struct probe_flow *f, uint32_t seq)
{
	uint32_t ahead = seq - f->newest;

	if (ahead >= PROBE_WINDOW) {
		memset(f->window, 0, sizeof(f->window));
	} else {
		for (uint32_t i = f->newest + 1; i != seq; i++)
			f->window[i % PROBE_WINDOW / 64] &= ~(1ULL << i % 64);
		f->window[seq % PROBE_WINDOW / 64] &= ~(1ULL << seq % 64);
	}
	s->lost += ahead - 1;
	f->newest = seq;
	test_and_set(f, seq);
}

static void note_sequence(struct probe_stats *s, struct probe_flow *f, uint32_t seq)
{
	if (!f->seen) {
		f->seen = true;
		s->flows++;
		f->newest = f->first = seq;
		test_and_set(f, seq);
	} else if ((int32_t)(seq - f->newest) > 0) {
		advance(s, f, seq);
	} else if (f->newest - seq >= PROBE_WINDOW) {
		s->stale++;
	} else if (test_and_set(f, seq)) {
		s->duplicate++;
	} else {
		s->reordered++;
		/* older than the first one seen: it was never counted as lost */
		s->lost -= (int32_t)(seq - f->first) > 0;
	}
}

static void note_gaps(struct probe_stats *s, struct probe_flow *f, uint16_t flow, uint64_t now_ns)
{
	if (s->received && now_ns - s->last_ns > s->gap_ns) {
		s->gap_ns = now_ns - s->last_ns;
		s->gap_at_ns = s->last_ns;
	}
	if (f->seen && now_ns - f->last_ns > s->flow_gap_ns) {
		s->flow_gap_ns = now_ns - f->last_ns;
		s->flow_gap_flow = flow;
	}
	if (!s->received)
		s->first_ns = now_ns;
	s->last_ns = f->last_ns = now_ns;
}

void probe_stats_add(struct probe_stats *s, const struct probe *probe, uint64_t now_ns)
{
	struct probe_flow *f = &s->flow[probe->flow];

	note_gaps(s, f, probe->flow, now_ns);
	note_sequence(s, f, probe->seq);
	s->received++;
	f->received++;
	if (now_ns >= probe->sent_ns)
		hist_add(&s->latency, now_ns - probe->sent_ns);
}
