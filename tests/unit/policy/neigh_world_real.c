/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The subnet in real policies: one per combination, since knobs of a port or subnet are no part of a lookup.
 */
#include <stdio.h>
#include <stdlib.h>

#include "neigh_world.h"

static struct policy *policies[2][2];

static void check(int r, const char *what, const struct errbuf *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, err->text);
	abort();
}

static void set(struct policy *p, enum object_kind kind, const void *spec, const char *what)
{
	struct errbuf err = { "" };

	check(policy_set(p, kind, spec, ORIGIN_ADMIN, &err), what, &err);
}

static struct mac mac(enum mac_name name)
{
	struct mac m;

	memcpy(&m, world_mac(name), 6);
	return m;
}

static void add_host(struct policy *p, const char *id, uint8_t last)
{
	struct host_spec h = { .n_pas = 1,
			       .pas = { { .address = { 4, { 192, 0, 2, last } }, .weight = 1 } } };

	snprintf(h.id, sizeof(h.id), "%s", id);
	set(p, OBJECT_HOST, &h, id);
}

static void add_record(struct policy *p, enum mac_name m, enum ca_name ca, const char *host, uint8_t type)
{
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct record_spec r = { .vsid = WORLD_VSID, .mac = mac(m), .type = type };

		r.ca = world_ca(ca, family);
		if (type == RECORD_STATIC && !ip_is_set(&r.ca))
			continue;
		if (type != RECORD_STATIC)
			memset(&r.ca, 0, sizeof(r.ca));
		snprintf(r.host, sizeof(r.host), "%s", host);
		set(p, OBJECT_RECORD, &r, "record");
	}
}

static void add_port(struct policy *p, const char *id, const enum mac_name *macs, unsigned int n, bool listed)
{
	struct port_spec port = { .vsid = WORLD_VSID, .queues = 1 };

	snprintf(port.id, sizeof(port.id), "%s", id);
	for (unsigned int i = 0; i < n; i++)
		port.macs[port.n_macs++] = mac(macs[i]);
	if (listed) {
		port.addresses[port.n_addresses++] = (struct ip_prefix){ world_ca(CA_P, 4), 32 };
		port.addresses[port.n_addresses++] = (struct ip_prefix){ world_ca(CA_P, 6), 128 };
	}
	set(p, OBJECT_PORT, &port, id);
}

static struct policy *make(bool learning, bool listed)
{
	struct policy_params params = { .host_id = "here", .max_records = 64, .socket = -1 };
	struct subnet_spec s = {
		.vsid = WORLD_VSID, .rdid = "t1", .gateway_mac = mac(MAC_GW), .learning = learning
	};
	struct errbuf err = { "" };
	struct policy *p;

	check(policy_create(&params, &p, &err), "policy", &err);
	s.gateways[s.n_gateways++] = (struct ip_prefix){ world_ca(CA_GW, 4), 24 };
	s.gateways[s.n_gateways++] = (struct ip_prefix){ world_ca(CA_GW2, 4), 24 };
	s.gateways[s.n_gateways++] = (struct ip_prefix){ world_ca(CA_GW, 6), 64 };
	s.gateways[s.n_gateways++] = (struct ip_prefix){ world_ca(CA_GW_LL, 6), 64 };
	set(p, OBJECT_SUBNET, &s, "subnet");
	add_host(p, "here", 1);
	add_host(p, "there", 2);
	add_port(p, "tested", (const enum mac_name[]){ MAC_A, MAC_A2, MAC_W }, 3, listed);
	add_port(p, "other", (const enum mac_name[]){ MAC_B }, 1, false);
	add_record(p, MAC_A, CA_A, "here", RECORD_STATIC);
	add_record(p, MAC_A, CA_A_LL, "here", RECORD_STATIC);
	add_record(p, MAC_A2, CA_A2, "here", RECORD_STATIC);
	add_record(p, MAC_B, CA_B, "here", RECORD_STATIC);
	add_record(p, MAC_B, CA_B_LL, "here", RECORD_STATIC);
	add_record(p, MAC_R, CA_R, "there", RECORD_STATIC);
	add_record(p, MAC_W, CA_ANY, "here", RECORD_GATEWAY_WILDCARD);
	return p;
}

struct world world_get(bool learning, bool listed)
{
	struct policy **p = &policies[learning][listed];

	if (!*p)
		*p = make(learning, listed);
	return (struct world){
		.policy = *p,
		.port = policy_port(*p, policy_port_index(*p, "tested")),
		.subnet = policy_subnet(*p, WORLD_VSID),
	};
}

void world_free(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (policies[i / 2][i % 2])
			policy_free(policies[i / 2][i % 2]);
		policies[i / 2][i % 2] = NULL;
	}
}
