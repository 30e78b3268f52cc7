/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest whose front-end lost us saw its link go down, and what it asked meanwhile is lost: Linux asks again only
 * after a second of its own. So a port that becomes active is told what the proxy would have answered.
 */
#include <rte_mbuf.h>

#include "daemon/manager_private.h"

#define RA_S	     600   /* between router advertisements; a guest believes one for three times as long */
#define RA_TURN	     64	   /* ports in one turn */
#define RA_TURN_US   20000 /* until the next ones */
#define TELL_MAX     64	   /* addresses: gateways, then the first ones of the subnet */
#define RECORDS_MAX  4096  /* beyond that many in all, finding the subnet's takes the loop too long: gateways only */

/* @return may there be more? */
static bool tell(struct manager *m, const struct policy_port *port, const struct ip_addr *target, unsigned int *told)
{
	struct rte_mbuf *buf;

	if (*told == TELL_MAX)
		return false;
	buf = rte_pktmbuf_alloc(m->pool);
	if (!buf)
		return false;
	if (!policy_neigh_tell(m->policy, port, target, buf)) {
		rte_pktmbuf_free(buf);
		return true;
	}
	if (datapath_inject(m->datapath, buf) < 0) {
		rte_pktmbuf_free(buf);
		return false;
	}
	(*told)++;
	return true;
}

/* ---- router advertisements ---- */

/* @return false: no buffer, or no room. */
bool ports_advertise(struct manager *m, uint16_t index)
{
	const struct policy_port *port = policy_port(m->policy, index);
	const struct policy_subnet *s = port ? policy_subnet(m->policy, port->vsid) : NULL;
	struct rte_mbuf *buf;
	bool last;

	if (!s || !m->ports[index] || m->ports[index]->state != PORT_ACTIVE)
		return true;
	last = !s->ra && m->ports[index]->router_left;
	if (!s->ra && !last)
		return true;
	buf = rte_pktmbuf_alloc(m->pool);
	if (!buf)
		return false;
	if (policy_neigh_advertise(m->policy, port, ports_mtu(m, &m->ports[index]->spec), last, buf) &&
	    datapath_inject(m->datapath, buf) == 0)
		return true;
	rte_pktmbuf_free(buf);
	return false;
}

/* Some ports per turn: those of a subnet that has changed; all of them every RA_S. */
static int on_advertise(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	unsigned int n = 0;
	uint64_t now;

	sd_event_now(m->loop, CLOCK_MONOTONIC, &now);
	if (!m->ra_next && now >= m->ra_due) {
		m->ra_all = true;
		m->ra_due = now + RA_S * UINT64_C(1000000);
	}
	for (; m->ra_next < POLICY_MAX_PORTS && n < RA_TURN; m->ra_next++) {
		struct port *p = m->ports[m->ra_next];

		if (!p || !(m->ra_all || p->advertise))
			continue;
		p->advertise = false;
		ports_advertise(m, (uint16_t)m->ra_next);
		p->router_left = false;
		n++;
	}
	if (m->ra_next < POLICY_MAX_PORTS || m->ra_again) {
		sd_event_source_set_time(source, now + RA_TURN_US);
	} else {
		sd_event_source_set_time(source, m->ra_due);
	}
	if (m->ra_next == POLICY_MAX_PORTS) {
		m->ra_next = 0;
		m->ra_all = m->ra_again = false;
	}
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int ports_advertise_start(struct manager *m)
{
	sd_event_now(m->loop, CLOCK_MONOTONIC, &m->ra_due);
	m->ra_due += RA_S * UINT64_C(1000000);
	return sd_event_add_time(m->loop, &m->ra_source, CLOCK_MONOTONIC, m->ra_due, 1000000, on_advertise, m);
}

void ports_advertise_subnet(struct manager *m, uint32_t vsid, bool left)
{
	bool any = false;

	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		if (!m->ports[i] || m->ports[i]->spec.vsid != vsid)
			continue;
		any = m->ports[i]->advertise = true;
		m->ports[i]->router_left |= left;
	}
	if (!any)
		return;
	m->ra_again = m->ra_next > 0; /* the round that runs may be past them */
	if (!m->ra_next)
		sd_event_source_set_time_relative(m->ra_source, 0);
}

/* ---- neighbours ---- */

void ports_tell_neighbours(struct manager *m, uint16_t index)
{
	const struct policy_port *port = policy_port(m->policy, index);
	struct subnet_spec subnet = { .vsid = port ? port->vsid : 0 };
	struct record_spec rec;
	unsigned int told = 0;
	enum origin origin;
	uint64_t cursor = 0;
	bool more = true;

	if (!subnet.vsid || policy_get(m->policy, OBJECT_SUBNET, &subnet, &origin) < 0)
		return;
	ports_advertise(m, index);
	for (unsigned int i = 0; i < subnet.n_gateways && more; i++)
		more = tell(m, port, &subnet.gateways[i].addr, &told);
	if (policy_count(m->policy, OBJECT_RECORD) > RECORDS_MAX)
		return;
	while (more && policy_next(m->policy, OBJECT_RECORD, &cursor, &rec, &origin) > 0)
		if (rec.vsid == subnet.vsid && rec.ca.family && !rec.unusable)
			more = tell(m, port, &rec.ca, &told);
}
