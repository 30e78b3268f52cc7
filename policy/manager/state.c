/* SPDX-License-Identifier: BSD-3-Clause */
/* What the store has, as the manager knows it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "policy/manager/manager_private.h"

struct map *pm_map_of(struct pm *m, const char *key)
{
	if (strncmp(key, "learned/", 8) == 0)
		return &m->learned;
	if (strncmp(key, "refused/", 8) == 0)
		return &m->refused;
	if (strncmp(key, "host/", 5) == 0)
		return strchr(key + 5, '/') ? &m->attached : &m->hosts;
	return strncmp(key, "vsid/", 5) == 0 || strncmp(key, "rd/", 3) == 0 ? &m->policy : NULL;
}

/* A learned record, and that it is what its key says. */
static int read_learned(const char *key, const char *text, struct record_spec *ret, struct errbuf *err)
{
	char again[KV_KEY_MAX];
	int r;

	object_default(OBJECT_RECORD, ret);
	r = field_read(object_types[OBJECT_RECORD].fields, ret, text, err);
	if (r == 0)
		r = object_validate(OBJECT_RECORD, ret, err);
	if (r < 0)
		return r;
	if (pm_learned_key(ret, again, sizeof(again)) < 0 || strcmp(again, key) != 0 || ret->type != RECORD_DYNAMIC)
		return err_set(err, EINVAL, "the value is another record's");
	return 0;
}

static void parse(struct pm *m, struct value *v)
{
	union object_spec spec;
	struct errbuf err;
	int r;

	free(TAKE(v->spec));
	if (pm_map_of(m, v->entry.key) == &m->attached) {
		m->n_old -= v->old;
		v->old = strcmp(v->text, PM_ATTACHED) != 0;
		m->n_old += v->old;
		return;
	}
	v->kind = OBJECT_RECORD;
	if (pm_map_of(m, v->entry.key) == &m->learned)
		r = read_learned(v->entry.key, v->text, &spec.record, &err);
	else
		r = pm_object_read(v->entry.key, v->text, &v->kind, &spec, &err);
	if (r == -ENOENT)
		return;
	if (r < 0) {
		log_warning("policy store: %s: %s, ignored", v->entry.key, err.text);
		return;
	}
	v->spec = malloc(object_types[v->kind].size);
	if (v->spec)
		memcpy(v->spec, &spec, object_types[v->kind].size);
}

static void attached_changed(struct pm *m, const char *key)
{
	char host[ID_SIZE];
	uint32_t vsid;

	if (pm_attached_read(key, &vsid, host) < 0)
		return;
	pm_judge_subnet(m, vsid);
	pm_member_changed(m, key);
}

/* What depends on it. `gone`: it is about to be, or to become something else. */
static void changed(struct pm *m, struct value *v, bool gone)
{
	struct map *map = pm_map_of(m, v->entry.key);

	if (map == &m->learned)
		pm_claim_changed(m, v, gone);
	else if (map == &m->attached)
		attached_changed(m, v->entry.key);
	else if (map == &m->policy && v->spec && v->kind == OBJECT_RECORD)
		(gone ? pm_record_gone : pm_record_new)(m, v);
	else if (map == &m->policy && v->spec && v->kind == OBJECT_SUBNET && !gone)
		pm_judge_subnet(m, ((struct subnet_spec *)v->spec)->vsid);
}

void pm_value_set(struct pm *m, const char *key, const char *text, int64_t revision, bool leased)
{
	struct map *map = pm_map_of(m, key);
	struct value *v = map ? map_make(map, key, sizeof(*v)) : NULL;
	char *copy;
	bool newer;

	if (!v)
		return;
	newer = v->revision && revision > v->revision;
	v->marked = true;
	v->leased = leased;
	if (revision)
		v->revision = revision;
	if (v->text && strcmp(v->text, text) == 0) {
		if (newer && map == &m->learned) /* claimed once more: the last one counts */
			pm_claim_changed(m, v, false);
		return;
	}
	copy = strdup(text);
	if (!copy)
		return;
	if (v->text)
		changed(m, v, true);
	free(v->text);
	v->text = copy;
	parse(m, v);
	changed(m, v, false);
}

static void remove_value(struct pm *m, struct map *map, struct value *v)
{
	CLEANUP_FREE char *key = map == &m->attached ? strdup(v->entry.key) : NULL;

	if (map != &m->attached)
		changed(m, v, true);
	pm_stays(m, v);
	m->n_old -= v->old;
	free(v->text);
	free(v->spec);
	map_remove(map, v);
	if (key)
		attached_changed(m, key);
}

void pm_value_gone(struct pm *m, const char *key)
{
	struct map *map = pm_map_of(m, key);
	struct value *v = map ? map_find(map, key) : NULL;

	if (v)
		remove_value(m, map, v);
}

struct gone {
	struct map_entry entry; /* first */
	int64_t revision;
};

void pm_value_written(struct pm *m, const char *key, const char *text, int64_t revision)
{
	struct map *map = pm_map_of(m, key);
	struct value *v = map ? map_find(map, key) : NULL;
	struct gone *gone;

	if (v && v->revision > revision)
		return; /* somebody wrote after us, and the store told already */
	if (text) {
		pm_value_set(m, key, text, revision, false);
	} else if (v) {
		remove_value(m, map, v);
		gone = map_make(&m->gone, key, sizeof(*gone));
		if (gone)
			gone->revision = revision;
	}
}

/* Is what the store tells older than what we wrote? While all is loaded anew anything may come. */
static bool is_old(struct pm *m, const char *key, int64_t revision)
{
	struct map *map = pm_map_of(m, key);
	const struct value *v = map ? map_find(map, key) : NULL;
	struct gone *gone = m->gone.n ? map_find(&m->gone, key) : NULL;

	if (m->loading)
		return false;
	if (gone && revision < gone->revision)
		return true;
	if (gone)
		map_remove(&m->gone, gone);
	return v && revision < v->revision;
}

/* ---- the store speaks ---- */

static void mark(struct pm *m, struct map *map)
{
	struct value *v = NULL;

	while ((v = map_next(map, v)))
		v->marked = false;
}

static void sweep(struct pm *m, struct map *map)
{
	struct value *v = map_next(map, NULL), *next;

	for (; v; v = next) {
		next = map_next(map, v);
		if (!v->marked)
			remove_value(m, map, v);
	}
}

static void all_of(struct pm *m, void (*fn)(struct pm *m, struct map *map))
{
	fn(m, &m->policy);
	fn(m, &m->hosts);
	fn(m, &m->attached);
	fn(m, &m->learned);
	fn(m, &m->refused);
}

void pm_on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		 int64_t revision, bool leased)
{
	struct pm *m = arg;

	if (what == KV_BEGIN) {
		all_of(m, mark);
		map_free(&m->gone);
		m->loading = true;
		*m->info.leader_id = '\0';
	} else if (what == KV_END) {
		all_of(m, sweep);
		m->info.synced = true;
		m->loading = false;
		pm_judge_all(m);
	} else if (strcmp(key, PM_LEADER) == 0) {
		str_copy(m->info.leader_id, sizeof(m->info.leader_id), value ? value : "");
		m->not_ours = false;
	} else if (is_old(m, key, revision)) {
		log_debug("%s: revision %lld is old", key, (long long)revision);
	} else if (what == KV_PUT) {
		pm_value_set(m, key, value, revision, leased);
	} else {
		pm_value_gone(m, key);
	}
}

void pm_state_free(struct pm *m)
{
	struct map *maps[] = { &m->policy, &m->hosts, &m->attached, &m->learned, &m->refused };
	struct claims *c = NULL;

	for (unsigned int i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		struct value *v = NULL;

		while ((v = map_next(maps[i], v))) {
			free(v->text);
			free(v->spec);
		}
		map_free(maps[i]);
	}
	while ((c = map_next(&m->claims, c)))
		free(c->list);
	map_free(&m->claims);
	map_free(&m->gone);
	map_free(&m->macs);
}
