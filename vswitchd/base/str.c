/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static int parse_digits(const char *s, unsigned int base, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	bool over = false;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned int d = (unsigned int)digit_value(*s);

		if (d >= base)
			return -EINVAL;
		over = over || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v);
	}
	if (over || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		return parse_digits(s + 2, 16, min, max, ret);
	return parse_digits(s, 10, min, max, ret);
}

int parse_octal(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	return parse_digits(s, 8, min, max, ret);
}

int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcasecmp(s, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

int parse_mac(const char *s, struct mac *ret)
{
	char sep = s[0] && s[1] ? s[2] : '\0';
	struct mac m;
	unsigned int i;

	if (sep != ':' && sep != '-')
		return -EINVAL;
	for (i = 0; i < 6; i++, s += 3) {
		/* Byte by byte: behind the first bad one may be the end of the string. */
		int hi = digit_value(s[0]), lo = hi < 16 ? digit_value(s[1]) : 99;

		if (hi > 15 || lo > 15 || s[2] != (i < 5 ? sep : '\0'))
			return -EINVAL;
		m.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = m;
	return 0;
}

int parse_ip(const char *s, struct ip_addr *ret)
{
	struct ip_addr a = { 0 };

	if (inet_pton(AF_INET, s, a.b) == 1) {
		a.family = 4;
	} else {
		memset(a.b, 0, sizeof(a.b));
		if (inet_pton(AF_INET6, s, a.b) != 1)
			return -EINVAL;
		a.family = 6;
	}
	*ret = a;
	return 0;
}

int parse_prefix(const char *s, struct ip_prefix *ret)
{
	const char *slash = strchr(s, '/');
	struct ip_prefix p = { 0 };
	char addr[IP_STR];
	uint64_t len, max;
	int r;

	if (slash) {
		if ((size_t)(slash - s) >= sizeof(addr))
			return -EINVAL;
		memcpy(addr, s, (size_t)(slash - s));
		addr[slash - s] = '\0';
		s = addr;
	}
	r = parse_ip(s, &p.addr);
	if (r < 0)
		return r;
	len = max = p.addr.family == 4 ? 32 : 128;
	if (slash) {
		r = parse_digits(slash + 1, 10, 0, max, &len);
		if (r < 0)
			return r;
	}
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

char *format_mac(const struct mac *m, char buf[MAC_STR])
{
	if (mac_is_zero(m))
		buf[0] = '\0';
	else
		snprintf(buf, MAC_STR, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3],
			 m->b[4], m->b[5]);
	return buf;
}

char *format_ip(const struct ip_addr *a, char buf[IP_STR])
{
	buf[0] = '\0';
	if (a->family)
		inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, buf, IP_STR);
	return buf;
}

char *format_prefix(const struct ip_prefix *p, char buf[PREFIX_STR])
{
	size_t n;

	format_ip(&p->addr, buf);
	n = strlen(buf);
	if (n)
		snprintf(buf + n, PREFIX_STR - n, "/%u", p->len);
	return buf;
}

int str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);

	if (n < size) {
		memcpy(dst, src, n + 1);
		return 0;
	}
	if (size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
	}
	return -ENAMETOOLONG;
}

/* Optimal string alignment: insert, delete, replace, swap of neighbours cost 1 each. */
static unsigned int distance(const char *a, const char *b, unsigned int limit)
{
	unsigned int row[3][64], i, j;
	size_t la = strlen(a), lb = strlen(b);

	if (la > 63 || lb > 63 || (la > lb ? la - lb : lb - la) > limit)
		return limit + 1;
	for (j = 0; j <= lb; j++)
		row[0][j] = j;
	for (i = 1; i <= la; i++) {
		unsigned int *cur = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];

		cur[0] = i;
		for (j = 1; j <= lb; j++) {
			unsigned int d = prev[j - 1] + (a[i - 1] != b[j - 1]);

			if (prev[j] + 1 < d)
				d = prev[j] + 1;
			if (cur[j - 1] + 1 < d)
				d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    prev2[j - 2] + 1 < d)
				d = prev2[j - 2] + 1;
			cur[j] = d;
		}
	}
	return row[la % 3][lb];
}

const char *str_nearest(const char *s, const char *const *list)
{
	const char *best = NULL;
	/* A third of the letters may be wrong, at least one and at most three. */
	size_t third = strlen(s) / 3;
	unsigned int best_d = third < 1 ? 2 : third > 3 ? 4 : (unsigned int)third + 1;

	for (; *list; list++) {
		unsigned int d = distance(s, *list, best_d);

		if (d < best_d && d < strlen(*list)) {
			best = *list;
			best_d = d;
		}
	}
	return best;
}

bool str_is_id(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");

	return n >= 1 && n <= 63 && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

/* Bytes of the UTF-8 character at s, 0 if there is none. Shortest form, no surrogates, up to U+10FFFF (RFC
 * 3629). */
static unsigned int utf8_length(const unsigned char *s)
{
	unsigned int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
			: s[0] >= 0xf0 && s[0] < 0xf5			? 4 : 0, i;

	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool str_is_text(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned int n;

	for (; *p; p += n) {
		n = utf8_length(p);
		/* C0 and DEL; C1 are c2 80 .. c2 9f */
		if (n == 0 || *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0))
			return false;
	}
	return true;
}

char *str_visible(const char *s, char *buf, size_t size)
{
	size_t i;

	for (i = 0; i < size - 1 && s[i]; i++)
		buf[i] = s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?';
	buf[i] = '\0';
	if (s[i])
		memcpy(buf + size - 4, "...", 3);
	return buf;
}
