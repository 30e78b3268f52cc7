/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual machine queues (HNV section 5.4): frames of a VSID to an inner MAC go to the queue of the worker that serves
 * that guest. By VSID and MAC, not by MAC alone: two tenants may use the same one (row 68). Software looks at all of it
 * again, so a rule that is missing costs time and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_flow.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "offload/control.h"

struct rule {
	struct rte_flow_item_ipv4 ip4, ip4_mask;
	struct rte_flow_item_ipv6 ip6, ip6_mask;
	struct rte_flow_item_nvgre nvgre, nvgre_mask;
	struct rte_flow_item_gre gre, gre_mask;
	rte_be32_t key, key_mask;
	struct rte_flow_item_eth inner, inner_mask;
	struct rte_flow_item pattern[6];
	struct rte_flow_action_queue queue;
	struct rte_flow_action actions[2];
};

static const struct rte_flow_item *outer(const struct offload_want *w, struct rule *r, struct rte_flow_item *item)
{
	*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_ETH };
	if (w->family == 4) {
		r->ip4.hdr.next_proto_id = IPPROTO_GRE_;
		r->ip4_mask.hdr.next_proto_id = 0xff;
		*item = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &r->ip4,
						.mask = &r->ip4_mask };
	} else {
		r->ip6.hdr.proto = IPPROTO_GRE_;
		r->ip6_mask.hdr.proto = 0xff;
		*item = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_IPV6, .spec = &r->ip6,
						.mask = &r->ip6_mask };
	}
	return item;
}

static void build(const struct offload_want *w, bool gre_key, struct rule *r)
{
	struct rte_flow_item *item = r->pattern + 2;

	outer(w, r, r->pattern);
	if (gre_key) { /* the key is VSID and FlowID: RFC 7637 3.2 */
		r->gre.protocol = RTE_BE16(ETHERTYPE_TEB);
		r->gre_mask.protocol = RTE_BE16(0xffff);
		r->key = rte_cpu_to_be_32(w->vsid << 8);
		r->key_mask = RTE_BE32(0xffffff00);
		*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_GRE, .spec = &r->gre,
						  .mask = &r->gre_mask };
		*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_GRE_KEY, .spec = &r->key,
						  .mask = &r->key_mask };
	} else {
		uint8_t be[4];

		store_be32(be, w->vsid << 8);
		memcpy(r->nvgre.tni, be, 3);
		memset(r->nvgre_mask.tni, 0xff, 3);
		*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_NVGRE, .spec = &r->nvgre,
						  .mask = &r->nvgre_mask };
	}
	memcpy(&r->inner.dst, &w->mac, 6);
	memset(&r->inner_mask.dst, 0xff, 6);
	*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_ETH, .spec = &r->inner, .mask = &r->inner_mask };
	item->type = RTE_FLOW_ITEM_TYPE_END;
	r->queue.index = w->queue;
	r->actions[0] = (struct rte_flow_action){ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &r->queue };
	r->actions[1].type = RTE_FLOW_ACTION_TYPE_END;
}

struct rte_flow *steer_install(struct member *m, const struct offload_want *want, struct errbuf *err)
{
	struct rte_flow *flow = NULL;

	if (!m->dev->ops->flow_create) {
		err_set(err, ENOTSUP, "its driver knows no flow rules");
		return NULL;
	}
	/* What it took last is asked for first. */
	for (unsigned int i = 0; i < 2 && !flow; i++) {
		struct rule r = { 0 };
		bool gre_key = m->gre_key ^ (i == 1);

		build(want, gre_key, &r);
		flow = m->dev->ops->flow_create(m->dev, r.pattern, r.actions, err);
		if (flow)
			m->gre_key = gre_key;
	}
	return flow;
}

static void destroy(const struct member *m, struct rte_flow *flow)
{
	if (flow)
		(void)m->dev->ops->flow_destroy(m->dev, flow);
}

void steer_forget(struct member *m)
{
	for (unsigned int i = 0; i < m->n_rules; i++)
		destroy(m, m->rules[i].flow);
	free(m->rules);
	m->rules = NULL;
	m->n_rules = 0;
}

static bool same(const struct offload_want *a, const struct offload_want *b)
{
	return a->vsid == b->vsid && mac_equal(&a->mac, &b->mac) && a->queue == b->queue && a->family == b->family;
}

static struct steer_rule *find(struct steer_rule *rules, unsigned int n, const struct offload_want *w)
{
	for (unsigned int i = 0; i < n; i++)
		if (same(&rules[i].want, w))
			return &rules[i];
	return NULL;
}

/* What is wanted of a member, with what is there already. NULL: no memory. */
static struct steer_rule *plan(const struct member *m, bool on, const struct offload_want *wants, unsigned int n,
			       unsigned int *ret_n)
{
	struct steer_rule *next = calloc(n + 1, sizeof(*next));
	unsigned int k = 0;

	for (unsigned int i = 0; next && on && i < n; i++) {
		const struct steer_rule *old;

		if (strcmp(wants[i].member, m->name) != 0 || wants[i].queue >= m->dev->rxq ||
		    find(next, k, &wants[i]))
			continue;
		old = find(m->rules, m->n_rules, &wants[i]);
		if (old)
			next[k++] = *old;
		else
			next[k++].want = wants[i];
	}
	*ret_n = k;
	return next;
}

/* May the member have rules? Whether it takes one is seen when it is asked, so only a failure speaks against it. */
static bool may_steer(struct offload *o, const struct member *m)
{
	bool may;

	pthread_mutex_lock(&o->lock); /* main writes the knobs */
	may = o->knobs.vmq && m->bits[OFFLOAD_I_STEER].proof != OFFLOAD_PROOF_REFUTED;
	if (o->knobs.trust == OFFLOAD_TRUST_NONE ||
	    (o->knobs.trust == OFFLOAD_TRUST_PROVEN && m->bits[OFFLOAD_I_STEER].proof != OFFLOAD_PROOF_PROVEN))
		may = false;
	pthread_mutex_unlock(&o->lock);
	return may;
}

/* The rules of one member as they are to be; old ones go before new ones come: a card knows one queue per frame. */
static int bring_in_line(struct offload *o, struct member *m, const struct offload_want *wants, unsigned int n)
{
	struct offload_claim *b = &m->bits[OFFLOAD_I_STEER];
	unsigned int k, installed = 0;
	struct steer_rule *next = plan(m, may_steer(o, m), wants, n, &k), *old = m->rules;
	bool room = false;

	if (!next)
		return -ENOMEM;
	for (unsigned int i = 0; i < m->n_rules; i++) {
		if (find(next, k, &old[i].want))
			continue;
		room |= old[i].flow != NULL;
		destroy(m, old[i].flow);
	}
	for (unsigned int i = 0; i < k; i++) {
		struct errbuf err = { "" };

		/* A refusal stays one until there is room that was not there. */
		if (!next[i].flow && (room || !*next[i].why)) {
			*next[i].why = '\0';
			next[i].flow = steer_install(m, &next[i].want, &err);
			if (!next[i].flow)
				str_copy(next[i].why, sizeof(next[i].why), *err.text ? err.text : "refused");
		}
		installed += next[i].flow != NULL;
	}
	pthread_mutex_lock(&o->lock);
	m->rules = next;
	m->n_rules = k;
	b->granted = b->used = installed > 0;
	if (installed && b->proof == OFFLOAD_PROOF_NO)
		b->proof = OFFLOAD_PROOF_ACCEPTED;
	pthread_mutex_unlock(&o->lock);
	free(old);
	return 0;
}

int offload_steer(struct offload *o, const struct offload_want *wants, unsigned int n)
{
	int r = 0;

	/* Members come and go on this thread alone: only what others read is changed under the lock. */
	for (unsigned int i = 0; i < OFFLOAD_MEMBERS && r == 0; i++)
		if (o->members[i].used)
			r = bring_in_line(o, &o->members[i], wants, n);
	return r;
}
