/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/flowhash.h"
#include "policy/learn/entries.h"

static struct entry **bucket(const struct learn *l, uint32_t vsid, const struct ip_addr *ca)
{
	uint64_t w[2];

	memcpy(w, ca->b, 16);
	w[0] = flowhash_mix(w[0] ^ l->salt, w[1] ^ ((uint64_t)vsid << 8 | ca->family) ^ FLOWHASH_K1);
	return (struct entry **)(uintptr_t)&l->buckets[w[0] % LEARN_BUCKETS];
}

struct entry *entry_find(const struct learn *l, uint32_t vsid, const struct ip_addr *ca)
{
	struct entry *e = *bucket(l, vsid, ca);

	while (e && (e->vsid != vsid || !ip_equal(&e->ca, ca)))
		e = e->chain;
	return e;
}

struct entry *entry_get(struct learn *l, uint32_t vsid, const struct ip_addr *ca)
{
	struct entry *e = entry_find(l, vsid, ca), **at = bucket(l, vsid, ca);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->vsid = vsid;
	e->ca = *ca;
	e->port = PORT_NONE;
	link_init(&e->of_port);
	link_init(&e->verify);
	link_init(&e->active);
	e->chain = *at;
	*at = e;
	return e;
}

static bool is_active(const struct entry *e)
{
	return !link_empty(&e->active) && !e->past;
}

/* Out of both lists. */
static void unlist(struct learn *l, struct entry *e)
{
	if (is_active(e)) {
		l->n_active--;
		l->n_asked -= e->state == ENTRY_HERE;
	} else if (e->past) {
		l->n_past--;
	}
	link_remove(&e->active);
	e->past = false;
}

void entry_free(struct learn *l, struct entry *e)
{
	struct entry **at = bucket(l, e->vsid, &e->ca);

	entry_state(l, e, ENTRY_NONE, PORT_NONE);
	link_remove(&e->verify);
	unlist(l, e);
	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	free(e);
}

static uint32_t *counter(struct learn *l, const struct entry *e)
{
	if (e->port >= POLICY_MAX_PORTS)
		return NULL;
	return e->state == ENTRY_HERE ? &l->n_here[e->port] : e->state == ENTRY_WANTED ? &l->n_wanted[e->port] : NULL;
}

void entry_state(struct learn *l, struct entry *e, enum entry_state state, uint16_t port)
{
	uint32_t *n = counter(l, e);

	if (n)
		--*n;
	l->n_learned -= e->state == ENTRY_HERE;
	l->n_asked -= e->state == ENTRY_HERE && is_active(e);
	link_remove(&e->of_port);
	if (state != ENTRY_HERE)
		link_remove(&e->verify);
	e->state = state;
	e->port = state == ENTRY_NONE ? PORT_NONE : port;
	e->tries = 0;
	l->n_learned += state == ENTRY_HERE;
	l->n_asked += state == ENTRY_HERE && is_active(e);
	n = counter(l, e);
	if (n) {
		++*n;
		link_append(&l->ports[e->port], &e->of_port);
	}
}

void entry_activate(struct learn *l, struct entry *e)
{
	if (is_active(e))
		return;
	unlist(l, e);
	link_append(&l->active, &e->active);
	l->n_active++;
	l->n_asked += e->state == ENTRY_HERE;
}

void entry_settle(struct learn *l, struct entry *e, uint64_t now)
{
	unlist(l, e);
	link_remove(&e->verify);
	e->tries = 0;
	e->due = now + l->params.verify_ms;
	link_append(&l->verify, &e->verify);
}

void entry_past(struct learn *l, struct entry *e, uint64_t until)
{
	unlist(l, e);
	e->due = until;
	e->past = true;
	link_append(&l->past, &e->active);
	if (++l->n_past > LEARN_PAST_MAX)
		entry_free(l, entry_of(l->past.next, active));
}

uint64_t entry_past_until(const struct entry *e)
{
	uint64_t t = e->due > e->quiet_until ? e->due : e->quiet_until;

	return t > e->defended_until ? t : e->defended_until;
}
