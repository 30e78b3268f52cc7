/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of policy against the policy that is: the differences, told or made. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policyd/policyd.h"

#define TOLD_MAX 1000

struct apply {
	struct server *s;
	struct call *c;
	bool dry_run;
	struct json_object *told;
	unsigned int added, changed, removed;
	struct errbuf *err;
	bool order_removals; /* the pass that removes */
};

static void on_done(void *arg, int r, const char *text)
{
	struct call *c = arg;

	c->outstanding--;
	if (r < 0 && c->r >= 0)
		c->r = err_set(&c->err, -r, "%s (what was done before stays: apply the file again)", text);
	if (c->outstanding || !c->started)
		return;
	if (!c->conn)
		call_free(c);
	else if (c->r < 0)
		call_fail(c, c->r, c->err.text);
	else
		call_reply(c, json_object_get(c->reply));
}

static void tell(struct apply *a, enum object_kind kind, const void *was, const void *now)
{
	struct json_object *o;
	char line[OBJECT_LINE_MAX] = "", key[OBJECT_KEY_MAX] = "";

	a->added += !was;
	a->removed += !now;
	a->changed += was && now;
	if (json_object_array_length(a->told) >= TOLD_MAX)
		return;
	o = json_object_new_object();
	object_key(kind, now ? now : was, key, sizeof(key));
	field_write(object_types[kind].fields, now ? now : was, line, sizeof(line));
	json_object_object_add(o, "change", json_object_new_string(!was ? "+" : !now ? "-" : "~"));
	json_object_object_add(o, "kind", json_object_new_string(object_types[kind].noun));
	json_object_object_add(o, "key", json_object_new_string(key));
	json_object_object_add(o, "line", json_object_new_string(line));
	json_object_array_add(a->told, o);
}

/* Removals first: what comes may contradict what goes. */
static int on_diff(void *arg, enum object_kind kind, const void *was, const void *now)
{
	struct apply *a = arg;
	char key[OBJECT_KEY_MAX] = "";
	int r;

	if (!now != a->order_removals)
		return 0;
	tell(a, kind, was, now);
	if (a->dry_run)
		return 0;
	a->c->outstanding++;
	r = now ? pm_set(a->s->pm, kind, now, on_done, a->c, a->err) :
		  pm_remove(a->s->pm, kind, was, on_done, a->c, a->err);
	if (r == 0)
		return 0;
	a->c->outstanding--;
	if (r < 0) {
		object_key(kind, now ? now : was, key, sizeof(key));
		err_prefix(a->err, r, "%s %s: ", object_types[kind].noun, key);
	}
	return r < 0 ? r : 0;
}

static int differences(struct apply *a, const struct config *config)
{
	struct pm_wanted wanted = { 0 };
	int r;

	for (unsigned int k = 0; k < OBJECT_COUNT; k++) {
		wanted.n[k] = config->objects[k].n;
		wanted.specs[k] = config->objects[k].specs;
	}
	a->order_removals = true;
	r = pm_diff(a->s->pm, &wanted, on_diff, a);
	a->order_removals = false;
	return r < 0 ? r : pm_diff(a->s->pm, &wanted, on_diff, a);
}

static int read_file(struct call *c, struct config **ret, struct errbuf *err)
{
	CLEANUP(config_errors_free) struct config_errors errors = { 0 };
	struct json_object *file = NULL, *text = NULL;
	CLEANUP_FREE char *why = NULL;
	const char *name;
	int r;

	if (!json_object_object_get_ex(c->parameters, "file", &file) || !json_object_is_type(file, json_type_string))
		return err_set(err, EINVAL, "parameter \"file\": a string is wanted");
	name = json_object_get_string(file);
	if (json_object_object_get_ex(c->parameters, "text", &text) && json_object_is_type(text, json_type_string))
		r = config_fetch_text(name, json_object_get_string(text), (size_t)json_object_get_string_len(text), ret,
				     &errors);
	else
		r = config_fetch(name, ret, &errors);
	if (r == 0)
		return 0;
	why = config_errors_join(&errors);
	return err_set(err, -r, "%s", why && *why ? why : strerror(-r));
}

static int check_kinds(const struct config *config, struct errbuf *err)
{
	static const enum object_kind local[] = { OBJECT_PORT, OBJECT_PA, OBJECT_PROVIDER_ROUTE, OBJECT_MEMBER };

	for (unsigned int i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (config->objects[local[i]].n)
			return err_set(err, EINVAL, "%s: belong to one host, into its vswitchd.conf",
				       object_types[local[i]].config);
	return 0;
}

static void result(struct apply *a)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "added", json_object_new_int((int)a->added));
	json_object_object_add(o, "changed", json_object_new_int((int)a->changed));
	json_object_object_add(o, "removed", json_object_new_int((int)a->removed));
	json_object_object_add(o, "changes", a->told);
	a->c->reply = o;
}

int method_apply(struct server *s, struct call *c, struct errbuf *err)
{
	struct json_object *dry = NULL;
	struct config *config = NULL;
	struct apply a = { .s = s, .c = c, .err = err };
	struct pm_info info;
	int r;

	pm_info(s->pm, &info);
	if (!info.up || !info.synced)
		return err_set(err, EAGAIN, "the policy store is not reached: %s", info.problem);
	r = read_file(c, &config, err);
	if (r == 0)
		r = check_kinds(config, err);
	if (r == 0) {
		json_object_object_get_ex(c->parameters, "dry_run", &dry);
		a.dry_run = json_object_get_boolean(dry);
		a.told = json_object_new_array();
		r = differences(&a, config);
		result(&a);
	}
	config_free(config);
	if (r < 0 && !c->outstanding)
		return r;
	if (r < 0) { /* told when what is on its way has arrived */
		c->r = r;
		c->err = *err;
	}
	c->started = true;
	c->outstanding++;
	on_done(c, 0, "");
	return 0;
}
