/* SPDX-License-Identifier: BSD-3-Clause */
/* mode=sink: receive, count, and look at what came as far as asked for. */
#include "classify.h"
#include "pcap.h"
#include "peer.h"
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASS_ROOM = 1 << 17, SEQ_NONE = 0, SEQ_AUTO = 1, SEQ_AT = 2 };

struct sink {
	struct peer_port *port;
	struct vhu_burst burst;
	uint64_t packets, bytes;
	uint64_t partial_csum, valid_csum, gso; /* packets whose virtio header says so */
	uint64_t expect;
	bool told;
	bool look; /* at the packets, not only at their number */
	struct classes classes;
	unsigned int class_off;
	struct pcap_writer pcap;
	int seq;
	size_t seq_off;
	struct probe_stats probe;
};

static int complain(const struct peer_port *p, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", p->opt.name, what, strerror(-err));
	return err;
}

static int open_classes(struct sink *s, const struct peer_port *p)
{
	unsigned int off, len;
	char end;
	int err;

	if (!p->opt.classify)
		return 0;
	if (sscanf(p->opt.classify, "%u:%u%c", &off, &len, &end) != 2 || !len || len > CLASSIFY_MAX_KEY)
		return complain(p, "classify=OFFSET:LENGTH", -EINVAL);
	s->class_off = off;
	err = classes_init(&s->classes, len, CLASS_ROOM);
	return err ? complain(p, "classify", err) : 0;
}

static int open_seq(struct sink *s, const struct peer_port *p)
{
	char *end;
	int err;

	if (!p->opt.seq)
		return 0;
	s->seq = strcmp(p->opt.seq, "auto") ? SEQ_AT : SEQ_AUTO;
	if (s->seq == SEQ_AT) {
		s->seq_off = strtoul(p->opt.seq, &end, 0);
		if (*end || end == p->opt.seq)
			return complain(p, "seq=OFFSET or seq=auto", -EINVAL);
	}
	err = probe_stats_init(&s->probe);
	return err ? complain(p, "seq", err) : 0;
}

static void sink_close(void *priv)
{
	struct sink *s = priv;

	if (s->pcap.file && pcap_close(&s->pcap))
		complain(s->port, s->port->opt.pcap, -EIO);
	classes_free(&s->classes);
	probe_stats_free(&s->probe);
	free(s);
}

static int sink_open(struct peer_port *p, void **ret_priv)
{
	struct sink *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->port = p;
	s->expect = p->opt.expect;
	err = open_classes(s, p);
	if (!err)
		err = open_seq(s, p);
	if (!err && p->opt.pcap) {
		err = pcap_create(p->opt.pcap, p->opt.pcap_max, &s->pcap);
		if (err)
			complain(p, p->opt.pcap, err);
	}
	if (err) {
		sink_close(s);
		return err;
	}
	s->look = p->opt.classify || p->opt.seq || p->opt.pcap;
	*ret_priv = s;
	return 0;
}

/* len bytes at off of a packet, wherever its segments end: in place, or in room. NULL when it is shorter. */
static const uint8_t *bytes_at(const struct vhu_pkt *pkt, size_t off, size_t len, uint8_t *room)
{
	size_t have = 0;

	if (off + len > pkt->len)
		return NULL;
	for (unsigned int i = 1; i < pkt->n_iov; i++) {
		const struct iovec *v = &pkt->iov[i];
		size_t part;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		part = v->iov_len - off < len - have ? v->iov_len - off : len - have;
		if (part == len)
			return (uint8_t *)v->iov_base + off;
		memcpy(room + have, (uint8_t *)v->iov_base + off, part);
		have += part;
		off = 0;
		if (have == len)
			return room;
	}
	return NULL;
}

static void look_at_probe(struct sink *s, const struct vhu_pkt *pkt, uint64_t now)
{
	uint8_t room[PROBE_LEN], head[128];
	const uint8_t *p = NULL;
	struct probe probe;
	size_t off = s->seq_off;

	if (s->seq == SEQ_AUTO) {
		size_t len = pkt->len < sizeof(head) ? pkt->len : sizeof(head);

		p = bytes_at(pkt, 0, len, head);
		off = p ? probe_udp_offset(p, len) : 0;
		off = off ? off + 8 : 0;
	}
	p = off ? bytes_at(pkt, off, PROBE_LEN, room) : NULL;
	if (p && probe_get(p, &probe))
		probe_stats_add(&s->probe, &probe, now);
	else
		s->probe.foreign++;
}

static void look_at(struct sink *s, const struct vhu_pkt *pkt, uint64_t now)
{
	if (s->port->opt.classify) {
		uint8_t room[CLASSIFY_MAX_KEY];
		const uint8_t *key = bytes_at(pkt, s->class_off, s->classes.key_len, room);

		if (key)
			classes_add(&s->classes, key);
		else
			s->classes.other++;
	}
	if (s->seq)
		look_at_probe(s, pkt, now);
	if (s->pcap.file && (vhu_pkt_hdr(pkt)->flags || !s->port->opt.pcap_vouched))
		pcap_write(&s->pcap, now, pkt);
}

static unsigned int sink_poll(void *priv, uint64_t now)
{
	struct sink *s = priv;
	unsigned int total = 0;

	for (unsigned int i = 0; i < s->port->vhu->started_pairs; i++) {
		struct vhu_queue *q = vhu_port_rxq(s->port->vhu, i);

		vhu_disarm(q);
		if (!vhu_rx(q, &s->burst)) {
			vhu_rx_done(q, &s->burst);
			continue;
		}
		if (s->look)
			now = now_ns();
		for (unsigned int k = 0; k < s->burst.n; k++) {
			const struct virtio_net_hdr_v1 *hdr = vhu_pkt_hdr(&s->burst.pkt[k]);

			s->bytes += s->burst.pkt[k].len;
			s->partial_csum += hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
			s->valid_csum += !!(hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID);
			s->gso += hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
			if (s->look)
				look_at(s, &s->burst.pkt[k], now);
		}
		s->packets += s->burst.n;
		total += s->burst.n;
		vhu_rx_done(q, &s->burst);
	}
	if (s->expect && s->packets >= s->expect && !s->told) {
		s->told = true;
		port_request(s->port, REQUEST_EXPECTED);
	}
	return total;
}

static bool sink_arm(void *priv)
{
	struct sink *s = priv;
	bool work = false;

	for (unsigned int i = 0; i < s->port->vhu->started_pairs; i++)
		work |= vhu_arm(vhu_port_rxq(s->port->vhu, i));
	return work;
}

static void report_classes(const struct sink *s, struct json *j)
{
	static const char hex[] = "0123456789abcdef";

	json_u64(j, "n_classes", s->classes.n);
	json_u64(j, "other", s->classes.other);
	json_open(j, "classes", '{');
	for (uint32_t i = 0; i <= s->classes.mask; i++) {
		const struct class_entry *e = &s->classes.entry[i];
		char key[2 * CLASSIFY_MAX_KEY + 1];

		if (!e->packets)
			continue;
		for (unsigned int k = 0; k < s->classes.key_len; k++) {
			key[2 * k] = hex[e->key[k] >> 4];
			key[2 * k + 1] = hex[e->key[k] & 15];
		}
		key[2 * s->classes.key_len] = '\0';
		json_u64(j, key, e->packets);
	}
	json_close(j, '}');
}

static void report_probes(const struct probe_stats *p, struct json *j)
{
	json_open(j, "seq", '{');
	json_u64(j, "received", p->received);
	json_u64(j, "foreign", p->foreign);
	json_u64(j, "flows", p->flows);
	json_u64(j, "lost", p->lost);
	json_u64(j, "reordered", p->reordered);
	json_u64(j, "duplicate", p->duplicate);
	json_u64(j, "stale", p->stale);
	json_u64(j, "gap_ns", p->gap_ns);
	json_u64(j, "gap_at_ns", p->gap_at_ns);
	json_u64(j, "flow_gap_ns", p->flow_gap_ns);
	json_u64(j, "flow_gap_flow", p->flow_gap_flow);
	json_u64(j, "since_last_ns", p->received ? now_ns() - p->last_ns : 0);
	json_open(j, "latency_ns", '{');
	json_u64(j, "samples", p->latency.n);
	json_u64(j, "min", p->latency.min);
	json_u64(j, "median", hist_quantile(&p->latency, 500));
	json_u64(j, "p99", hist_quantile(&p->latency, 990));
	json_u64(j, "max", p->latency.max);
	json_close(j, '}');
	json_close(j, '}');
}

static void sink_report(void *priv, struct json *j)
{
	struct sink *s = priv;

	json_u64(j, "packets", s->packets);
	json_u64(j, "bytes", s->bytes);
	json_u64(j, "partial_csum", s->partial_csum);
	json_u64(j, "valid_csum", s->valid_csum);
	json_u64(j, "gso", s->gso);
	if (s->port->opt.classify)
		report_classes(s, j);
	if (s->seq)
		report_probes(&s->probe, j);
	if (s->pcap.file) {
		json_bool(j, "pcap_ok", !pcap_flush(&s->pcap));
		json_u64(j, "pcap_left", s->pcap.left);
	}
}

static void sink_reset(void *priv)
{
	struct sink *s = priv;

	s->packets = s->bytes = s->partial_csum = s->valid_csum = s->gso = 0;
	s->told = false;
	if (s->classes.entry)
		classes_reset(&s->classes);
	if (s->seq)
		probe_stats_reset(&s->probe);
}

const struct mode_ops mode_sink = {
	.name = "sink",
	.receives = true,
	.open = sink_open,
	.close = sink_close,
	.poll = sink_poll,
	.arm = sink_arm,
	.report = sink_report,
	.reset = sink_reset,
};
