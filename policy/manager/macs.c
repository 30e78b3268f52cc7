/* SPDX-License-Identifier: BSD-3-Clause */
/* What policy has of a MAC, and will have: how many learned addresses; where an administrator says it is. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/manager/manager_private.h"

struct mac_count *pm_mac(struct pm *m, const struct record_spec *rec, bool make)
{
	char key[32 + MAC_STR], mac[MAC_STR];
	struct mac_count *c;

	snprintf(key, sizeof(key), "%u/%s", rec->vsid, format_mac(&rec->mac, mac));
	c = make ? map_make(&m->macs, key, sizeof(struct mac_count)) : map_find(&m->macs, key);
	if (c && !c->refused.tqh_last)
		TAILQ_INIT(&c->refused);
	return c;
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
	pm_write_arrived(m, record->entry.key, c);
	if (rec->type == RECORD_STATIC)
		str_copy(c->host, sizeof(c->host), rec->host);
}

static void remove_unused(struct pm *m, struct mac_count *c)
{
	if (!c->n && !c->pending && !c->fixed && TAILQ_EMPTY(&c->refused))
		map_remove(&m->macs, c);
}

void pm_mac_refuses(struct pm *m, struct mac_count *c, struct claims *claims)
{
	struct mac_count *was = claims->refused;

	if (was == c)
		return;
	claims->refused = c;
	if (was) {
		TAILQ_REMOVE(&was->refused, claims, waiting);
		remove_unused(m, was);
	}
	if (c)
		TAILQ_INSERT_TAIL(&c->refused, claims, waiting);
}

/* There may be room for claims that had none. */
static void less(struct pm *m, struct mac_count *c)
{
	struct claims *claims;

	while ((claims = TAILQ_FIRST(&c->refused))) {
		TAILQ_REMOVE(&c->refused, claims, waiting);
		claims->refused = NULL;
		pm_make_dirty(m, claims);
	}
	remove_unused(m, c);
}

void pm_write_counted(struct pm *m, struct mac_count *c, bool landed)
{
	c->pending--;
	if (landed)
		remove_unused(m, c);
	else
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
