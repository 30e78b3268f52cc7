/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects and their keys in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/manager/manager.h"

static int fits(int n, size_t size)
{
	return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}

static int record_key(const struct record_spec *rec, char *buf, size_t size)
{
	char text[IP_STR];

	if (ip_is_set(&rec->ca) && !ip_is_any(&rec->ca))
		return snprintf(buf, size, "vsid/%u/ca/%s", rec->vsid, format_ip(&rec->ca, text));
	return snprintf(buf, size, "vsid/%u/mac/%s", rec->vsid, format_mac(&rec->mac, text));
}

static int route_key(const struct route_spec *route, char *buf, size_t size)
{
	char key[OBJECT_KEY_MAX];
	int r = object_key(OBJECT_ROUTE, route, key, sizeof(key));

	return r < 0 ? r : snprintf(buf, size, "rd/%s/route/%s", route->rdid, key + strlen(route->rdid) + 1);
}

int pm_key(enum object_kind kind, const void *spec, char *buf, size_t size)
{
	switch (kind) {
	case OBJECT_SUBNET:
		return fits(snprintf(buf, size, "vsid/%u/subnet", ((const struct subnet_spec *)spec)->vsid), size);
	case OBJECT_RECORD:
		return fits(record_key(spec, buf, size), size);
	case OBJECT_ROUTE:
		return fits(route_key(spec, buf, size), size);
	case OBJECT_HOST:
		return fits(snprintf(buf, size, "host/%s", ((const struct host_spec *)spec)->id), size);
	default:
		return -EINVAL;
	}
}

int pm_learned_key(const struct record_spec *rec, char *buf, size_t size)
{
	char text[IP_STR];

	return fits(snprintf(buf, size, "learned/%s/%u/%s", rec->host, rec->vsid, format_ip(&rec->ca, text)), size);
}

int pm_attached_key(const char *host, uint32_t vsid, char *buf, size_t size)
{
	return fits(snprintf(buf, size, "host/%s/attached/%u", host, vsid), size);
}

int pm_member_key(uint32_t vsid, const char *host, char *buf, size_t size)
{
	return fits(snprintf(buf, size, "vsid/%u/member/%s", vsid, host), size);
}

int pm_member_read(const char *key, uint32_t *ret_vsid, const char **ret_host)
{
	const char *end = strncmp(key, "vsid/", 5) == 0 ? strchr(key + 5, '/') : NULL;
	const char *host = "";
	char number[16];
	uint64_t vsid;

	if (!end || (size_t)(end - key - 5) >= sizeof(number))
		return -ENOENT;
	if (strncmp(end, "/member/", 8) == 0 && str_is_id(end + 8))
		host = end + 8;
	else if (strcmp(end, "/members") != 0)
		return -ENOENT;
	snprintf(number, sizeof(number), "%.*s", (int)(end - key - 5), key + 5);
	if (parse_u64(number, 1, VSID_MAX, &vsid) < 0)
		return -ENOENT;
	*ret_vsid = (uint32_t)vsid;
	*ret_host = host;
	return 0;
}

int pm_attached_read(const char *key, uint32_t *ret_vsid, char ret_host[ID_SIZE])
{
	const char *end = strncmp(key, "host/", 5) == 0 ? strchr(key + 5, '/') : NULL;
	uint64_t vsid;

	if (!end || (size_t)(end - key - 5) >= ID_SIZE || strncmp(end, "/attached/", 10) != 0 ||
	    parse_u64(end + 10, 1, VSID_MAX, &vsid) < 0)
		return -ENOENT;
	snprintf(ret_host, ID_SIZE, "%.*s", (int)(end - key - 5), key + 5);
	*ret_vsid = (uint32_t)vsid;
	return str_is_id(ret_host) ? 0 : -ENOENT;
}

/* The part up to the next '/' (or the end), copied. @return what follows it, NULL: none or too long. */
static const char *part(const char *s, char *buf, size_t size)
{
	size_t n = strcspn(s, "/");

	if (!n || n >= size)
		return NULL;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return s[n] ? s + n + 1 : s + n;
}

static int read_vsid(const char *s, enum object_kind *ret_kind, union object_spec *ret)
{
	char text[16], what[16];
	uint64_t vsid;

	s = part(s, text, sizeof(text));
	if (!s || parse_u64(text, 1, UINT32_MAX, &vsid) < 0)
		return -EINVAL;
	s = part(s, what, sizeof(what));
	if (!s)
		return -EINVAL;
	*ret_kind = strcmp(what, "subnet") == 0 ? OBJECT_SUBNET : OBJECT_RECORD;
	object_default(*ret_kind, ret);
	if (*ret_kind == OBJECT_SUBNET) {
		ret->subnet.vsid = (uint32_t)vsid;
		return *s ? -EINVAL : 0;
	}
	ret->record.vsid = (uint32_t)vsid;
	if (strcmp(what, "ca") == 0)
		return parse_ip(s, &ret->record.ca);
	return strcmp(what, "mac") == 0 ? parse_mac(s, &ret->record.mac) : -ENOENT;
}

static int read_rd(const char *s, enum object_kind *ret_kind, union object_spec *ret)
{
	char rdid[ID_SIZE], what[16], prefix[PREFIX_STR];
	const char *via;

	s = part(s, rdid, sizeof(rdid));
	s = s ? part(s, what, sizeof(what)) : NULL;
	if (!s)
		return -EINVAL;
	if (strcmp(what, "route") != 0)
		return -ENOENT;
	via = strstr(s, " via ");
	if (!via || (size_t)(via - s) >= sizeof(prefix))
		return -EINVAL;
	memcpy(prefix, s, (size_t)(via - s));
	prefix[via - s] = '\0';
	*ret_kind = OBJECT_ROUTE;
	object_default(OBJECT_ROUTE, ret);
	str_copy(ret->route.rdid, sizeof(ret->route.rdid), rdid);
	if (parse_prefix(prefix, &ret->route.prefix) < 0)
		return -EINVAL;
	return parse_ip(via + 5, &ret->route.next_hop);
}

int pm_key_read(const char *key, enum object_kind *ret_kind, union object_spec *ret)
{
	if (strncmp(key, "vsid/", 5) == 0)
		return read_vsid(key + 5, ret_kind, ret);
	if (strncmp(key, "rd/", 3) == 0)
		return read_rd(key + 3, ret_kind, ret);
	if (strncmp(key, "host/", 5) != 0 || strchr(key + 5, '/'))
		return -ENOENT;
	*ret_kind = OBJECT_HOST;
	object_default(OBJECT_HOST, ret);
	return str_is_id(key + 5) ? str_copy(ret->host.id, sizeof(ret->host.id), key + 5) : -EINVAL;
}

int pm_object_read(const char *key, const char *value, enum object_kind *ret_kind, union object_spec *ret,
		   struct errbuf *err)
{
	char again[KV_KEY_MAX];
	int r = pm_key_read(key, ret_kind, ret);

	if (r < 0)
		return err_set(err, -r, "not the key of an object");
	r = field_read(object_types[*ret_kind].fields, ret, value, err);
	if (r == 0)
		r = object_validate(*ret_kind, ret, err);
	if (r < 0)
		return -EINVAL;
	if (pm_key(*ret_kind, ret, again, sizeof(again)) < 0 || strcmp(again, key) != 0)
		return err_set(err, EINVAL, "the value is another object's");
	return 0;
}
