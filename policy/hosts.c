/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts: which there are, and what of them is published. Their addresses are in host_pas.c. */
#include <stdlib.h>

#include "base/str.h"
#include "policy/hosts.h"

#define PA_ENTRIES 65536u

static const char *id_of(const void *owner, uint32_t index)
{
	const struct policy *p = owner;

	return p->host_ctl[index].id;
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
		host_spread_flows(&n->h, p->hosts[host]);
	}
	for (unsigned int i = 0; i < PINS; i++)
		n->pin_pa[i] =
			c->pins && c->pins[i].refs ? host_pa_index(&n->h, &c->pins[i].address) : PA_ANY;
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
		free(host_pub_of(p, (uint16_t)i));
		free(p->host_ctl[i].spec);
		free(p->host_ctl[i].pins);
	}
	names_fini(&p->host_names);
	table_fini(&p->pa);
	mem_free(&p->mem_hosts);
	mem_free(&p->mem_host_link);
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
	host_remove_pas(p, was, spec);
	publish(p, host, n);
	host_add_pas(p, was, spec, host);
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
	r = host_check_pas(p, spec, err);
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
	host_remove_pas(p, c->spec, NULL);
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

bool policy_host_named(const struct policy *p, const char *id)
{
	uint32_t i = names_find(&p->host_names, id);

	return i != NAMES_NONE && p->host_ctl[i].n_records > 0;
}

const struct policy_host *policy_host(const struct policy *p, uint16_t index)
{
	return host_at(p, index);
}
