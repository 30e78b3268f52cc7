/* SPDX-License-Identifier: BSD-3-Clause */
/* What policy has of a MAC, and will have: how many learned addresses; where an administrator says it is. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/manager/manager_private.h"

struct mac_count *pm_mac(struct pm *m, const struct record_spec *rec, bool make)
{
	char key[32 + MAC_STR], mac[MAC_STR];

	snprintf(key, sizeof(key), "%u/%s", rec->vsid, format_mac(&rec->mac, mac));
	return make ? map_make(&m->macs, key, sizeof(struct mac_count)) : map_find(&m->macs, key);
}

static bool is_counted(const struct record_spec *rec)
{
	return rec->type == RECORD_DYNAMIC || rec->type == RECORD_STATIC;
}

void pm_record_new(struct pm *m, struct value *record)
{
	const struct record_spec *rec = record->spec;
	struct mac_count *c = is_counted(rec) ? pm_mac(m, rec, true) : NULL;

	if (!c)
		return;
	c->n += rec->type == RECORD_DYNAMIC;
	c->fixed += rec->type == RECORD_STATIC;
	if (rec->type == RECORD_STATIC)
		str_copy(c->host, sizeof(c->host), rec->host);
}

/* There may be room for claims of this MAC that had none: "<vsid>/<mac>". */
static void room(struct pm *m, struct mac_count *mac)
{
	const char *slash = strchr(mac->entry.key, '/');
	size_t n = (size_t)(slash - mac->entry.key) + 1;
	struct claims *c = NULL;
	char text[MAC_STR];

	mac->refused = false;
	while ((c = map_next(&m->claims, c))) {
		if (strncmp(c->entry.key, mac->entry.key, n) != 0)
			continue;
		for (unsigned int i = 0; i < c->n; i++)
			if (strcmp(format_mac(&((struct record_spec *)c->list[i]->spec)->mac, text), slash + 1) == 0)
				pm_make_dirty(m, c);
	}
}

static void less(struct pm *m, struct mac_count *c)
{
	if (c->refused)
		room(m, c);
	if (!c->n && !c->pending && !c->fixed)
		map_remove(&m->macs, c);
}

void pm_write_counted(struct pm *m, struct mac_count *c)
{
	c->pending--;
	less(m, c);
}

void pm_record_gone(struct pm *m, struct value *record)
{
	const struct record_spec *rec = record->spec;
	struct mac_count *c = is_counted(rec) ? pm_mac(m, rec, false) : NULL;

	pm_stays(m, record);
	if (!c)
		return;
	c->n -= rec->type == RECORD_DYNAMIC;
	c->fixed -= rec->type == RECORD_STATIC;
	less(m, c);
}
