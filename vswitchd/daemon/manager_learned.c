/* SPDX-License-Identifier: BSD-3-Clause */
/* Where learned addresses are kept: with what was set at run time, by origin learned, and in the shared store. */
#include "daemon/distribution.h"
#include "daemon/manager_private.h"

/* Of what may wait for the store; the rest is for administrators, whose changes are refused without room. */
#define PENDING_MAX (STORECTL_MAX / 2)

int manager_learned_changed(struct manager *m, enum learned_change change, const struct record_spec *rec)
{
	bool removed = change == LEARNED_REMOVED;
	int r = distribution_learned(m->distribution, rec, removed);

	if (r < 0)
		return r;
	/* A store that fails is behind then: after a restart the guests are asked. */
	if (storectl_pending(m->store) >= PENDING_MAX)
		return 0;
	if (removed)
		return storectl_delete(m->store, OBJECT_RECORD, rec, NULL, NULL);
	return storectl_put(m->store, OBJECT_RECORD, rec, ORIGIN_LEARNED, NULL, NULL);
}
