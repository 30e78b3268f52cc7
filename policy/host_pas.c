/* SPDX-License-Identifier: BSD-3-Clause */
/* Provider addresses of hosts: whose is one, which of them carries a flow, and those that records name. */
#include <stdlib.h>

#include "base/str.h"
#include "policy/hosts.h"

#define FLOW_SLOTS 64u

uint8_t host_pa_index(const struct policy_host *h, const struct ip_addr *a)
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

void host_spread_flows(struct policy_host *h, const struct policy_host *was)
{
	uint8_t quota[HOST_PAS] = { 0 };
	uint16_t next = 0;

	if (!h->n_pas)
		return;
	quotas(h, quota);
	for (unsigned int i = 0; i < FLOW_SLOTS; i++) {
		uint8_t pa =
			was && was->n_pas ? host_pa_index(h, &was->pas[was->pa_of_flow[i]].address) : PA_ANY;

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

/* ---- who has which ---- */

uint16_t policy_host_of_pa(const struct policy *p, const struct ip_addr *pa)
{
	uint32_t v = table_find(&p->pa, ca_key(p, 0, pa), 0);
	const struct policy_host *h;

	if (v == TABLE_MISS)
		return HOST_NONE;
	if (pa->family == 4)
		return (uint16_t)v;
	h = host_at(p, (uint16_t)v);
	return h && host_pa_index(h, pa) != PA_ANY ? (uint16_t)v : HOST_NONE;
}

int host_check_pas(const struct policy *p, const struct host_spec *s, struct errbuf *err)
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

void host_remove_pas(struct policy *p, const struct host_spec *was, const struct host_spec *now)
{
	for (uint16_t i = 0; was && i < was->n_pas; i++)
		if (!spec_has(now, &was->pas[i].address))
			table_remove(&p->pa, table_slot(&p->pa, ca_key(p, 0, &was->pas[i].address), 0));
}

void host_add_pas(struct policy *p, const struct host_spec *was, const struct host_spec *now, uint16_t host)
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
		__atomic_store_n(&host_pub_of(p, host)->pin_pa[i], host_pa_index(p->hosts[host], pa),
				 __ATOMIC_RELEASE);
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
