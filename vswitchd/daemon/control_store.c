/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared store, as JSON. */
#include <stdio.h>
#include <time.h>

#include "daemon/control_private.h"
#include "daemon/distribution.h"

static void add_int(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

static void add_time(struct json_object *o, const char *name, uint64_t us)
{
	time_t s = (time_t)(us / 1000000);
	char text[32] = "";
	struct tm tm;

	if (us && gmtime_r(&s, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_object_add(o, name, json_object_new_string(us ? text : "start"));
}

struct json_object *show_store(struct manager *m)
{
	struct json_object *o = json_object_new_object();
	struct distribution_info i;

	manager_distribution_info(m, &i);
	json_object_object_add(o, "shared", json_object_new_boolean(i.enabled));
	if (!i.enabled)
		return o;
	json_object_object_add(o, "backend", json_object_new_string(i.backend));
	json_object_object_add(o, "where", json_object_new_string(i.link.where));
	json_object_object_add(o, "connected", json_object_new_boolean(i.up));
	json_object_object_add(o, "synced", json_object_new_boolean(i.synced));
	add_time(o, i.up ? "connected-since" : "stale-since", i.since_us);
	if (*i.problem)
		json_object_object_add(o, "problem", json_object_new_string(i.problem));
	add_int(o, "subscriptions", i.subscriptions);
	add_int(o, "loading", i.loading);
	add_int(o, "objects", i.objects);
	add_int(o, "applied", i.applied);
	add_int(o, "removed", i.removed);
	add_int(o, "refused", i.refused);
	add_int(o, "waiting", i.link.waiting);
	add_int(o, "published", i.link.published);
	add_int(o, "unpublished", i.link.unsaid);
	add_int(o, "publications-refused", i.link.refused);
	add_int(o, "failures", i.link.kv.failures);
	add_int(o, "reauthentications", i.link.kv.reauthentications);
	add_int(o, "leases-lost", i.link.kv.leases_lost);
	add_int(o, "compactions", i.link.kv.compactions);
	add_int(o, "bad-messages", i.link.kv.bad_messages);
	add_int(o, "bad-keys", i.link.kv.bad_keys);
	return o;
}
