/* SPDX-License-Identifier: BSD-3-Clause */
/* Protocol numbers, lengths and checksums, from the innermost layer outwards. */
#include "internal.h"

#include <errno.h>
#include <string.h>

uint32_t frame_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	return len ? sum + ((uint32_t)*p << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t frame_csum(const void *data, size_t len, uint32_t start)
{
	return (uint16_t)~fold(frame_sum(data, len, start));
}

/* Ethertype of a layer, -1 for one that has none. */
static int ethertype(enum frame_kind kind)
{
	switch (kind) {
	case FRAME_ETH:
		return ETYPE_TEB;
	case FRAME_ARP:
		return ETYPE_ARP;
	case FRAME_IP4:
		return ETYPE_IP4;
	case FRAME_IP6:
		return ETYPE_IP6;
	default:
		return -1;
	}
}

/* IP protocol of a layer, -1 for one that has none. */
static int ip_proto(const struct frame_layer *l)
{
	switch ((enum frame_kind)l->kind) {
	case FRAME_ICMP4:
		return PROTO_ICMP4;
	case FRAME_IP4:
		return 4;
	case FRAME_TCP:
		return PROTO_TCP;
	case FRAME_UDP:
		return PROTO_UDP;
	case FRAME_IP6:
		return 41;
	case FRAME_EXT6:
		return l->proto;
	case FRAME_GRE:
		return PROTO_GRE;
	case FRAME_ICMP6:
		return PROTO_ICMP6;
	default:
		return -1;
	}
}

/* Where a layer keeps the number of the next one. */
static void set_next(uint8_t *p, const struct frame_layer *l, const struct frame_layer *next)
{
	bool none = !next || next->kind == FRAME_DATA || next->kind == FRAME_PAD;
	int type = none ? 0x88b5 : ethertype(next->kind); /* 0x88b5: local experimental (IEEE 802) */
	int proto = none ? PROTO_NONE6 : ip_proto(next);

	switch ((enum frame_kind)l->kind) {
	case FRAME_ETH:
		put16(p + 12, (uint16_t)type);
		break;
	case FRAME_VLAN:
		put16(p + 4, (uint16_t)type);
		break;
	case FRAME_GRE:
		put16(p + 2, (uint16_t)type);
		break;
	case FRAME_IP4:
		p[9] = (uint8_t)proto;
		break;
	case FRAME_IP6:
		p[6] = (uint8_t)proto;
		break;
	case FRAME_EXT6:
		p[0] = (uint8_t)proto;
		break;
	default:
		break;
	}
}

/* Can next stand behind l, where l names its successor by number? */
static bool fits(const struct frame_layer *l, const struct frame_layer *next)
{
	if (!l->next_auto || !next || next->kind == FRAME_DATA || next->kind == FRAME_PAD)
		return true;
	if (l->kind == FRAME_ETH || l->kind == FRAME_VLAN || l->kind == FRAME_GRE)
		return ethertype(next->kind) >= 0;
	if (l->kind == FRAME_IP4 || l->kind == FRAME_IP6 || l->kind == FRAME_EXT6)
		return ip_proto(next) >= 0;
	return true;
}

/* Pseudo-header (RFC 768, RFC 9293, RFC 8200 section 8.1) of the IP header that layer i lies in. */
static uint32_t pseudo(const struct frame *f, unsigned int i, size_t len, uint8_t proto)
{
	while (i-- > 0) {
		const uint8_t *p = f->data + f->layer[i].off;

		if (f->layer[i].kind == FRAME_IP4)
			return frame_sum(p + 12, 8, (uint32_t)len + proto);
		if (f->layer[i].kind == FRAME_IP6)
			return frame_sum(p + 8, 32, (uint32_t)len + proto);
	}
	return 0;
}

static void set_csum(uint8_t *field, const uint8_t *p, size_t len, uint32_t start)
{
	put16(field, 0);
	put16(field, frame_csum(p, len, start));
}

/* A checksum that virtio's other side completes: the pseudo-header's sum, folded and not inverted. */
static void set_partial(struct frame *f, const struct frame_layer *l, uint16_t offset, uint32_t sum)
{
	f->csum_start = l->off;
	f->csum_offset = offset;
	put16(f->data + l->off + offset, fold(sum));
}

static void finish_udp(struct frame *f, unsigned int i, size_t len, bool partial)
{
	const struct frame_layer *l = &f->layer[i];
	uint8_t *p = f->data + l->off;
	uint32_t sum;

	put16(p + 4, (uint16_t)len);
	put16(p + 6, 0);
	if (l->no_csum)
		return;
	sum = pseudo(f, i, len, PROTO_UDP);
	if (partial) {
		set_partial(f, l, 6, sum);
		return;
	}
	set_csum(p + 6, p, len, sum);
	if (get16(p + 6) == 0)
		put16(p + 6, 0xffff); /* 0 would say "no checksum" */
}

static void finish_tcp(struct frame *f, unsigned int i, size_t len, bool partial)
{
	uint8_t *p = f->data + f->layer[i].off;
	uint32_t sum = pseudo(f, i, len, PROTO_TCP);

	if (partial)
		set_partial(f, &f->layer[i], 16, sum);
	else
		set_csum(p + 16, p, len, sum);
}

/* Lengths and checksum of layer i, which reaches up to end. */
static void finish_layer(struct frame *f, unsigned int i, size_t end, bool partial)
{
	const struct frame_layer *l = &f->layer[i];
	uint8_t *p = f->data + l->off;
	size_t len = end - l->off;

	switch ((enum frame_kind)l->kind) {
	case FRAME_IP4:
		put16(p + 2, (uint16_t)len);
		set_csum(p + 10, p, l->hlen, 0);
		break;
	case FRAME_IP6:
		put16(p + 4, (uint16_t)(len - IP6_HLEN));
		break;
	case FRAME_UDP:
		finish_udp(f, i, len, partial);
		break;
	case FRAME_TCP:
		finish_tcp(f, i, len, partial);
		break;
	case FRAME_ICMP4:
		set_csum(p + 2, p, len, 0);
		break;
	case FRAME_ICMP6:
		set_csum(p + 2, p, len, pseudo(f, i, len, PROTO_ICMP6));
		break;
	case FRAME_GRE:
		if (p[0] & 0x80)
			set_csum(p + 4, p, len, 0);
		break;
	default:
		break;
	}
}

ssize_t frame_finish(struct frame *f)
{
	size_t pad[FRAME_MAX_LAYERS], end = f->len;
	bool partial = f->partial_csum;
	unsigned int n_pads = 0;

	f->csum_start = f->csum_offset = 0;
	for (unsigned int i = f->n_layers; i-- > 0 && !f->err;) {
		const struct frame_layer *l = &f->layer[i], *next = i + 1 < f->n_layers ? l + 1 : NULL;

		if (l->kind == FRAME_PAD) {
			/* what stands between this pad and its Ethernet header ends here */
			pad[n_pads++] = end;
			end = l->off;
			continue;
		}
		if (!fits(l, next)) {
			f->err = -EINVAL;
			break;
		}
		if (l->next_auto)
			set_next(f->data + l->off, l, next);
		finish_layer(f, i, end, partial);
		if (l->kind == FRAME_TCP || l->kind == FRAME_UDP)
			partial = false;
		if (l->kind == FRAME_ETH && n_pads)
			end = pad[--n_pads];
	}
	return f->err ? f->err : (ssize_t)f->len;
}
