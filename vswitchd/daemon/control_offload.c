/* SPDX-License-Identifier: BSD-3-Clause */
/* Offloads as JSON: what ports asked for and guests took, and how often the switch did the work. */
#include "daemon/control_private.h"
#include "offload/offload.h"

static void add_str(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static void add_int(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

static void add_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

static const struct {
	uint32_t bit;
	const char *name;
} negotiated[] = {
	{ PORT_CSUM, "tx-checksum" },	 { PORT_TSO4, "tso4" },	      { PORT_TSO6, "tso6" },
	{ PORT_ECN, "ecn" },		 { PORT_RX_CSUM, "rx-checksum" }, { PORT_RX_TSO4, "rx-tso4" },
	{ PORT_RX_TSO6, "rx-tso6" }, { PORT_RX_ECN, "rx-ecn" },
};

static struct json_object *requested(const struct port_spec *s)
{
	const struct {
		bool on;
		const char *name;
	} knobs[] = {
		{ s->mergeable, "mergeable" }, { s->tx_checksum, "tx-checksum" }, { s->tso, "tso" },
		{ s->ecn, "ecn" },	       { s->rx_checksum, "rx-checksum" }, { s->rx_tso, "rx-tso" },
	};
	struct json_object *a = json_object_new_array();

	for (unsigned int i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		if (knobs[i].on)
			json_object_array_add(a, json_object_new_string(knobs[i].name));
	return a;
}

static struct json_object *port(const struct port_info *p)
{
	uint32_t has = p->vhu.offloads;
	struct json_object *o = json_object_new_object(), *a = json_object_new_array();

	add_str(o, "id", p->spec.id);
	json_object_object_add(o, "requested", requested(&p->spec));
	if (p->vhu.mergeable)
		json_object_array_add(a, json_object_new_string("mergeable"));
	for (unsigned int i = 0; i < sizeof(negotiated) / sizeof(negotiated[0]); i++)
		if (has & negotiated[i].bit)
			json_object_array_add(a, json_object_new_string(negotiated[i].name));
	json_object_object_add(o, "granted", a);
	add_bool(o, "connected", p->vhu.connected);
	/* Packets for the guest: as another guest sent them, or made what every guest understands. */
	add_str(o, "large-packets", has & PORT_RX_CSUM && has & (PORT_RX_TSO4 | PORT_RX_TSO6) ? "whole" : "software");
	add_str(o, "unfinished-checksums", has & PORT_RX_CSUM ? "whole" : "software");
	return o;
}

static struct json_object *counters(struct manager *m)
{
	struct json_object *a = json_object_new_array();
	uint64_t n[OFFLOAD_COUNTERS];

	datapath_offload(manager_datapath(m), n);
	for (unsigned int c = 0; c < OFFLOAD_COUNTERS; c++) {
		struct json_object *o = json_object_new_object();

		add_str(o, "name", offload_counter_name((enum offload_counter)c));
		add_int(o, "packets", n[c]);
		add_str(o, "text", offload_counter_text((enum offload_counter)c));
		json_object_array_add(a, o);
	}
	return a;
}

/* One row per member and offload: asked for, granted by its driver, and how that was verified. */
static void add_claims(struct json_object *rows, const struct offload_member_status *st)
{
	for (unsigned int i = 0; i < OFFLOAD_BITS; i++) {
		const struct offload_claim *b = &st->bits[i];
		struct json_object *o = json_object_new_object();

		add_str(o, "member", st->name);
		add_str(o, "offload", offload_bit_name((enum offload_bit_index)i));
		add_bool(o, "claimed", b->claimed);
		add_bool(o, "requested", b->requested);
		add_bool(o, "granted", b->granted);
		add_str(o, "verified", offload_proof_names[b->proof]);
		add_bool(o, "used", b->used);
		add_str(o, "why", i == OFFLOAD_I_STEER && !*b->why ? st->rules_why : b->why);
		json_object_array_add(rows, o);
	}
}

static void add_paths(struct json_object *rows, const struct offload_member_status *st)
{
	for (unsigned int i = 0; i < OFFLOAD_PATHS; i++) {
		struct json_object *o = json_object_new_object();

		add_str(o, "member", st->name);
		add_str(o, "class", offload_path_name((enum offload_path)i));
		add_str(o, "path", st->paths[i]);
		json_object_array_add(rows, o);
	}
}

static void add_members(struct manager *m, struct json_object *o)
{
	struct json_object *claims = json_object_new_array(), *paths = json_object_new_array();
	struct offload_member_status st[TEAM_MEMBERS];
	unsigned int n = manager_offloads(m, st, TEAM_MEMBERS);

	for (unsigned int i = 0; i < n; i++) {
		add_claims(claims, &st[i]);
		add_paths(paths, &st[i]);
	}
	json_object_object_add(o, "members", claims);
	json_object_object_add(o, "paths", paths);
}

/* Of workers, how many hand received frames over to others at the moment? */
static struct json_object *software_rss(struct manager *m)
{
	struct json_object *o = json_object_new_object();
	struct datapath_worker_stats st;
	unsigned int n = 0;

	while (datapath_worker_stats(manager_datapath(m), n, &st) == 0)
		n++;
	add_str(o, "knob", offload_rss_names[manager_settings(m)->offload_rss]);
	add_int(o, "workers", n);
	add_int(o, "spreading", datapath_spreading(manager_datapath(m)));
	return o;
}

struct json_object *show_offload(struct manager *m)
{
	struct json_object *o = json_object_new_object(), *ports = json_object_new_array();
	struct port_info info;
	uint64_t cursor = 0;

	while (manager_port_next(m, &cursor, &info))
		json_object_array_add(ports, port(&info));
	json_object_object_add(o, "ports", ports);
	add_members(m, o);
	json_object_object_add(o, "software-rss", software_rss(m));
	json_object_object_add(o, "counters", counters(m));
	return o;
}
