/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capture: rings in memory that the caller gets a descriptor of and reads by itself, so that its pace is nobody's
 * matter: neither the workers' nor the loop's. It lasts as long as the connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/diag.h"

#define SNAP_DEFAULT   65535
#define BUFFER_DEFAULT 4 /* MiB, over all workers */
#define BUFFER_MAX     64
#define NAMES_US       10000 /* changes in between are told at once */
#define TAILS_US       2000  /* workers learn what was read */

struct capture_call {
	struct diag_watch watch;
	struct subscription *events;
	sd_event_source *timer, *tails;
	bool changed;
	uint32_t snap; /* as the rings allow */
	struct manager *m;
	struct call *c;
};

static void capture_end(struct call *c)
{
	struct capture_call *cap = c->state;

	if (cap->events)
		manager_unsubscribe(cap->m, cap->events);
	sd_event_source_disable_unref(cap->timer);
	sd_event_source_disable_unref(cap->tails);
	diag_watch_stop(&cap->watch);
	free(cap);
}

static void add_ports(struct manager *m, struct json_object *list)
{
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		const struct policy_port *p = policy_port(manager_policy(m), (uint16_t)i);
		struct json_object *o;

		if (!p)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "index", json_object_new_int((int)i));
		json_object_object_add(o, "port", json_object_new_string(p->id));
		json_object_object_add(o, "vsid", json_object_new_int64(p->vsid));
		json_object_array_add(list, o);
	}
}

static void add_members(struct manager *m, struct json_object *list)
{
	struct teaming_member_status *st = calloc(TEAM_MEMBERS, sizeof(*st));
	unsigned int n = st ? teaming_members(manager_teaming(m), st, TEAM_MEMBERS) : 0;

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *o;

		if (!*st[i].spec.name)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "index", json_object_new_int((int)i));
		json_object_object_add(o, "member", json_object_new_string(st[i].spec.name));
		json_object_array_add(list, o);
	}
	free(st);
}

/* Who has which number now. */
static struct json_object *interfaces(struct manager *m)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	add_ports(m, list);
	add_members(m, list);
	json_object_object_add(o, "interfaces", list);
	return o;
}

/* What changes policy by the thousand is no reason to tell all names by the thousand. */
static bool is_about_names(const struct event *ev)
{
	if (strcmp(ev->name, event_names[EVENT_OBJECT]) != 0)
		return strcmp(ev->name, event_names[EVENT_PORT_STATE]) == 0 ||
		       strcmp(ev->name, event_names[EVENT_RELOAD]) == 0 ||
		       strcmp(ev->name, event_names[EVENT_MEMBER_OPEN]) == 0;
	for (unsigned int i = 0; i < ev->n; i++)
		if (strcmp(ev->pairs[i].key, "kind") == 0)
			return strcmp(ev->pairs[i].value, object_types[OBJECT_PORT].name) == 0 ||
			       strcmp(ev->pairs[i].value, object_types[OBJECT_MEMBER].name) == 0;
	return false;
}

static void on_event(const struct event *ev, void *arg)
{
	struct capture_call *cap = arg;

	if (cap->changed || !is_about_names(ev))
		return;
	cap->changed = true;
	diag_again(cap->timer, NAMES_US);
}

/* Whoever has not read what was told before gets the news when he has. */
static int on_names(sd_event_source *source, uint64_t usec, void *arg)
{
	struct capture_call *cap = arg;

	if (!cap->changed || !cap->c->conn)
		return 0;
	if (stream_waiting(&cap->c->conn->stream)) {
		diag_again(source, NAMES_US);
		return 0;
	}
	cap->changed = false;
	call_stream(cap->c, interfaces(cap->m));
	return 0;
}

static int on_tails(sd_event_source *source, uint64_t usec, void *arg)
{
	struct capture_call *cap = arg;

	diag_watch_tails(&cap->watch);
	diag_again(source, TAILS_US);
	return 0;
}

/* The largest power of two that keeps all rings inside the buffer. */
static uint32_t ring_size(uint64_t megabytes, unsigned int rings)
{
	uint64_t each = (megabytes << 20) / rings;
	uint32_t size = WATCH_RING_MIN;

	while (2 * (uint64_t)size <= each && size < WATCH_RING_MAX)
		size *= 2;
	return size;
}

static int begin(struct manager *m, struct call *c, struct capture_call *cap, struct errbuf *err)
{
	struct watch_spec spec = { .kind = WATCH_CAPTURE };
	uint64_t snap = SNAP_DEFAULT, buffer = BUFFER_DEFAULT;
	int r = diag_filter(m, c->parameters, &spec.filter, err);

	if (r >= 0)
		r = diag_number(c->parameters, "snap", 1, SNAP_DEFAULT, &snap, err);
	if (r >= 0)
		r = diag_number(c->parameters, "buffer", 1, BUFFER_MAX, &buffer, err);
	if (r >= 0 && !c->more)
		r = err_set(err, EINVAL, "Capture streams: the call needs \"more\": true");
	if (r < 0)
		return r;
	spec.ring_size = ring_size(buffer, datapath_watch_rings(manager_datapath(m)));
	spec.snap = cap->snap = (uint32_t)RTE_MIN(snap, spec.ring_size / 4);
	r = diag_watch_start(m, c, &spec, true, &cap->watch, err);
	if (r < 0)
		return r;
	r = diag_timer(m, &cap->timer, on_names, cap);
	if (r >= 0)
		r = diag_timer(m, &cap->tails, on_tails, cap);
	if (r < 0)
		return err_set(err, -r, "timer: %s", strerror(-r));
	cap->events = manager_subscribe(m, on_event, cap);
	return cap->events ? 0 : err_set(err, ENOMEM, "out of memory");
}

int do_capture(struct manager *m, struct call *c, struct errbuf *err)
{
	struct capture_call *cap = calloc(1, sizeof(*cap));
	int r;

	if (!cap)
		return err_set(err, ENOMEM, "out of memory");
	cap->m = m;
	cap->c = c;
	cap->watch.fd = -1;
	r = begin(m, c, cap, err);
	c->state = cap;
	if (r >= 0) {
		struct json_object *o = interfaces(m);

		json_object_object_add(o, "snap", json_object_new_int((int)cap->snap));
		r = call_stream_fds(c, o, cap->watch.give, err);
	}
	if (r < 0) {
		capture_end(c);
		c->state = NULL;
		return r;
	}
	c->end = capture_end;
	return 0;
}
