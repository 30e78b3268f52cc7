/* SPDX-License-Identifier: BSD-3-Clause */
/* Network layer: IPv4, IPv6 and its extension headers. */
#include "internal.h"

#include <errno.h>
#include <string.h>

void *frame_ip4_full(struct frame *f, const struct frame_ip4 *ip)
{
	size_t opts = (ip->opts_len + 3) & ~(size_t)3;
	int proto = ip->proto ? ip->proto : FRAME_AUTO;
	uint8_t *p;

	if (opts > 40) {
		f->err = f->err ? f->err : -EINVAL;
		return NULL;
	}
	p = frame_push(f, FRAME_IP4, IP4_HLEN + opts, proto);
	if (!p)
		return NULL;
	p[0] = (uint8_t)(0x40 | (IP4_HLEN + opts) / 4);
	p[1] = ip->tos;
	put16(p + 4, ip->id);
	put16(p + 6, ip->frag);
	p[8] = ip->ttl ? ip->ttl : 64;
	if (proto != FRAME_AUTO)
		p[9] = (uint8_t)proto;
	memcpy(p + 12, &ip->src, 4);
	memcpy(p + 16, &ip->dst, 4);
	if (ip->opts_len)
		memcpy(p + IP4_HLEN, ip->opts, ip->opts_len);
	return p;
}

void *frame_ip4(struct frame *f, uint32_t src, uint32_t dst, int proto)
{
	return frame_ip4_full(f, &(struct frame_ip4){ .src = src, .dst = dst, .proto = proto });
}

void *frame_ip6(struct frame *f, const void *src, const void *dst, int next, uint8_t hop_limit)
{
	uint8_t *p = frame_push(f, FRAME_IP6, IP6_HLEN, next);

	if (!p)
		return NULL;
	p[0] = 0x60;
	if (next != FRAME_AUTO)
		p[6] = (uint8_t)next;
	p[7] = hop_limit;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
	return p;
}

/* RFC 8200 section 4.2: one byte is Pad1 (a zero), more are PadN */
static void pad_options(uint8_t *p, size_t len)
{
	if (len > 1) {
		p[0] = 1;
		p[1] = (uint8_t)(len - 2);
	}
}

void *frame_ip6_ext(struct frame *f, uint8_t proto, const void *data, size_t len, int next)
{
	size_t hlen = (2 + len + 7) & ~(size_t)7;
	uint8_t *p = frame_push(f, FRAME_EXT6, hlen, next);

	if (!p)
		return NULL;
	f->layer[f->n_layers - 1].proto = proto;
	if (next != FRAME_AUTO)
		p[0] = (uint8_t)next;
	p[1] = (uint8_t)(hlen / 8 - 1);
	if (len)
		memcpy(p + 2, data, len);
	if (proto == 0 || proto == 60)
		pad_options(p + 2 + len, hlen - 2 - len);
	return p;
}

void *frame_ip6_frag(struct frame *f, uint16_t offset, bool more, uint32_t id, int next)
{
	uint8_t *p = frame_push(f, FRAME_EXT6, 8, next);

	if (!p)
		return NULL;
	f->layer[f->n_layers - 1].proto = PROTO_FRAGMENT6;
	if (next != FRAME_AUTO)
		p[0] = (uint8_t)next;
	put16(p + 2, (uint16_t)((offset & 0xfff8) | more));
	put32(p + 4, id);
	return p;
}

static const struct frame_layer *first_ip(const struct frame *f)
{
	for (unsigned int i = 0; i < f->n_layers; i++)
		if (f->layer[i].kind == FRAME_IP4 || f->layer[i].kind == FRAME_IP6)
			return &f->layer[i];
	return NULL;
}

/* Everything before the IP header: Ethernet and tags, copied as they are. */
static void copy_link(const struct frame *whole, uint16_t ip_off, struct frame *f)
{
	for (unsigned int i = 0; i < whole->n_layers && whole->layer[i].off < ip_off; i++) {
		uint16_t start = (uint16_t)f->len, end = whole->layer[i].off + whole->layer[i].hlen;
		uint8_t *p = frame_push(f, whole->layer[i].kind, end - start, 0);

		if (!p)
			return;
		memcpy(p, whole->data + start, end - start);
		f->layer[f->n_layers - 1] = whole->layer[i];
		f->layer[f->n_layers - 1].next_auto = false;
	}
}

static void copy_ip4(const uint8_t *ip, uint16_t hlen, size_t offset, bool more, uint32_t id, struct frame *f)
{
	uint8_t *p = frame_push(f, FRAME_IP4, hlen, 0);

	if (!p)
		return;
	memcpy(p, ip, hlen);
	put16(p + 4, (uint16_t)id);
	put16(p + 6, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
}

static void copy_ip6(const uint8_t *ip, size_t offset, bool more, uint32_t id, struct frame *f)
{
	uint8_t *p = frame_push(f, FRAME_IP6, IP6_HLEN, 0);

	if (!p)
		return;
	memcpy(p, ip, IP6_HLEN);
	p[6] = PROTO_FRAGMENT6;
	frame_ip6_frag(f, (uint16_t)offset, more, id, ip[6]);
}

ssize_t frame_fragment(const struct frame *whole, size_t offset, size_t len, uint32_t id, struct frame *f)
{
	const struct frame_layer *l = first_ip(whole);
	const uint8_t *ip, *body;
	size_t body_len;
	bool more;

	if (whole->err || !l)
		return -EINVAL;
	ip = whole->data + l->off;
	body = ip + l->hlen;
	body_len = l->kind == FRAME_IP4 ? get16(ip + 2) - (size_t)l->hlen : get16(ip + 4);
	more = offset + len < body_len;
	if (offset % 8 || offset + len > body_len || (more && len % 8))
		return -EINVAL;
	copy_link(whole, l->off, f);
	if (l->kind == FRAME_IP4)
		copy_ip4(ip, l->hlen, offset, more, id, f);
	else
		copy_ip6(ip, offset, more, id, f);
	frame_payload(f, body + offset, len);
	return frame_finish(f);
}
