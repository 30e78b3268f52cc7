/* SPDX-License-Identifier: BSD-3-Clause */
/* Records as rows that people and programs read, and the next hop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/diag.h"

static void add_str(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static void add_int(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

const char *diag_verdict(uint8_t verdict)
{
	static const char *const names[] = {
		[VERDICT_NONE] = "goes-on", [VERDICT_LOCAL] = "local",	 [VERDICT_REMOTE] = "remote",
		[VERDICT_FLOOD] = "flood",  [VERDICT_ROUTE] = "gateway", [VERDICT_REPLY] = "reply",
		[VERDICT_DROP] = "drop",    [VERDICT_CONSUMED] = "consumed",
	};

	return verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "?";
}

static const char *stage_name(uint8_t stage)
{
	static const char *const names[STAGE_COUNT] = {
#define X(sym, name, text) [STAGE_##sym] = name,
		STAGE_LIST(X)
#undef X
	};

	return stage < STAGE_COUNT ? names[stage] : "?";
}

static struct json_object *hex(const uint8_t *data, uint32_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * (size_t)n + 1);
	struct json_object *o;

	if (!text)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	o = json_object_new_string_len(text, (int)(2 * n));
	free(text);
	return o;
}

static void add_record(struct manager *m, struct json_object *o, uint32_t index)
{
	const struct policy_record *r = index != REC_NONE ? policy_record(manager_policy(m), index) : NULL;
	struct record_spec spec = { .vsid = r ? r->vsid : 0 };
	char key[256];

	if (!r)
		return;
	spec.ca = r->ca;
	spec.mac = r->mac;
	object_key(OBJECT_RECORD, &spec, key, sizeof(key));
	add_str(o, "record", key);
}

static void add_destination(struct manager *m, struct json_object *o, const struct watch_record *r)
{
	const struct policy_host *host;

	if (r->verdict == VERDICT_LOCAL)
		add_str(o, "port", manager_port_id(m, r->dst));
	if (r->verdict == VERDICT_REMOTE) {
		host = policy_host(manager_policy(m), r->dst);
		add_str(o, "host", host ? host->id : "");
	}
	if (r->verdict == VERDICT_LOCAL || r->verdict == VERDICT_REMOTE)
		add_record(m, o, r->record);
}

struct json_object *diag_row(struct manager *m, const struct watch_record *r, uint64_t first, const uint8_t *data)
{
	struct json_object *o = json_object_new_object();
	bool stage = r->point == WATCH_STAGE;
	char name[ID_SIZE];

	add_str(o, "stage", stage ? stage_name(r->stage) : watch_point_name((enum watch_point)r->point));
	add_str(o, "verdict", r->drop ? "drop" : stage ? diag_verdict(r->verdict) : "sent");
	if (r->drop) {
		add_str(o, "reason", drop_name((enum drop_reason)r->drop));
		add_str(o, "text", drop_text((enum drop_reason)r->drop));
	}
	add_int(o, "cycles", r->tsc - first);
	if (r->vsid_out)
		add_int(o, "vsid", r->vsid_out);
	if (stage && r->drop == DROP_NONE)
		add_destination(m, o, r);
	if (r->point == WATCH_GUEST_TX)
		add_str(o, "port", manager_port_id(m, r->port));
	if (r->stage == STAGE_GUEST_RX && stage)
		add_str(o, "port", manager_port_id(m, r->port));
	if (r->member != TEAM_NO_MEMBER && *diag_member_name(m, r->member, name))
		add_str(o, "member", name);
	if (stage && r->stage == STAGE_ENCAP)
		add_int(o, "bucket", r->bucket);
	add_int(o, "length", r->len);
	if (data)
		json_object_object_add(o, "frame", hex(data, r->captured));
	return o;
}

/* ---- the next hop: HNV's Select-NetVirtualizationNextHop, and what it does not say ---- */

static void add_ip(struct json_object *o, const char *name, const struct ip_addr *a)
{
	char text[IP_STR];

	add_str(o, name, format_ip(a, text));
}

static void add_mac(struct json_object *o, const char *name, const struct mac *a)
{
	char text[MAC_STR];

	add_str(o, name, format_mac(a, text));
}

/* The gateway that the guest would use: the subnet's of the family. */
static struct ip_addr gateway_of(const struct policy_subnet *s, uint8_t family)
{
	for (uint16_t i = 0; i < s->n_gateways; i++)
		if (s->gateways[i].addr.family == family)
			return s->gateways[i].addr;
	return (struct ip_addr){ 0 };
}

/* As the sender sees it: the destination itself, or its gateway. */
static void add_hnv_fields(struct json_object *o, const struct policy_subnet *s, const struct ip_addr *from,
			   const struct ip_addr *to, const struct policy_next_hop *nh)
{
	bool by_gateway = nh->routed || nh->verdict == VERDICT_ROUTE;
	struct ip_addr hop = nh->routed ? gateway_of(s, to->family) : *to;
	struct mac mac = nh->dst_mac;

	if (by_gateway)
		mac_store(&mac, s->gateway_mac);
	add_ip(o, "source-customer-address", from);
	add_ip(o, "destination-customer-address", to);
	add_int(o, "source-virtual-subnet-id", s->vsid);
	add_ip(o, "next-hop-address", &hop);
	add_mac(o, "next-hop-mac-address", &mac);
}

static void add_paths(struct manager *m, struct json_object *o, const struct policy_host *host)
{
	struct datapath_path list[HOST_PAS];
	struct json_object *a = json_object_new_array();
	unsigned int n = datapath_paths(manager_datapath(m), host->index, list, HOST_PAS);

	for (unsigned int i = 0; i < n && i < host->n_pas; i++) {
		struct json_object *p = json_object_new_object();

		add_ip(p, "address", &host->pas[i].address);
		json_object_object_add(p, "usable", json_object_new_boolean(list[i].usable));
		if (list[i].usable)
			add_int(p, "largest-packet", list[i].max_inner);
		else
			add_str(p, "reason", drop_name(list[i].why));
		json_object_array_add(a, p);
	}
	json_object_object_add(o, "provider-addresses", a);
}

static const char *verdict_of(const struct policy_next_hop *nh)
{
	return nh->verdict == VERDICT_ROUTE ? "gateway" : diag_verdict((uint8_t)nh->verdict);
}

static struct json_object *next_hop(struct manager *m, const struct policy_subnet *s, const struct ip_addr *from,
				    const struct ip_addr *to, const struct policy_next_hop *nh)
{
	struct json_object *o = json_object_new_object();
	const struct policy_host *host = nh->host != HOST_NONE ? policy_host(manager_policy(m), nh->host) : NULL;
	uint32_t sender = policy_ca_lookup(manager_policy(m), s->vsid, from);
	struct mac src = sender != REC_NONE ? policy_record(manager_policy(m), sender)->mac : nh->src_mac;

	add_hnv_fields(o, s, from, to, nh);
	add_mac(o, "source-mac-address", &src);
	add_str(o, "verdict", verdict_of(nh));
	if (nh->verdict == VERDICT_DROP) {
		add_str(o, "reason", drop_name(nh->drop));
		add_str(o, "text", drop_text(nh->drop));
	}
	json_object_object_add(o, "routed", json_object_new_boolean(nh->routed));
	add_int(o, "vsid-out", nh->vsid_out);
	if (nh->routed && nh->verdict != VERDICT_DROP)
		add_ip(o, "route-next-hop", &nh->next_hop);
	if (nh->verdict == VERDICT_LOCAL || nh->verdict == VERDICT_REMOTE)
		add_mac(o, "destination-mac-address", &nh->dst_mac);
	add_record(m, o, nh->record);
	if (host)
		add_str(o, "host", host->id);
	if (nh->verdict == VERDICT_LOCAL)
		add_str(o, "port", manager_port_id(m, nh->port));
	if (host && nh->verdict == VERDICT_REMOTE)
		add_paths(m, o, host);
	return o;
}

int do_next_hop(struct manager *m, struct call *c, struct errbuf *err)
{
	struct ip_addr from = { 0 }, to = { 0 };
	struct json_object *reply = json_object_new_object(), *v = NULL;
	struct policy_next_hop nh = { 0 };
	uint64_t vsid = 0;
	int r = diag_number(c->parameters, "vsid", VSID_MIN, VSID_MAX, &vsid, err);

	if (r >= 0 && !json_object_object_get_ex(c->parameters, "vsid", &v))
		r = err_set(err, EINVAL, "parameter \"vsid\": a number is wanted");
	if (r >= 0)
		r = diag_ip(c->parameters, "from", true, &from, err);
	if (r >= 0)
		r = diag_ip(c->parameters, "to", true, &to, err);
	if (r >= 0) {
		r = policy_next_hop(manager_policy(m), (uint32_t)vsid, &from, &to, &nh);
		if (r == -ENOENT)
			err_set(err, -r, "virtual-subnet %u is not configured here", (unsigned int)vsid);
		else if (r < 0)
			err_set(err, -r, "from and to have to be unicast addresses of one family");
	}
	if (r < 0) {
		json_object_put(reply);
		return r;
	}
	json_object_object_add(reply, "next_hop",
			       next_hop(m, policy_subnet(manager_policy(m), (uint32_t)vsid), &from, &to, &nh));
	call_reply(c, reply);
	return 0;
}
