/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses that this host has claimed. What the store says of one that is older than the claim is no answer to it: an
 * address may move twice while the first move is on its way here. It is put by, and counts if the claim is taken back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/distribution_private.h"
#include "policy/manager/manager.h"

/* By the key of the record. */
struct claim {
	struct map_entry entry; /* first */
	int64_t revision;	/* in the store since; 0: not yet */
	bool over;		/* taken back, or answered: to be removed */
	bool late;		/* something was put by: */
	int64_t late_revision;
	char *late_text;	/* NULL: the record is gone */
};

static void end(struct distribution *d, struct claim *c)
{
	c->over = true;
	d->claims_over = true;
	distribution_look(d);
}

void distribution_claim_made(struct distribution *d, const char *key)
{
	struct claim *c = map_make(&d->claims, key, sizeof(*c));

	if (!c)
		return;
	c->revision = 0;
	c->over = false;
}

void distribution_claim_taken_back(struct distribution *d, const char *key)
{
	struct claim *c = map_find(&d->claims, key);

	if (c)
		end(d, c);
}

void distribution_claim_said(struct distribution *d, const char *learned, int64_t revision)
{
	const char *vsid = strchr(learned, '/') ? strchr(strchr(learned, '/') + 1, '/') : NULL, *ca;
	char key[KV_KEY_MAX];
	struct claim *c;

	ca = vsid ? strchr(vsid + 1, '/') : NULL;
	if (!ca)
		return;
	snprintf(key, sizeof(key), "vsid/%.*s/ca%s", (int)(ca - vsid - 1), vsid + 1, ca);
	c = map_find(&d->claims, key);
	if (!c || c->over)
		return;
	c->revision = revision;
	if (c->late && c->late_revision > revision)
		end(d, c); /* the answer was faster */
}

bool distribution_is_late(struct distribution *d, const char *key, const char *text, int64_t revision)
{
	struct claim *c = d->claims.n ? map_find(&d->claims, key) : NULL;

	if (!c || c->over)
		return false;
	free(TAKE(c->late_text));
	c->late = !c->revision || revision < c->revision;
	if (!c->late) { /* the answer */
		map_remove(&d->claims, c);
		return false;
	}
	c->late_revision = revision;
	c->late_text = text ? strdup(text) : NULL;
	return true;
}

void distribution_claims_end(struct distribution *d)
{
	struct claim *c = map_next(&d->claims, NULL), *next;

	if (!d->claims_over)
		return;
	d->claims_over = false;
	for (; c; c = next) {
		CLEANUP_FREE char *key = c->over ? strdup(c->entry.key) : NULL, *text = NULL;
		bool late = c->late;

		next = map_next(&d->claims, c);
		if (!c->over)
			continue;
		text = TAKE(c->late_text);
		map_remove(&d->claims, c);
		if (late && key)
			distribution_late(d, key, text);
	}
}

void distribution_claims_forget(struct distribution *d)
{
	struct claim *c = NULL;

	while ((c = map_next(&d->claims, c)))
		free(c->late_text);
	map_free(&d->claims);
}
