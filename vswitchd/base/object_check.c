/* SPDX-License-Identifier: BSD-3-Clause */
/* What an object must fulfil by itself; whether others that it names exist is policy's business. */
#include <stdio.h>

#include "base/object.h"
#include "base/str.h"

#define CHECK(call)                     \
	do {                            \
		int check_r_ = (call);  \
		if (check_r_ < 0)       \
			return check_r_; \
	} while (0)

/* An address that one interface can own and others can send to. */
static int check_unicast(const char *field, const struct ip_addr *a, struct errbuf *err)
{
	static const uint8_t zero[12], loopback6[16] = {[15] = 1}, mapped[12] = {[10] = 0xff, [11] = 0xff};
	const char *is = NULL;
	char text[IP_STR];

	if (a->family == 4 && a->b[0] == 0)
		is = "an address of 'this network'";
	else if (a->family == 4 && a->b[0] == 127)
		is = "a loopback address";
	else if (a->family == 4 && (a->b[0] & 0xf0) == 0xe0)
		is = "a multicast address";
	else if (a->family == 4 && (a->b[0] & 0xf0) == 0xf0)
		is = "the broadcast or a reserved address";
	else if (a->family == 6 && ip_is_any(a))
		is = "the unspecified address";
	else if (a->family == 6 && memcmp(a->b, loopback6, 16) == 0)
		is = "the loopback address";
	else if (a->family == 6 && a->b[0] == 0xff)
		is = "a multicast address";
	else if (a->family == 6 && (memcmp(a->b, mapped, 12) == 0 || memcmp(a->b, zero, 12) == 0))
		is = "an IPv4 address in IPv6 form";
	if (!is)
		return 0;
	return err_set(err, EINVAL, "%s: %s is %s, a unicast address is needed", field, format_ip(a, text),
		       is);
}

static int check_mac(const char *field, const struct mac *m, struct errbuf *err)
{
	char text[MAC_STR];

	if (mac_is_group(m))
		return err_set(err, EINVAL, "%s: %s is a group address", field, format_mac(m, text));
	return 0;
}

/* The network of a prefix: host bits cleared. */
static struct ip_prefix network_of(const struct ip_prefix *p)
{
	struct ip_prefix n = *p;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		unsigned int keep = p->len <= 8 * i ? 0 : p->len - 8 * i;

		if (keep < 8)
			n.addr.b[i] &= (uint8_t)(0xff00 >> keep);
	}
	return n;
}

static int check_network(const char *field, const struct ip_prefix *p, struct errbuf *err)
{
	char is[PREFIX_STR], should[PREFIX_STR];
	struct ip_prefix net = network_of(p);

	if (memcmp(&net, p, sizeof(net)) == 0)
		return 0;
	return err_set(err, EINVAL, "%s: %s has bits set behind the prefix length (did you mean %s?)", field,
		       format_prefix(p, is), format_prefix(&net, should));
}

static int check_socket(const struct port_spec *p, struct errbuf *err)
{
	if (!*p->socket)
		return 0;
	if (p->type != PORT_VHOST_USER)
		return err_set(err, EINVAL, "socket: only a port of type vhost-user has one");
	if (p->socket[0] != '/' || p->socket[strlen(p->socket) - 1] == '/')
		return err_set(err, EINVAL, "socket: '%s' is not the absolute path of a file", p->socket);
	return 0;
}

static int check_port(const struct port_spec *p, struct errbuf *err)
{
	unsigned int i, j;
	char text[MAC_STR];

	if (p->vsid != 0 && p->n_macs == 0)
		return err_set(err, EINVAL, "macs: a port on a virtual subnet needs at least one");
	for (i = 0; i < p->n_macs; i++) {
		CHECK(check_mac("macs", &p->macs[i], err));
		for (j = 0; j < i; j++)
			if (mac_equal(&p->macs[i], &p->macs[j]))
				return err_set(err, EINVAL, "macs: %s is given twice",
					       format_mac(&p->macs[i], text));
	}
	CHECK(check_socket(p, err));
	for (i = 0; i < p->n_addresses; i++)
		CHECK(check_network("addresses", &p->addresses[i], err));
	return 0;
}

static int check_gateway(const struct ip_prefix *g, struct errbuf *err)
{
	bool four = g->addr.family == 4;
	struct ip_prefix net = network_of(g);
	uint32_t host_bits, host;
	char text[PREFIX_STR];

	CHECK(check_unicast("gateways", &g->addr, err));
	if (g->len == 0 || g->len == (four ? 32 : 128))
		return err_set(err, EINVAL, "gateways: %s needs the subnet's prefix length",
			       format_prefix(g, text));
	if (four && g->len <= 30) {
		host_bits = 0xffffffffu >> g->len;
		host = load_be32(g->addr.b) & host_bits;
		if (host == 0 || host == host_bits)
			return err_set(err, EINVAL,
				       "gateways: %s is the network or broadcast address of its subnet",
				       format_prefix(g, text));
	}
	/* RFC 4291 2.6.1: the all-zero host is the subnet-router anycast address, which every router owns. */
	if (!four && g->len < 127 && memcmp(&net, g, sizeof(net)) == 0)
		return err_set(err, EINVAL, "gateways: %s is the network's own address",
			       format_prefix(g, text));
	return 0;
}

static int check_subnet(const struct subnet_spec *s, struct errbuf *err)
{
	char a[PREFIX_STR], b[PREFIX_STR];
	bool link_local = false;
	unsigned int i, j;

	for (i = 0; i < s->n_gateways; i++) {
		const struct ip_prefix *g = &s->gateways[i];

		if (g->addr.family == 6 && g->addr.b[0] == 0xfe && (g->addr.b[1] & 0xc0) == 0x80)
			link_local = true;
		CHECK(check_gateway(g, err));
		for (j = 0; j < i; j++) {
			const struct ip_prefix *o = &s->gateways[j];

			if (ip_in_prefix(&g->addr, o) || ip_in_prefix(&o->addr, g))
				return err_set(err, EINVAL, "gateways: %s and %s overlap",
					       format_prefix(o, a), format_prefix(g, b));
		}
	}
	CHECK(check_mac("gateway-mac", &s->gateway_mac, err));
	if (ip_is_set(&s->group) &&
	    (s->group.family == 4 ? (s->group.b[0] & 0xf0) != 0xe0 : s->group.b[0] != 0xff))
		return err_set(err, EINVAL, "group: %s is not a multicast address", format_ip(&s->group, a));
	if (s->ra && !link_local)
		return err_set(err, EINVAL, "ra: takes a link-local address among the gateways, as fe80::1/64");
	return 0;
}

static int check_record(const struct record_spec *r, struct errbuf *err)
{
	bool has_ca = ip_is_set(&r->ca) && !ip_is_any(&r->ca);
	const char *type = record_type_names[r->type];

	CHECK(check_mac("mac", &r->mac, err));
	if (r->type == RECORD_STATIC || r->type == RECORD_DYNAMIC) {
		if (!has_ca)
			return err_set(err, EINVAL, "ca: a record of type %s needs a customer address", type);
		CHECK(check_unicast("ca", &r->ca, err));
	} else if (has_ca) {
		return err_set(err, EINVAL, "ca: a record of type %s has no customer address", type);
	}
	if (ip_is_set(&r->provider_address))
		CHECK(check_unicast("provider-address", &r->provider_address, err));
	return 0;
}

static int check_next_hop(const struct ip_prefix *prefix, const struct ip_addr *next_hop, struct errbuf *err)
{
	char p[PREFIX_STR], h[IP_STR];

	if (next_hop->family != prefix->addr.family)
		return err_set(err, EINVAL, "next-hop: %s is not of the family of %s", format_ip(next_hop, h),
			       format_prefix(prefix, p));
	return check_unicast("next-hop", next_hop, err);
}

static int check_destination(const struct ip_prefix *prefix, struct errbuf *err)
{
	char text[PREFIX_STR];

	CHECK(check_network("prefix", prefix, err));
	if (prefix->addr.family == 4 ? (prefix->addr.b[0] & 0xf0) == 0xe0 : prefix->addr.b[0] == 0xff)
		return err_set(err, EINVAL, "prefix: %s is multicast, which is not routed",
			       format_prefix(prefix, text));
	return 0;
}

static int check_route(const struct route_spec *r, struct errbuf *err)
{
	CHECK(check_destination(&r->prefix, err));
	if (!ip_is_set(&r->next_hop) ||
	    (ip_is_any(&r->next_hop) && r->next_hop.family == r->prefix.addr.family))
		return 0;
	return check_next_hop(&r->prefix, &r->next_hop, err);
}

static int check_provider_route(const struct provider_route_spec *r, struct errbuf *err)
{
	CHECK(check_destination(&r->prefix, err));
	return check_next_hop(&r->prefix, &r->next_hop, err);
}

static int check_pa(const struct pa_spec *p, struct errbuf *err)
{
	CHECK(check_unicast("address", &p->address, err));
	if (p->address.family == 4 && p->prefix_len > 32)
		return err_set(err, ERANGE, "prefix-length: '%u' is out of range, allowed for IPv4: 1..32",
			       p->prefix_len);
	return check_mac("mac", &p->mac, err);
}

static int check_host(const struct host_spec *h, struct errbuf *err)
{
	char text[IP_STR];
	unsigned int i, j;

	for (i = 0; i < h->n_pas; i++) {
		CHECK(check_unicast("pas", &h->pas[i].address, err));
		for (j = 0; j < i; j++)
			if (ip_equal(&h->pas[i].address, &h->pas[j].address))
				return err_set(err, EINVAL, "pas: %s is given twice",
					       format_ip(&h->pas[i].address, text));
	}
	return 0;
}

static int check_member(const struct member_spec *m, struct errbuf *err)
{
	if (m->type == MEMBER_DPDK && !*m->devargs)
		return err_set(err, EINVAL, "devargs: a member of type dpdk needs them");
	if (m->type != MEMBER_DPDK && *m->devargs)
		return err_set(err, EINVAL, "devargs: only a member of type dpdk has them");
	if (m->type != MEMBER_DPDK && *m->relay)
		return err_set(err, EINVAL, "relay: only a member of type dpdk has one, others have a network device");
	if (strpbrk(m->relay, "/: \t%") || strcmp(m->relay, ".") == 0 || strcmp(m->relay, "..") == 0)
		return err_set(err, EINVAL, "relay: '%s': no network device can have that name", m->relay);
	if (m->type != MEMBER_DPDK && strlen(m->name) > 15)
		return err_set(err, EINVAL,
			       "name: '%s' is longer than a network device's, allowed: 15 characters",
			       m->name);
	return 0;
}

int object_validate(enum object_kind kind, const void *spec, struct errbuf *err)
{
	/* By its own type, not as the union: specs lie in arrays, aligned for their type only. */
	if ((unsigned int)kind >= OBJECT_COUNT)
		return err_set(err, EINVAL, "there is no such kind of object");
	CHECK(field_check(object_types[kind].fields, spec, err));
	switch (kind) {
	case OBJECT_PORT:
		return check_port(spec, err);
	case OBJECT_SUBNET:
		return check_subnet(spec, err);
	case OBJECT_RECORD:
		return check_record(spec, err);
	case OBJECT_ROUTE:
		return check_route(spec, err);
	case OBJECT_PA:
		return check_pa(spec, err);
	case OBJECT_PROVIDER_ROUTE:
		return check_provider_route(spec, err);
	case OBJECT_HOST:
		return check_host(spec, err);
	case OBJECT_MEMBER:
		return check_member(spec, err);
	case OBJECT_COUNT:
		break;
	}
	return 0;
}
