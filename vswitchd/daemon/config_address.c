/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"
#include "daemon/config.h"

static bool is_loopback(const union tcp_address *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

int config_tcp_address(const char *text, bool public, union tcp_address *ret, struct errbuf *err)
{
	union tcp_address a = { 0 };
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	uint64_t port;
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon || n >= sizeof(host) || parse_u64(colon + 1, 1, 65535, &port) < 0)
		return err_set(err, EINVAL, "'%s' is not ADDRESS:PORT or [ADDRESS]:PORT", text);
	memcpy(host, text, n);
	host[n] = 0;
	if (inet_pton(AF_INET, host, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons((uint16_t)port);
	} else if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		if (inet_pton(AF_INET6, host + 1, &a.in6.sin6_addr) == 1)
			a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons((uint16_t)port);
	}
	if (!a.sa.sa_family)
		return err_set(err, EINVAL, "'%s' is not ADDRESS:PORT or [ADDRESS]:PORT", text);
	if (!public && !is_loopback(&a))
		return err_set(err, EINVAL, "%s is not of the loopback; metrics.public = true lets everybody read who "
			       "can reach it", text);
	*ret = a;
	return 0;
}
