/* SPDX-License-Identifier: BSD-3-Clause */
/* mode=echo: what comes goes back with its addresses and ports swapped. Answers echo requests, and ARP for
 * one address. */
#include "peer.h"

#include "frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PACKET = 65536 + 64 };

struct echo {
	struct peer_port *port;
	struct vhu_burst burst;
	uint8_t *room; /* VHU_BURST packets that came in pieces; touched only by those */
	uint32_t ip;   /* network order, 0: none */
	uint64_t returned, arp, ignored, dropped;
};

static int echo_open(struct peer_port *p, void **ret_priv)
{
	struct echo *e = calloc(1, sizeof(*e));
	int err = 0;

	if (!e)
		return -ENOMEM;
	e->port = p;
	e->room = malloc((size_t)VHU_BURST * MAX_PACKET);
	if (!e->room) {
		err = -ENOMEM;
	} else if (p->opt.ip && (inet_pton(AF_INET, p->opt.ip, &e->ip) != 1 || !p->has_mac)) {
		fprintf(stderr, "%s: ip= is an IPv4 address and needs mac=\n", p->opt.name);
		err = -EINVAL;
	}
	if (err) {
		free(e->room);
		free(e);
		return err;
	}
	*ret_priv = e;
	return 0;
}

static void echo_close(void *priv)
{
	struct echo *e = priv;

	free(e->room);
	free(e);
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	while (n--) {
		uint8_t t = *a;

		*a++ = *b;
		*b++ = t;
	}
}

/* A 16-bit word at p grew by add: the Internet checksum at c follows (RFC 1624). */
static void fix_csum(uint8_t *c, uint32_t add)
{
	uint32_t sum = (uint32_t)(~(c[0] << 8 | c[1]) & 0xffff) + add;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	c[0] = (uint8_t)(sum >> 8);
	c[1] = (uint8_t)sum;
}

static void turn_transport(uint8_t *p, size_t len, uint8_t proto)
{
	if ((proto == 6 || proto == 17) && len >= 8) {
		swap(p, p + 2, 2);
	} else if (proto == 1 && len >= 8 && p[0] == 8) {
		p[0] = 0; /* 8 -> 0: the word lost 0x0800, in ones' complement it gained 0xf7ff */
		fix_csum(p + 2, 0xf7ff);
	} else if (proto == 58 && len >= 8 && p[0] == 128) {
		p[0] = 129;
		fix_csum(p + 2, 0x0100);
	}
}

static bool answer_arp(struct echo *e, uint8_t *p, size_t len)
{
	uint8_t *a = p + 14;

	if (!e->ip || len < 42 || a[7] != 1 || memcmp(a + 24, &e->ip, 4))
		return false;
	memcpy(p, a + 8, 6);
	memcpy(p + 6, e->port->mac, 6);
	a[7] = 2;
	memcpy(a + 18, a + 8, 6);
	memcpy(a + 24, a + 14, 4);
	memcpy(a + 8, e->port->mac, 6);
	memcpy(a + 14, &e->ip, 4);
	e->arp++;
	return true;
}

/* Turn a frame round in place. false: nothing to send back. */
static bool turn_round(struct echo *e, uint8_t *p, size_t len)
{
	size_t off = 12, l4;

	if (len < 34)
		return false;
	if (p[12] == 0x08 && p[13] == 0x06)
		return answer_arp(e, p, len);
	if (p[0] & 1)
		return false; /* a flood that comes back would go round for ever */
	swap(p, p + 6, 6);
	if (p[off] == 0x81 && p[off + 1] == 0x00)
		off += 4;
	if (p[off] == 0x08 && p[off + 1] == 0x00 && len >= off + 2 + 20) {
		uint8_t *ip = p + off + 2;

		swap(ip + 12, ip + 16, 4);
		l4 = off + 2 + (ip[0] & 15u) * 4;
		/* only a first fragment has ports */
		if (l4 <= len && !(ip[6] & 0x1f) && !ip[7])
			turn_transport(p + l4, len - l4, ip[9]);
	} else if (p[off] == 0x86 && p[off + 1] == 0xdd && len >= off + 2 + 40) {
		swap(p + off + 10, p + off + 26, 16);
		turn_transport(p + off + 42, len - off - 42, p[off + 8]);
	}
	return true;
}

/* The packet in one piece, in the ring's buffer or in slot's room. NULL when it is too long. */
static uint8_t *one_piece(struct echo *e, const struct vhu_pkt *pkt, unsigned int slot)
{
	uint8_t *room = e->room + (size_t)slot * MAX_PACKET, *p = room;

	if (pkt->n_iov == 2)
		return pkt->iov[1].iov_base;
	if (pkt->len > MAX_PACKET)
		return NULL;
	for (unsigned int i = 1; i < pkt->n_iov; i++) {
		memcpy(p, pkt->iov[i].iov_base, pkt->iov[i].iov_len);
		p += pkt->iov[i].iov_len;
	}
	return room;
}

/* What the other side left to us is left to it again, or done here when it does not do it. */
static bool settle_offload(const struct echo *e, struct vhu_frame *f, uint8_t *p)
{
	uint32_t start = f->hdr.csum_start;
	uint16_t csum;

	if (f->hdr.gso_type && !vhu_port_has(e->port->vhu, VIRTIO_NET_F_HOST_TSO4))
		return false;
	f->hdr.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!f->hdr.flags || vhu_port_has(e->port->vhu, VIRTIO_NET_F_CSUM))
		return true;
	if (start + f->hdr.csum_offset + 2 > f->len)
		return false;
	csum = htons(frame_csum(p + start, f->len - start, 0));
	memcpy(p + start + f->hdr.csum_offset, &csum, 2);
	f->hdr = (struct virtio_net_hdr_v1){ 0 };
	return true;
}

static unsigned int echo_pair(struct echo *e, unsigned int pair)
{
	struct vhu_queue *q = vhu_port_rxq(e->port->vhu, pair);
	struct vhu_frame out[VHU_BURST];
	unsigned int n, n_out = 0, sent;

	vhu_disarm(q);
	n = vhu_rx(q, &e->burst);
	for (unsigned int i = 0; i < n; i++) {
		const struct vhu_pkt *pkt = &e->burst.pkt[i];
		uint8_t *p = one_piece(e, pkt, i);
		struct vhu_frame *f = &out[n_out];

		if (!p || !turn_round(e, p, pkt->len)) {
			e->ignored++;
			continue;
		}
		*f = (struct vhu_frame){ .data = p, .len = pkt->len };
		memcpy(&f->hdr, vhu_pkt_hdr(pkt), 10);
		if (settle_offload(e, f, p))
			n_out++;
		else
			e->dropped++;
	}
	sent = vhu_tx(vhu_port_txq(e->port->vhu, pair), out, n_out);
	e->returned += sent;
	e->dropped += n_out - sent;
	vhu_rx_done(q, &e->burst);
	return n;
}

static unsigned int echo_poll(void *priv, uint64_t now)
{
	struct echo *e = priv;
	unsigned int total = 0;

	(void)now;
	for (unsigned int i = 0; i < e->port->vhu->enabled; i++)
		total += echo_pair(e, i);
	return total;
}

static bool echo_arm(void *priv)
{
	struct echo *e = priv;
	bool work = false;

	for (unsigned int i = 0; i < e->port->vhu->enabled; i++)
		work |= vhu_arm(vhu_port_rxq(e->port->vhu, i));
	return work;
}

static void echo_report(void *priv, struct json *j)
{
	const struct echo *e = priv;

	json_u64(j, "returned", e->returned);
	json_u64(j, "arp", e->arp);
	json_u64(j, "ignored", e->ignored);
	json_u64(j, "dropped", e->dropped);
}

static void echo_reset(void *priv)
{
	struct echo *e = priv;

	e->returned = e->arp = e->ignored = e->dropped = 0;
}

const struct mode_ops mode_echo = {
	.name = "echo",
	.receives = true,
	.open = echo_open,
	.close = echo_close,
	.poll = echo_poll,
	.arm = echo_arm,
	.report = echo_report,
	.reset = echo_reset,
};
