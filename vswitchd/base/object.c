/* SPDX-License-Identifier: BSD-3-Clause */
/* The field tables: what users can write, in every surface. Checks between fields are in object_check.c. */
#include <stdio.h>

#include "base/object.h"
#include "base/str.h"

const char *const origin_names[] = { "config", "admin", "manager", "learned", NULL };
const char *const port_type_names[] = { "vhost-user", "tap", "plain", NULL };
const char *const port_mode_names[] = { "client", "server", NULL };
const char *const port_state_names[] = {
	"absent", "attached", "active", "leaving", "needs-guest-reset", NULL,
};
const char *const record_type_names[] = { "static", "dynamic", "l2only", "gateway-wildcard", NULL };
const char *const pa_state_names[] = { "invalid", "tentative", "duplicate", "deprecated", "preferred", NULL };
const char *const spread_names[] = { "flow", "record", NULL };
const char *const member_type_names[] = { "af-packet", "af-xdp", "dpdk", NULL };
const char *encap_names[] = { "nvgre", NULL, NULL };

/* Where a scalar or an array with its count lies. */
#define AT(s, m)      .offset = offsetof(struct s, m), .size = sizeof(((struct s *)0)->m)
#define LIST(s, m, n) .offset = offsetof(struct s, m), .size = sizeof(((struct s *)0)->m[0]),             \
		      .max_items = sizeof(((struct s *)0)->m) / sizeof(((struct s *)0)->m[0]),            \
		      .count_offset = offsetof(struct s, n)

#define KEY	(FIELD_KEY | FIELD_REQUIRED)
#define MTU_MIN 576
#define MTU_MAX 65520

static const struct field port_fields[] = {
	{ "id", FIELD_ID, AT(port_spec, id), .flags = KEY, .text = "Name of the port." },
	{ "type", FIELD_ENUM, AT(port_spec, type), .names = port_type_names, .def = "vhost-user",
	  .text = "How the guest is attached." },
	{ "vsid", FIELD_UINT, AT(port_spec, vsid), .flags = FIELD_ZERO_OK, .min = VSID_MIN, .max = VSID_MAX,
	  .text = "Virtual subnet of the port; 0 is the host's plain segment, without virtualization." },
	{ "macs", FIELD_MAC, LIST(port_spec, macs, n_macs),
	  .text = "MAC addresses of the guest on this port; frames from others are dropped." },
	{ "socket", FIELD_STRING, AT(port_spec, socket),
	  .text = "vhost-user socket, an absolute path; default is ID.sock in the socket directory." },
	{ "mode", FIELD_ENUM, AT(port_spec, mode), .names = port_mode_names, .def = "client",
	  .text = "The switch's end of the socket: client if QEMU makes it, server if the switch does." },
	{ "socket-mode", FIELD_UINT, AT(port_spec, socket_mode), .flags = FIELD_OCTAL, .min = 0, .max = 0777,
	  .def = "0660", .text = "File rights, octal, of a socket the switch makes." },
	{ "socket-group", FIELD_ID, AT(port_spec, socket_group),
	  .text = "Group of a socket the switch makes; default is the switch's own." },
	{ "queues", FIELD_UINT, AT(port_spec, queues), .min = 1, .max = 64, .def = "1",
	  .text = "Queue pairs offered to the guest." },
	{ "packed", FIELD_BOOL, AT(port_spec, packed), .def = "false",
	  .text = "Offer packed rings to the guest." },
	{ "mergeable", FIELD_BOOL, AT(port_spec, mergeable), .def = "true",
	  .text = "Offer receive buffers that merge. This and the five below count from the guest's next start on." },
	{ "tx-checksum", FIELD_BOOL, AT(port_spec, tx_checksum), .def = "true",
	  .text = "The guest may leave TCP and UDP checksums to the switch." },
	{ "tso", FIELD_BOOL, AT(port_spec, tso), .def = "true",
	  .text = "The guest may send TCP packets of up to 64 KiB; takes tx-checksum." },
	{ "ecn", FIELD_BOOL, AT(port_spec, ecn), .def = "true",
	  .text = "Large packets may carry ECN's CWR, in the directions that tso and rx-tso allow." },
	{ "rx-checksum", FIELD_BOOL, AT(port_spec, rx_checksum), .def = "true",
	  .text = "The guest may be given packets with unfinished checksums, as another guest sent them." },
	{ "rx-tso", FIELD_BOOL, AT(port_spec, rx_tso), .def = "true",
	  .text = "The guest may be given TCP packets of up to 64 KiB; takes rx-checksum." },
	{ "mtu", FIELD_UINT, AT(port_spec, mtu), .flags = FIELD_ZERO_OK, .min = MTU_MIN, .max = MTU_MAX,
	  .text = "Largest IP packet of the guest in bytes; 0 derives it from the provider network's MTU." },
	{ "addresses", FIELD_PREFIX, LIST(port_spec, addresses, n_addresses),
	  .text = "Source addresses the guest may use or claim; none means those of its lookup records." },
	{ "dhcp-guard", FIELD_BOOL, AT(port_spec, dhcp_guard), .def = "false",
	  .text = "Drop what only a DHCP server sends: the guest is not to play one." },
	{ "ra-guard", FIELD_BOOL, AT(port_spec, ra_guard), .def = "false",
	  .text = "Drop IPv6 router advertisements of the guest." },
	{ NULL },
};

static const struct field subnet_fields[] = {
	{ "vsid", FIELD_UINT, AT(subnet_spec, vsid), .flags = KEY, .min = VSID_MIN, .max = VSID_MAX,
	  .text = "Virtual subnet id, the upper 24 bits of the NVGRE key." },
	{ "rdid", FIELD_ID, AT(subnet_spec, rdid), .flags = FIELD_REQUIRED,
	  .text = "Routing domain (tenant) that the subnet belongs to." },
	{ "gateways", FIELD_PREFIX, LIST(subnet_spec, gateways, n_gateways),
	  .text = "Gateway addresses with the subnet's prefix length, present on every host." },
	{ "gateway-mac", FIELD_MAC, AT(subnet_spec, gateway_mac),
	  .text = "MAC address of the gateway, the same on all hosts; default is derived from the VSID." },
	{ "learning", FIELD_BOOL, AT(subnet_spec, learning), .def = "true",
	  .text = "Learn addresses from ARP, ND and DHCP of local guests, flood frames to unknown ones." },
	{ "group", FIELD_IP, AT(subnet_spec, group),
	  .text = "Provider multicast group for flooded frames; default is one copy per member host." },
	{ "external", FIELD_BOOL, AT(subnet_spec, external), .def = "false",
	  .text = "The subnet is virtualized by somebody else and its frames are left alone." },
	{ "ra", FIELD_BOOL, AT(subnet_spec, ra), .def = "false",
	  .text = "Advertise gateway, prefixes and MTU to the guests (IPv6); takes a link-local gateway." },
	{ NULL },
};

static const struct field record_fields[] = {
	{ "vsid", FIELD_UINT, AT(record_spec, vsid), .flags = KEY, .min = VSID_MIN, .max = VSID_MAX,
	  .text = "Virtual subnet of the customer address." },
	{ "ca", FIELD_IP, AT(record_spec, ca), .flags = FIELD_KEY,
	  .text = "Customer address; absent for l2only and gateway-wildcard." },
	{ "mac", FIELD_MAC, AT(record_spec, mac), .flags = KEY, .text = "Customer MAC address." },
	{ "host", FIELD_ID, AT(record_spec, host), .flags = FIELD_REQUIRED,
	  .text = "Host where the guest runs." },
	{ "provider-address", FIELD_IP, AT(record_spec, provider_address),
	  .text = "One of the host's provider addresses that carries the guest; default is any." },
	{ "type", FIELD_ENUM, AT(record_spec, type), .names = record_type_names, .def = "static",
	  .text = "Where the record comes from and what it may be used for." },
	{ "unusable", FIELD_BOOL, AT(record_spec, unusable), .flags = FIELD_STATE,
	  .text = "Nothing gets there now: no port of this host has the MAC, or the record's host is not known or has "
		  "no provider address." },
	{ "unsynchronized", FIELD_BOOL, AT(record_spec, unsynchronized), .flags = FIELD_STATE,
	  .text = "Learned here, not yet confirmed by the policy manager." },
	{ NULL },
};

static const struct field route_fields[] = {
	{ "rdid", FIELD_ID, AT(route_spec, rdid), .flags = KEY, .text = "Routing domain of the route." },
	{ "vsid", FIELD_UINT, AT(route_spec, vsid), .flags = FIELD_REQUIRED, .min = VSID_MIN, .max = VSID_MAX,
	  .text = "Virtual subnet of the next hop, or of the destination when it is on-link." },
	{ "prefix", FIELD_PREFIX, AT(route_spec, prefix), .flags = KEY, .text = "Destination." },
	{ "next-hop", FIELD_IP, AT(route_spec, next_hop), .flags = FIELD_KEY,
	  .text = "Customer address of the next hop; absent for on-link." },
	{ "metric", FIELD_UINT, AT(route_spec, metric), .text = "The lowest of equal prefixes is used." },
	{ NULL },
};

static const struct field pa_fields[] = {
	{ "address", FIELD_IP, AT(pa_spec, address), .flags = KEY, .text = "Provider address of this host." },
	{ "prefix-length", FIELD_UINT, AT(pa_spec, prefix_len), .flags = FIELD_REQUIRED, .min = 1, .max = 128,
	  .text = "Length of the provider subnet's prefix in bits." },
	{ "vlan", FIELD_UINT, AT(pa_spec, vlan), .min = 0, .max = 4094,
	  .text = "VLAN of the provider network; 0 is untagged." },
	{ "mac", FIELD_MAC, AT(pa_spec, mac),
	  .text = "MAC address of the provider address; default is derived from host and address." },
	{ "member", FIELD_ID, AT(pa_spec, member),
	  .text = "Team member that is its home; default is one after the other." },
	{ NULL },
};

static const struct field provider_route_fields[] = {
	{ "prefix", FIELD_PREFIX, AT(provider_route_spec, prefix), .flags = KEY,
	  .text = "Provider network behind a router." },
	{ "next-hop", FIELD_IP, AT(provider_route_spec, next_hop), .flags = KEY,
	  .text = "The router's address." },
	{ "metric", FIELD_UINT, AT(provider_route_spec, metric),
	  .text = "The lowest of equal prefixes is used." },
	{ NULL },
};

static const struct field host_pa_fields[] = {
	{ "address", FIELD_IP, AT(host_pa, address), .flags = KEY, .text = "Provider address of the host." },
	{ "mtu", FIELD_UINT, AT(host_pa, mtu), .flags = FIELD_ZERO_OK, .min = MTU_MIN, .max = MTU_MAX,
	  .text = "Largest outer IP packet on the way to it in bytes; 0 is the provider network's MTU." },
	{ "weight", FIELD_UINT, AT(host_pa, weight), .min = 1, .max = 255, .def = "1",
	  .text = "Its share of the flows to this host." },
	{ "mac", FIELD_MAC, AT(host_pa, mac),
	  .text = "MAC address of its next hop, where neither ARP nor ND can find it; usually left out." },
	{ NULL },
};

static const struct field host_fields[] = {
	{ "id", FIELD_ID, AT(host_spec, id), .flags = KEY, .text = "Name of the host." },
	{ "pas", FIELD_STRUCT, LIST(host_spec, pas, n_pas), .flags = FIELD_REQUIRED, .sub = host_pa_fields,
	  .text = "Provider addresses of the host." },
	{ "encapsulation", FIELD_ENUM, AT(host_spec, encapsulation), .names = encap_names, .def = "nvgre",
	  .text = "Encapsulation that the host understands." },
	{ "spread", FIELD_ENUM, AT(host_spec, spread), .names = spread_names, .def = "flow",
	  .text = "Choose provider addresses per flow, or per record for hosts that pin a MAC to one." },
	{ NULL },
};

static const struct field member_fields[] = {
	{ "name", FIELD_ID, AT(member_spec, name), .flags = KEY,
	  .text = "Network device; for type dpdk any name." },
	{ "type", FIELD_ENUM, AT(member_spec, type), .names = member_type_names, .def = "af-packet",
	  .text = "How frames reach the switch." },
	{ "devargs", FIELD_STRING, AT(member_spec, devargs),
	  .text = "PCI address or DPDK device string, for type dpdk." },
	{ "relay", FIELD_STRING, AT(member_spec, relay),
	  .text = "Type dpdk: TAP device that is a port of the team in the device's place; made where missing." },
	{ "speed", FIELD_UINT, AT(member_spec, speed),
	  .text = "Speed in Mbit/s; 0 takes the kernel's." },
	{ "queues", FIELD_UINT, AT(member_spec, queues), .min = 0, .max = 128,
	  .text = "Receive queues; 0 takes one per worker." },
	{ NULL },
};

const struct object_type object_types[OBJECT_COUNT] = {
	[OBJECT_PORT] = { "port", "port", "ports", sizeof(struct port_spec), port_fields,
			  "Attachment of a guest." },
	[OBJECT_SUBNET] = { "virtual-subnet", "subnet", "subnets", sizeof(struct subnet_spec), subnet_fields,
			    "Broadcast domain of a tenant." },
	[OBJECT_RECORD] = { "lookup-record", "record", "records", sizeof(struct record_spec), record_fields,
			    "Where a customer address lives." },
	[OBJECT_ROUTE] = { "customer-route", "route", "routes", sizeof(struct route_spec), route_fields,
			   "Route between the subnets of a routing domain or out of it." },
	[OBJECT_PA] = { "provider-address", "provider-address", "provider-addresses", sizeof(struct pa_spec),
			pa_fields, "Address of this host in the provider network." },
	[OBJECT_PROVIDER_ROUTE] = { "provider-route", "provider-route", "provider-routes",
				    sizeof(struct provider_route_spec), provider_route_fields,
				    "Route in the provider network." },
	[OBJECT_HOST] = { "host", "host", "hosts", sizeof(struct host_spec), host_fields,
			  "Other end of tunnels." },
	[OBJECT_MEMBER] = { "member", "member", "members", sizeof(struct member_spec), member_fields,
			    "Network card of the team." },
};

void object_default(enum object_kind kind, void *spec)
{
	field_defaults(object_types[kind].fields, spec, object_types[kind].size);
}

static int route_key(const char *rdid, const struct ip_prefix *prefix, const struct ip_addr *next_hop,
		     char *buf, size_t size)
{
	char p[PREFIX_STR], h[IP_STR];

	/* Unset and all-zero next hop mean the same. */
	if (!ip_is_set(next_hop))
		str_copy(h, sizeof(h), prefix->addr.family == 6 ? "::" : "0.0.0.0");
	else
		format_ip(next_hop, h);
	return snprintf(buf, size, "%s%s%s via %s", rdid, *rdid ? " " : "", format_prefix(prefix, p), h);
}

static int record_key(const struct record_spec *r, char *buf, size_t size)
{
	char text[IP_STR];

	if (ip_is_set(&r->ca) && !ip_is_any(&r->ca))
		return snprintf(buf, size, "%u/%s", r->vsid, format_ip(&r->ca, text));
	return snprintf(buf, size, "%u/%s", r->vsid, format_mac(&r->mac, text));
}

int object_key(enum object_kind kind, const void *spec, char *buf, size_t size)
{
	/* Each kind by its own type: specs lie in arrays, aligned for their type but not for the union. */
	const struct port_spec *port = spec;
	const struct subnet_spec *subnet = spec;
	const struct route_spec *route = spec;
	const struct pa_spec *pa = spec;
	const struct provider_route_spec *provider_route = spec;
	const struct host_spec *host = spec;
	const struct member_spec *member = spec;
	char text[IP_STR];
	int n = -1;

	switch (kind) {
	case OBJECT_PORT:
		n = snprintf(buf, size, "%s", port->id);
		break;
	case OBJECT_SUBNET:
		n = snprintf(buf, size, "%u", subnet->vsid);
		break;
	case OBJECT_RECORD:
		n = record_key(spec, buf, size);
		break;
	case OBJECT_ROUTE:
		n = route_key(route->rdid, &route->prefix, &route->next_hop, buf, size);
		break;
	case OBJECT_PA:
		n = snprintf(buf, size, "%s", format_ip(&pa->address, text));
		break;
	case OBJECT_PROVIDER_ROUTE:
		n = route_key("", &provider_route->prefix, &provider_route->next_hop, buf, size);
		break;
	case OBJECT_HOST:
		n = snprintf(buf, size, "%s", host->id);
		break;
	case OBJECT_MEMBER:
		n = snprintf(buf, size, "%s", member->name);
		break;
	case OBJECT_COUNT:
		break;
	}
	return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}
