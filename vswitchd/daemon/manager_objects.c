/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes at run time. Each is an operation in up to three steps: applied here (policy, O(1)), worked on by portctl
 * (ports, team), written by the store; then its owner is told. A failure before the store takes the change back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/manager_private.h"


/* One change on its way. */
struct op {
	struct manager *m;
	enum object_kind kind;
	enum origin origin;
	bool remove, existed;
	enum origin old_origin;
	manager_done_fn done;
	void *arg;
	int r;		     /* of the work, when the old state has to come back first */
	struct errbuf err;
	uint8_t *old;	     /* spec before, if existed */
	uint8_t spec[];	     /* object_types[kind].size bytes */
};

/* ---- policy's kinds ---- */

/* The tunnels to a host follow its object. */
static void host_changed(struct manager *m, const struct host_spec *host)
{
	uint16_t index = policy_host_index(m->policy, host->id);

	if (index == HOST_NONE || datapath_host_update(m->datapath, index) < 0)
		manager_later(m, LATER_TUNNELS);
	manager_later(m, LATER_REMOTES | (strcmp(host->id, m->settings.host_id) == 0 ? LATER_SELF : 0));
}

static bool advertises(const struct manager *m, uint32_t vsid)
{
	const struct policy_subnet *s = policy_subnet(m->policy, vsid);

	return s && s->ra;
}

/* @param did  its router advertised itself before. */
static void subnet_changed(struct manager *m, uint32_t vsid, bool did)
{
	bool does = advertises(m, vsid);

	manager_later(m, LATER_GROUPS);
	if (did || does)
		ports_advertise_subnet(m, vsid, !does);
}

int objects_apply_set(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
		      struct errbuf *err)
{
	uint32_t vsid = kind == OBJECT_SUBNET ? ((const struct subnet_spec *)spec)->vsid : 0;
	bool did = vsid && advertises(m, vsid);
	int r = policy_set(m->policy, kind, spec, origin, err);

	if (r == 0 && kind == OBJECT_HOST)
		host_changed(m, spec);
	if (r == 0 && kind == OBJECT_RECORD)
		learn_record(m, spec);
	if (r == 0 && vsid)
		subnet_changed(m, vsid, did);
	return r;
}

int objects_apply_remove(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
			 struct errbuf *err)
{
	uint32_t vsid = kind == OBJECT_SUBNET ? ((const struct subnet_spec *)spec)->vsid : 0;
	bool did = vsid && advertises(m, vsid);
	int r = policy_remove(m->policy, kind, spec, origin, err);

	if (r == 0 && kind == OBJECT_HOST)
		host_changed(m, spec);
	if (r == 0 && kind == OBJECT_RECORD)
		learn_record(m, spec);
	if (r == 0 && vsid)
		subnet_changed(m, vsid, did);
	return r;
}

/* ---- operations ---- */

static struct op *op_new(struct manager *m, enum object_kind kind, const void *spec, enum origin origin, bool remove,
			 manager_done_fn done, void *arg)
{
	size_t size = object_types[kind].size;
	struct op *op = calloc(1, sizeof(*op) + size);

	if (!op)
		return NULL;
	op->m = m;
	op->kind = kind;
	op->origin = origin;
	op->remove = remove;
	op->done = done;
	op->arg = arg;
	memcpy(op->spec, spec, size);
	return op;
}

static void op_free(struct op *op)
{
	free(op->old);
	free(op);
}

static void op_end(struct op *op, int r, const char *text)
{
	if (op->done)
		op->done(op->arg, r, text);
	op_free(op);
}

static void tell_change(struct op *op)
{
	const char *change = op->remove ? "removed" : op->existed ? "changed" : "added";
	char key[OBJECT_KEY_MAX] = "";

	object_key(op->kind, op->spec, key, sizeof(key));
	manager_emit(op->m, EVENT_OBJECT, "kind", object_types[op->kind].name, "key", key, "change", change, "origin",
		     origin_names[op->origin], NULL);
}

static void op_stored(void *arg, int r, const char *text)
{
	struct op *op = arg;
	char why[sizeof(op->err.text)];

	if (r == 0) {
		op_end(op, op->r, "");
		return;
	}
	snprintf(why, sizeof(why), "in effect, but not written to disk yet: %.400s", text);
	op_end(op, r, why);
}

/* The last step. */
static int op_store(struct op *op, struct errbuf *err)
{
	struct manager *m = op->m;
	int r;

	m->changes++;
	if (op->r == 1)
		r = storectl_barrier(m->store, op_stored, op);
	else if (op->remove)
		r = storectl_delete(m->store, op->kind, op->spec, op_stored, op);
	else
		r = storectl_put(m->store, op->kind, op->spec, op->origin, op_stored, op);
	return r < 0 ? err_set(err, -r, "in effect, but out of memory to write it to disk") : 0;
}

/* The work on portctl failed and, where it could be, the old state is back. */
static void op_reverted(void *arg, int r, const char *text)
{
	struct op *op = arg;

	op_end(op, op->r, op->err.text);
}

/* What portctl could not do is taken back: a new port goes, a changed one becomes what it was. */
static void op_revert_port(struct op *op)
{
	const struct port_spec *spec = (const struct port_spec *)(const void *)op->spec;
	struct port *p = ports_find(op->m, spec->id);
	int r = 0;

	if (p && !op->existed)
		r = ports_remove(op->m, p, op_reverted, op, NULL);
	else if (p)
		r = ports_change(op->m, p, (const struct port_spec *)(const void *)op->old, op->old_origin,
				 op_reverted, op, NULL);
	if (!p || r < 0)
		op_reverted(op, 0, "");
}

/*
 * Members, provider addresses and provider routes change together, as one team.
 * @param spec what the object becomes, NULL: it goes.
 */
static int op_team(struct op *op, const void *spec, enum origin origin, work_done_fn fn, struct errbuf *err)
{
	struct manager *m = op->m;
	struct object_list lists[3] = { 0 }, *l;
	int r = object_list_copy(&lists[0], &m->members);
	size_t i;

	if (r == 0)
		r = object_list_copy(&lists[1], &m->pas);
	if (r == 0)
		r = object_list_copy(&lists[2], &m->provider_routes);
	l = &lists[op->kind == OBJECT_MEMBER ? 0 : op->kind == OBJECT_PA ? 1 : 2];
	i = r == 0 ? object_list_find(l, op->spec) : OBJECT_NONE;
	if (r == 0 && i != OBJECT_NONE && spec) {
		memcpy(object_list_spec(l, i), spec, object_types[op->kind].size);
		l->origins[i] = (uint8_t)origin;
	} else if (i != OBJECT_NONE) {
		object_list_remove(l, i);
	} else if (r == 0 && spec) {
		r = object_list_add(l, spec, origin);
	}
	r = r < 0 ? err_set(err, -r, "out of memory") : team_replace(m, lists, fn, op, err);
	for (i = 0; i < 3; i++)
		object_list_done(&lists[i]);
	return r;
}

static void op_revert_team(struct op *op)
{
	if (op_team(op, op->existed ? op->old : NULL, op->old_origin, op_reverted, NULL) < 0)
		op_reverted(op, 0, "");
}

/* portctl is done. */
static void op_worked(void *arg, int r, const char *text)
{
	struct op *op = arg;
	struct errbuf err;

	if (r < 0) {
		op->r = r;
		str_copy(op->err.text, sizeof(op->err.text), text);
		if (op->remove)
			op_end(op, r, op->err.text);
		else if (op->kind == OBJECT_PORT)
			op_revert_port(op);
		else
			op_revert_team(op);
		return;
	}
	tell_change(op);
	r = op_store(op, &err);
	if (r < 0)
		op_end(op, r, err.text);
}

static int op_set_port(struct op *op, struct errbuf *err)
{
	const struct port_spec *spec = (const struct port_spec *)(const void *)op->spec;
	struct port *p = ports_find(op->m, spec->id);

	if (!p)
		return ports_add(op->m, spec, op->origin, op_worked, op, err);
	return ports_change(op->m, p, spec, op->origin, op_worked, op, err);
}

static int op_remove_port(struct op *op, struct errbuf *err)
{
	const struct port_spec *spec = (const struct port_spec *)(const void *)op->spec;
	struct port *p = ports_find(op->m, spec->id);

	return p ? ports_remove(op->m, p, op_worked, op, err) : manager_object_missing(op->m, OBJECT_PORT, spec, err);
}

/* Is it like that already? A port without its socket, a member without its device is worth another try. */
static bool is_same(const struct op *op)
{
	const struct port *p = NULL;

	if (op->remove || !op->existed || op->old_origin != op->origin ||
	    !field_equal(object_types[op->kind].fields, op->old, op->spec))
		return false;
	if (op->kind == OBJECT_MEMBER)
		return !team_failed(op->m, ((const struct member_spec *)(const void *)op->spec)->name);
	if (op->kind == OBJECT_PORT)
		p = ports_find(op->m, ((const struct port_spec *)(const void *)op->spec)->id);
	return !p || !p->error[0];
}

static int op_start(struct op *op, struct errbuf *err)
{
	int r;

	if (is_same(op)) {
		op->r = 1;
		return op_store(op, err);
	}
	op->m->changes++;
	switch (op->kind) {
	case OBJECT_PORT:
		return op->remove ? op_remove_port(op, err) : op_set_port(op, err);
	case OBJECT_MEMBER:
	case OBJECT_PA:
	case OBJECT_PROVIDER_ROUTE:
		return op_team(op, op->remove ? NULL : op->spec, op->origin, op_worked, err);
	default:
		break;
	}
	if (op->remove)
		r = objects_apply_remove(op->m, op->kind, op->spec, op->origin, err);
	else
		r = objects_apply_set(op->m, op->kind, op->spec, op->origin, err);
	if (r < 0)
		return r;
	op->r = r;
	if (r == 0)
		tell_change(op);
	return op_store(op, err);
}

/* ---- what may be changed ---- */

static int check_origin(const struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
			struct op *op, struct errbuf *err)
{
	union object_spec old;
	struct object_info info;
	char key[OBJECT_KEY_MAX] = "";

	object_key(kind, spec, key, sizeof(key));
	memcpy(&old, spec, object_types[kind].size);
	if (manager_object_get(m, kind, &old, &info) < 0)
		return op->remove ? manager_object_missing(m, kind, spec, err) : 0;
	if (info.origin == ORIGIN_CONFIG)
		return err_set(err, EPERM, "%s %s is defined in %s:%u: change it there and reload",
			       object_types[kind].noun, key, info.file ? info.file : "the configuration", info.line);
	if (info.origin < origin || (op->remove && info.origin != origin))
		return err_set(err, EPERM, "%s %s has origin %s, which %s may not change", object_types[kind].noun,
			       key, origin_names[info.origin], origin_names[origin]);
	op->existed = true;
	op->old_origin = info.origin;
	op->old = malloc(object_types[kind].size);
	if (!op->old)
		return err_set(err, ENOMEM, "out of memory");
	memcpy(op->old, &old, object_types[kind].size);
	return 0;
}

static int check_ready(const struct manager *m, enum origin origin, struct errbuf *err)
{
	if (origin == ORIGIN_CONFIG || origin >= ORIGIN_COUNT)
		return err_set(err, EPERM, "objects of the configuration are changed by a reload");
	if (m->stopping)
		return err_set(err, ECANCELED, "vswitchd is stopping");
	if (storectl_failed(m->store))
		return err_set(err, EAGAIN, "the policy store cannot be written, changes are refused until it can");
	if (storectl_pending(m->store) >= STORECTL_MAX)
		return err_set(err, EAGAIN, "%u changes wait to be written", storectl_pending(m->store));
	return 0;
}

static int change(struct manager *m, enum object_kind kind, const void *spec, enum origin origin, bool remove,
		  manager_done_fn done, void *arg, struct errbuf *err)
{
	struct op *op;
	int r = check_ready(m, origin, err);

	if (r < 0)
		return r;
	op = op_new(m, kind, spec, origin, remove, done, arg);
	if (!op)
		return err_set(err, ENOMEM, "out of memory");
	r = check_origin(m, kind, spec, origin, op, err);
	if (r == 0)
		r = op_start(op, err);
	if (r < 0)
		op_free(op);
	return r;
}

/* A socket path given at run time must not lead anywhere but into socket-dir. */
static int check_socket_dir(const struct manager *m, const struct port_spec *p, struct errbuf *err)
{
	size_t n = strlen(m->settings.socket_dir);
	const char *rest = p->socket + n;

	if (!p->socket[0])
		return 0;
	if (strncmp(p->socket, m->settings.socket_dir, n) != 0 || *rest != '/' || strstr(rest, "/../") ||
	    strstr(rest, "/./"))
		return err_set(err, EINVAL, "socket: %s is not below %s, where sockets named at run time have to be",
			       p->socket, m->settings.socket_dir);
	return 0;
}

int manager_object_set(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
		       manager_done_fn done, void *arg, struct errbuf *err)
{
	int r = object_validate(kind, spec, err);

	if (r == 0)
		r = config_supported(&m->settings, kind, spec, err);
	if (r == 0 && kind == OBJECT_PORT && origin != ORIGIN_CONFIG)
		r = check_socket_dir(m, spec, err);
	return r < 0 ? r : change(m, kind, spec, origin, false, done, arg, err);
}

int manager_object_remove(struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
			  manager_done_fn done, void *arg, struct errbuf *err)
{
	return change(m, kind, spec, origin, true, done, arg, err);
}
