/* SPDX-License-Identifier: BSD-3-Clause */
/* Where learned addresses are kept: with what was set at run time, by origin learned, and in the shared store. */
#include "daemon/distribution.h"
#include "daemon/manager_private.h"

int manager_learned_changed(struct manager *m, enum learned_change change, const struct record_spec *rec)
{
	bool removed = change == LEARNED_REMOVED;
	int r = distribution_learned(m->distribution, rec, removed);

	if (r < 0)
		return r;
	if (removed)
		return storectl_delete(m->store, OBJECT_RECORD, rec, NULL, NULL);
	return storectl_put(m->store, OBJECT_RECORD, rec, ORIGIN_LEARNED, NULL, NULL);
}
