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
	bool agreed;		/* what was put by is what was claimed: it counts, the claim stays */
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
	c->over = c->agreed = false;
}

void distribution_claim_taken_back(struct distribution *d, const char *key)
{
	struct claim *c = map_find(&d->claims, key);

	if (c)
		end(d, c);
}

/* "<what>/<host>/<vsid>/<ca>" to the key of the record. */
static bool record_key(const char *learned, char key[KV_KEY_MAX])
{
	const char *host = strchr(learned, '/'), *vsid = host ? strchr(host + 1, '/') : NULL;
	const char *ca = vsid ? strchr(vsid + 1, '/') : NULL;

	return ca && snprintf(key, KV_KEY_MAX, "vsid/%.*s/ca%s", (int)(ca - vsid - 1), vsid + 1, ca) < KV_KEY_MAX;
}

/*
 * Is what was put by what this host has claimed? A claim whose first acknowledgement was lost is said twice; the
 * manager has answered the first, and has nothing to write for the second.
 */
static bool agrees(const struct distribution *d, const struct claim *c)
{
	enum object_kind kind;
	union object_spec spec;
	struct record_spec own;
	enum origin origin;
	struct errbuf err;

	if (!c->late || !c->late_text || pm_object_read(c->entry.key, c->late_text, &kind, &spec, &err) < 0 ||
	    kind != OBJECT_RECORD)
		return false;
	own = spec.record;
	return policy_get(d->m->policy, OBJECT_RECORD, &own, &origin) == 0 &&
	       strcmp(own.host, d->m->settings.host_id) == 0 && strcmp(spec.record.host, own.host) == 0 &&
	       mac_load(&own.mac) == mac_load(&spec.record.mac);
}

void distribution_claim_said(struct distribution *d, const char *learned, int64_t revision)
{
	char key[KV_KEY_MAX];
	struct claim *c = record_key(learned, key) ? map_find(&d->claims, key) : NULL;

	if (!c || c->over)
		return;
	c->revision = revision;
	if (revision < 0 || (c->late && c->late_revision > revision)) {
		end(d, c); /* it will never be there; or the answer was faster */
	} else if (agrees(d, c)) {
		c->agreed = true;
		d->claims_over = true;
		distribution_look(d);
	}
}

/* ---- refusals ---- */

static void tell(struct distribution *d, const struct record_spec *key, const char *why)
{
	char vsid[16], ca[IP_STR], mac[MAC_STR] = "";
	struct record_spec rec = *key;
	enum origin origin;
	uint32_t at = MACV_MISS;

	if (policy_get(d->m->policy, OBJECT_RECORD, &rec, &origin) == 0) {
		format_mac(&rec.mac, mac);
		at = policy_mac_lookup(d->m->policy, rec.vsid, mac_load(&rec.mac));
	}
	snprintf(vsid, sizeof(vsid), "%u", key->vsid);
	manager_emit(d->m, EVENT_CUSTOMER_ADDRESS, "change", learn_change_names[LEARN_MISMATCH], "vsid", vsid, "ca",
		     format_ip(&key->ca, ca), "mac", mac, "host", d->m->settings.host_id, "port",
		     at != MACV_MISS && MACV_KIND(at) == MACV_LOCAL ? manager_port_id(d->m, MACV_INDEX(at)) : "",
		     "reason", why, "rival", "", NULL);
}

bool distribution_refusal(struct distribution *d, struct remote *remote, const char *why)
{
	union object_spec spec;
	enum object_kind kind;
	char key[KV_KEY_MAX];
	struct claim *c;

	if (strncmp(remote->entry.key, "refused/", 8) != 0)
		return false;
	if (!record_key(remote->entry.key, key) || pm_key_read(key, &kind, &spec) < 0 || kind != OBJECT_RECORD ||
	    (remote->said && strcmp(remote->said, why) == 0))
		return true;
	free(remote->said);
	remote->said = strdup(why);
	tell(d, &spec.record, why);
	c = map_find(&d->claims, key);
	if (c)
		end(d, c); /* what was put by counts */
	return true;
}

const char *distribution_refused(const struct distribution *d, const struct record_spec *rec)
{
	const struct remote *remote;
	char ca[IP_STR], key[KV_KEY_MAX];

	if (!d || !ip_is_set(&rec->ca) || strcmp(rec->host, d->m->settings.host_id) != 0)
		return NULL;
	snprintf(key, sizeof(key), "refused/%s/%u/%s", rec->host, rec->vsid, format_ip(&rec->ca, ca));
	remote = map_find(&d->remote, key);
	return remote ? remote->said : NULL;
}

/* ---- late words ---- */

bool distribution_is_late(struct distribution *d, const char *key, const char *text, int64_t revision)
{
	struct claim *c = d->claims.n ? map_find(&d->claims, key) : NULL;

	if (!c)
		return false;
	free(TAKE(c->late_text));
	c->agreed = false;
	if (c->over) { /* what was put by is older than this */
		c->late = false;
		return false;
	}
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
		bool over = c->over, late = c->late;
		CLEANUP_FREE char *key = over || c->agreed ? strdup(c->entry.key) : NULL, *text = NULL;

		next = map_next(&d->claims, c);
		if (!over && !c->agreed)
			continue;
		text = TAKE(c->late_text);
		c->late = c->agreed = false;
		if (over)
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
