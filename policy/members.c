/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts with ports in a virtual subnet, as the manager says it: floods reach them before they have records. */
#include "policy/policy_private.h"
#include "policy/records.h"

static int add(struct policy *p, uint32_t vsid, uint16_t host, struct errbuf *err)
{
	struct flood_change c = { PORT_NONE, PORT_NONE, HOST_NONE, HOST_NONE };
	struct segment *s = segment_get(p, vsid);
	struct policy_flood *flood = NULL;

	if (!s)
		return err_set(err, ENOMEM, "no memory for VSID %u", vsid);
	if (member_count(p, vsid, host) == 0)
		c.add_host = host;
	if (table_reserve(&p->members, 1) < 0 || flood_prepare(s, &c, &flood) < 0) {
		segment_put(p, s);
		return err_set(err, ENOSPC, "no room for another pair of VSID and host");
	}
	member_add(p, vsid, host, 1);
	s->n_members++;
	if (flood)
		flood_commit(p, s, flood);
	policy_touch(p);
	return 0;
}

int policy_member_add(struct policy *p, uint32_t vsid, const char *host, struct errbuf *err)
{
	uint16_t index;
	int r = host_hold(p, host, &index, err);

	if (r < 0)
		return r;
	if (host_is_remote(p, index))
		r = add(p, vsid, index, err);
	if (r < 0)
		host_release(p, index);
	return r;
}

int policy_member_remove(struct policy *p, uint32_t vsid, const char *host)
{
	struct flood_change c = { PORT_NONE, PORT_NONE, HOST_NONE, HOST_NONE };
	struct segment *s = segment_find(p, vsid);
	struct policy_flood *flood = NULL;
	uint16_t index;
	int r = host_hold(p, host, &index, NULL);

	if (r < 0)
		return r;
	if (host_is_remote(p, index)) {
		if (member_count(p, vsid, index) == 1)
			c.del_host = index;
		r = flood_prepare(s, &c, &flood);
		if (r == 0) {
			member_sub(p, vsid, index, 1);
			s->n_members--;
			if (flood)
				flood_commit(p, s, flood);
			segment_put(p, s);
			policy_touch(p);
		}
	}
	if (r == 0)
		host_release(p, index); /* of policy_member_add() */
	host_release(p, index);
	return r;
}
