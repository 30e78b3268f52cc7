/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters by lookup record, while policy.count-records is on. Main thread. */
#include "base/log.h"
#include "daemon/manager_private.h"

void records_count(struct manager *m)
{
	bool on = m->settings.count_records;

	if (datapath_count_records(m->datapath, on) < 0)
		log_error("no memory %s", on ? "for the counters of records: nothing is counted by record" :
					       "to end the counters of records: they go on");
}

bool manager_record_traffic(const struct manager *m, const struct record_spec *rec, struct traffic *ret)
{
	uint32_t place = manager_counts_records(m) ? policy_record_place(m->policy, rec) : REC_NONE;

	if (place == REC_NONE)
		return false;
	datapath_record_traffic(m->datapath, place, ret);
	return true;
}

bool manager_counts_records(const struct manager *m)
{
	return datapath_counts_records(m->datapath);
}
