/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods of the protocol's table that a manager has. Changes are answered when the store has them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "policyd/policyd.h"
#include "version.h"

static int parameter_kind(struct json_object *parameters, enum object_kind *ret, struct errbuf *err)
{
	struct json_object *v = NULL;
	const char *name;

	if (!json_object_object_get_ex(parameters, "kind", &v) || !json_object_is_type(v, json_type_string))
		return err_set(err, EINVAL, "parameter \"kind\": a string is wanted");
	name = json_object_get_string(v);
	for (unsigned int i = 0; i < OBJECT_COUNT; i++) {
		*ret = (enum object_kind)i;
		if (strcmp(name, object_types[i].name) == 0 || strcmp(name, object_types[i].noun) == 0)
			return 0;
	}
	return err_set(err, EINVAL, "unknown kind of object");
}

static int read_spec(enum object_kind kind, struct json_object *o, bool whole, union object_spec *ret,
		     struct errbuf *err)
{
	int r;

	object_default(kind, ret);
	r = fields_from_json(object_types[kind].fields, ret, o, err);
	return r < 0 || !whole ? r : field_check(object_types[kind].fields, ret, err);
}

static int parameter_spec(struct call *c, const char *name, bool whole, enum object_kind *kind,
			  union object_spec *ret, struct errbuf *err)
{
	struct json_object *o = NULL;
	int r = parameter_kind(c->parameters, kind, err);

	if (r < 0)
		return r;
	if (!json_object_object_get_ex(c->parameters, name, &o))
		return err_set(err, EINVAL, "parameter \"%s\" is missing", name);
	return read_spec(*kind, o, whole, ret, err);
}

/* ---- changes ---- */

static void finish(struct call *c)
{
	struct json_object *o;

	if (c->outstanding || !c->started)
		return;
	if (!c->conn) {
		call_free(c);
		return;
	}
	if (c->r < 0) {
		call_fail(c, c->r, c->err.text);
		return;
	}
	o = c->reply ? json_object_get(c->reply) : json_object_new_object();
	if (strcmp(c->method->name, "Set") == 0)
		json_object_object_add(o, "changed", json_object_new_boolean(c->changed > 0));
	else if (strcmp(c->method->name, "Import") == 0)
		json_object_object_add(o, "changed", json_object_new_int((int)c->changed));
	call_reply(c, o);
}

static void on_change(void *arg, int r, const char *text)
{
	struct call *c = arg;

	c->outstanding--;
	c->changed += r == 0;
	if (r < 0 && c->r >= 0)
		c->r = err_set(&c->err, -r, "%s", text);
	finish(c);
}

static int change(struct server *s, struct call *c, enum object_kind kind, const void *spec, bool remove,
		  struct errbuf *err)
{
	int r;

	c->outstanding++;
	r = remove ? pm_remove(s->pm, kind, spec, on_change, c, err) : pm_set(s->pm, kind, spec, on_change, c, err);
	if (r != 0)
		c->outstanding--;
	return r;
}

static int do_set(struct server *s, struct call *c, bool remove, struct errbuf *err)
{
	enum object_kind kind;
	union object_spec spec;
	int r = parameter_spec(c, remove ? "key" : "object", !remove, &kind, &spec, err);

	if (r < 0)
		return r;
	r = change(s, c, kind, &spec, remove, err);
	if (r < 0)
		return r;
	c->started = true;
	finish(c);
	return 0;
}

static int do_import(struct server *s, struct call *c, struct errbuf *err)
{
	struct json_object *list = NULL;
	enum object_kind kind;
	union object_spec spec;
	int r = parameter_kind(c->parameters, &kind, err);

	if (r < 0)
		return r;
	if (!json_object_object_get_ex(c->parameters, "objects", &list) || !json_object_is_type(list, json_type_array))
		return err_set(err, EINVAL, "parameter \"objects\": an array is wanted");
	for (size_t i = 0; i < json_object_array_length(list) && c->r >= 0; i++) {
		r = read_spec(kind, json_object_array_get_idx(list, i), true, &spec, err);
		if (r >= 0)
			r = change(s, c, kind, &spec, false, err);
		if (r < 0) {
			err_prefix(err, r, "object %zu: ", i + 1);
			c->r = r;
			c->err = *err;
		}
	}
	c->started = true;
	finish(c);
	return 0;
}

/* ---- reading ---- */

static struct json_object *object_reply(enum object_kind kind, const void *spec, bool admin)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "object", fields_to_json(object_types[kind].fields, spec, true));
	json_object_object_add(o, "origin", json_object_new_string(origin_names[admin ? ORIGIN_ADMIN :
									       ORIGIN_LEARNED]));
	return o;
}

bool method_list_next(struct server *s, struct call *c)
{
	struct json_object *last = c->held, *message;
	union object_spec spec;
	bool admin;

	c->held = NULL;
	if (pm_next(s->pm, c->kind, &c->cursor, &spec, &admin)) {
		c->held = object_reply(c->kind, &spec, admin);
		if (!last)
			return true;
		message = reply_new(last, true);
		if (stream_queue(&c->conn->stream, message) < 0 || stream_flush(&c->conn->stream) < 0)
			c->conn->closing = true;
		json_object_put(message);
		return true;
	}
	call_reply(c, last ? last : json_object_new_object());
	return false;
}

static int do_get(struct server *s, struct call *c, struct errbuf *err)
{
	enum object_kind kind;
	union object_spec spec;
	char key[OBJECT_KEY_MAX] = "";
	int r = parameter_spec(c, "key", false, &kind, &spec, err);
	bool admin;

	if (r < 0)
		return r;
	object_key(kind, &spec, key, sizeof(key));
	if (pm_get(s->pm, kind, &spec, &admin) < 0)
		return err_set(err, ENOENT, "there is no %s %s", object_types[kind].name, key);
	call_reply(c, object_reply(kind, &spec, admin));
	return 0;
}

static void add_int(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

static struct json_object *show(const struct server *s)
{
	struct json_object *o = json_object_new_object();
	struct pm_info i;

	pm_info(s->pm, &i);
	json_object_object_add(o, "backend", json_object_new_string(kv_backend_names[s->settings->store.backend]));
	json_object_object_add(o, "where", json_object_new_string(i.where));
	json_object_object_add(o, "connected", json_object_new_boolean(i.up));
	json_object_object_add(o, "synced", json_object_new_boolean(i.up && i.synced));
	json_object_object_add(o, "elected", json_object_new_boolean(i.leader && i.up));
	json_object_object_add(o, "elected-manager", json_object_new_string(i.leader_id));
	if (*i.problem)
		json_object_object_add(o, "problem", json_object_new_string(i.problem));
	add_int(o, "hosts", i.hosts);
	add_int(o, "subnets", i.subnets);
	add_int(o, "records", i.records);
	add_int(o, "routes", i.routes);
	add_int(o, "attached", i.attached);
	add_int(o, "learned", i.learned);
	add_int(o, "pending", i.pending);
	add_int(o, "accepted", i.accepted);
	add_int(o, "moves", i.moves);
	add_int(o, "conflicts", i.conflicts);
	add_int(o, "refused-subnet", i.refused_subnet);
	add_int(o, "refused-quota", i.refused_quota);
	add_int(o, "expired", i.expired);
	add_int(o, "elections", i.elections);
	add_int(o, "compactions", i.kv.compactions);
	add_int(o, "bad-messages", i.kv.bad_messages);
	add_int(o, "failures", i.kv.failures);
	return o;
}

static void do_version(struct server *s, struct call *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "version", json_object_new_string(VSWITCHD_VERSION));
	json_object_object_add(o, "host", json_object_new_string(s->settings->host_id));
	add_int(o, "pid", (uint64_t)getpid());
	json_object_object_add(o, "ready", json_object_new_boolean(true));
	call_reply(c, o);
}

static void wrapped(struct call *c, const char *name, struct json_object *value)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, name, value);
	call_reply(c, o);
}

static int do_list(struct call *c, struct errbuf *err)
{
	struct json_object *more = NULL;
	int r = parameter_kind(c->parameters, &c->kind, err);

	if (r < 0)
		return r;
	json_object_object_get_ex(c->message, "more", &more);
	if (!json_object_get_boolean(more))
		return err_set(err, EINVAL, "List streams: the call needs \"more\": true");
	c->listing = true;
	return 0;
}

void method_call(struct server *s, struct call *c, const char *name)
{
	enum method method = method_find(name);
	struct errbuf err = { "" };
	int r = 0;

	if (method == METHOD_COUNT) {
		call_fail(c, -EINVAL, "no such method");
		return;
	}
	c->method = &methods[method];
	if (c->method->level != LEVEL_READ && !c->conn->admin) {
		call_fail(c, -EACCES, "this needs level admin (see `control` in the configuration)");
		return;
	}
	if (method == METHOD_SET || method == METHOD_REMOVE)
		r = do_set(s, c, method == METHOD_REMOVE, &err);
	else if (method == METHOD_IMPORT)
		r = do_import(s, c, &err);
	else if (method == METHOD_APPLY)
		r = method_apply(s, c, &err);
	else if (method == METHOD_LIST)
		r = do_list(c, &err);
	else if (method == METHOD_GET)
		r = do_get(s, c, &err);
	else if (method == METHOD_STORE)
		wrapped(c, "store", show(s));
	else if (method == METHOD_INFO)
		wrapped(c, "info", show(s));
	else if (method == METHOD_VERSION)
		do_version(s, c);
	else
		r = err_set(&err, EINVAL, "%s is a host's: ask its vswitchd, not the manager", c->method->name);
	if (r < 0)
		call_fail(c, r, err.text);
}
