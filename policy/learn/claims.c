/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has an address: nobody yet, the claimant itself, or somebody else (HNV 3.1, rows 45-49, 54). */
#include "base/str.h"
#include "policy/learn/entries.h"

#define QUIET_MS      5000   /* after an owner has answered, claims of others wait */
#define MOVES_MAX     5	     /* so many moves of an address ... */
#define MOVES_MS      60000  /* ... in this time are flapping: then it stays where it is ... */
#define HOLD_MS	      30000  /* ... for this long */
#define DEFENDED_MS   300000 /* after an owner has answered, its silence ... */
#define DEFENDED_STEP 1000   /* ... is that to questions so far apart ... */
#define DEFENDED_ASKS 3	     /* ... and so many */
#define LOST_MS	      1000   /* so much longer it may take if the owner's ring is full: it may be dead, too */
#define MISSED_MAX    50     /* an owner that cannot be asked keeps its address */
#define WANTED_MS     1200   /* a guest uses an address a second after its probe (RFC 4862 5.4, RFC 5227 2.1) */

static bool movable(const struct record_spec *rec, enum origin origin)
{
	return rec->type == RECORD_DYNAMIC && origin >= ORIGIN_MANAGER;
}

/* The entry says: learned here, of this MAC. */
static void here(struct learn *l, struct entry *e, const struct mac *mac, uint16_t port, uint64_t now)
{
	e->mac = *mac;
	entry_state(l, e, ENTRY_HERE, port);
	if (!e->contested)
		entry_settle(l, e, now);
}

/* Every record of the MAC that learning may touch is here now. */
static void mac_is_here(struct learn *l, uint32_t vsid, const struct mac *mac, uint16_t port, uint64_t now)
{
	struct record_spec rec;
	enum origin origin;
	uint64_t cursor = 0;
	struct entry *e;

	while (policy_mac_records(l->policy, vsid, mac, &cursor, &rec, &origin) > 0) {
		if (!ip_is_set(&rec.ca) || !movable(&rec, origin))
			continue;
		e = entry_get(l, vsid, &rec.ca);
		if (!e)
			continue;
		here(l, e, mac, port, now);
		rec.unsynchronized = true; /* in place: the list stays as it is */
		policy_set(l->policy, OBJECT_RECORD, &rec, origin, NULL);
		learn_tell(l, LEARN_MOVED, &rec, port, "the guest is on this host now");
	}
}

/* Does a static record of central policy hold the MAC where it is? Only who wrote it moves it. */
static bool held(struct learn *l, uint32_t vsid, const struct mac *mac)
{
	struct record_spec rec;
	enum origin origin;
	uint64_t cursor = 0;

	while (policy_mac_records(l->policy, vsid, mac, &cursor, &rec, &origin) > 0)
		if (rec.type == RECORD_STATIC && origin >= ORIGIN_MANAGER && strcmp(rec.host, l->host_id) != 0)
			return true;
	return false;
}

/*
 * The MAC's records name another host, but the guest is here: all of them are re-pointed in one change.
 * @return 0: they name this host; -errno: one of them may not be changed.
 */
static int move_mac(struct learn *l, uint32_t vsid, const struct mac *mac, uint16_t port, uint64_t now)
{
	struct record_spec rec;
	enum origin origin;
	uint64_t cursor = 0;
	int r = -ENOENT;

	if (held(l, vsid, mac))
		return -EPERM;
	while (r < 0 && policy_mac_records(l->policy, vsid, mac, &cursor, &rec, &origin) > 0) {
		if (strcmp(rec.host, l->host_id) == 0)
			return 0;
		if (origin < ORIGIN_MANAGER)
			continue;
		str_copy(rec.host, sizeof(rec.host), l->host_id);
		rec.provider_address = (struct ip_addr){ 0 };
		rec.unusable = false;
		rec.unsynchronized = rec.type == RECORD_DYNAMIC;
		r = policy_set(l->policy, OBJECT_RECORD, &rec, origin, NULL);
		if (r >= 0)
			mac_is_here(l, vsid, mac, port, now);
	}
	return r < 0 ? r : 0;
}

static int put(struct learn *l, struct record_spec *rec, enum origin origin, uint16_t port, uint64_t now)
{
	int r = policy_set(l->policy, OBJECT_RECORD, rec, origin, NULL);

	/* Its MAC may be at another host as yet. */
	if (r == -EEXIST && move_mac(l, rec->vsid, &rec->mac, port, now) == 0)
		r = policy_set(l->policy, OBJECT_RECORD, rec, origin, NULL);
	return r < 0 ? r : 0;
}

static void refused(struct learn *l, const struct sighting *s, uint64_t now, const char *reason)
{
	struct learn_news n = { .change = LEARN_MISMATCH, .port = s->port, .reason = reason,
				.rec = { .vsid = s->vsid, .ca = s->ca, .mac = s->mac } };

	if (!learn_may_tell(l, now))
		return;
	n.suppressed = l->suppressed;
	l->suppressed = 0;
	l->ops->news(l->arg, &n);
}

static void add(struct learn *l, const struct sighting *s, uint64_t now)
{
	struct record_spec rec = { .vsid = s->vsid, .ca = s->ca, .mac = s->mac, .type = RECORD_DYNAMIC,
				   .unsynchronized = true };
	struct entry *e;
	int r;

	if (l->n_here[s->port] >= l->params.per_port) {
		refused(l, s, now, "the port has taught as many addresses as it may");
		return;
	}
	e = entry_get(l, s->vsid, &s->ca);
	if (!e)
		return;
	str_copy(rec.host, sizeof(rec.host), l->host_id);
	r = put(l, &rec, ORIGIN_LEARNED, s->port, now);
	if (r < 0) {
		if (e->state == ENTRY_NONE && link_empty(&e->active))
			entry_free(l, e);
		refused(l, s, now, r == -EEXIST ? "a record says that the MAC is on another host" : strerror(-r));
		return;
	}
	here(l, e, &s->mac, s->port, now);
	learn_tell(l, LEARN_ADDED, &rec, s->port, s->kind == SIGHT_LEASE ? "dhcp" : "neighbour discovery");
}

static bool flaps(struct learn *l, struct entry *e, const struct record_spec *rec, const struct sighting *s,
		  uint64_t now)
{
	if (now - e->moves_since > MOVES_MS) {
		e->moves_since = now;
		e->moves = 0;
	}
	if (++e->moves <= MOVES_MAX)
		return false;
	e->quiet_until = now + HOLD_MS;
	e->moves = 0;
	learn_conflict(l, rec, &s->mac, s->port, now, "it moves all the time: held where it is for a while");
	return true;
}

/* The address goes over to the claimant. */
static void move(struct learn *l, struct entry *e, struct record_spec *rec, enum origin origin,
		 const struct sighting *s, uint64_t now, const char *reason)
{
	if (flaps(l, e, rec, s, now))
		return;
	if (l->n_here[s->port] >= l->params.per_port) {
		refused(l, s, now, "the port has taught as many addresses as it may");
		return;
	}
	rec->mac = s->mac;
	str_copy(rec->host, sizeof(rec->host), l->host_id);
	rec->provider_address = (struct ip_addr){ 0 };
	rec->unusable = false;
	rec->unsynchronized = true;
	if (put(l, rec, origin, s->port, now) < 0) {
		refused(l, s, now, "the address cannot move to this MAC: a record says that it is on another host");
		return;
	}
	here(l, e, &s->mac, s->port, now);
	e->defended_until = 0; /* by another */
	learn_tell(l, LEARN_MOVED, rec, s->port, reason);
	l->ops->announce(l->arg, s->port, &e->ca, &e->mac);
}

static void contest_end(struct learn *l, struct entry *e, uint64_t now)
{
	e->contested = e->waits = false;
	l->n_claims[e->rival_port]--;
	if (e->state == ENTRY_HERE)
		entry_settle(l, e, now);
	else if (e->state == ENTRY_NONE)
		entry_past(l, e, now);
}

/* Ask the owner once more, or for the first time. @return false: its MAC is nowhere. */
static bool ask_owner(struct learn *l, struct entry *e, const struct mac *owner, const struct mac *rival, uint64_t now)
{
	enum learn_asked r;

	e->owner_lost = l->ops->lost(l->arg, e->vsid, owner);
	r = learn_ask(l, e, owner, rival);
	e->rival_tries += r == LEARN_ASKED;
	e->rival_missed += r == LEARN_NOT_NOW;
	e->rival_due = now + e->rival_step;
	return r != LEARN_NOWHERE;
}

/* The last question may be among the frames for which the owner's ring had no room: it does not count. */
static void look_for_lost(struct learn *l, struct entry *e)
{
	if (!e->rival_tries || e->rival_lost > LOST_MS / e->rival_step ||
	    l->ops->lost(l->arg, e->vsid, &e->owner) == e->owner_lost)
		return;
	e->rival_tries--;
	e->rival_lost++;
}

/* May the port's claim be looked into now? */
static bool may_claim(struct learn *l, const struct sighting *s, uint64_t now)
{
	const char *why = l->n_claims[s->port] >= LEARN_CLAIMS_MAX ? "the port claims too many addresses at once"
			  : l->n_active >= LEARN_ACTIVE_MAX	   ? "too many addresses are looked into already"
								   : NULL;

	if (why)
		refused(l, s, now, why);
	return !why;
}

/* Of the claims that come in the meantime the last one counts: a cluster's new master says it once. */
static void put_off(struct learn *l, struct entry *e, const struct mac *owner, const struct sighting *s)
{
	if (e->waits)
		l->n_claims[e->rival_port]--;
	e->contested = e->waits = true;
	e->owner = *owner;
	e->rival = s->mac;
	e->rival_port = s->port;
	e->rival_due = e->quiet_until;
	l->n_claims[s->port]++;
	entry_activate(l, e);
}

/* Somebody else wants an address that has an owner. */
static void contest(struct learn *l, struct record_spec *rec, enum origin origin, const struct sighting *s,
		    uint64_t now)
{
	const struct policy_port *port = policy_port(l->policy, s->port);
	struct entry *e = entry_find(l, s->vsid, &s->ca);

	if ((e && e->contested && !e->waits) || !may_claim(l, s, now))
		return;
	if (e && (e->waits || now < e->quiet_until)) {
		if (movable(rec, origin))
			put_off(l, e, &rec->mac, s);
		return;
	}
	e = entry_get(l, s->vsid, &s->ca);
	if (!e)
		return;
	if (e->state == ENTRY_NONE)
		entry_past(l, e, now);
	if (!movable(rec, origin)) {
		e->quiet_until = now + QUIET_MS;
		learn_conflict(l, rec, &s->mac, s->port, now, "the record is static");
		return;
	}
	for (uint16_t i = 0; i < port->n_addresses; i++) {
		if (ip_in_prefix(&s->ca, &port->addresses[i])) {
			move(l, e, rec, origin, s, now, "the port is allowed the address");
			return;
		}
	}
	e->rival_tries = e->rival_missed = 0;
	e->rival_lost = 0;
	e->rival_needs = now < e->defended_until ? DEFENDED_ASKS : 2;
	e->rival_step = now < e->defended_until ? DEFENDED_STEP : (l->params.claim_ms + 1) / 2;
	if (!ask_owner(l, e, &rec->mac, &s->mac, now)) {
		move(l, e, rec, origin, s, now, "the owner is gone");
		return;
	}
	e->contested = true;
	e->owner = rec->mac;
	e->rival = s->mac;
	e->rival_port = s->port;
	l->n_claims[s->port]++;
	entry_activate(l, e);
}

void claim_due(struct learn *l, struct entry *e, uint64_t now)
{
	struct sighting s = { .kind = SIGHT_USES, .port = e->rival_port, .vsid = e->vsid, .mac = e->rival,
			      .ca = e->ca };
	struct record_spec rec = { .vsid = e->vsid, .ca = e->ca };
	enum origin origin;

	if (e->waits) {
		contest_end(l, e, now);
		if (learn_stands(l, &s))
			claim_see(l, &s, now);
		return;
	}
	look_for_lost(l, e);
	if (e->rival_tries < e->rival_needs && e->rival_missed < MISSED_MAX &&
	    ask_owner(l, e, &e->owner, &e->rival, now))
		return;
	contest_end(l, e, now);
	/* The claimant's port, or the record, may have gone or changed meanwhile. */
	if (e->rival_missed >= MISSED_MAX || !learn_stands(l, &s) ||
	    policy_get(l->policy, OBJECT_RECORD, &rec, &origin) < 0 ||
	    !mac_equal(&rec.mac, &e->owner) || !movable(&rec, origin))
		return;
	move(l, e, &rec, origin, &s, now, "the owner does not answer");
}

void claim_answered(struct learn *l, struct entry *e, const struct mac *mac, uint64_t now)
{
	struct record_spec rec = { .vsid = e->vsid, .ca = e->ca };
	enum origin origin;

	if (!e->contested || !mac_equal(mac, &e->owner))
		return;
	if (e->waits) {
		contest_end(l, e, now);
		return;
	}
	e->quiet_until = now + QUIET_MS;
	e->defended_until = now + DEFENDED_MS;
	contest_end(l, e, now);
	if (policy_get(l->policy, OBJECT_RECORD, &rec, &origin) == 0)
		learn_conflict(l, &rec, &e->rival, e->rival_port, now, "the owner has answered");
}

/* It probes whether the address is free: asked later whether it has it now. The answer is what teaches. */
static void wanted(struct learn *l, const struct sighting *s, uint64_t now)
{
	struct entry *e = entry_get(l, s->vsid, &s->ca);

	if (!e || e->state != ENTRY_NONE || e->contested || l->n_active >= LEARN_ACTIVE_MAX ||
	    l->n_wanted[s->port] >= LEARN_WANTED_MAX) {
		if (e && e->state == ENTRY_NONE && link_empty(&e->active))
			entry_free(l, e);
		return;
	}
	e->mac = s->mac;
	entry_state(l, e, ENTRY_WANTED, s->port);
	e->due = now + WANTED_MS;
	entry_activate(l, e);
}

void claim_see(struct learn *l, const struct sighting *s, uint64_t now)
{
	struct record_spec rec = { .vsid = s->vsid, .ca = s->ca };
	struct entry *e = entry_find(l, s->vsid, &s->ca);
	enum origin origin;

	if (e && e->contested)
		claim_answered(l, e, &s->mac, now);
	if (policy_get(l->policy, OBJECT_RECORD, &rec, &origin) < 0) {
		if (s->kind == SIGHT_WANTS)
			wanted(l, s, now);
		else
			add(l, s, now);
		return;
	}
	if (s->kind == SIGHT_WANTS)
		return;
	if (!mac_equal(&rec.mac, &s->mac)) {
		contest(l, &rec, origin, s, now);
	} else if (strcmp(rec.host, l->host_id) != 0) {
		if (move_mac(l, s->vsid, &s->mac, s->port, now) < 0)
			refused(l, s, now, "its static record names another host");
	} else if (movable(&rec, origin) && (e = entry_get(l, s->vsid, &s->ca))) {
		bool again = e->state != ENTRY_HERE; /* central policy has had it from us before */

		here(l, e, &s->mac, s->port, now);
		if (again)
			learn_tell(l, LEARN_ADDED, &rec, s->port, "seen again");
	}
}

void claim_mac(struct learn *l, const struct sighting *s, uint64_t now)
{
	int r = move_mac(l, s->vsid, &s->mac, s->port, now);

	if (r < 0 && r != -ENOENT)
		refused(l, s, now, "a static record says that the MAC is on another host");
}
