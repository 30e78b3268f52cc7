/* SPDX-License-Identifier: BSD-3-Clause */
/* Creation, and the calls that all kinds of objects share; what differs is in the kinds' own files. */
#include <stdlib.h>
#include <sys/random.h>

#include "base/str.h"
#include "policy/policy_private.h"

#define MAX_RECORDS (1u << 24)

static const struct kind_ops *ops_of(enum object_kind kind)
{
	static const struct kind_ops *const table[OBJECT_COUNT] = {
		[OBJECT_PORT] = &port_ops_of_policy, [OBJECT_SUBNET] = &subnet_ops,
		[OBJECT_RECORD] = &record_ops,	     [OBJECT_ROUTE] = &route_ops,
		[OBJECT_HOST] = &host_ops,
	};

	return (unsigned int)kind < OBJECT_COUNT ? table[kind] : NULL;
}

static int create_parts(struct policy *p)
{
	const struct policy_params *a = &p->params;
	int (*const inits[])(struct policy *) = { macs_init,  away_init,  records_init, floods_init,
						  hosts_init, ports_init,   routes_init };
	int r = table_init(&p->ca, a->max_records, true, a->socket);

	for (unsigned int i = 0; r == 0 && i < sizeof(inits) / sizeof(inits[0]); i++)
		r = inits[i](p);
	return r;
}

int policy_create(const struct policy_params *params, struct policy **ret, struct errbuf *err)
{
	struct mem mem;
	struct policy *p;
	int r;

	if (!params->host_id || !str_is_id(params->host_id))
		return err_set(err, EINVAL, "host id '%s' is not an id",
			       params->host_id ? params->host_id : "");
	if (params->max_records < 1 || params->max_records > MAX_RECORDS)
		return err_set(err, EINVAL, "max-records %u is out of range, allowed: 1..%u",
			       params->max_records, MAX_RECORDS);
	if (mem_alloc(&mem, sizeof(*p), params->socket, true) < 0)
		return err_set(err, ENOMEM, "no memory for the policy tables");
	p = mem.p;
	p->mem = mem;
	p->params = *params;
	p->use_external_router = params->use_external_router;
	p->routed_ttl = params->routed_ttl;
	p->generation = 1; /* caches start at 0 */
#ifdef TABLE_AVX2
	p->avx2 = __builtin_cpu_supports("avx2") != 0;
#endif
	if (getrandom(p->salt6, sizeof(p->salt6), GRND_NONBLOCK) != sizeof(p->salt6))
		p->salt6[0] = (uintptr_t)p ^ FLOWHASH_K2;
	p->salt6[1] |= UINT64_C(1) << 62 | 1;
	r = create_parts(p);
	if (r < 0) {
		policy_free(p);
		return err_set(err, -r, "no memory for the policy tables of %u records", params->max_records);
	}
	p->params.host_id = p->host_ctl[p->self].id;
	*ret = p;
	return 0;
}

/* Each part accepts not having been made. */
void policy_free(struct policy *p)
{
	struct mem mem;

	if (!p)
		return;
	if (rcu_qsbr && !p->params.unseen)
		rcu_reclaim(1);
	subnets_fini(p);
	routes_fini(p);
	ports_fini(p);
	hosts_fini(p);
	floods_fini(p);
	records_fini(p);
	macs_fini(p);
	away_fini(p);
	table_fini(&p->ca);
	mem = p->mem;
	mem_free(&mem);
}

void policy_set_knobs(struct policy *p, bool use_external_router, bool routed_ttl)
{
	__atomic_store_n(&p->use_external_router, use_external_router, __ATOMIC_RELAXED);
	__atomic_store_n(&p->routed_ttl, routed_ttl, __ATOMIC_RELAXED);
}

void policy_free_later(struct policy *p, const void *old)
{
	void *mem = (void *)(uintptr_t)old;

	if (!old)
		return;
	if (!rcu_qsbr || p->params.unseen) {
		free(mem);
		return;
	}
	if (rcu_defer(free, mem) < 0) {
		rcu_synchronize();
		free(mem);
	}
	/*
	 * A bulk load happens within one turn of the event loop: do not let the garbage pile up until its
	 * end.
	 */
	if (++p->n_deferred % DEFER_RECLAIM == 0)
		rcu_reclaim(0);
}

uint32_t policy_number(struct grace *g, uint32_t *fresh, uint32_t cap)
{
	uint32_t i = grace_pop(g, false);

	if (i != GRACE_NONE)
		return i;
	if (*fresh < cap)
		return (*fresh)++;
	i = grace_pop(g, true);
	if (i == GRACE_NONE && grace_count(g)) {
		grace_wait();
		i = grace_pop(g, true);
	}
	return i;
}

int origin_may_set(enum origin have, enum origin origin, struct errbuf *err)
{
	if (have >= origin)
		return 0;
	return err_set(err, EPERM, "it is there with origin %s, which %s cannot change", origin_names[have],
		       origin_names[origin]);
}

int origin_may_remove(enum origin have, enum origin origin, struct errbuf *err)
{
	if (have == origin)
		return 0;
	return err_set(err, EPERM, "its origin is %s, not %s", origin_names[have], origin_names[origin]);
}

static int named(enum object_kind kind, const void *spec, int r, struct errbuf *err)
{
	char key[512];

	if (r >= 0)
		return r;
	if (object_key(kind, spec, key, sizeof(key)) < 0)
		key[0] = '\0';
	return err_prefix(err, r, "%s %s: ", object_types[kind].noun, key);
}

int policy_set(struct policy *p, enum object_kind kind, const void *spec, enum origin origin,
	       struct errbuf *err)
{
	const struct kind_ops *ops = ops_of(kind);
	int r;

	if (!ops || (unsigned int)origin >= ORIGIN_COUNT)
		return err_set(err, EINVAL, "policy has no objects of this kind");
	r = object_validate(kind, spec, err);
	if (r == 0)
		r = ops->set(p, spec, origin, err);
	return named(kind, spec, r, err);
}

int policy_remove(struct policy *p, enum object_kind kind, const void *spec, enum origin origin,
		  struct errbuf *err)
{
	const struct kind_ops *ops = ops_of(kind);

	if (!ops || (unsigned int)origin >= ORIGIN_COUNT)
		return err_set(err, EINVAL, "policy has no objects of this kind");
	return named(kind, spec, ops->remove(p, spec, origin, err), err);
}

int policy_get(const struct policy *p, enum object_kind kind, void *spec, enum origin *ret_origin)
{
	const struct kind_ops *ops = ops_of(kind);

	return ops ? ops->get(p, spec, ret_origin) : -ENOENT;
}

int policy_next(const struct policy *p, enum object_kind kind, uint64_t *cursor, void *ret_spec,
		enum origin *ret_origin)
{
	const struct kind_ops *ops = ops_of(kind);

	return ops ? ops->next(p, cursor, ret_spec, ret_origin) : 0;
}

uint32_t policy_count(const struct policy *p, enum object_kind kind)
{
	return (unsigned int)kind < OBJECT_COUNT ? p->counts[kind] : 0;
}
