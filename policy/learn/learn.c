/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/random.h>

#include "base/str.h"
#include "policy/learn/entries.h"

#define ASK_MS	    1000 /* between questions to a guest that may be gone, or may have got its address */
#define ASK_TRIES   3
#define ASKED_MAX   256 /* guests asked at once */
#define ASKED_TURN  64 /* in one turn: others have questions, too */
#define LATER_MS    100 /* a question that could not be sent is tried again */
#define PAST_MS	    60000
#define TELL_PER_S  10
#define TELL_BURST  32

#define X(sym, name) name,
const char *const learn_change_names[LEARN_CHANGE_COUNT] = { LEARN_CHANGES(X) };
#undef X

/* ---- news ---- */

bool learn_may_tell(struct learn *l, uint64_t now)
{
	uint64_t add = (now - l->tokens_ms) * TELL_PER_S / 1000;

	if (add) {
		l->tokens = l->tokens + add < TELL_BURST ? l->tokens + add : TELL_BURST;
		l->tokens_ms = now;
	}
	if (!l->tokens) {
		l->suppressed++;
		return false;
	}
	l->tokens--;
	return true;
}

void learn_tell(struct learn *l, enum learn_change change, const struct record_spec *rec, uint16_t port,
		const char *reason)
{
	struct learn_news n = { .change = change, .rec = *rec, .learned = true, .port = port, .reason = reason };

	l->ops->news(l->arg, &n);
}

void learn_conflict(struct learn *l, const struct record_spec *rec, const struct mac *rival, uint16_t port,
		    uint64_t now, const char *reason)
{
	struct learn_news n = { .change = LEARN_CONFLICTED, .rec = *rec, .rival = *rival, .port = port,
				.reason = reason };

	if (!learn_may_tell(l, now))
		return;
	n.suppressed = l->suppressed;
	l->suppressed = 0;
	l->ops->news(l->arg, &n);
}

static void mismatch(struct learn *l, const struct sighting *s, uint64_t now)
{
	struct learn_news n = { .change = LEARN_MISMATCH, .port = s->port, .pa = s->pa, .reason = drop_name(s->drop),
				.rec = { .vsid = s->vsid, .ca = s->ca, .mac = s->mac } };

	if (!learn_may_tell(l, now))
		return;
	n.suppressed = l->suppressed;
	l->suppressed = 0;
	l->ops->news(l->arg, &n);
}

/* ---- life ---- */

int learn_new(struct policy *p, const char *host_id, const struct learn_params *params, const struct learn_ops *ops,
	      void *arg, struct learn **ret)
{
	struct learn *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->policy = p;
	l->params = *params;
	l->ops = ops;
	l->arg = arg;
	l->tokens = TELL_BURST;
	str_copy(l->host_id, sizeof(l->host_id), host_id);
	if (getrandom(&l->salt, sizeof(l->salt), GRND_NONBLOCK) != sizeof(l->salt))
		l->salt = (uintptr_t)l;
	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		link_init(&l->ports[i]);
	link_init(&l->verify);
	link_init(&l->active);
	link_init(&l->past);
	*ret = l;
	return 0;
}

struct learn *learn_free(struct learn *l)
{
	for (unsigned int i = 0; l && i < LEARN_BUCKETS; i++)
		while (l->buckets[i])
			entry_free(l, l->buckets[i]);
	free(l);
	return NULL;
}

void learn_set_params(struct learn *l, const struct learn_params *params)
{
	l->params = *params;
}

/* Index of the local port that has the MAC. */
static uint16_t port_of(const struct learn *l, uint32_t vsid, const struct mac *mac)
{
	uint32_t v = policy_mac_lookup(l->policy, vsid, mac_load(mac));

	return v != MACV_MISS && MACV_KIND(v) == MACV_LOCAL ? MACV_INDEX(v) : PORT_NONE;
}

static void restore(struct learn *l, struct record_spec *rec, enum origin origin, uint64_t now)
{
	struct entry *e;

	if (strcmp(rec->host, l->host_id) != 0) {
		if (origin == ORIGIN_LEARNED) /* never ours to say: what moved away is in central policy's hands */
			policy_remove(l->policy, OBJECT_RECORD, rec, origin, NULL);
		return;
	}
	e = entry_get(l, rec->vsid, &rec->ca);
	if (!e)
		return;
	if (origin == ORIGIN_LEARNED) {
		rec->unsynchronized = true;
		policy_set(l->policy, OBJECT_RECORD, rec, origin, NULL);
	}
	e->mac = rec->mac;
	entry_state(l, e, ENTRY_HERE, port_of(l, rec->vsid, &rec->mac));
	entry_settle(l, e, now);
}

void learn_restore(struct learn *l, uint64_t now_ms)
{
	struct record_spec rec;
	enum origin origin;
	uint64_t cursor = 0;

	while (policy_next(l->policy, OBJECT_RECORD, &cursor, &rec, &origin) > 0)
		if (origin >= ORIGIN_MANAGER && rec.type == RECORD_DYNAMIC && ip_is_set(&rec.ca))
			restore(l, &rec, origin, now_ms);
}

/* ---- what is seen ---- */

bool learn_stands(const struct learn *l, const struct sighting *s)
{
	const struct policy_port *port = policy_port(l->policy, s->port);

	if (!port || port->vsid != s->vsid)
		return false;
	for (uint16_t i = 0; i < port->n_macs; i++)
		if (mac_equal(&port->macs[i], &s->mac))
			return true;
	return false;
}

void learn_see(struct learn *l, const struct sighting *s, uint64_t now_ms)
{
	struct entry *e;

	if (s->kind == SIGHT_MISMATCH) {
		mismatch(l, s, now_ms);
	} else if (s->kind == SIGHT_OWNER) {
		e = entry_find(l, s->vsid, &s->ca);
		if (e)
			claim_answered(l, e, &s->mac, now_ms);
	} else if (!learn_stands(l, s)) {
		return;
	} else if (s->kind == SIGHT_MAC) {
		claim_mac(l, s, now_ms);
	} else if (s->kind == SIGHT_ASKS) {
		lease_asked(l, s, now_ms);
	} else if (s->kind != SIGHT_LEASE || lease_given(l, s, now_ms)) {
		claim_see(l, s, now_ms);
	}
}

void learn_forget(struct learn *l, struct entry *e, uint64_t now, const char *reason)
{
	struct record_spec rec = { .vsid = e->vsid, .ca = e->ca };
	uint16_t port = e->port;
	enum origin origin;
	bool ours;

	ours = policy_get(l->policy, OBJECT_RECORD, &rec, &origin) == 0 && mac_equal(&rec.mac, &e->mac) &&
	       strcmp(rec.host, l->host_id) == 0;
	if (!ours) {
		rec = (struct record_spec){ .vsid = e->vsid, .ca = e->ca, .mac = e->mac, .type = RECORD_DYNAMIC };
		str_copy(rec.host, sizeof(rec.host), l->host_id);
	} else if (origin == ORIGIN_LEARNED) {
		policy_remove(l->policy, OBJECT_RECORD, &rec, origin, NULL);
	}
	entry_state(l, e, ENTRY_NONE, PORT_NONE);
	if (!e->contested)
		entry_past(l, e, now + PAST_MS);
	learn_tell(l, LEARN_DELETED, &rec, port, reason);
}

/* What was learned before the port came. */
static void adopt(struct learn *l, const struct policy_port *port, const struct mac *mac)
{
	struct record_spec rec;
	enum origin origin;
	uint64_t cursor = 0;
	struct entry *e;

	while (policy_mac_records(l->policy, port->vsid, mac, &cursor, &rec, &origin) > 0) {
		e = ip_is_set(&rec.ca) ? entry_find(l, rec.vsid, &rec.ca) : NULL;
		if (e && e->state == ENTRY_HERE && e->port == PORT_NONE)
			entry_state(l, e, ENTRY_HERE, port->index);
	}
}

void learn_port_changed(struct learn *l, uint16_t port, uint64_t now_ms)
{
	const struct policy_port *p = policy_port(l->policy, port);
	struct link *at, *next;

	for (uint16_t i = 0; p && i < p->n_macs; i++)
		adopt(l, p, &p->macs[i]);
	for (at = l->ports[port].next; at != &l->ports[port]; at = next) {
		struct entry *e = entry_of(at, of_port);
		const struct policy_subnet *s = p ? policy_subnet(l->policy, p->vsid) : NULL;
		struct sighting is = { .port = port, .vsid = e->vsid, .mac = e->mac };

		next = at->next;
		if (p && learn_stands(l, &is) && (!s || policy_may_have(p, s, &e->ca)))
			continue;
		if (e->state == ENTRY_HERE)
			learn_forget(l, e, now_ms, p ? "the port changed" : "the port was removed");
		else
			entry_state(l, e, ENTRY_NONE, PORT_NONE);
	}
}

void learn_record_changed(struct learn *l, const struct record_spec *key, uint64_t now_ms)
{
	struct record_spec rec = { .vsid = key->vsid, .ca = key->ca };
	struct entry *e = ip_is_set(&key->ca) ? entry_find(l, key->vsid, &key->ca) : NULL;
	enum origin origin;

	if (!e || e->state != ENTRY_HERE)
		return;
	if (policy_get(l->policy, OBJECT_RECORD, &rec, &origin) < 0)
		learn_forget(l, e, now_ms, "the record was removed");
	else if (strcmp(rec.host, l->host_id) != 0 || !mac_equal(&rec.mac, &e->mac))
		learn_forget(l, e, now_ms, "the record says otherwise");
	else if (rec.type != RECORD_DYNAMIC || origin < ORIGIN_MANAGER)
		learn_forget(l, e, now_ms, "the record is static now");
}

/* ---- time ---- */

enum learn_asked learn_ask(struct learn *l, const struct entry *e, const struct mac *mac, const struct mac *asker)
{
	policy_await(l->policy, e->vsid, &e->ca, mac);
	return l->ops->ask(l->arg, e->vsid, &e->ca, mac, asker);
}

/* A guest was asked whether it has the address, or is to be asked now. */
static void ask(struct learn *l, struct entry *e, uint64_t now)
{
	if (e->tries < ASK_TRIES) {
		/* A port that is not there does not answer either. */
		bool sent = learn_ask(l, e, &e->mac, NULL) != LEARN_NOT_NOW;

		e->tries += sent;
		e->due = now + (sent ? ASK_MS : LATER_MS);
		return;
	}
	if (e->state == ENTRY_HERE) {
		learn_forget(l, e, now, "the guest does not answer");
		return;
	}
	entry_state(l, e, ENTRY_NONE, PORT_NONE);
	entry_past(l, e, now);
}

static void due(struct learn *l, struct entry *e, uint64_t now)
{
	if (e->contested) {
		if (now >= e->rival_due)
			claim_due(l, e, now);
		return;
	}
	if (e->state == ENTRY_NONE)
		entry_past(l, e, now);
	else if (now >= e->due)
		ask(l, e, now);
}

/* A later one may have an earlier end: it waits, memory is all that it costs. */
static void forget_past(struct learn *l, uint64_t now)
{
	while (!link_empty(&l->past) && entry_past_until(entry_of(l->past.next, active)) <= now)
		entry_free(l, entry_of(l->past.next, active));
}

/* Those that have not been heard of for long. */
static void verify(struct learn *l, uint64_t now)
{
	for (unsigned int i = 0; i < ASKED_TURN && l->params.verify_ms && !link_empty(&l->verify) &&
				 l->n_asked < ASKED_MAX; i++) {
		struct entry *e = entry_of(l->verify.next, verify);

		if (e->due > now)
			return;
		link_remove(&e->verify);
		entry_activate(l, e);
		ask(l, e, now);
	}
}

/* When something is to be done about those in the lists, and who has to answer. */
static uint64_t next_due(const struct learn *l, struct policy_awaited *ret_awaited)
{
	uint64_t next = UINT64_MAX, t;
	const struct link *at;

	*ret_awaited = (struct policy_awaited){ 0 };
	for (at = l->active.next; at != &l->active; at = at->next) {
		const struct entry *e = entry_of(at, active);

		t = e->contested ? e->rival_due : e->due;
		next = t < next ? t : next;
		if (e->contested && !e->waits)
			policy_awaited_add(l->policy, ret_awaited, e->vsid, &e->ca, &e->owner);
		if (e->tries)
			policy_awaited_add(l->policy, ret_awaited, e->vsid, &e->ca, &e->mac);
	}
	if (!link_empty(&l->past)) {
		t = entry_past_until(entry_of(l->past.next, active));
		next = t < next ? t : next;
	}
	if (l->params.verify_ms && !link_empty(&l->verify) && l->n_asked < ASKED_MAX) {
		t = entry_of(l->verify.next, verify)->due;
		next = t < next ? t : next;
	}
	return next;
}

uint64_t learn_tick(struct learn *l, uint64_t now_ms)
{
	struct policy_awaited awaited;
	struct link todo;
	uint64_t next;

	/* One may end what another one waits for: each is looked up anew. */
	link_init(&todo);
	if (!link_empty(&l->active)) {
		todo = l->active;
		todo.next->prev = todo.prev->next = &todo;
		link_init(&l->active);
	}
	while (!link_empty(&todo)) {
		struct entry *e = entry_of(todo.next, active);

		link_remove(&e->active);
		link_append(&l->active, &e->active);
		due(l, e, now_ms);
	}
	verify(l, now_ms);
	forget_past(l, now_ms);
	next = next_due(l, &awaited);
	policy_set_awaited(l->policy, &awaited);
	return next > now_ms ? next : now_ms + 1;
}

/* ---- listing ---- */

int learn_next(const struct learn *l, uint64_t *cursor, struct record_spec *ret)
{
	uint64_t in = *cursor & 0xffffffff, at;
	enum origin origin;
	struct entry *e;

	for (uint64_t b = *cursor >> 32; b < LEARN_BUCKETS; b++, in = 0) {
		for (e = l->buckets[b], at = 0; e; e = e->chain, at++) {
			if (at < in || e->state != ENTRY_HERE)
				continue;
			*ret = (struct record_spec){ .vsid = e->vsid, .ca = e->ca };
			if (policy_get(l->policy, OBJECT_RECORD, ret, &origin) < 0)
				continue;
			*cursor = b << 32 | (at + 1);
			return 1;
		}
	}
	return 0;
}

uint32_t learn_count(const struct learn *l)
{
	return l->n_learned;
}
