/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts and their provider addresses. */
#include <stdlib.h>

#include "base/str.h"
#include "policy/policy_private.h"

#define FLOW_SLOTS 64u
#define PA_ENTRIES 65536u

static const char *id_of(const void *owner, uint32_t index)
{
	const struct policy *p = owner;

	return p->host_ctl[index].id;
}

static struct host_pub *pub_of(const struct policy *p, uint16_t host)
{
	return (struct host_pub *)(uintptr_t)p->hosts[host];
}

/* Index of a PA in the published list, or PA_ANY. */
static uint8_t pa_index(const struct policy_host *h, const struct ip_addr *a)
{
	for (uint16_t i = 0; i < h->n_pas; i++)
		if (ip_equal(&h->pas[i].address, a))
			return (uint8_t)i;
	return PA_ANY;
}

/*
 * Slots per PA: at least one each, the rest by weight (Sainte-Lague: the highest weight / (2 n + 1) takes the
 * next).
 */
static void quotas(const struct policy_host *h, uint8_t n[HOST_PAS])
{
	for (uint16_t i = 0; i < h->n_pas; i++)
		n[i] = 1;
	for (unsigned int left = FLOW_SLOTS - h->n_pas; left; left--) {
		uint16_t best = 0;

		for (uint16_t i = 1; i < h->n_pas; i++) {
			uint32_t wi = h->pas[i].weight ? h->pas[i].weight : 1;
			uint32_t wb = h->pas[best].weight ? h->pas[best].weight : 1;

			if (wi * (2u * n[best] + 1) > wb * (2u * n[i] + 1))
				best = i;
		}
		n[best]++;
	}
}

/*
 * Spread the flow slots by weight; a slot keeps its PA across changes of the list if that one's share allows
 * it.
 */
static void spread_flows(struct policy_host *h, const struct policy_host *was)
{
	uint8_t quota[HOST_PAS] = { 0 };
	uint16_t next = 0;

	if (!h->n_pas)
		return;
	quotas(h, quota);
	for (unsigned int i = 0; i < FLOW_SLOTS; i++) {
		uint8_t pa = was && was->n_pas ? pa_index(h, &was->pas[was->pa_of_flow[i]].address) : PA_ANY;

		h->pa_of_flow[i] = PA_ANY;
		if (pa != PA_ANY && quota[pa]) {
			quota[pa]--;
			h->pa_of_flow[i] = pa;
		}
	}
	for (unsigned int i = 0; i < FLOW_SLOTS; i++) {
		if (h->pa_of_flow[i] != PA_ANY)
			continue;
		/* One after the other, so that neighbours differ. */
		do {
			next = (uint16_t)((next + 1) % h->n_pas);
		} while (!quota[next]);
		quota[next]--;
		h->pa_of_flow[i] = (uint8_t)next;
	}
}

static struct host_pub *build(const struct policy *p, uint16_t host, const struct host_spec *spec,
			      bool usable)
{
	const struct host_ctl *c = &p->host_ctl[host];
	struct host_pub *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->h.index = host;
	n->h.self = host == p->self;
	n->h.usable = spec && usable;
	str_copy(n->h.id, sizeof(n->h.id), c->id);
	if (spec) {
		n->h.n_pas = spec->n_pas;
		memcpy(n->h.pas, spec->pas, spec->n_pas * sizeof(spec->pas[0]));
		n->h.encapsulation = spec->encapsulation;
		n->h.spread = spec->spread;
		spread_flows(&n->h, p->hosts[host]);
	}
	for (unsigned int i = 0; i < PINS; i++)
		n->pin_pa[i] = c->pins && c->pins[i].refs ? pa_index(&n->h, &c->pins[i].address) : PA_ANY;
	return n;
}

static void publish(struct policy *p, uint16_t host, struct host_pub *n)
{
	const struct policy_host *old = p->hosts[host];
	uint64_t bit = UINT64_C(1) << (host % 64), up = p->host_up[host / 64];

	rcu_assign(p->hosts[host], n ? &n->h : NULL);
	__atomic_store_n(&p->host_up[host / 64], n && n->h.usable ? up | bit : up & ~bit, __ATOMIC_RELEASE);
	policy_free_later(p, old);
}

/* ---- existence ---- */

/* Index of an id, made if need be and then not in use by anybody. */
static int intern(struct policy *p, const char *id, uint16_t *ret, struct errbuf *err)
{
	uint32_t i = names_find(&p->host_names, id);
	struct host_pub *n;

	if (i != NAMES_NONE) {
		*ret = (uint16_t)i;
		return 0;
	}
	i = policy_number(&p->host_grace, &p->host_fresh, POLICY_MAX_HOSTS);
	if (i == GRACE_NONE)
		return err_set(err, ENOSPC, "host %s: there are %u hosts already", id, POLICY_MAX_HOSTS);
	p->host_ctl[i] = (struct host_ctl){ .usable = true };
	str_copy(p->host_ctl[i].id, ID_SIZE, id);
	n = build(p, (uint16_t)i, NULL, false);
	if (!n) {
		grace_push(&p->host_grace, i);
		return err_set(err, ENOMEM, "no memory for host %s", id);
	}
	names_add(&p->host_names, i);
	publish(p, (uint16_t)i, n);
	*ret = (uint16_t)i;
	return 0;
}

static void forget_if_unused(struct policy *p, uint16_t host)
{
	struct host_ctl *c = &p->host_ctl[host];

	if (c->spec || c->n_records)
		return;
	names_remove(&p->host_names, host);
	publish(p, host, NULL);
	free(c->pins);
	c->pins = NULL;
	c->id[0] = '\0';
	grace_push(&p->host_grace, host);
}

int host_hold(struct policy *p, const char *id, uint16_t *ret, struct errbuf *err)
{
	int r = intern(p, id, ret, err);

	if (r == 0)
		p->host_ctl[*ret].n_records++;
	return r;
}

void host_release(struct policy *p, uint16_t host)
{
	p->host_ctl[host].n_records--;
	forget_if_unused(p, host);
}

int hosts_init(struct policy *p)
{
	uint32_t entries = PA_ENTRIES;
	int r = mem_alloc(&p->mem_hosts, POLICY_MAX_HOSTS * sizeof(struct host_ctl), p->params.socket, false);

	if (r == 0)
		r = mem_alloc(&p->mem_host_link, POLICY_MAX_HOSTS * sizeof(uint32_t), p->params.socket,
			      false);
	if (r == 0)
		r = names_init(&p->host_names, POLICY_MAX_HOSTS, id_of, p);
	if (r == 0)
		r = table_init(&p->pa, entries, true, p->params.socket);
	if (r < 0)
		return r;
	p->host_ctl = p->mem_hosts.p;
	grace_init(&p->host_grace, p->mem_host_link.p);
	/* The first index; the use counted here is never given back. */
	return host_hold(p, p->params.host_id, &p->self, NULL);
}

void hosts_fini(struct policy *p)
{
	for (uint32_t i = 0; i < p->host_fresh; i++) {
		free(pub_of(p, (uint16_t)i));
		free(p->host_ctl[i].spec);
		free(p->host_ctl[i].pins);
	}
	names_fini(&p->host_names);
	table_fini(&p->pa);
	mem_free(&p->mem_hosts);
	mem_free(&p->mem_host_link);
}

/* ---- provider addresses ---- */

uint16_t policy_host_of_pa(const struct policy *p, const struct ip_addr *pa)
{
	uint32_t v = table_find(&p->pa, ca_key(p, 0, pa), 0);
	const struct policy_host *h;

	if (v == TABLE_MISS)
		return HOST_NONE;
	if (pa->family == 4)
		return (uint16_t)v;
	h = host_at(p, (uint16_t)v);
	return h && pa_index(h, pa) != PA_ANY ? (uint16_t)v : HOST_NONE;
}

static int check_pas(const struct policy *p, const struct host_spec *s, struct errbuf *err)
{
	char text[IP_STR];

	for (uint16_t i = 0; i < s->n_pas; i++) {
		const struct ip_addr *a = &s->pas[i].address;
		uint32_t v = table_find(&p->pa, ca_key(p, 0, a), 0);

		if (v == TABLE_MISS || strcmp(p->host_ctl[v].id, s->id) == 0)
			continue;
		return err_set(err, EEXIST, "provider address %s is host %s's", format_ip(a, text),
			       p->host_ctl[v].id);
	}
	return 0;
}

static bool spec_has(const struct host_spec *s, const struct ip_addr *a)
{
	for (uint16_t i = 0; s && i < s->n_pas; i++)
		if (ip_equal(&s->pas[i].address, a))
			return true;
	return false;
}

static void remove_pas(struct policy *p, const struct host_spec *was, const struct host_spec *now)
{
	for (uint16_t i = 0; was && i < was->n_pas; i++)
		if (!spec_has(now, &was->pas[i].address))
			table_remove(&p->pa, table_slot(&p->pa, ca_key(p, 0, &was->pas[i].address), 0));
}

static void add_pas(struct policy *p, const struct host_spec *was, const struct host_spec *now, uint16_t host)
{
	for (uint16_t i = 0; i < now->n_pas; i++)
		if (!spec_has(was, &now->pas[i].address))
			table_insert(&p->pa, ca_key(p, 0, &now->pas[i].address), 0, host);
}

int host_pin(struct policy *p, uint16_t host, const struct ip_addr *pa, uint8_t *ret, struct errbuf *err)
{
	struct host_ctl *c = &p->host_ctl[host];
	unsigned int i, slot = PINS;
	char text[IP_STR];
	uint16_t owner;

	if (!ip_is_set(pa)) {
		*ret = PIN_ANY;
		return 0;
	}
	owner = policy_host_of_pa(p, pa);
	if (owner != HOST_NONE && owner != host)
		return err_set(err, EEXIST, "provider address %s is host %s's, not host %s's",
			       format_ip(pa, text), p->host_ctl[owner].id, c->id);
	if (!c->pins)
		c->pins = calloc(PINS, sizeof(c->pins[0]));
	if (!c->pins)
		return err_set(err, ENOMEM, "no memory for provider address %s", format_ip(pa, text));
	for (i = 0; i < PINS; i++) {
		if (c->pins[i].refs && ip_equal(&c->pins[i].address, pa))
			break;
		if (!c->pins[i].refs && slot == PINS)
			slot = i;
	}
	if (i == PINS) {
		if (slot == PINS)
			return err_set(err, ENOSPC, "records name %u provider addresses of host %s already",
				       PINS, c->id);
		i = slot;
		c->pins[i].address = *pa;
		/*
		 * A late reader of the number's former meaning gets another address of the same host: as
		 * good.
		 */
		__atomic_store_n(&pub_of(p, host)->pin_pa[i], pa_index(p->hosts[host], pa), __ATOMIC_RELEASE);
	}
	c->pins[i].refs++;
	*ret = (uint8_t)i;
	return 0;
}

void host_unpin(struct policy *p, uint16_t host, uint8_t pin)
{
	if (pin != PIN_ANY)
		p->host_ctl[host].pins[pin].refs--;
}

struct ip_addr host_pin_address(const struct policy *p, uint16_t host, uint8_t pin)
{
	return pin == PIN_ANY ? (struct ip_addr){ 0 } : p->host_ctl[host].pins[pin].address;
}

/* ---- objects ---- */

/* The configured host with this id, or NULL. */
static struct host_ctl *configured(const struct policy *p, const char *id, uint16_t *ret)
{
	uint32_t i = names_find(&p->host_names, id);

	if (i == NAMES_NONE || !p->host_ctl[i].spec)
		return NULL;
	*ret = (uint16_t)i;
	return &p->host_ctl[i];
}

static int replace(struct policy *p, uint16_t host, const struct host_spec *spec, enum origin origin,
		   struct errbuf *err)
{
	struct host_ctl *c = &p->host_ctl[host];
	struct host_spec *copy = malloc(sizeof(*copy)), *was = c->spec;
	struct host_pub *n = build(p, host, spec, c->usable);

	if (!copy || !n || table_reserve(&p->pa, spec->n_pas) < 0) {
		int code = copy && n ? ENOSPC : ENOMEM;

		free(copy);
		free(n);
		return err_set(err, code, "no room for the host and its %u provider addresses", spec->n_pas);
	}
	*copy = *spec;
	/* Addresses that are new lead to a host that has them, addresses that are gone lead nowhere. */
	remove_pas(p, was, spec);
	publish(p, host, n);
	add_pas(p, was, spec, host);
	c->spec = copy;
	c->origin = (uint8_t)origin;
	if (!was)
		p->counts[OBJECT_HOST]++;
	free(was);
	return 0;
}

static int host_set(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	const struct host_spec *spec = spec_;
	struct host_ctl *c;
	uint16_t host;
	int r;

	c = configured(p, spec->id, &host);
	if (c) {
		r = origin_may_set(c->origin, origin, err);
		if (r < 0)
			return r;
		if (c->origin == origin && field_equal(object_types[OBJECT_HOST].fields, c->spec, spec))
			return 1;
	}
	r = check_pas(p, spec, err);
	if (r == 0)
		r = intern(p, spec->id, &host, err);
	if (r < 0)
		return r;
	r = replace(p, host, spec, origin, err);
	if (r < 0)
		forget_if_unused(p, host);
	return r;
}

static int host_remove(struct policy *p, const void *spec_, enum origin origin, struct errbuf *err)
{
	const struct host_spec *spec = spec_;
	struct host_ctl *c;
	struct host_pub *n;
	uint16_t host;
	int r;

	c = configured(p, spec->id, &host);
	if (!c)
		return err_set(err, ENOENT, "there is no such host");
	r = origin_may_remove(c->origin, origin, err);
	if (r < 0)
		return r;
	n = build(p, host, NULL, false);
	if (!n)
		return err_set(err, ENOMEM, "no memory to take the host back");
	remove_pas(p, c->spec, NULL);
	publish(p, host, n);
	free(c->spec);
	c->spec = NULL;
	c->usable = true;
	p->counts[OBJECT_HOST]--;
	forget_if_unused(p, host);
	return 0;
}

static int host_get(const struct policy *p, void *spec, enum origin *ret_origin)
{
	const struct host_ctl *c;
	uint16_t host;

	c = configured(p, ((const struct host_spec *)spec)->id, &host);
	if (!c)
		return -ENOENT;
	*(struct host_spec *)spec = *c->spec;
	*ret_origin = c->origin;
	return 0;
}

static int host_next(const struct policy *p, uint64_t *cursor, void *ret_spec, enum origin *ret_origin)
{
	while (*cursor < p->host_fresh) {
		const struct host_ctl *c = &p->host_ctl[(*cursor)++];

		if (!c->spec)
			continue;
		*(struct host_spec *)ret_spec = *c->spec;
		*ret_origin = c->origin;
		return 1;
	}
	return 0;
}

const struct kind_ops host_ops = { host_set, host_remove, host_get, host_next };

int policy_host_usable(struct policy *p, const char *id, bool usable)
{
	struct host_ctl *c;
	struct host_pub *n;
	uint16_t host;

	c = configured(p, id, &host);
	if (!c)
		return -ENOENT;
	if (c->usable == usable)
		return 0;
	n = build(p, host, c->spec, usable);
	if (!n)
		return -ENOMEM;
	c->usable = usable;
	publish(p, host, n);
	return 0;
}

uint16_t policy_host_index(const struct policy *p, const char *id)
{
	uint32_t i = names_find(&p->host_names, id);

	return i == NAMES_NONE ? HOST_NONE : (uint16_t)i;
}

const struct policy_host *policy_host(const struct policy *p, uint16_t index)
{
	return host_at(p, index);
}
