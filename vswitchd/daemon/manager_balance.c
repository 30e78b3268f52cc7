/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Balance over the team. Outbound: what each bucket carried goes to teaming every second, which exchanges buckets.
 * Inbound: this host's own object in policy has a weight per provider address; whoever gives it to other hosts (the
 * manager of a fleet, an administrator) makes them send in these proportions.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/manager_private.h"

#define TRAFFIC_US (1000 * 1000)

static int on_traffic(sd_event_source *s, uint64_t usec, void *userdata)
{
	uint64_t bytes[TEAM_BUCKETS], waiting[TEAM_BUCKETS / 64];
	struct manager *m = userdata;

	if (m->settings.rebalance) {
		datapath_bucket_bytes(m->datapath, bytes);
		datapath_buckets_waiting(m->datapath, waiting);
		teaming_traffic(m->teaming, bytes, waiting);
	}
	sd_event_source_set_time_relative(s, TRAFFIC_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int balance_start(struct manager *m)
{
	return sd_event_add_time_relative(m->loop, &m->traffic_source, CLOCK_MONOTONIC, TRAFFIC_US, TRAFFIC_US,
					  on_traffic, m);
}

void balance_stop(struct manager *m)
{
	m->traffic_source = sd_event_source_disable_unref(m->traffic_source);
}

/* This host as an object, from its provider addresses. */
static void make_self(struct manager *m, struct host_spec *ret)
{
	const struct field *pa_rows = field_find(object_types[OBJECT_HOST].fields, "pas")->sub;
	struct teaming_pa_status st[LOCAL_PAS];
	unsigned int n = teaming_pas(m->teaming, st, LOCAL_PAS);

	object_default(OBJECT_HOST, ret);
	str_copy(ret->id, sizeof(ret->id), m->settings.host_id);
	for (size_t i = 0; i < m->pas.n && i < HOST_PAS; i++) {
		const struct pa_spec *pa = object_list_spec(&m->pas, i);
		struct host_pa *own = &ret->pas[i];

		field_defaults(pa_rows, own, sizeof(*own));
		own->address = pa->address;
		for (unsigned int k = 0; k < n; k++)
			if (ip_equal(&st[k].spec.address, &pa->address) && st[k].weight)
				own->weight = st[k].weight;
		ret->n_pas = (uint16_t)(i + 1);
	}
}

static void tell_weights(struct manager *m, const struct host_spec *self)
{
	char text[HOST_PAS * (IP_STR + 6)] = "", ip[IP_STR];
	size_t used = 0;

	for (unsigned int i = 0; i < self->n_pas && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s=%u", i ? " " : "",
					 format_ip(&self->pas[i].address, ip), self->pas[i].weight);
	manager_emit(m, EVENT_PA_WEIGHTS, "weights", text, NULL);
}

void balance_update_self(struct manager *m, bool again)
{
	const struct field *rows = object_types[OBJECT_HOST].fields;
	struct host_spec self;
	struct errbuf err;
	bool changed;

	make_self(m, &self);
	changed = !m->self.id[0] || !field_equal(rows, &self, &m->self);
	if (!changed && !again)
		return;
	m->self = self;
	if (!self.n_pas) {
		policy_remove(m->policy, OBJECT_HOST, &self, ORIGIN_LEARNED, NULL);
		return;
	}
	/* An administrator's word of this host goes first. */
	if (policy_set(m->policy, OBJECT_HOST, &self, ORIGIN_LEARNED, &err) < 0)
		log_debug("own host object: %s", err.text);
	if (changed)
		tell_weights(m, &self);
}
