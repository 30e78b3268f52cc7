/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lease teaches only who has asked for it: a forged answer would otherwise give a guest an address it does not know
 * of. A question has one answer: everybody in the subnet has heard its number. The last question of each guest MAC is
 * remembered, by its hash: more than there is room for push each other out.
 */
#include "base/flowhash.h"
#include "policy/learn/entries.h"

#define LEASE_MS 60000

static struct lease *slot(struct learn *l, const struct sighting *s)
{
	uint64_t h = flowhash_mix(mac_load(&s->mac) ^ l->salt, ((uint64_t)s->port << 8 | s->ca.family) ^ FLOWHASH_K2);

	return &l->leases[h % LEARN_LEASES];
}

void lease_asked(struct learn *l, const struct sighting *s, uint64_t now)
{
	*slot(l, s) = (struct lease){ .port = s->port, .family = s->ca.family, .xid = s->xid, .mac = s->mac,
				      .left = s->ca.family == 6 ? SIGHTS : 1, .until = now + LEASE_MS };
}

bool lease_given(struct learn *l, const struct sighting *s, uint64_t now)
{
	struct lease *a = slot(l, s);

	if (!a->left || a->until <= now || a->port != s->port || a->family != s->ca.family || a->xid != s->xid ||
	    !mac_equal(&a->mac, &s->mac))
		return false;
	a->left--;
	return true;
}
