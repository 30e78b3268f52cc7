/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: policy's entry and the worker's queues are changed here at once, the socket is made and removed by jobs on
 * portctl. Jobs run in order, so a new socket is never made before an old one of the same index is gone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/manager_private.h"

struct port_job {
	struct job job;
	struct port *port;
	struct vhu_port *old, *new; /* destroyed, made; either may be absent */
	bool make;
	struct port_spec spec; /* with its socket completed */
	uint16_t index, mtu;
	work_done_fn fn;
	void *arg;
};

struct port *ports_find(const struct manager *m, const char *id)
{
	uint16_t index = policy_port_index(m->policy, id);

	return index < POLICY_MAX_PORTS ? m->ports[index] : NULL;
}

uint16_t ports_mtu(const struct manager *m, const struct port_spec *spec)
{
	const struct encap_ops *ops = policy_encap(ENCAP_NVGRE);
	uint16_t overhead = ops->overhead4;
	size_t i;

	if (spec->mtu)
		return (uint16_t)spec->mtu;
	/* The plain segment is not encapsulated. */
	if (!spec->vsid || !m->provider_mtu)
		return m->provider_mtu;
	for (i = 0; i < m->pas.n; i++) {
		const struct pa_spec *pa = object_list_spec(&m->pas, i);

		if (pa->address.family == 6)
			overhead = ops->overhead6;
	}
	return m->provider_mtu > overhead ? (uint16_t)(m->provider_mtu - overhead) : 0;
}

/* ---- state, from the vhost library's thread ---- */

static void tell_state(struct port *p, const struct vhu_status *st)
{
	char features[24], queues[16], mtu[16];

	snprintf(features, sizeof(features), "0x%" PRIx64, st->features);
	snprintf(queues, sizeof(queues), "%u", st->queues_enabled);
	snprintf(mtu, sizeof(mtu), "%u", st->mtu);
	manager_emit(p->m, EVENT_PORT_STATE, "port", p->spec.id, "state", port_state_names[p->state], "features",
		     st->connected ? features : "", "queues", queues, "mtu", st->mtu ? mtu : "", NULL);
}

/* The guest's MTU is QEMU's to set (host_mtu=); all we can do is say that it is not what fits. */
static void check_mtu(struct port *p, const struct vhu_status *st)
{
	uint16_t want = ports_mtu(p->m, &p->spec);
	char guest[16], mine[16];

	if (!st->mtu || !want || st->mtu == want) {
		p->guest_mtu = 0;
		return;
	}
	if (p->guest_mtu == st->mtu)
		return;
	p->guest_mtu = st->mtu;
	snprintf(guest, sizeof(guest), "%u", st->mtu);
	snprintf(mine, sizeof(mine), "%u", want);
	manager_emit(p->m, EVENT_MTU_MISMATCH, "port", p->spec.id, "guest-mtu", guest, "mtu", mine, NULL);
}

/*
 * What the guest's own tunnels lose if a frame does not fit a packet buffer (drop guest-sum) is told before it happens.
 * Without an MTU of the guest's, by what is right for it.
 */
static void check_buffers(const struct port *p, const struct vhu_status *st)
{
	uint16_t mtu = st->mtu ? st->mtu : ports_mtu(p->m, &p->spec);

	if (st->offloads & PORT_CSUM && mtu + (uint32_t)ETH_HLEN_ > p->m->settings.mbuf_size)
		log_notice("port %s: frames of an MTU of %u do not fit memory.mbuf-size: tunnels that the guest builds "
			   "itself, and leaves checksums of to the switch, lose some of %u bytes and more",
			   p->spec.id, mtu, p->m->settings.mbuf_size + 1);
}

/* Messages are hints: what counts is how the port is now. */
static void refresh(struct port *p)
{
	struct vhu_status st;

	if (!p->vhu)
		return;
	vhu_port_status(p->vhu, &st);
	check_mtu(p, &st);
	if (st.state == p->state)
		return;
	p->state = st.state;
	tell_state(p, &st);
	if (p->state == PORT_ACTIVE) {
		check_buffers(p, &st);
		learn_port_active(p->m, p->index);
		ports_tell_neighbours(p->m, p->index);
	}
	if (p->state == PORT_NEEDS_GUEST_RESET)
		manager_emit(p->m, EVENT_NEEDS_RESET, "port", p->spec.id, NULL);
}

void ports_refresh_all(struct manager *m)
{
	unsigned int i;

	for (i = 0; i < POLICY_MAX_PORTS; i++)
		if (m->ports[i])
			refresh(m->ports[i]);
}

void ports_on_event(const struct vhu_event *ev, void *arg)
{
	struct manager *m = arg;
	struct port *p = ev->port < POLICY_MAX_PORTS ? m->ports[ev->port] : NULL;
	char queue[16];

	if (!p || !p->vhu)
		return;
	if (ev->type == VHU_QUEUE) {
		snprintf(queue, sizeof(queue), "%u", ev->queue);
		manager_emit(m, EVENT_PORT_QUEUE, "port", p->spec.id, "queue", queue, "enabled",
			     ev->enabled ? "true" : "false", NULL);
	}
	refresh(p);
}

/* ---- work on portctl ---- */

static int port_run(struct job *job)
{
	struct port_job *j = (struct port_job *)job;

	vhu_port_destroy(j->old);
	return j->make ? vhu_port_create(&j->spec, j->index, j->mtu, &j->new, &job->err) : 0;
}

static int attach(struct port *p, struct errbuf *err)
{
	struct port_queue *queues[VHU_MAX_QUEUES];
	unsigned int i;
	int r;

	for (i = 0; i < p->spec.queues; i++)
		queues[i] = vhu_port_queue(p->vhu, i);
	r = datapath_port_attach(p->m->datapath, p->index, queues, p->spec.queues);
	if (r < 0)
		return err_set(err, -r, "workers cannot serve it: %s", strerror(-r));
	p->attached = true;
	return 0;
}

static void detach(struct port *p)
{
	struct datapath_port_stats last;

	if (!p->attached)
		return;
	datapath_port_detach(p->m->datapath, p->index, &last);
	counts_port_ends(p, &last);
	p->attached = false;
}

static void port_made(struct port_job *j)
{
	struct port *p = j->port;

	p->vhu = j->new;
	if (j->job.r == 0)
		j->job.r = attach(p, &j->job.err);
	if (j->job.r < 0) {
		str_copy(p->error, sizeof(p->error), j->job.err.text);
		manager_emit(p->m, EVENT_PORT_FAILED, "port", p->spec.id, "error", p->error, NULL);
		return;
	}
	p->error[0] = '\0';
	refresh(p);
}

static void port_done(struct job *job)
{
	struct port_job *j = (struct port_job *)job;
	struct manager *m = j->port->m;

	j->port->busy = false;
	if (j->make)
		port_made(j);
	else
		free(j->port);
	if (j->fn)
		j->fn(j->arg, j->job.r, j->job.r < 0 ? j->job.err.text : "");
	free(j);
	manager_later(m, LATER_READY | LATER_STEER);
}

static struct port_job *job_new(struct port *p, bool make, work_done_fn fn, void *arg)
{
	struct port_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->job.run = port_run;
	j->job.done = port_done;
	j->port = p;
	j->make = make;
	j->fn = fn;
	j->arg = arg;
	return j;
}

/* Take the socket away from the port and give it to the job; no worker uses it afterwards. */
static void job_start(struct port_job *j)
{
	struct port *p = j->port;

	detach(p);
	j->old = p->vhu;
	p->vhu = NULL;
	p->busy = true;
	j->index = p->index;
	j->spec = p->spec;
	port_socket_path(&p->m->settings, &p->spec, j->spec.socket, NULL); /* its length was checked before */
	j->mtu = ports_mtu(p->m, &p->spec);
	jobq_submit(p->m->portctl, &j->job);
}

/* ---- changes ---- */

/* MACs that are announced on the wire when a member fails: those of ports without a virtual subnet. */
void ports_update_plain(struct manager *m)
{
	struct mac *macs = calloc((size_t)POLICY_MAX_PORTS * PORT_MACS, sizeof(*macs));
	unsigned int i, k, n = 0;

	for (i = 0; macs && i < POLICY_MAX_PORTS; i++) {
		const struct port *p = m->ports[i];

		for (k = 0; p && !p->spec.vsid && k < p->spec.n_macs; k++)
			macs[n++] = p->spec.macs[k];
	}
	if (!macs || teaming_plain_macs(m->teaming, macs, n) < 0)
		log_error("no memory for the MACs of the plain segment");
	free(macs);
}

static void macs_changed(struct manager *m)
{
	manager_later(m, LATER_STEER);
	if (m->settings.plain_uplink)
		manager_later(m, LATER_PLAIN);
}

static int check_spec(struct manager *m, const struct port_spec *spec, struct errbuf *err)
{
	char path[PATH_SIZE];
	int r = config_supported(&m->settings, OBJECT_PORT, spec, err);

	return r < 0 ? r : port_socket_path(&m->settings, spec, path, err);
}

int ports_add(struct manager *m, const struct port_spec *spec, enum origin origin, work_done_fn fn, void *arg,
	      struct errbuf *err)
{
	struct port *p = calloc(1, sizeof(*p));
	struct port_job *j = p ? job_new(p, true, fn, arg) : NULL;
	int r;

	r = j ? check_spec(m, spec, err) : err_set(err, ENOMEM, "out of memory");
	if (r == 0)
		r = policy_set(m->policy, OBJECT_PORT, spec, origin, err);
	if (r < 0) {
		free(j);
		free(p);
		return r;
	}
	p->m = m;
	p->spec = *spec;
	p->origin = origin;
	p->index = policy_port_index(m->policy, spec->id);
	m->ports[p->index] = p;
	job_start(j);
	macs_changed(m);
	learn_port(m, p->index);
	return 0;
}

/* Of what is offered to guests: taken over by the socket that is there. */
static bool needs_new_offer(const struct port_spec *a, const struct port_spec *b)
{
	return a->mergeable != b->mergeable || a->tx_checksum != b->tx_checksum || a->tso != b->tso ||
	       a->ecn != b->ecn || a->rx_checksum != b->rx_checksum || a->rx_tso != b->rx_tso;
}

/* Changes that only concern policy leave the guest's socket alone. */
static bool needs_new_socket(const struct manager *m, const struct port_spec *a, const struct port_spec *b)
{
	char sock_a[PATH_SIZE] = "", sock_b[PATH_SIZE] = "";

	port_socket_path(&m->settings, a, sock_a, NULL);
	port_socket_path(&m->settings, b, sock_b, NULL);
	return a->type != b->type || a->mode != b->mode || a->queues != b->queues || a->packed != b->packed ||
	       a->socket_mode != b->socket_mode || strcmp(a->socket_group, b->socket_group) != 0 ||
	       strcmp(sock_a, sock_b) != 0;
}

struct changed {
	struct job job;
	struct manager *m;
	struct vhu_port *vhu; /* NULL: nothing to do on portctl */
	struct port_spec spec;
	work_done_fn fn;
	void *arg;
};

static int changed_run(struct job *job)
{
	struct changed *c = (struct changed *)job;

	if (c->vhu)
		vhu_port_offer(c->vhu, &c->spec);
	return 0;
}

static void changed_done(struct job *job)
{
	struct changed *c = (struct changed *)job;

	if (c->fn)
		c->fn(c->arg, 0, "");
	manager_later(c->m, LATER_READY);
	free(c);
}

/*
 * The socket stays. It goes through portctl's queue even if there is nothing to do: so `fn` is called later and in
 * order. @param offer  there is.
 */
static struct changed *changed_new(struct port *p, const struct port_spec *spec, bool offer, work_done_fn fn, void *arg)
{
	struct changed *c = calloc(1, sizeof(*c));

	if (c)
		*c = (struct changed){ .job = { .run = changed_run, .done = changed_done }, .m = p->m,
				       .vhu = offer ? p->vhu : NULL, .spec = *spec, .fn = fn, .arg = arg };
	return c;
}

int ports_change(struct manager *m, struct port *p, const struct port_spec *spec, enum origin origin,
		 work_done_fn fn, void *arg, struct errbuf *err)
{
	bool anew = needs_new_socket(m, &p->spec, spec) || !p->vhu;
	struct port_job *j = NULL;
	struct changed *c = NULL;
	int r;

	if (p->busy)
		return err_set(err, EBUSY, "port %s is being changed", p->spec.id);
	r = check_spec(m, spec, err);
	if (r < 0)
		return r;
	if (anew)
		j = job_new(p, true, fn, arg);
	else
		c = changed_new(p, spec, needs_new_offer(&p->spec, spec), fn, arg);
	if (!j && !c)
		return err_set(err, ENOMEM, "out of memory");
	r = policy_set(m->policy, OBJECT_PORT, spec, origin, err);
	if (r < 0) {
		free(j);
		free(c);
		return r;
	}
	if (p->spec.vsid != spec->vsid)
		counts_port(p); /* what it has counted is the old subnet's */
	p->spec = *spec;
	p->origin = origin;
	macs_changed(m);
	learn_port(m, p->index);
	if (j) {
		job_start(j);
		return 0;
	}
	refresh(p); /* its MTU may be another */
	jobq_submit(m->portctl, &c->job);
	return 0;
}

int ports_remove(struct manager *m, struct port *p, work_done_fn fn, void *arg, struct errbuf *err)
{
	struct port_job *j;
	int r;

	if (p->busy)
		return err_set(err, EBUSY, "port %s is being changed", p->spec.id);
	j = job_new(p, false, fn, arg);
	if (!j)
		return err_set(err, ENOMEM, "out of memory");
	datapath_watch_forget(m->datapath, p->index, TEAM_NO_MEMBER);
	detach(p);
	r = policy_remove(m->policy, OBJECT_PORT, &p->spec, p->origin, err);
	if (r < 0) {
		/* Cannot be: it is there with this origin. Serve it again rather than lose it. */
		if (p->vhu)
			attach(p, NULL);
		free(j);
		return r;
	}
	m->ports[p->index] = NULL;
	macs_changed(m);
	learn_port(m, p->index);
	p->state = PORT_ABSENT;
	manager_emit(m, EVENT_PORT_STATE, "port", p->spec.id, "state", port_state_names[PORT_ABSENT], NULL);
	job_start(j);
	return 0;
}

int ports_retry(struct manager *m, struct port *p, work_done_fn fn, void *arg, struct errbuf *err)
{
	struct port_job *j;

	if (p->busy)
		return err_set(err, EBUSY, "port %s is being changed", p->spec.id);
	j = job_new(p, true, fn, arg);
	if (!j)
		return err_set(err, ENOMEM, "out of memory");
	job_start(j);
	return 0;
}

void ports_stop(struct manager *m)
{
	unsigned int i;

	jobq_drain(m->portctl); /* what is being made has to be there to be taken down */
	for (i = 0; i < POLICY_MAX_PORTS; i++) {
		struct port *p = m->ports[i];
		struct port_job *j = p ? job_new(p, false, NULL, NULL) : NULL;

		if (!p)
			continue;
		m->ports[i] = NULL;
		if (j)
			job_start(j);
		else
			detach(p); /* no memory for a polite end: the process ends anyway */
	}
	jobq_drain(m->portctl);
}
