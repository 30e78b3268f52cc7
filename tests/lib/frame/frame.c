/* SPDX-License-Identifier: BSD-3-Clause */
/* The frame itself: room, link layer, tunnels, payload. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void frame_init(struct frame *f, void *buf, size_t size)
{
	memset(f, 0, sizeof(*f));
	f->data = buf;
	f->size = size < UINT16_MAX ? size : UINT16_MAX;
}

static void *fail(struct frame *f, int err)
{
	if (!f->err)
		f->err = err;
	return NULL;
}

uint8_t *frame_push(struct frame *f, enum frame_kind kind, size_t hlen, int next)
{
	struct frame_layer *l;
	uint8_t *p;

	if (f->err)
		return NULL;
	if (f->n_layers == FRAME_MAX_LAYERS)
		return fail(f, -E2BIG);
	if (hlen > f->size - f->len)
		return fail(f, -ENOSPC);
	l = &f->layer[f->n_layers++];
	*l = (struct frame_layer){
		.kind = kind,
		.next_auto = next == FRAME_AUTO,
		.off = (uint16_t)f->len,
		.hlen = (uint16_t)hlen,
	};
	p = f->data + f->len;
	memset(p, 0, hlen);
	f->len += hlen;
	return p;
}

void *frame_at(const struct frame *f, enum frame_kind kind, unsigned int nth)
{
	for (unsigned int i = 0; i < f->n_layers; i++)
		if (f->layer[i].kind == kind && nth-- == 0)
			return f->data + f->layer[i].off;
	return NULL;
}

void *frame_eth(struct frame *f, const void *dst, const void *src, int type)
{
	uint8_t *p = frame_push(f, FRAME_ETH, ETH_HLEN, type);

	if (!p)
		return NULL;
	memcpy(p, dst, 6);
	memcpy(p + 6, src, 6);
	if (type != FRAME_AUTO)
		put16(p + 12, (uint16_t)type);
	return p;
}

/* The tag's TPID takes the place of the ethertype in front of it, so the layer starts two bytes early: at
 * the TPID. What stands before gets no ethertype of its own in frame_finish. */
void *frame_vlan(struct frame *f, uint16_t tpid, uint16_t tci, int type)
{
	uint8_t *p;

	if (!f->err && (f->n_layers == 0 || f->layer[f->n_layers - 1].kind > FRAME_VLAN))
		return fail(f, -EINVAL);
	p = frame_push(f, FRAME_VLAN, VLAN_HLEN, type);
	if (!p)
		return NULL;
	f->layer[f->n_layers - 2].next_auto = false;
	f->layer[f->n_layers - 1].off -= 2;
	f->layer[f->n_layers - 1].hlen += 2;
	put16(p - 2, tpid);
	put16(p, tci);
	if (type != FRAME_AUTO)
		put16(p + 2, (uint16_t)type);
	return p - 2;
}

void *frame_arp(struct frame *f, uint16_t op, const void *sha, uint32_t spa, const void *tha, uint32_t tpa)
{
	uint8_t *p = frame_push(f, FRAME_ARP, ARP_LEN, 0);

	if (!p)
		return NULL;
	put16(p, 1); /* Ethernet */
	put16(p + 2, ETYPE_IP4);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, op);
	memcpy(p + 8, sha, 6);
	memcpy(p + 14, &spa, 4);
	memcpy(p + 18, tha, 6);
	memcpy(p + 24, &tpa, 4);
	return p;
}

void *frame_gre(struct frame *f, uint16_t flags, uint32_t key, uint32_t seq, int type)
{
	size_t hlen = 4;
	uint8_t *p, *field;

	hlen += flags & FRAME_GRE_CSUM ? 4 : 0;
	hlen += flags & FRAME_GRE_KEY ? 4 : 0;
	hlen += flags & FRAME_GRE_SEQ ? 4 : 0;
	p = frame_push(f, FRAME_GRE, hlen, type);
	if (!p)
		return NULL;
	put16(p, flags);
	if (type != FRAME_AUTO)
		put16(p + 2, (uint16_t)type);
	field = p + (flags & FRAME_GRE_CSUM ? 8 : 4);
	if (flags & FRAME_GRE_KEY) {
		put32(field, key);
		field += 4;
	}
	if (flags & FRAME_GRE_SEQ)
		put32(field, seq);
	return p;
}

void *frame_nvgre(struct frame *f, uint32_t vsid, uint8_t flowid)
{
	return frame_gre(f, FRAME_GRE_KEY, vsid << 8 | flowid, 0, ETYPE_TEB);
}

void *frame_vxlan(struct frame *f, uint32_t vni, uint16_t sport)
{
	uint8_t *p;

	if (!frame_udp(f, sport, 4789))
		return NULL;
	f->layer[f->n_layers - 1].no_csum = true;
	p = frame_push(f, FRAME_VXLAN, VXLAN_HLEN, 0);
	if (!p)
		return NULL;
	p[0] = 0x08; /* VNI present */
	put32(p + 4, vni << 8);
	return p;
}

void *frame_payload(struct frame *f, const void *data, size_t len)
{
	uint8_t *p = frame_push(f, FRAME_DATA, len, 0);

	if (p && data && len)
		memcpy(p, data, len);
	return p;
}

void *frame_fill(struct frame *f, size_t len, uint8_t start)
{
	uint8_t *p = frame_push(f, FRAME_DATA, len, 0);

	for (size_t i = 0; p && i < len; i++)
		p[i] = (uint8_t)(start + i);
	return p;
}

/* Index of the Ethernet layer that the next frame_pad belongs to: the innermost one without a pad, or -1. */
static int unpadded_eth(const struct frame *f)
{
	unsigned int pads = 0;

	for (unsigned int i = f->n_layers; i-- > 0;) {
		if (f->layer[i].kind == FRAME_PAD)
			pads++;
		else if (f->layer[i].kind == FRAME_ETH && pads-- == 0)
			return (int)i;
	}
	return -1;
}

void frame_pad(struct frame *f, size_t min)
{
	int eth = unpadded_eth(f);
	size_t have;

	if (f->err)
		return;
	if (eth < 0) {
		fail(f, -EINVAL);
		return;
	}
	have = f->len - f->layer[eth].off;
	/* an empty pad counts too: the next call must reach the next outer frame */
	frame_push(f, FRAME_PAD, have < min ? min - have : 0, 0);
}

int frame_parse_mac(const char *s, uint8_t out[6])
{
	unsigned int v[6];
	int used = 0;

	if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &used) != 6 ||
	    s[used])
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)v[i];
	return 0;
}
