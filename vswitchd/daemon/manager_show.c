/* SPDX-License-Identifier: BSD-3-Clause */
/* What is there: objects and ports, for the control socket and for reloads. Changes nothing. */
#include <string.h>

#include "base/str.h"
#include "daemon/distribution.h"
#include "daemon/manager_private.h"

#define NEAREST_OF 4096

/* ---- objects ---- */

static const struct object_list *team_list(const struct manager *m, enum object_kind kind)
{
	switch (kind) {
	case OBJECT_MEMBER:
		return &m->members;
	case OBJECT_PA:
		return &m->pas;
	case OBJECT_PROVIDER_ROUTE:
		return &m->provider_routes;
	default:
		return NULL;
	}
}

static void fill_origin(const struct manager *m, enum object_kind kind, const void *spec, enum origin origin,
		      struct object_info *info)
{
	if (!info)
		return;
	*info = (struct object_info){ .origin = origin };
	if (kind == OBJECT_RECORD)
		info->refused = distribution_refused(m->distribution, spec);
	if (origin == ORIGIN_CONFIG)
		config_index_find(m->index, kind, spec, &info->file, &info->line);
}

int manager_object_get(const struct manager *m, enum object_kind kind, void *spec, struct object_info *info)
{
	const struct object_list *l = team_list(m, kind);
	enum origin origin;
	size_t i;
	int r;

	if (!l) {
		r = policy_get(m->policy, kind, spec, &origin);
		if (r < 0)
			return r;
	} else {
		i = object_list_find(l, spec);
		if (i == OBJECT_NONE)
			return -ENOENT;
		memcpy(spec, object_list_spec(l, i), object_types[kind].size);
		origin = l->origins[i];
	}
	fill_origin(m, kind, spec, origin, info);
	return 0;
}

int manager_object_missing(const struct manager *m, enum object_kind kind, const void *spec, struct errbuf *err)
{
	bool named = kind == OBJECT_PORT || kind == OBJECT_HOST || kind == OBJECT_MEMBER || kind == OBJECT_SUBNET;
	char key[OBJECT_KEY_MAX] = "", other[OBJECT_KEY_MAX] = "", near[OBJECT_KEY_MAX] = "";
	const char *two[] = { near, other, NULL };
	union object_spec each;
	enum origin origin;
	uint64_t cursor = 0;

	object_key(kind, spec, key, sizeof(key));
	for (unsigned int i = 0; named && i < NEAREST_OF; i++) {
		if (objects_next(m, kind, &cursor, &each, &origin) <= 0)
			break;
		if (object_key(kind, &each, other, sizeof(other)) >= 0 && str_nearest(key, two) == other)
			str_copy(near, sizeof(near), other);
	}
	return err_set(err, ENOENT, "there is no %s \"%s\"%s%s%s", object_types[kind].noun, key,
		       *near ? ": did you mean \"" : "", near, *near ? "\"?" : "");
}

int manager_port_missing(const struct manager *m, const char *id, struct errbuf *err)
{
	union object_spec spec = { 0 };

	if (str_copy(spec.port.id, sizeof(spec.port.id), id) < 0)
		return err_set(err, ENOENT, "there is no port of such a name");
	return manager_object_missing(m, OBJECT_PORT, &spec, err);
}

int objects_next(const struct manager *m, enum object_kind kind, uint64_t *cursor, void *ret_spec,
		 enum origin *ret_origin)
{
	const struct object_list *l = team_list(m, kind);

	if (!l)
		return policy_next(m->policy, kind, cursor, ret_spec, ret_origin);
	if (*cursor >= l->n)
		return 0;
	memcpy(ret_spec, object_list_spec(l, *cursor), object_types[kind].size);
	*ret_origin = l->origins[(*cursor)++];
	return 1;
}

int manager_object_next(const struct manager *m, enum object_kind kind, uint64_t *cursor, void *ret_spec,
			struct object_info *info)
{
	enum origin origin;

	if (!objects_next(m, kind, cursor, ret_spec, &origin))
		return 0;
	fill_origin(m, kind, ret_spec, origin, info);
	return 1;
}

uint32_t manager_object_count(const struct manager *m, enum object_kind kind)
{
	const struct object_list *l = team_list(m, kind);

	return l ? (uint32_t)l->n : policy_count(m->policy, kind);
}

/* ---- ports ---- */

static void fill_info(const struct manager *m, const struct port *p, struct port_info *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->spec = p->spec;
	port_socket_path(&m->settings, &p->spec, ret->spec.socket, NULL);
	manager_object_get(m, OBJECT_PORT, &(union object_spec){ .port = p->spec }, &ret->origin);
	ret->index = p->index;
	ret->state = p->state;
	if (p->vhu) {
		vhu_port_status(p->vhu, &ret->vhu);
		ret->state = ret->vhu.state;
	}
	ret->mtu = ports_mtu(m, &p->spec);
	ret->busy = p->busy;
	str_copy(ret->error, sizeof(ret->error), p->error);
}

int manager_port_info(const struct manager *m, const char *id, struct port_info *ret)
{
	const struct port *p = ports_find(m, id);

	if (!p)
		return -ENOENT;
	fill_info(m, p, ret);
	return 0;
}

int manager_port_next(const struct manager *m, uint64_t *cursor, struct port_info *ret)
{
	while (*cursor < POLICY_MAX_PORTS) {
		const struct port *p = m->ports[(*cursor)++];

		if (p) {
			fill_info(m, p, ret);
			return 1;
		}
	}
	return 0;
}

const char *manager_port_id(const struct manager *m, uint16_t index)
{
	return index < POLICY_MAX_PORTS && m->ports[index] ? m->ports[index]->spec.id : "";
}
