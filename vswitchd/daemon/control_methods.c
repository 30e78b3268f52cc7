/* SPDX-License-Identifier: BSD-3-Clause */
/* One handler per method of the protocol's table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/control_private.h"
#include "daemon/diag.h"
#include "daemon/distribution.h"
#include "daemon/vsid_totals.h"

int parameter_string(struct json_object *parameters, const char *name, bool wanted, const char **ret,
		     struct errbuf *err)
{
	struct json_object *v = NULL;

	*ret = NULL;
	if (!json_object_object_get_ex(parameters, name, &v) || json_object_is_type(v, json_type_null))
		return wanted ? err_set(err, EINVAL, "parameter \"%s\" is missing", name) : 0;
	if (!json_object_is_type(v, json_type_string))
		return err_set(err, EINVAL, "parameter \"%s\": a string is wanted", name);
	*ret = json_object_get_string(v);
	return 0;
}

static int parameter_kind(struct json_object *parameters, enum object_kind *ret, struct errbuf *err)
{
	const char *name, *names[OBJECT_COUNT + 1];
	int r = parameter_string(parameters, "kind", true, &name, err);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < OBJECT_COUNT; i++) {
		if (strcmp(name, object_types[i].name) == 0 || strcmp(name, object_types[i].noun) == 0) {
			*ret = (enum object_kind)i;
			return 0;
		}
		names[i] = object_types[i].name;
	}
	names[OBJECT_COUNT] = NULL;
	name = str_nearest(name, names);
	return err_set(err, EINVAL, "unknown kind of object%s%s%s", name ? ": did you mean \"" : "", name ? name : "",
		       name ? "\"?" : "");
}

/* The spec in parameter `name`: the whole object, or just its key. */
static int parameter_spec(struct call *c, const char *name, bool whole, enum object_kind *kind,
			  union object_spec *ret, struct errbuf *err)
{
	struct json_object *o = NULL;
	int r = parameter_kind(c->parameters, kind, err);

	if (r < 0)
		return r;
	if (!json_object_object_get_ex(c->parameters, name, &o))
		return err_set(err, EINVAL, "parameter \"%s\" is missing", name);
	field_defaults(object_types[*kind].fields, ret, object_types[*kind].size);
	r = fields_from_json(object_types[*kind].fields, ret, o, err);
	if (r < 0 || !whole)
		return r;
	return field_check(object_types[*kind].fields, ret, err);
}

/* ---- changes: answered when everything is on disk ---- */

static void change_finish(struct call *c)
{
	struct json_object *o;

	if (c->outstanding || !c->started)
		return;
	if (!c->conn) {
		call_free(c); /* nobody waits any more; nothing outstanding holds it either */
		return;
	}
	if (c->result < 0) {
		call_fail(c, c->result, c->err.text);
		return;
	}
	o = json_object_new_object();
	if (strcmp(c->method->name, "Set") == 0)
		json_object_object_add(o, "changed", json_object_new_boolean(c->changed > 0));
	else if (strcmp(c->method->name, "Import") == 0)
		json_object_object_add(o, "changed", json_object_new_int((int)c->changed));
	if (*c->warning)
		json_object_object_add(o, "warning", json_object_new_string(c->warning));
	call_reply(c, o);
}

static void on_change(void *arg, int r, const char *text)
{
	struct call *c = arg;

	c->outstanding--;
	if (r < 0 && c->result >= 0) {
		c->result = r;
		err_set(&c->err, -r, "%s", text);
	}
	if (r == 0)
		c->changed++;
	change_finish(c);
}

static uint32_t vsid_of(enum object_kind kind, const union object_spec *spec)
{
	switch (kind) {
	case OBJECT_PORT:
		return spec->port.vsid;
	case OBJECT_RECORD:
		return spec->record.vsid;
	case OBJECT_ROUTE:
		return spec->route.vsid;
	default:
		return 0;
	}
}

/*
 * Objects may come in any order, so this is no error. With a shared store a host has only the subnets of its ports:
 * nothing can be said there.
 */
static void warn_of_subnet(struct manager *m, struct call *c, enum object_kind kind, const union object_spec *spec)
{
	uint32_t vsid = vsid_of(kind, spec);
	struct distribution_info shared;

	manager_distribution_info(m, &shared);
	if (vsid && !*c->warning && !shared.enabled && !policy_subnet(manager_policy(m), vsid))
		snprintf(c->warning, sizeof(c->warning),
			 "there is no virtual-subnet %u: packets in it are dropped (no-subnet) until there is", vsid);
}

static int do_set(struct manager *m, struct call *c, struct errbuf *err)
{
	union object_spec spec;
	enum object_kind kind;
	int r = parameter_spec(c, "object", true, &kind, &spec, err);

	if (r < 0)
		return r;
	c->started = true;
	c->outstanding = 1;
	r = manager_object_set(m, kind, &spec, ORIGIN_ADMIN, on_change, c, err);
	if (r < 0)
		c->outstanding = 0;
	else
		warn_of_subnet(m, c, kind, &spec);
	return r;
}

static int do_remove(struct manager *m, struct call *c, struct errbuf *err)
{
	union object_spec spec;
	enum object_kind kind;
	int r = parameter_spec(c, "key", false, &kind, &spec, err);

	if (r < 0)
		return r;
	c->started = true;
	c->outstanding = 1;
	r = manager_object_remove(m, kind, &spec, ORIGIN_ADMIN, on_change, c, err);
	if (r < 0)
		c->outstanding = 0;
	return r;
}

static int import_one(struct manager *m, struct call *c, enum object_kind kind, struct json_object *o,
		      struct errbuf *err)
{
	union object_spec spec;
	int r;

	field_defaults(object_types[kind].fields, &spec, object_types[kind].size);
	r = fields_from_json(object_types[kind].fields, &spec, o, err);
	if (r >= 0)
		r = field_check(object_types[kind].fields, &spec, err);
	if (r < 0)
		return r;
	c->outstanding++;
	r = manager_object_set(m, kind, &spec, ORIGIN_ADMIN, on_change, c, err);
	if (r < 0)
		c->outstanding--;
	else
		warn_of_subnet(m, c, kind, &spec);
	return r;
}

static int do_import(struct manager *m, struct call *c, struct errbuf *err)
{
	struct json_object *list = NULL;
	enum object_kind kind;
	int r = parameter_kind(c->parameters, &kind, err);

	if (r < 0)
		return r;
	if (!json_object_object_get_ex(c->parameters, "objects", &list) || !json_object_is_type(list, json_type_array))
		return err_set(err, EINVAL, "parameter \"objects\": an array is wanted");
	for (size_t i = 0; i < json_object_array_length(list) && c->result >= 0; i++) {
		r = import_one(m, c, kind, json_object_array_get_idx(list, i), err);
		if (r < 0) {
			err_prefix(err, r, "object %zu: ", i + 1);
			c->result = r;
			c->err = *err;
		}
	}
	c->started = true;
	change_finish(c); /* replies now when nothing is outstanding */
	return 0;
}

static int do_reload(struct manager *m, struct call *c, struct errbuf *err)
{
	int r;

	c->started = true;
	c->outstanding = 1;
	r = manager_reload(m, on_change, c, err);
	if (r < 0)
		c->outstanding = 0;
	return r;
}

/* ---- listings ---- */

static struct json_object *object_reply(const struct manager *m, enum object_kind kind, const void *spec,
					const struct object_info *info)
{
	struct json_object *o = json_object_new_object();
	struct traffic t;

	json_object_object_add(o, "object", fields_to_json(object_types[kind].fields, spec, true));
	json_object_object_add(o, "origin", json_object_new_string(origin_names[info->origin]));
	if (info->refused)
		json_object_object_add(o, "refused", json_object_new_string(info->refused));
	if (kind == OBJECT_RECORD && manager_record_traffic(m, spec, &t))
		json_object_object_add(o, "traffic", show_counts(&t));
	if (info->file) {
		json_object_object_add(o, "file", json_object_new_string(info->file));
		json_object_object_add(o, "line", json_object_new_int((int)info->line));
	}
	return o;
}

/* What no object says of itself. */
static void complete(const struct manager *m, enum object_kind kind, union object_spec *spec)
{
	if (kind == OBJECT_RECORD && !policy_record_usable(manager_policy(m), &spec->record))
		spec->record.unusable = true;
}

static int list_next(struct call *c, struct json_object **ret)
{
	union object_spec spec;
	struct object_info info = { 0 };
	struct manager *m = c->conn->control->m;
	int r = manager_object_next(m, c->kind, &c->cursor, &spec, &info);

	if (r > 0) {
		complete(m, c->kind, &spec);
		*ret = object_reply(m, c->kind, &spec, &info);
	}
	return r;
}

static int do_list(struct manager *m, struct call *c, struct errbuf *err)
{
	int r = parameter_kind(c->parameters, &c->kind, err);

	if (r < 0)
		return r;
	if (!c->more)
		return err_set(err, EINVAL, "List streams: the call needs \"more\": true");
	c->next = list_next;
	return 0;
}

static int do_get(struct manager *m, struct call *c, struct errbuf *err)
{
	struct object_info info = { 0 };
	union object_spec spec;
	enum object_kind kind;
	int r = parameter_spec(c, "key", false, &kind, &spec, err);

	if (r < 0)
		return r;
	r = manager_object_get(m, kind, &spec, &info);
	if (r < 0)
		return manager_object_missing(m, kind, &spec, err);
	complete(m, kind, &spec);
	call_reply(c, object_reply(m, kind, &spec, &info));
	return 0;
}

static struct json_object *wrap(const char *name, struct json_object *value)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, name, value);
	return o;
}

static int ports_next(struct call *c, struct json_object **ret)
{
	struct port_info info;
	struct manager *m = c->conn->control->m;
	int r;

	do {
		r = manager_port_next(m, &c->cursor, &info);
	} while (r > 0 && *c->filter && strcmp(c->filter, info.spec.id) != 0);
	if (r > 0)
		*ret = wrap("port", show_port(m, &info));
	return r;
}

static int do_ports(struct manager *m, struct call *c, struct errbuf *err)
{
	struct port_info info;
	const char *id;
	int r = parameter_string(c->parameters, "id", false, &id, err);

	if (r < 0)
		return r;
	if (id) {
		r = manager_port_info(m, id, &info);
		if (r < 0)
			return manager_port_missing(m, id, err);
		call_reply(c, wrap("port", show_port(m, &info)));
		return 0;
	}
	if (!c->more)
		return err_set(err, EINVAL, "Ports without an id streams: the call needs \"more\": true");
	c->next = ports_next;
	return 0;
}

/* By VSID and not by place: totals may come and go between replies. */
static int traffic_next(struct call *c, struct json_object **ret)
{
	const struct vsid_totals *t = manager_vsid_totals(c->conn->control->m, c->cursor == 0);

	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].vsid < c->cursor)
			continue;
		c->cursor = t->v[i].vsid + 1ull;
		*ret = wrap("traffic", show_traffic(&t->v[i]));
		return 1;
	}
	return 0;
}

static int do_traffic(struct manager *m, struct call *c, struct errbuf *err)
{
	if (!c->more)
		return err_set(err, EINVAL, "Traffic streams: the call needs \"more\": true");
	c->next = traffic_next;
	return 0;
}

static int do_neighbours(struct manager *m, struct call *c, struct errbuf *err)
{
	static const char *const states[] = { "incomplete", "reachable", "stale", "probe", "failed" };
	struct teaming_neigh_status *list = calloc(NEIGHBOURS_SHOWN, sizeof(*list));
	struct json_object *a = json_object_new_array();
	unsigned int n;

	if (!list || !a) {
		free(list);
		json_object_put(a);
		return err_set(err, ENOMEM, "out of memory");
	}
	n = teaming_neighbours(manager_teaming(m), list, NEIGHBOURS_SHOWN);
	for (unsigned int i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();
		char text[IP_STR];

		json_object_object_add(o, "address", json_object_new_string(format_ip(&list[i].address, text)));
		json_object_object_add(o, "mac", json_object_new_string(format_mac(&list[i].mac, text)));
		json_object_object_add(o, "member", json_object_new_int(list[i].member));
		json_object_object_add(o, "state",
				       json_object_new_string(list[i].state < 5 ? states[list[i].state] : "?"));
		json_object_array_add(a, o);
	}
	free(list);
	call_reply(c, wrap("neighbours", a));
	return 0;
}

/* ---- the rest: one reply each ---- */

static int do_version(struct manager *m, struct call *c, struct errbuf *err)
{
	struct json_object *o = json_object_new_object();
	struct manager_info info;

	manager_info(m, &info);
	json_object_object_add(o, "version", json_object_new_string(info.version));
	json_object_object_add(o, "host", json_object_new_string(info.host_id));
	json_object_object_add(o, "pid", json_object_new_int((int)getpid()));
	json_object_object_add(o, "started", json_object_new_int64((int64_t)info.started_us));
	json_object_object_add(o, "ready", json_object_new_boolean(info.ready));
	call_reply(c, o);
	return 0;
}

static int do_info(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, wrap("info", show_info(m)));
	return 0;
}

static int do_team(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, wrap("team", show_team(m)));
	return 0;
}

static int do_drops(struct manager *m, struct call *c, struct errbuf *err)
{
	struct json_object *all = NULL, *list;
	const char *port;
	int r = parameter_string(c->parameters, "port", false, &port, err);

	if (r < 0)
		return r;
	json_object_object_get_ex(c->parameters, "all", &all);
	list = show_drops(m, port, json_object_get_boolean(all), &r);
	if (!list)
		return manager_port_missing(m, port ? port : "", err);
	call_reply(c, wrap("drops", list));
	return 0;
}

static int do_stats(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, wrap("stats", show_stats(m)));
	return 0;
}

static int do_workers(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, wrap("workers", show_workers(m)));
	return 0;
}

static void on_event(const struct event *ev, void *arg)
{
	call_stream(arg, wrap("event", show_event(ev)));
}

static int do_events(struct manager *m, struct call *c, struct errbuf *err)
{
	if (!c->more)
		return err_set(err, EINVAL, "Events streams: the call needs \"more\": true");
	c->events = manager_subscribe(m, on_event, c);
	c->events_manager = m;
	/* The first reply tells the caller that from now on nothing is missed. */
	return c->events ? call_stream(c, json_object_new_object()) : err_set(err, ENOMEM, "out of memory");
}

static int do_offload(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, wrap("offload", show_offload(m)));
	return 0;
}

static int do_store(struct manager *m, struct call *c, struct errbuf *err)
{
	call_reply(c, wrap("store", show_store(m)));
	return 0;
}

static int do_apply(struct manager *m, struct call *c, struct errbuf *err)
{
	return err_set(err, EINVAL, "shared policy is vswitch-policyd's, which vswitchctl policy apply asks");
}

const method_fn method_handlers[METHOD_COUNT] = {
	[METHOD_VERSION] = do_version,	     [METHOD_INFO] = do_info,	    [METHOD_LIST] = do_list,
	[METHOD_GET] = do_get,		     [METHOD_SET] = do_set,	    [METHOD_REMOVE] = do_remove,
	[METHOD_IMPORT] = do_import,	     [METHOD_PORTS] = do_ports,	    [METHOD_TEAM] = do_team,
	[METHOD_NEIGHBOURS] = do_neighbours, [METHOD_DROPS] = do_drops,	    [METHOD_STATS] = do_stats,
	[METHOD_OFFLOAD] = do_offload,	     [METHOD_TRAFFIC] = do_traffic,
	[METHOD_WORKERS] = do_workers,	     [METHOD_NEXT_HOP] = do_next_hop, [METHOD_EVENTS] = do_events,
	[METHOD_RELOAD] = do_reload,	     [METHOD_PING] = do_ping,	    [METHOD_TEST_PORT] = do_test_port,
	[METHOD_DRY_RUN] = do_dry_run,	     [METHOD_TRACE] = do_trace,	    [METHOD_CAPTURE] = do_capture,
	[METHOD_STORE] = do_store,	     [METHOD_APPLY] = do_apply,
};
