/* SPDX-License-Identifier: BSD-3-Clause */
/* What NICs do for us: knobs, and the flow rules that follow ports, workers and provider addresses. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/manager_private.h"

#define FAMILY4 1
#define FAMILY6 2

struct steer_job {
	struct job job;
	struct manager *m;
	unsigned int n;
	struct offload_want wants[];
};

static struct offload_knobs knobs_of(const struct settings *s)
{
	return (struct offload_knobs){ .trust = s->offload_trust, .vmq = s->offload_vmq };
}

int offloads_create(struct manager *m)
{
	struct offload_knobs knobs = knobs_of(&m->settings);

	m->offload = offload_create(&knobs);
	return m->offload ? 0 : -ENOMEM;
}

void offloads_reload(struct manager *m)
{
	struct offload_knobs knobs = knobs_of(&m->settings);

	offload_set_knobs(m->offload, &knobs);
	manager_later(m, LATER_STEER | LATER_MEMBERS); /* who spreads frames over workers depends on what is trusted */
}

static int steer_run(struct job *job)
{
	struct steer_job *j = (struct steer_job *)job;

	return offload_steer(j->m->offload, j->wants, j->n);
}

static void steer_done(struct job *job)
{
	struct steer_job *j = (struct steer_job *)job;

	manager_later(j->m, LATER_READY); /* which waits for portctl to have nothing to do */
	if (job->r < 0)
		log_error("no memory for flow rules: some guests stay on a shared queue");
	free(j);
}

/* By which outer families do frames reach a member? In a team that cooperates by those of any PA. */
static void families(const struct team_view *v, uint8_t ret[TEAM_MEMBERS])
{
	memset(ret, 0, TEAM_MEMBERS);
	for (unsigned int i = 0; i < v->n_pas; i++) {
		const struct team_pa_view *pa = &v->pas[i];
		uint8_t bit = pa->local.address.family == 4 ? FAMILY4 : FAMILY6;

		for (unsigned int m = 0; m < v->n_members; m++)
			if (v->mode == TEAM_COOPERATE || pa->now == m)
				ret[m] |= bit;
	}
}

/* Rules of one port on one member: the queue of the worker that serves the guest. @return how many were added. */
static unsigned int port_rules(const struct manager *m, const struct port *p, unsigned int member, const char *name,
			       uint8_t family, struct offload_want *ret)
{
	int queue = datapath_queue_of_port(m->datapath, p->index, member);
	unsigned int n = 0;

	for (unsigned int i = 0; queue >= 0 && i < p->spec.n_macs; i++) {
		for (uint8_t bit = FAMILY4; bit <= FAMILY6; bit <<= 1) {
			if (!(family & bit))
				continue;
			ret[n] = (struct offload_want){ .vsid = p->spec.vsid, .mac = p->spec.macs[i],
							.queue = (uint16_t)queue, .family = bit == FAMILY4 ? 4 : 6 };
			str_copy(ret[n++].member, sizeof(ret[0].member), name);
		}
	}
	return n;
}

static unsigned int member_rules(const struct manager *m, unsigned int member, const char *name, uint8_t family,
				 struct offload_want *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		const struct port *p = m->ports[i];

		if (p && p->attached && p->spec.vsid)
			n += port_rules(m, p, member, name, family, ret + n);
	}
	return n;
}

static size_t most_rules(const struct manager *m)
{
	size_t n = 0;

	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++)
		n += m->ports[i] ? m->ports[i]->spec.n_macs * 2u : 0;
	return n * TEAM_MEMBERS;
}

void offloads_steer(struct manager *m)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	unsigned int n = teaming_members(m->teaming, st, TEAM_MEMBERS);
	const struct team_view *v = teaming_view(m->teaming);
	uint8_t family[TEAM_MEMBERS];
	struct steer_job *j, *less;

	if (m->stopping)
		return;
	j = calloc(1, sizeof(*j) + most_rules(m) * sizeof(j->wants[0]));
	if (!j) {
		log_error("no memory for flow rules: guests stay on shared queues");
		return;
	}
	families(v, family);
	/* With one queue there is nothing to choose. */
	for (unsigned int i = 0; i < n && i < v->n_members && m->settings.offload_vmq; i++)
		if (st[i].open && v->members[i].dev && v->members[i].dev->rxq > 1)
			j->n += member_rules(m, i, st[i].spec.name, family[i], j->wants + j->n);
	if (!j->n && !m->steered) {
		free(j);
		return;
	}
	m->steered = j->n > 0;
	less = realloc(j, sizeof(*j) + j->n * sizeof(j->wants[0]));
	j = less ? less : j;
	j->job.run = steer_run;
	j->job.done = steer_done;
	j->m = m;
	jobq_submit(m->portctl, &j->job);
}

unsigned int manager_offloads(const struct manager *m, struct offload_member_status *ret, unsigned int max)
{
	return offload_status(m->offload, ret, max);
}
