/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts with ports in a subnet, a key for each: a change writes, and hosts read, what has changed. Hosts of earlier
 * versions know only the list of all; while one of them has ports in a subnet that is written, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "policy/manager/manager_private.h"

bool pm_is_attached(const struct pm *m, const char *host, uint32_t vsid)
{
	char key[ID_SIZE + 32];

	return pm_attached_key(host, vsid, key, sizeof(key)) > 0 && map_find(&m->attached, key);
}

/* Written, or on its way. */
static bool present(const struct pm *m, const char *key)
{
	const char *text;

	return pm_write_pending(m, key, &text) ? text != NULL : map_find(&m->policy, key) != NULL;
}

static void judge(struct pm *m, uint32_t vsid, const char *host)
{
	char key[KV_KEY_MAX];
	struct value *v;

	if (pm_member_key(vsid, host, key, sizeof(key)) < 0)
		return;
	v = map_find(&m->policy, key);
	if (pm_is_attached(m, host, vsid)) {
		if (v)
			pm_stays(m, v);
		if (!present(m, key))
			(void)pm_write(m, key, "ports", true, NULL, NULL);
	} else if (present(m, key)) {
		pm_goes(m, key, v, pm_host_lives(m, host));
	}
}

/* ---- the list ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As many as a value holds. */
static void write_list(struct pm *m, FILE *f, const char *const *names, size_t n, size_t suffix, uint32_t vsid)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]) - suffix;

		used += len + (i > 0);
		if (used >= KV_VALUE_MAX) {
			if (!m->cut)
				log_warning("virtual-subnet %u has more hosts than the list for hosts of earlier "
					    "versions can hold: those flood to the first of them only", vsid);
			m->cut = true;
			return;
		}
		fprintf(f, "%s%.*s", i ? " " : "", (int)len, names[i]);
	}
}

/* Sorted; empty when every host reads the keys. */
static char *list_text(struct pm *m, uint32_t vsid)
{
	const char **names = calloc(m->attached.n + 1, sizeof(char *));
	struct value *v = NULL;
	char *text = NULL, suffix[32];
	size_t n = 0, old = 0, size = 0, end = (size_t)snprintf(suffix, sizeof(suffix), "/attached/%u", vsid);
	FILE *f = names ? open_memstream(&text, &size) : NULL;

	while (f && (v = map_next(&m->attached, v))) {
		size_t len = strlen(v->entry.key);

		if (len <= end + 5 || strcmp(v->entry.key + len - end, suffix) != 0)
			continue;
		names[n++] = v->entry.key + 5;
		old += v->old;
	}
	if (f) {
		qsort(names, n, sizeof(char *), by_text);
		write_list(m, f, names, old ? n : 0, end, vsid);
		fclose(f);
	}
	free(names);
	return text;
}

static void judge_list(struct pm *m, uint32_t vsid)
{
	const struct value *v;
	const char *now;
	char key[64], *text;

	snprintf(key, sizeof(key), "vsid/%u/members", vsid);
	if (!m->n_old && !present(m, key))
		return; /* it takes a walk over all that is attached */
	text = list_text(m, vsid);
	if (!text)
		return;
	v = map_find(&m->policy, key);
	if (!pm_write_pending(m, key, &now))
		now = v ? v->text : NULL;
	if (strcmp(text, now ? now : "") != 0)
		(void)pm_write(m, key, *text ? text : NULL, true, NULL, NULL);
	free(text);
}

/* ---- when ---- */

void pm_member_changed(struct pm *m, const char *attached_key)
{
	char host[ID_SIZE];
	uint32_t vsid;

	if (!m->info.leader || !m->info.synced || pm_attached_read(attached_key, &vsid, host) < 0)
		return; /* everything is judged when that changes */
	judge(m, vsid, host);
	judge_list(m, vsid);
}

static void judge_value(struct pm *m, const struct value *v)
{
	const char *host;
	uint32_t vsid;

	if (v->spec && v->kind == OBJECT_SUBNET)
		judge_list(m, ((struct subnet_spec *)v->spec)->vsid);
	if (v->spec || pm_member_read(v->entry.key, &vsid, &host) < 0)
		return;
	if (*host)
		judge(m, vsid, host);
	else
		judge_list(m, vsid);
}

void pm_members_all(struct pm *m)
{
	struct value *v = NULL;
	char host[ID_SIZE];
	uint32_t vsid;

	while ((v = map_next(&m->attached, v)))
		if (pm_attached_read(v->entry.key, &vsid, host) == 0)
			judge(m, vsid, host);
	while ((v = map_next(&m->policy, v)))
		judge_value(m, v);
}
