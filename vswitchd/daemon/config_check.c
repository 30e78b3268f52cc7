/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What objects of one configuration must not do to each other. A contradiction is an error that names both places.
 * A reference to something that is not in the file is a warning only: it may come from the control socket or the
 * policy manager.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/config_private.h"
#include "policy/policy.h"


struct check {
	const struct config *c;
	struct config_errors *errors;
	struct config_set keys[OBJECT_COUNT];
};

#define LIST_OF(ck, kind) ((ck)->c->objects[kind])

#define CHECK_ERROR(ck, kind, i, ...) \
	config_error((ck)->c, (ck)->errors, LIST_OF(ck, kind).where[i], __VA_ARGS__)
#define CHECK_WARNING(ck, kind, i, ...) \
	config_warning((ck)->c, (ck)->errors, LIST_OF(ck, kind).where[i], __VA_ARGS__)

const char *config_place(const struct config *c, enum object_kind kind, size_t i, char buf[CONFIG_PLACE_STR])
{
	struct config_where w = c->objects[kind].where[i];

	snprintf(buf, CONFIG_PLACE_STR, "%s:%u", c->files[w.file], w.line);
	return buf;
}

/* ---- keys ---- */

struct kind_of {
	const struct config *c;
	enum object_kind kind;
};

static bool key_equal(const void *key, size_t index, const void *arg)
{
	const struct kind_of *k = arg;
	char other[OBJECT_KEY_MAX];

	return object_key(k->kind, config_spec(k->c, k->kind, index), other, sizeof(other)) >= 0 &&
	       strcmp(key, other) == 0;
}

/* Index of the object with the key fields of spec, or CONFIG_SET_NONE. */
static size_t find_object(const struct check *ck, enum object_kind kind, const void *spec)
{
	struct kind_of arg = { ck->c, kind };
	char key[OBJECT_KEY_MAX];
	int n = object_key(kind, spec, key, sizeof(key));

	return n < 0 ? CONFIG_SET_NONE :
		       config_set_find(&ck->keys[kind], config_hash(key, (size_t)n, 0), key_equal, key, &arg);
}

static void check_keys(struct check *ck, enum object_kind kind)
{
	char key[OBJECT_KEY_MAX], place[CONFIG_PLACE_STR];
	size_t i, first;

	for (i = 0; i < LIST_OF(ck, kind).n; i++) {
		const void *spec = config_spec(ck->c, kind, i);
		int n = object_key(kind, spec, key, sizeof(key));

		first = find_object(ck, kind, spec);
		if (first == CONFIG_SET_NONE)
			config_set_add(&ck->keys[kind], config_hash(key, n < 0 ? 0 : (size_t)n, 0), i);
		else
			CHECK_ERROR(ck, kind, i, "%s: %s is already defined at %s", object_types[kind].config, key,
				    config_place(ck->c, kind, first, place));
	}
}

static size_t find_subnet(const struct check *ck, uint32_t vsid)
{
	struct subnet_spec key = { .vsid = vsid };

	return find_object(ck, OBJECT_SUBNET, &key);
}

static size_t find_host(const struct check *ck, const char *id)
{
	struct host_spec key = { 0 };

	str_copy(key.id, sizeof(key.id), id);
	return find_object(ck, OBJECT_HOST, &key);
}

/* ---- records ---- */

static bool record_mac_equal(const void *key, size_t index, const void *arg)
{
	const struct record_spec *a = key, *b = config_spec(arg, OBJECT_RECORD, index);

	return a->vsid == b->vsid && mac_equal(&a->mac, &b->mac);
}

static uint64_t mac_hash(uint32_t vsid, const struct mac *mac)
{
	return config_hash(mac, sizeof(*mac), vsid);
}

static void check_record_subnet(struct check *ck, size_t i, const struct record_spec *r)
{
	size_t at = find_subnet(ck, r->vsid);
	char text[IP_STR], place[CONFIG_PLACE_STR];
	const struct subnet_spec *s;
	unsigned int g;

	if (at == CONFIG_SET_NONE) {
		CHECK_WARNING(ck, OBJECT_RECORD, i, "records: virtual subnet %u is not in the configuration", r->vsid);
		return;
	}
	s = config_spec(ck->c, OBJECT_SUBNET, at);
	for (g = 0; g < s->n_gateways; g++)
		if (ip_equal(&r->ca, &s->gateways[g].addr))
			CHECK_ERROR(ck, OBJECT_RECORD, i, "records: ca: %s is the gateway of virtual subnet %u (%s)",
				    format_ip(&r->ca, text), r->vsid,
				    config_place(ck->c, OBJECT_SUBNET, at, place));
}

static void check_record_host(struct check *ck, size_t i, const struct record_spec *r)
{
	size_t at = find_host(ck, r->host);
	char text[IP_STR], place[CONFIG_PLACE_STR];
	const struct host_spec *h;
	unsigned int p;

	if (at == CONFIG_SET_NONE) {
		if (strcmp(r->host, ck->c->settings.host_id) != 0)
			CHECK_WARNING(ck, OBJECT_RECORD, i, "records: host '%s' is not in the configuration", r->host);
		return;
	}
	h = config_spec(ck->c, OBJECT_HOST, at);
	for (p = 0; p < h->n_pas; p++)
		if (ip_equal(&r->provider_address, &h->pas[p].address))
			return;
	if (ip_is_set(&r->provider_address))
		CHECK_ERROR(ck, OBJECT_RECORD, i, "records: provider-address: %s is not one of host %s (%s)",
			    format_ip(&r->provider_address, text), r->host,
			    config_place(ck->c, OBJECT_HOST, at, place));
}

static int check_records(struct check *ck)
{
	const struct config_list *l = &LIST_OF(ck, OBJECT_RECORD);
	char text[MAC_STR], place[CONFIG_PLACE_STR];
	struct config_set macs;
	size_t i, first;

	if (l->n > ck->c->settings.max_records)
		CHECK_ERROR(ck, OBJECT_RECORD, ck->c->settings.max_records,
			    "records: there are %zu, more than policy.max-records = %u", l->n,
			    ck->c->settings.max_records);
	if (config_set_init(&macs, l->n) < 0)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		const struct record_spec *r = config_spec(ck->c, OBJECT_RECORD, i), *o;

		check_record_subnet(ck, i, r);
		check_record_host(ck, i, r);
		first = config_set_find(&macs, mac_hash(r->vsid, &r->mac), record_mac_equal, r, ck->c);
		if (first == CONFIG_SET_NONE) {
			config_set_add(&macs, mac_hash(r->vsid, &r->mac), i);
			continue;
		}
		o = config_spec(ck->c, OBJECT_RECORD, first);
		if (strcmp(r->host, o->host) != 0)
			CHECK_ERROR(ck, OBJECT_RECORD, i,
				    "records: MAC %s of virtual subnet %u is on host %s here, on host %s at %s",
				    format_mac(&r->mac, text), r->vsid, r->host, o->host,
				    config_place(ck->c, OBJECT_RECORD, first, place));
	}
	config_set_done(&macs);
	return 0;
}

/* ---- hosts and provider addresses ---- */

struct host_pa_ref {
	const struct ip_addr *address;
	size_t host;
};

static int by_address(const void *a, const void *b)
{
	const struct host_pa_ref *x = a, *y = b;
	int d = memcmp(x->address, y->address, sizeof(*x->address));

	return d ? d : x->host < y->host ? -1 : x->host > y->host;
}

static void check_pa_twice(struct check *ck, const struct host_pa_ref *a, const struct host_pa_ref *b)
{
	const struct host_spec *x = config_spec(ck->c, OBJECT_HOST, a->host);
	const struct host_spec *y = config_spec(ck->c, OBJECT_HOST, b->host);
	char text[IP_STR], place[CONFIG_PLACE_STR];

	if (ip_equal(a->address, b->address))
		CHECK_ERROR(ck, OBJECT_HOST, b->host, "hosts: provider address %s of host %s is host %s's (%s)",
			    format_ip(b->address, text), y->id, x->id,
			    config_place(ck->c, OBJECT_HOST, a->host, place));
}

/* A provider address of this host against what the other hosts are told about it. */
static void check_own_pa(struct check *ck, size_t i, const struct host_pa_ref *refs, size_t n)
{
	const struct pa_spec *pa = config_spec(ck->c, OBJECT_PA, i);
	struct host_pa_ref key = { &pa->address, 0 };
	size_t own = find_host(ck, ck->c->settings.host_id), lo = 0, hi = n;
	char text[IP_STR], place[CONFIG_PLACE_STR];
	bool found;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(refs[mid].address, key.address, sizeof(*key.address)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	found = lo < n && ip_equal(refs[lo].address, key.address);
	if (found && refs[lo].host != own)
		CHECK_ERROR(ck, OBJECT_PA, i, "provider-addresses: %s is host %s's (%s), this host is %s",
			    format_ip(&pa->address, text),
			    ((const struct host_spec *)config_spec(ck->c, OBJECT_HOST, refs[lo].host))->id,
			    config_place(ck->c, OBJECT_HOST, refs[lo].host, place), ck->c->settings.host_id);
	else if (!found && own != CONFIG_SET_NONE)
		CHECK_ERROR(ck, OBJECT_PA, i, "provider-addresses: %s is missing in the addresses of host %s (%s)",
			    format_ip(&pa->address, text), ck->c->settings.host_id,
			    config_place(ck->c, OBJECT_HOST, own, place));
}

static int check_hosts(struct check *ck)
{
	const struct config_list *l = &LIST_OF(ck, OBJECT_HOST);
	struct host_pa_ref *refs;
	size_t i, n = 0;
	unsigned int p;

	if (l->n > POLICY_MAX_HOSTS)
		CHECK_ERROR(ck, OBJECT_HOST, POLICY_MAX_HOSTS, "hosts: at most %d are allowed", POLICY_MAX_HOSTS);
	refs = calloc(l->n * HOST_PAS + 1, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		const struct host_spec *h = config_spec(ck->c, OBJECT_HOST, i);

		for (p = 0; p < h->n_pas; p++)
			refs[n++] = (struct host_pa_ref){ &h->pas[p].address, i };
	}
	qsort(refs, n, sizeof(*refs), by_address);
	for (i = 1; i < n; i++)
		check_pa_twice(ck, &refs[i - 1], &refs[i]);
	for (i = 0; i < LIST_OF(ck, OBJECT_PA).n; i++)
		check_own_pa(ck, i, refs, n);
	free(refs);
	return 0;
}

/* ---- subnets ---- */

struct network {
	const char *rdid;
	struct ip_prefix prefix;
	size_t subnet;
};

static int by_network(const void *a, const void *b)
{
	const struct network *x = a, *y = b;
	int d = strcmp(x->rdid, y->rdid);

	d = d ? d : memcmp(&x->prefix.addr, &y->prefix.addr, sizeof(x->prefix.addr));
	d = d ? d : x->prefix.len - y->prefix.len;
	return d ? d : x->subnet < y->subnet ? -1 : x->subnet > y->subnet;
}

static bool is_link_local(const struct ip_addr *a)
{
	return a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static struct ip_prefix network_of(const struct ip_prefix *p)
{
	struct ip_prefix n = *p;
	unsigned int i, keep;

	for (i = 0; i < 16; i++) {
		keep = p->len <= 8 * i ? 0 : p->len - 8 * i;
		if (keep < 8)
			n.addr.b[i] &= (uint8_t)(0xff00 >> keep);
	}
	return n;
}

/* Sorted, a network overlaps with an earlier one exactly when it lies inside the widest of those before it. */
static void check_overlaps(struct check *ck, const struct network *nets, size_t n)
{
	char a[PREFIX_STR], b[PREFIX_STR], place[CONFIG_PLACE_STR];
	const struct network *wide = nets;
	size_t i;

	for (i = 1; i < n; i++) {
		if (strcmp(nets[i].rdid, wide->rdid) != 0 || !ip_in_prefix(&nets[i].prefix.addr, &wide->prefix)) {
			wide = &nets[i];
			continue;
		}
		CHECK_ERROR(ck, OBJECT_SUBNET, nets[i].subnet, "subnets: gateways: %s overlaps with %s of virtual "
			    "subnet %u in routing domain %s (%s)", format_prefix(&nets[i].prefix, a),
			    format_prefix(&wide->prefix, b),
			    ((const struct subnet_spec *)config_spec(ck->c, OBJECT_SUBNET, wide->subnet))->vsid,
			    wide->rdid, config_place(ck->c, OBJECT_SUBNET, wide->subnet, place));
	}
}

static int check_subnets(struct check *ck)
{
	const struct config_list *l = &LIST_OF(ck, OBJECT_SUBNET);
	struct network *nets = calloc(l->n * SUBNET_GATEWAYS + 1, sizeof(*nets));
	size_t i, n = 0;
	unsigned int g;

	if (!nets)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		const struct subnet_spec *s = config_spec(ck->c, OBJECT_SUBNET, i);
		struct errbuf err;

		if (config_supported(&ck->c->settings, OBJECT_SUBNET, s, &err) < 0)
			CHECK_ERROR(ck, OBJECT_SUBNET, i, "subnets: %s", err.text);
		for (g = 0; g < s->n_gateways; g++)
			if (!is_link_local(&s->gateways[g].addr))
				nets[n++] = (struct network){ s->rdid, network_of(&s->gateways[g]), i };
	}
	qsort(nets, n, sizeof(*nets), by_network);
	check_overlaps(ck, nets, n);
	free(nets);
	return 0;
}

int config_check(const struct config *c, struct config_errors *errors)
{
	struct check ck = { .c = c, .errors = errors };
	int r = 0;
	unsigned int k;

	for (k = 0; k < OBJECT_COUNT && r == 0; k++) {
		r = config_set_init(&ck.keys[k], c->objects[k].n);
		if (r == 0)
			check_keys(&ck, k);
	}
	config_check_settings(c, errors);
	config_check_ports(c, errors);
	config_check_team(c, errors);
	if (r == 0)
		r = check_hosts(&ck);
	if (r == 0)
		r = check_subnets(&ck);
	if (r == 0)
		r = check_records(&ck);
	for (k = 0; k < OBJECT_COUNT; k++)
		config_set_done(&ck.keys[k]);
	return r;
}

int config_load(const char *file, struct config **ret, struct config_errors *errors)
{
	return config_read_judged(file, config_check, ret, errors);
}

int config_parse(const char *name, const char *text, size_t len, struct config **ret, struct config_errors *errors)
{
	return config_parse_judged(name, text, len, config_check, ret, errors);
}
