/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What hosts have learned, judged. Of those that say they have an address the last one counts: it moved there, and
 * host and MAC change in one write. What an administrator says is not touched by what anybody learns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "policy/manager/manager_private.h"

/* A host that has not said so yet says so soon: nothing to tell it. */
static const char no_port[] = "the host has no port there";

/* The address of a host that lives ceased to be; or the host did, and the store is about to say so. */
#define GONE_MS 300

static const struct subnet_spec *subnet_of(const struct pm *m, uint32_t vsid)
{
	char key[64];
	const struct value *v;

	snprintf(key, sizeof(key), "vsid/%u/subnet", vsid);
	v = map_find(&m->policy, key);
	return v && v->spec && v->kind == OBJECT_SUBNET ? v->spec : NULL;
}

/* What an administrator says of a host does not end with it: only what is under its lease tells. */
bool pm_host_lives(const struct pm *m, const char *host)
{
	char key[ID_SIZE + 8];
	const struct value *v;

	snprintf(key, sizeof(key), "host/%s", host);
	v = map_find(&m->hosts, key);
	return v && v->leased;
}

static bool host_lives(const struct pm *m, const char *host, uint32_t vsid)
{
	return pm_host_lives(m, host) || pm_is_attached(m, host, vsid);
}

/* ---- what nobody stands for any more ---- */

void pm_stays(struct pm *m, struct value *v)
{
	m->expiring -= v->expires != 0;
	v->expires = 0;
}

void pm_goes(struct pm *m, const char *key, struct value *v, bool lives)
{
	uint64_t at = pm_now() + (lives ? GONE_MS : m->config.grace_ms);

	if (!v) { /* on its way only */
		(void)pm_write(m, key, NULL, true, NULL, NULL);
		return;
	}
	/* A host that is back looks at the store before it says what it had: the time of grace goes on. */
	if (v->expires && (v->dying || lives))
		return;
	m->expiring += v->expires == 0;
	v->expires = at;
	v->dying = !lives;
}

static bool owner_lives(const struct pm *m, const struct value *v)
{
	const struct record_spec *rec = v->spec;
	const char *host;
	uint32_t vsid;

	if (rec)
		return host_lives(m, rec->host, rec->vsid);
	return pm_member_read(v->entry.key, &vsid, &host) == 0 && pm_host_lives(m, host);
}

void pm_expire(struct pm *m)
{
	struct value *v = map_next(&m->policy, NULL), *next;
	uint64_t now = pm_now();

	for (; v && m->info.leader; v = next) {
		next = map_next(&m->policy, v);
		if (!v->expires || v->expires > now)
			continue;
		pm_stays(m, v);
		/* Its host died after it was last heard of: the whole time of grace. */
		if (!v->dying && !owner_lives(m, v)) {
			pm_goes(m, v->entry.key, v, false);
			continue;
		}
		m->info.expired += v->spec != NULL;
		(void)pm_write(m, v->entry.key, NULL, true, NULL, NULL);
	}
}

/* ---- claims ---- */

/* "learned/<host>/<vsid>/<ca>": what follows the host. */
static const char *claim_key(const struct value *learned)
{
	const char *s = strchr(learned->entry.key + 8, '/');

	return s ? s + 1 : "";
}

void pm_make_dirty(struct pm *m, struct claims *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	TAILQ_INSERT_TAIL(&m->dirty, c, link);
}

static int add_claim(struct claims *c, struct value *learned)
{
	if (c->n == c->room) {
		unsigned int room = c->room ? c->room * 2 : 2;
		void *p = reallocarray(c->list, room, sizeof(struct value *));

		if (!p)
			return -ENOMEM;
		c->list = p;
		c->room = room;
	}
	c->list[c->n++] = learned;
	return 0;
}

void pm_claim_changed(struct pm *m, struct value *learned, bool gone)
{
	struct claims *c = map_make(&m->claims, claim_key(learned), sizeof(*c));

	if (!c)
		return;
	for (unsigned int i = 0; i < c->n; i++)
		if (c->list[i] == learned)
			c->list[i--] = c->list[--c->n];
	if (!gone && learned->spec)
		(void)add_claim(c, learned);
	else if (gone)
		pm_refusal(m, learned->entry.key, NULL);
	pm_make_dirty(m, c);
}

/* Why a claim does not count; NULL: it does. */
static const char *refuse(struct pm *m, const struct record_spec *rec)
{
	const struct subnet_spec *s = subnet_of(m, rec->vsid);
	bool inside = false, same_family = false;

	if (!s)
		return "its subnet is not known";
	if (!s->learning || s->external)
		return "its subnet does not learn";
	if (!pm_is_attached(m, rec->host, rec->vsid))
		return no_port;
	for (unsigned int i = 0; i < s->n_gateways; i++) {
		if (ip_equal(&s->gateways[i].addr, &rec->ca))
			return "it is a gateway's";
		same_family = same_family || s->gateways[i].addr.family == rec->ca.family;
		inside = inside || ip_in_prefix(&rec->ca, &s->gateways[i]);
	}
	if (rec->ca.family == 6 && rec->ca.b[0] == 0xfe && (rec->ca.b[1] & 0xc0) == 0x80)
		return NULL;
	return same_family && !inside ? "it is outside of the subnet's prefixes" : NULL;
}

/* May its MAC be there, and have one address more? @return why not. */
static const char *no_room(struct pm *m, const struct mac_count *c, const struct record_spec *rec, bool more)
{
	if (c->fixed && strcmp(c->host, rec->host) != 0) { /* static beats dynamic */
		m->info.conflicts++;
		return "a static record of the MAC names another host";
	}
	if (more && c->n + c->pending >= m->config.mac_quota) {
		m->info.refused_quota++;
		return "the MAC has as many addresses as it may";
	}
	return NULL;
}

/* The last claim that counts. */
static struct value *best_claim(struct pm *m, const struct claims *c)
{
	struct value *best = NULL;
	const char *why;

	for (unsigned int i = 0; i < c->n; i++) {
		why = refuse(m, c->list[i]->spec);
		c->list[i]->why = why == no_port ? NULL : why;
		if (why) {
			m->info.refused_subnet++;
			log_debug("%s: refused: %s", c->list[i]->entry.key, why);
		} else if (!best || c->list[i]->revision > best->revision) {
			best = c->list[i];
		}
	}
	return best;
}

/* The record that policy has, or will have when everything is written. */
static bool present(struct pm *m, const char *key, struct record_spec *ret)
{
	const struct value *v = map_find(&m->policy, key);
	enum object_kind kind;
	union object_spec spec;
	struct errbuf err;
	const char *text;

	if (!pm_write_pending(m, key, &text)) {
		if (v && v->spec)
			*ret = *(struct record_spec *)v->spec;
		return v && v->spec;
	}
	if (!text || pm_object_read(key, text, &kind, &spec, &err) < 0)
		return false;
	*ret = spec.record;
	return true;
}

/*
 * A record of the MAC alone says where the guest was when an administrator wrote it. It goes where the guest is, with
 * the address in one change: every host takes a MAC for being on one host only. Two guests may have the same MAC: then
 * it is where the later claim is.
 */
static void take_mac_along(struct pm *m, struct mac_count *c, const struct value *claim)
{
	const struct record_spec *rec = claim->spec;
	struct record_spec of = { .vsid = rec->vsid, .mac = rec->mac, .type = RECORD_L2ONLY }, mac;
	char key[KV_KEY_MAX], text[OBJECT_LINE_MAX];

	if (claim->revision < c->moved)
		return;
	c->moved = claim->revision;
	if (pm_key(OBJECT_RECORD, &of, key, sizeof(key)) < 0 || !present(m, key, &mac) ||
	    strcmp(mac.host, rec->host) == 0)
		return;
	str_copy(mac.host, sizeof(mac.host), rec->host);
	memset(&mac.provider_address, 0, sizeof(mac.provider_address)); /* of the host that it left */
	if (field_write(object_types[OBJECT_RECORD].fields, &mac, text, sizeof(text)) >= 0)
		(void)pm_write(m, key, text, true, NULL, NULL);
}

static void accept_claim(struct pm *m, struct claims *claims, const char *key, struct value *claim,
			 const struct record_spec *now)
{
	struct record_spec rec = *(const struct record_spec *)claim->spec;
	struct value *v = map_find(&m->policy, key);
	bool more = !now || !mac_equal(&now->mac, &rec.mac);
	struct mac_count *c = pm_mac(m, &rec, true);
	char text[OBJECT_LINE_MAX];

	rec.unusable = rec.unsynchronized = false;
	if (v)
		pm_stays(m, v);
	if (!c)
		return;
	if (now && field_equal(object_types[OBJECT_RECORD].fields, &rec, now)) {
		take_mac_along(m, c, claim);
		return;
	}
	claim->why = no_room(m, c, &rec, more);
	if (claim->why) {
		pm_mac_refuses(m, c, claims);
		return;
	}
	if (field_write(object_types[OBJECT_RECORD].fields, &rec, text, sizeof(text)) < 0)
		return;
	m->info.accepted++;
	m->info.moves += now && strcmp(now->host, rec.host) != 0;
	take_mac_along(m, c, claim);
	(void)pm_write(m, key, text, true, NULL, NULL);
	if (more)
		pm_write_count(m, key, c);
}

/* Nobody says any more that he has it. */
static void abandon(struct pm *m, const char *key, const struct record_spec *now)
{
	struct value *v = map_find(&m->policy, key);

	pm_goes(m, key, v && v->spec ? v : NULL, host_lives(m, now->host, now->vsid));
}

/* What an administrator has said of the address stands. */
static const char *against_static(struct pm *m, const struct record_spec *claim, const struct record_spec *now)
{
	if (!mac_equal(&claim->mac, &now->mac)) {
		m->info.conflicts++;
		return "a static record names another MAC";
	}
	return strcmp(claim->host, now->host) ? "a static record names another host" : NULL;
}

static void settle(struct pm *m, struct claims *c, const char *key, struct value *best)
{
	struct record_spec now;
	bool known = present(m, key, &now);

	if (known && now.type != RECORD_DYNAMIC) {
		if (best)
			best->why = against_static(m, best->spec, &now);
	} else if (best) {
		accept_claim(m, c, key, best, known ? &now : NULL);
	} else if (known) {
		abandon(m, key, &now);
	}
}

static void judge(struct pm *m, struct claims *c)
{
	const char *ca = strchr(c->entry.key, '/');
	char key[KV_KEY_MAX];

	pm_mac_refuses(m, NULL, c);
	if (!ca)
		return;
	snprintf(key, sizeof(key), "vsid/%.*s/ca/%s", (int)(ca - c->entry.key), c->entry.key, ca + 1);
	settle(m, c, key, best_claim(m, c));
	for (unsigned int i = 0; i < c->n; i++)
		pm_refusal(m, c->list[i]->entry.key, c->list[i]->why);
}

void pm_judge(struct pm *m)
{
	struct claims *c;

	while (m->info.leader && m->info.synced && (c = TAILQ_FIRST(&m->dirty))) {
		TAILQ_REMOVE(&m->dirty, c, link);
		c->dirty = false;
		judge(m, c);
		if (c->n)
			continue;
		free(c->list);
		map_remove(&m->claims, c);
	}
	pm_write_kick(m);
}

void pm_judge_all(struct pm *m)
{
	struct value *v = NULL;
	struct claims *c = NULL;

	/* Records that nobody claims have claims, too: none. */
	while ((v = map_next(&m->policy, v))) {
		const struct record_spec *rec = v->spec;
		char key[64 + IP_STR], ca[IP_STR];

		if (!v->spec || v->kind != OBJECT_RECORD || rec->type != RECORD_DYNAMIC)
			continue;
		snprintf(key, sizeof(key), "%u/%s", rec->vsid, format_ip(&rec->ca, ca));
		(void)map_make(&m->claims, key, sizeof(*c));
	}
	while ((c = map_next(&m->claims, c)))
		pm_make_dirty(m, c);
	pm_members_all(m);
	pm_refusals_all(m);
	pm_judge(m);
}

void pm_judge_subnet(struct pm *m, uint32_t vsid)
{
	struct claims *c = NULL;
	char prefix[16];
	size_t n;

	if (!m->info.leader || !m->info.synced)
		return; /* everything is judged when that changes */
	n = (size_t)snprintf(prefix, sizeof(prefix), "%u/", vsid);
	while ((c = map_next(&m->claims, c)))
		if (strncmp(c->entry.key, prefix, n) == 0)
			pm_make_dirty(m, c);
}
