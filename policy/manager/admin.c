/* SPDX-License-Identifier: BSD-3-Clause */
/* What administrators say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/manager/manager_private.h"

static bool is_shared(enum object_kind kind)
{
	return kind == OBJECT_SUBNET || kind == OBJECT_RECORD || kind == OBJECT_ROUTE || kind == OBJECT_HOST;
}

static int check_ready(const struct pm *m, enum object_kind kind, struct errbuf *err)
{
	if (!is_shared(kind))
		return err_set(err, EINVAL, "%ss belong to one host: say it to its vswitchd", object_types[kind].noun);
	if (!m->info.up || !m->info.synced)
		return err_set(err, EAGAIN, "the policy store is not reached: %s",
			       *m->info.problem ? m->info.problem : "not yet");
	if (!m->info.leader)
		return err_set(err, EAGAIN, "manager %s is the elected one, say it there",
			       *m->info.leader_id ? m->info.leader_id : "none");
	return 0;
}

static const struct value *find(const struct pm *m, enum object_kind kind, const void *spec, char *key, size_t size)
{
	const struct map *map = kind == OBJECT_HOST ? &m->hosts : &m->policy;

	if (pm_key(kind, spec, key, size) < 0)
		return NULL;
	return map_find(map, key);
}

/* ---- against the others ---- */

/* The object that a key will name when everything is written. @return NULL: none. */
static const void *will_be(const struct pm *m, const struct value *v)
{
	struct write *w = map_find(&m->writes, v->entry.key);

	return w ? pm_write_object(w, v->kind) : v->spec;
}

static bool overlap(const struct subnet_spec *a, const struct subnet_spec *b)
{
	for (unsigned int i = 0; i < a->n_gateways; i++)
		for (unsigned int j = 0; j < b->n_gateways; j++)
			if (ip_in_prefix(&a->gateways[i].addr, &b->gateways[j]) ||
			    ip_in_prefix(&b->gateways[j].addr, &a->gateways[i]))
				return true;
	return false;
}

static int against_subnet(const struct subnet_spec *s, const struct subnet_spec *o, struct errbuf *err)
{
	if (!o || o->vsid == s->vsid || strcmp(o->rdid, s->rdid) != 0 || !overlap(s, o))
		return 0;
	return err_set(err, EEXIST, "subnet %u: overlaps subnet %u of routing domain %s", s->vsid, o->vsid, s->rdid);
}

/* By what will be: a removal that is on its way makes room, and what comes takes it. */
static int check_subnet(const struct pm *m, const struct subnet_spec *s, struct errbuf *err)
{
	const struct value *v = NULL;
	struct write *w = NULL;
	int r = 0;

	while (r == 0 && (v = map_next(&m->policy, v)))
		if (v->spec && v->kind == OBJECT_SUBNET)
			r = against_subnet(s, will_be(m, v), err);
	while (r == 0 && (w = map_next(&m->writes, w)))
		r = against_subnet(s, pm_write_object(w, OBJECT_SUBNET), err);
	return r;
}

static int check_record(const struct pm *m, const struct record_spec *r, struct errbuf *err)
{
	struct subnet_spec key = { .vsid = r->vsid };
	const struct subnet_spec *s;
	const struct value *v;
	char text[KV_KEY_MAX], ca[IP_STR];

	if (r->type == RECORD_DYNAMIC)
		return err_set(err, EINVAL, "type: dynamic records are learned, not set");
	v = find(m, OBJECT_SUBNET, &key, text, sizeof(text));
	s = v ? will_be(m, v) : NULL;
	for (unsigned int i = 0; s && i < s->n_gateways; i++)
		if (ip_equal(&s->gateways[i].addr, &r->ca))
			return err_set(err, EEXIST, "ca: %s is the gateway of subnet %u", format_ip(&r->ca, ca),
				       r->vsid);
	return 0;
}

static int against_host(const struct host_spec *h, const struct host_spec *o, struct errbuf *err)
{
	char text[IP_STR];

	if (!o || strcmp(o->id, h->id) == 0)
		return 0;
	for (unsigned int i = 0; i < h->n_pas; i++)
		for (unsigned int j = 0; j < o->n_pas; j++)
			if (ip_equal(&h->pas[i].address, &o->pas[j].address))
				return err_set(err, EEXIST, "provider address %s is host %s's",
					       format_ip(&h->pas[i].address, text), o->id);
	return 0;
}

static int check_host(const struct pm *m, const struct host_spec *h, struct errbuf *err)
{
	const struct value *v = NULL;
	struct write *w = NULL;
	int r = 0;

	while (r == 0 && (v = map_next(&m->hosts, v)))
		r = against_host(h, will_be(m, v), err);
	while (r == 0 && (w = map_next(&m->writes, w)))
		r = against_host(h, pm_write_object(w, OBJECT_HOST), err);
	return r;
}

static int check(const struct pm *m, enum object_kind kind, const void *spec, struct errbuf *err)
{
	int r = object_validate(kind, spec, err);

	if (r == 0 && kind == OBJECT_SUBNET)
		r = check_subnet(m, spec, err);
	if (r == 0 && kind == OBJECT_RECORD)
		r = check_record(m, spec, err);
	if (r == 0 && kind == OBJECT_HOST)
		r = check_host(m, spec, err);
	return r;
}

/* ---- changes ---- */

/* Hosts find the subnets of their routing domains by it. */
static int write_index(struct pm *m, const struct subnet_spec *s, const char *value)
{
	char key[KV_KEY_MAX];

	if (!*s->rdid)
		return 0;
	snprintf(key, sizeof(key), "rd/%s/vsid/%u", s->rdid, s->vsid);
	return pm_write(m, key, value, false, NULL, NULL);
}

static int refuse_leased(const struct value *v, struct errbuf *err)
{
	if (v && v->leased)
		return err_set(err, EEXIST, "%s says itself what it is, as long as it lives", v->entry.key);
	return 0;
}

int pm_set(struct pm *m, enum object_kind kind, const void *spec, pm_done_fn fn, void *arg, struct errbuf *err)
{
	char key[KV_KEY_MAX], text[OBJECT_LINE_MAX];
	const struct value *v;
	const char *pending;
	int r = check_ready(m, kind, err);

	if (r == 0)
		r = check(m, kind, spec, err);
	if (r < 0)
		return r;
	v = find(m, kind, spec, key, sizeof(key));
	r = refuse_leased(v, err);
	if (r < 0)
		return r;
	if (field_write(object_types[kind].fields, spec, text, sizeof(text)) < 0)
		return err_set(err, ENOSPC, "too long to be kept");
	if (v && !pm_write_pending(m, key, &pending) && strcmp(v->text, text) == 0)
		return 1;
	if (kind == OBJECT_SUBNET && v && v->spec &&
	    strcmp(((struct subnet_spec *)v->spec)->rdid, ((const struct subnet_spec *)spec)->rdid) != 0)
		r = write_index(m, v->spec, NULL);
	if (r == 0 && kind == OBJECT_SUBNET)
		r = write_index(m, spec, "member");
	if (r == 0)
		r = pm_write(m, key, text, false, fn, arg);
	return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

int pm_remove(struct pm *m, enum object_kind kind, const void *spec, pm_done_fn fn, void *arg, struct errbuf *err)
{
	char key[KV_KEY_MAX];
	const struct value *v;
	int r = check_ready(m, kind, err);

	if (r < 0)
		return r;
	v = find(m, kind, spec, key, sizeof(key));
	if (!v)
		return err_set(err, ENOENT, "there is no %s", key);
	r = refuse_leased(v, err);
	if (r < 0)
		return r;
	if (kind == OBJECT_SUBNET && v->spec)
		r = write_index(m, v->spec, NULL);
	if (r == 0)
		r = pm_write(m, key, NULL, false, fn, arg);
	return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

/* ---- reading ---- */

static bool is_admins(const struct value *v)
{
	return !v->leased && !(v->kind == OBJECT_RECORD && ((struct record_spec *)v->spec)->type == RECORD_DYNAMIC);
}

int pm_get(const struct pm *m, enum object_kind kind, void *spec, bool *ret_admin)
{
	char key[KV_KEY_MAX];
	const struct value *v = is_shared(kind) ? find(m, kind, spec, key, sizeof(key)) : NULL;

	if (!v || !v->spec)
		return -ENOENT;
	memcpy(spec, v->spec, object_types[kind].size);
	*ret_admin = is_admins(v);
	return 0;
}

/* The cursor is a slot of the table and a place in its chain; tables grow seldom, and then some are seen twice. */
int pm_next(const struct pm *m, enum object_kind kind, uint64_t *cursor, void *ret, bool *ret_admin)
{
	const struct map *map = kind == OBJECT_HOST ? &m->hosts : &m->policy;
	size_t slot = *cursor >> 32, place = *cursor & 0xffffffff;

	for (; slot < map->n_slots; slot++, place = 0) {
		struct map_entry *e = map->slots[slot];

		for (size_t i = 0; e; e = e->next, i++) {
			const struct value *v = (const struct value *)e;

			if (i < place || !v->spec || v->kind != kind)
				continue;
			memcpy(ret, v->spec, object_types[kind].size);
			*ret_admin = is_admins(v);
			*cursor = (uint64_t)slot << 32 | (i + 1);
			return 1;
		}
	}
	return 0;
}

/* ---- differences ---- */

static int diff_present(const struct pm *m, const struct map *map, struct map *wanted, pm_diff_fn fn, void *arg)
{
	const struct value *v = NULL;
	int r = 0;

	while (r >= 0 && (v = map_next(map, v)))
		if (v->spec && is_admins(v) && !map_find(wanted, v->entry.key))
			r = fn(arg, v->kind, v->spec, NULL);
	return r;
}

static int diff_wanted(const struct pm *m, enum object_kind kind, const void *spec, struct map *wanted, pm_diff_fn fn,
		       void *arg)
{
	char key[KV_KEY_MAX];
	const struct value *v = find(m, kind, spec, key, sizeof(key));

	if (!map_make(wanted, key, sizeof(struct map_entry)))
		return -ENOMEM;
	if (v && v->spec && field_equal(object_types[kind].fields, v->spec, spec))
		return 0;
	return fn(arg, kind, v ? v->spec : NULL, spec);
}

int pm_diff(const struct pm *m, const struct pm_wanted *w, pm_diff_fn fn, void *arg)
{
	static const enum object_kind kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_RECORD, OBJECT_ROUTE };
	struct map wanted = { 0 };
	int r = 0;

	for (unsigned int k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t i = 0; i < w->n[kinds[k]] && r >= 0; i++)
			r = diff_wanted(m, kinds[k],
					(const char *)w->specs[kinds[k]] + i * object_types[kinds[k]].size, &wanted,
					fn, arg);
	if (r >= 0)
		r = diff_present(m, &m->policy, &wanted, fn, arg);
	if (r >= 0)
		r = diff_present(m, &m->hosts, &wanted, fn, arg);
	map_free(&wanted);
	return r < 0 ? r : 0;
}
