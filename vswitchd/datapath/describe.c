/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/pkt.h"
#include "base/str.h"
#include "datapath/describe.h"

#define WORD_MAX     80
#define IP_SIZE_MAX  (DESCRIBE_FRAME_MAX - 18)
#define TCP_DEFAULT  0x02 /* SYN */
#define TTL_DEFAULT  64

static const struct {
	const char *name;
	uint8_t bit;
} tcp_flags[] = { { "fin", 1 }, { "syn", 2 }, { "rst", 4 }, { "psh", 8 }, { "ack", 16 } };

/* The next word into buf. @return false: there is none. */
static bool next_word(const char **text, char buf[WORD_MAX], struct errbuf *err, int *ret)
{
	size_t n;

	*text += strspn(*text, " \t");
	n = strcspn(*text, " \t");
	*ret = 0;
	if (!n)
		return false;
	if (n >= WORD_MAX) {
		*ret = err_set(err, EINVAL, "a word is longer than %d characters", WORD_MAX - 1);
		return false;
	}
	memcpy(buf, *text, n);
	buf[n] = 0;
	*text += n;
	return true;
}

static int bad(struct errbuf *err, const char *what, const char *word)
{
	char visible[WORD_MAX];

	return err_set(err, EINVAL, "%s: \"%s\"", what, str_visible(word, visible, sizeof(visible)));
}

/* "10.0.0.1:80", "[fd00::1]:80", or without a port. */
static int parse_end(char *word, bool ports, struct ip_addr *ret, uint16_t *ret_port, struct errbuf *err)
{
	char *port = NULL, *address = word;
	uint64_t n;

	if (*word == '[') {
		char *close = strchr(word, ']');

		if (!close || (close[1] && close[1] != ':'))
			return bad(err, "[address]:port is wanted", word);
		port = close[1] ? close + 2 : NULL;
		*close = 0;
		address = word + 1;
	} else if (strchr(word, ':') && strchr(word, ':') == strrchr(word, ':')) {
		port = strchr(word, ':');
		*port++ = 0;
	}
	if (parse_ip(address, ret) < 0)
		return bad(err, "an IP address is wanted", address);
	if (port && (!ports || parse_u64(port, 0, 65535, &n) < 0))
		return bad(err, ports ? "a port is 0..65535" : "only TCP and UDP have ports", port);
	if (port)
		*ret_port = (uint16_t)n;
	return 0;
}

static int parse_flags(char *value, struct description *d, struct errbuf *err)
{
	char *save = NULL;

	d->tcp_flags = 0;
	for (char *f = strtok_r(value, ",", &save); f; f = strtok_r(NULL, ",", &save)) {
		unsigned int i;

		for (i = 0; i < sizeof(tcp_flags) / sizeof(tcp_flags[0]); i++)
			if (strcmp(f, tcp_flags[i].name) == 0)
				break;
		if (i == sizeof(tcp_flags) / sizeof(tcp_flags[0]))
			return bad(err, "flags are fin, syn, rst, psh, ack", f);
		d->tcp_flags |= tcp_flags[i].bit;
	}
	return 0;
}

static int parse_number(const char *name, const char *value, uint64_t min, uint64_t max, uint64_t *ret,
			struct errbuf *err)
{
	if (parse_u64(value, min, max, ret) < 0)
		return err_set(err, EINVAL, "%s: %llu..%llu is allowed", name, (unsigned long long)min,
			       (unsigned long long)max);
	return 0;
}

static int parse_option(char *word, struct description *d, struct errbuf *err)
{
	static const char *const names[] = { "size", "ttl", "df", "protocol", "flags", "vlan", "src-mac", "dst-mac",
					     NULL };
	char *value = strchr(word, '=');
	uint64_t n = 0;
	int r = 0;

	if (strcmp(word, "df") == 0) {
		d->df = true;
		return 0;
	}
	if (!value)
		return bad(err, "df, or one of size, ttl, protocol, flags, vlan, src-mac, dst-mac with =VALUE", word);
	*value++ = 0;
	if (strcmp(word, "size") == 0) {
		r = parse_number(word, value, 20, IP_SIZE_MAX, &n, err);
		d->size = (uint32_t)n;
	} else if (strcmp(word, "ttl") == 0) {
		r = parse_number(word, value, 0, 255, &n, err);
		d->ttl = (uint8_t)n;
	} else if (strcmp(word, "protocol") == 0) {
		r = parse_number(word, value, 0, 255, &n, err);
		d->protocol = (uint8_t)n;
	} else if (strcmp(word, "vlan") == 0) {
		r = parse_number(word, value, 0, 4095, &n, err);
		d->vlan = (uint16_t)n;
		d->tagged = true;
	} else if (strcmp(word, "flags") == 0) {
		r = parse_flags(value, d, err);
	} else if (strcmp(word, "src-mac") == 0 || strcmp(word, "dst-mac") == 0) {
		if (parse_mac(value, *word == 's' ? &d->src : &d->dst) < 0)
			r = bad(err, "a MAC address is wanted", value);
	} else {
		const char *near = str_nearest(word, names);

		r = near ? err_set(err, EINVAL, "unknown word; did you mean \"%s\"?", near) :
			   bad(err, "unknown word", word);
	}
	return r;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* A whole frame as hex digits; blanks and colons between bytes do not matter. */
static int parse_hex(const char *text, struct description *d, struct errbuf *err)
{
	unsigned int half = 0;

	d->kind = DESCRIBE_FRAME;
	for (; *text; text++) {
		if (strchr(" \t\n:", *text))
			continue;
		if (!isxdigit((unsigned char)*text))
			return err_set(err, EINVAL, "neither a description nor hex digits");
		if (d->frame_len == sizeof(d->frame))
			return err_set(err, EINVAL, "a frame has at most %zu bytes", sizeof(d->frame));
		d->frame[d->frame_len] = (uint8_t)(d->frame[d->frame_len] << 4 | digit(*text));
		d->frame_len += half;
		half ^= 1;
	}
	if (half || d->frame_len < ETH_HLEN_)
		return err_set(err, EINVAL, "a frame has at least %d bytes, two digits each", ETH_HLEN_);
	return 0;
}

/* @return 0; 1: not one of ours. */
static int parse_kind(const char *word, struct description *d, uint8_t *ret_family)
{
	static const struct {
		const char *name;
		uint8_t kind, protocol, family;
	} kinds[] = {
		{ "tcp", DESCRIBE_TCP, IPPROTO_TCP_, 0 },     { "udp", DESCRIBE_UDP, IPPROTO_UDP_, 0 },
		{ "icmp", DESCRIBE_ECHO, IPPROTO_ICMP_, 4 },  { "icmpv6", DESCRIBE_ECHO, IPPROTO_ICMP6_, 6 },
		{ "arp", DESCRIBE_QUESTION, 0, 4 },	      { "nd", DESCRIBE_QUESTION, IPPROTO_ICMP6_, 6 },
		{ "ip", DESCRIBE_IP, 253, 0 }, /* for experiments, RFC 3692 */
	};

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(word, kinds[i].name) != 0)
			continue;
		d->kind = kinds[i].kind;
		d->protocol = kinds[i].protocol;
		*ret_family = kinds[i].family;
		return 0;
	}
	return 1;
}

int describe_parse(const char *text, struct description *ret, struct errbuf *err)
{
	char word[WORD_MAX], from[WORD_MAX], arrow[WORD_MAX], to[WORD_MAX];
	const char *rest = text;
	uint8_t family = 0;
	bool ports;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->ttl = TTL_DEFAULT;
	ret->tcp_flags = TCP_DEFAULT;
	ret->from_port = 1024;
	ret->to_port = 1024;
	if (!next_word(&rest, word, err, &r) || parse_kind(word, ret, &family))
		return parse_hex(text, ret, err);
	ports = ret->kind == DESCRIBE_TCP || ret->kind == DESCRIBE_UDP;
	if (!next_word(&rest, from, err, &r) || !next_word(&rest, arrow, err, &r) || strcmp(arrow, ">") != 0 ||
	    !next_word(&rest, to, err, &r))
		return r < 0 ? r : err_set(err, EINVAL, "%s FROM > TO is wanted", word);
	r = parse_end(from, ports, &ret->from, &ret->from_port, err);
	if (r >= 0)
		r = parse_end(to, ports, &ret->to, &ret->to_port, err);
	if (r < 0)
		return r;
	if (ret->from.family != ret->to.family || (family && ret->to.family != family))
		return err_set(err, EINVAL, "%s: both addresses have to be IPv%s", word,
			       family == 4 ? "4" : family == 6 ? "6" : "4, or both IPv6");
	while (next_word(&rest, word, err, &r)) {
		r = parse_option(word, ret, err);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- the frame ---- */

static uint32_t l4_bytes(const struct description *d)
{
	switch (d->kind) {
	case DESCRIBE_TCP:
		return 20;
	case DESCRIBE_UDP:
	case DESCRIBE_ECHO:
		return 8;
	case DESCRIBE_QUESTION:
		return sizeof(struct nd_hdr) + 8;
	default:
		return 0;
	}
}

static void put_l4(const struct description *d, uint8_t *l4, uint32_t len, const struct mac *src)
{
	struct nd_hdr *nd = (void *)l4;
	bool v4 = d->to.family == 4;

	switch (d->kind) {
	case DESCRIBE_TCP:
		l4[12] = 5 << 4;
		l4[13] = d->tcp_flags;
		store_be16(l4 + 14, 65535);
		__attribute__((fallthrough));
	case DESCRIBE_UDP:
		store_be16(l4, d->from_port);
		store_be16(l4 + 2, d->to_port);
		if (d->kind == DESCRIBE_UDP)
			store_be16(l4 + 4, (uint16_t)len);
		break;
	case DESCRIBE_ECHO:
		l4[0] = v4 ? 8 : 128;
		store_be16(l4 + 6, 1);
		break;
	case DESCRIBE_QUESTION:
		nd->type = 135;
		memcpy(nd->target, d->to.b, 16);
		l4[24] = 1; /* source link-layer address */
		l4[25] = 1;
		memcpy(l4 + 26, src, 6);
		break;
	default:
		break;
	}
}

/* Where the checksum lies in what we make; -1: it has none. */
static int csum_at(const struct description *d)
{
	return d->kind == DESCRIBE_TCP ? 16 : d->kind == DESCRIBE_UDP ? 6 : d->kind == DESCRIBE_IP ? -1 : 2;
}

static void finish_l4(const struct description *d, uint8_t *l4, uint32_t len, const uint8_t *addresses, bool v4)
{
	uint8_t tail[8] = { 0 };
	uint32_t part = 0;
	uint16_t sum;

	if (csum_at(d) < 0)
		return;
	store_be32(tail, len);
	tail[7] = d->protocol;
	if (!v4 || d->kind != DESCRIBE_ECHO)
		part = csum_partial(tail, 8, csum_partial(addresses, v4 ? 8 : 32, 0));
	tail[7] = 0;
	sum = csum_fold(csum_partial(l4, len, part));
	if (d->kind == DESCRIBE_UDP && !sum)
		sum = 0xffff;
	memcpy(l4 + csum_at(d), &sum, 2);
}

static uint32_t put_arp(const struct description *d, uint8_t *p)
{
	struct arp_hdr *arp = (void *)p;

	store_be16(&arp->htype, 1);
	store_be16(&arp->ptype, ETHERTYPE_IPV4_);
	arp->hlen = 6;
	arp->plen = 4;
	store_be16(&arp->op, 1);
	arp->sha = d->src;
	memcpy(arp->spa, d->from.b, 4);
	memcpy(arp->tpa, d->to.b, 4);
	return sizeof(*arp);
}

static uint32_t put_ip4(const struct description *d, uint8_t *p)
{
	uint32_t hdr = sizeof(struct ipv4_hdr), need = hdr + l4_bytes(d), size = d->size > need ? d->size : need;
	struct ipv4_hdr *ip = (void *)p;
	uint16_t sum;

	p[0] = 0x45;
	store_be16(p + 2, (uint16_t)size);
	p[6] = d->df ? 0x40 : 0;
	ip->ttl = d->ttl;
	ip->proto = d->protocol;
	memcpy(ip->src, d->from.b, 4);
	memcpy(ip->dst, d->to.b, 4);
	sum = csum_fold(csum_partial(ip, hdr, 0));
	memcpy(&ip->csum, &sum, 2);
	put_l4(d, p + hdr, size - hdr, &d->src);
	finish_l4(d, p + hdr, size - hdr, ip->src, true);
	return size;
}

static uint32_t put_ip6(const struct description *d, uint8_t *p)
{
	uint32_t hdr = sizeof(struct ipv6_hdr), need = hdr + l4_bytes(d), size = d->size > need ? d->size : need;
	const uint8_t group[16] = { 0xff, 0x02, [11] = 1, 0xff, d->to.b[13], d->to.b[14], d->to.b[15] };
	struct ipv6_hdr *ip = (void *)p;

	store_be32(&ip->vtf, 6u << 28);
	store_be16(&ip->plen, (uint16_t)(size - hdr));
	ip->next = d->protocol;
	ip->hlim = d->kind == DESCRIBE_QUESTION ? 255 : d->ttl;
	memcpy(ip->src, d->from.b, 16);
	memcpy(ip->dst, d->kind == DESCRIBE_QUESTION ? group : d->to.b, 16);
	put_l4(d, p + hdr, size - hdr, &d->src);
	finish_l4(d, p + hdr, size - hdr, ip->src, false);
	return size;
}

static struct mac question_mac(const struct description *d)
{
	if (d->to.family == 4)
		return (struct mac){ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	return (struct mac){ { 0x33, 0x33, 0xff, d->to.b[13], d->to.b[14], d->to.b[15] } };
}

uint32_t describe_build(const struct description *d, uint8_t *buf)
{
	bool v4 = d->to.family == 4, arp = d->kind == DESCRIBE_QUESTION && v4;
	struct mac dst = d->kind == DESCRIBE_QUESTION && mac_is_zero(&d->dst) ? question_mac(d) : d->dst;
	uint8_t *p = buf + 12;

	if (d->kind == DESCRIBE_FRAME) {
		memcpy(buf, d->frame, d->frame_len);
		return d->frame_len;
	}
	memset(buf, 0, DESCRIBE_FRAME_MAX);
	memcpy(buf, &dst, 6);
	memcpy(buf + 6, &d->src, 6);
	if (d->tagged) {
		store_be16(p, ETHERTYPE_VLAN_);
		store_be16(p + 2, d->vlan);
		p += 4;
	}
	store_be16(p, arp ? ETHERTYPE_ARP_ : v4 ? ETHERTYPE_IPV4_ : ETHERTYPE_IPV6_);
	p += 2;
	p += arp ? put_arp(d, p) : v4 ? put_ip4(d, p) : put_ip6(d, p);
	return (uint32_t)(p - buf);
}

/* ---- and back ---- */

static const char *protocol_name(const struct pkt_info *info)
{
	return info->kind == PKT_ND ? "nd" : info->proto == IPPROTO_TCP_ ? "tcp" : info->proto == IPPROTO_UDP_ ? "udp" :
	       info->proto == IPPROTO_ICMP_ ? "icmp" : info->proto == IPPROTO_ICMP6_ ? "icmpv6" : "ip";
}

static void describe_end(const uint8_t *address, bool v4, uint32_t port, char *buf, size_t size)
{
	struct ip_addr a = v4 ? ip4_from(address) : ip6_from(address);
	char text[IP_STR];

	format_ip(&a, text);
	if (port > UINT16_MAX)
		snprintf(buf, size, "%s", text);
	else
		snprintf(buf, size, v4 ? "%s:%u" : "[%s]:%u", text, port);
}

static void describe_ip(const uint8_t *data, const struct pkt_info *info, char *buf, size_t size)
{
	bool v4 = info->kind == PKT_IPV4, has = info->proto == IPPROTO_TCP_ || info->proto == IPPROTO_UDP_;
	const uint8_t *l3 = data + info->l3_off, *l4 = data + info->l4_off;
	char from[IP_STR + 8], to[IP_STR + 8];

	has = has && (info->flags & PKT_F_L4);
	describe_end(l3 + (v4 ? 12 : 8), v4, has ? load_be16(l4) : UINT32_MAX, from, sizeof(from));
	describe_end(l3 + (v4 ? 16 : 24), v4, has ? load_be16(l4 + 2) : UINT32_MAX, to, sizeof(to));
	snprintf(buf, size, "%s %s > %s%s size=%u", protocol_name(info), from, to,
		 info->flags & PKT_F_FRAGMENT ? " fragment" : "", info->l3_end - info->l3_off);
}

static void describe_other(const uint8_t *data, uint32_t len, uint32_t total, char *buf, size_t size)
{
	char dst[MAC_STR] = "", src[MAC_STR] = "";

	if (len >= ETH_HLEN_) {
		format_mac((const struct mac *)data, dst);
		format_mac((const struct mac *)(data + 6), src);
	}
	snprintf(buf, size, "ethernet %s > %s type=0x%04x size=%u", src, dst,
		 len >= ETH_HLEN_ ? load_be16(data + 12) : 0, total);
}

void describe_frame(const uint8_t *data, uint32_t len, uint32_t total, char *buf, size_t size)
{
	struct pkt_info info;
	uint32_t off;

	if (pkt_parse(data, len, total, &info) || info.kind == PKT_OTHER) {
		describe_other(data, len, total, buf, size);
	} else if (info.kind == PKT_ARP) {
		const struct arp_hdr *arp = (const void *)(data + info.l3_off);
		char from[IP_STR], to[IP_STR];

		describe_end(arp->spa, true, UINT32_MAX, from, sizeof(from));
		describe_end(arp->tpa, true, UINT32_MAX, to, sizeof(to));
		snprintf(buf, size, "arp %s > %s%s", from, to, load_be16(&arp->op) == 2 ? " (answer)" : "");
	} else {
		off = info.l4_off + (uint32_t)sizeof(struct gre_hdr);
		describe_ip(data, &info, buf, size);
		if (info.proto == 47 && off < len && load_be32(data + info.l4_off) == 0x20006558) {
			int n = snprintf(buf, size, "vsid=%u ", load_be32(data + info.l4_off + 4) >> 8);

			if (n > 0 && (size_t)n < size)
				describe_frame(data + off, len - off, total - off, buf + n, size - (size_t)n);
		}
	}
}
