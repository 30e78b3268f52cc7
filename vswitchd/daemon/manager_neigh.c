/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest whose front-end lost us saw its link go down, and what it asked meanwhile is lost: Linux asks again only
 * after a second of its own. So a port that becomes active is told what the proxy would have answered.
 */
#include <rte_mbuf.h>

#include "daemon/manager_private.h"

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
	for (unsigned int i = 0; i < subnet.n_gateways && more; i++)
		more = tell(m, port, &subnet.gateways[i].addr, &told);
	if (policy_count(m->policy, OBJECT_RECORD) > RECORDS_MAX)
		return;
	while (more && policy_next(m->policy, OBJECT_RECORD, &cursor, &rec, &origin) > 0)
		if (rec.vsid == subnet.vsid && rec.ca.family && !rec.unusable)
			more = tell(m, port, &rec.ca, &told);
}
