/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One way to send and receive teamwatch's frames per open member, and what is polled because nothing
 * announces it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rcu.h"
#include "teaming/team.h"

#define READ_BATCH  64
#define FRAME_SIZE  9234 /* jumbo with a tag */
#define PUNT_POLL   (4 * MS_NS) /* workers make no system call, so they cannot wake teamwatch */
#define LINK_POLL   (20 * MS_NS) /* nor do drivers: what this costs comes on top of every failover */

void tw_sockets_send(void *arg, unsigned int member, const uint8_t *frame, uint32_t len)
{
	struct teaming *t = arg;
	struct tw_io *io = member < TEAM_MEMBERS ? t->io[member] : NULL;
	int r = io ? io->ops->send(io, frame, len) : -ENETDOWN;

	if (r < 0)
		log_debug("team member %u: frame not sent: %s", member, strerror(-r));
}

void tw_sockets_read(struct teaming *t, unsigned int member)
{
	struct tw_io *io = t->io[member];
	uint8_t buf[FRAME_SIZE];
	int n;

	for (unsigned int i = 0; io && i < READ_BATCH; i++) {
		n = io->ops->recv(io, buf, sizeof(buf));
		if (n <= 0)
			break;
		tw_input(&t->core, member, buf, (uint32_t)n);
		tw_relay_inward(t, member, buf, (uint32_t)n);
	}
}

/* ---- opening and closing ---- */

static void fill_filter(const struct tw_core *c, struct mac *plain, struct tw_io_filter *f)
{
	f->n_pas = f->n_plain = 0;
	for (unsigned int i = 0; i < LOCAL_PAS; i++) {
		if (!c->pas[i].used)
			continue;
		f->pas[f->n_pas] = c->pas[i].spec.address;
		f->macs[f->n_pas++] = c->pas[i].spec.mac;
	}
	f->n_groups = 0;
	for (unsigned int i = 0; i < TEAM_GROUPS; i++)
		if (ip_is_set(&c->groups[i].address))
			teaming_group_mac(&c->groups[i].address, &f->groups[f->n_groups++]);
	for (unsigned int i = 0; plain && i < c->n_plain; i++)
		plain[f->n_plain++] = c->plain[i].mac;
	f->plain = plain;
}

static void close_packet(struct teaming *t, unsigned int m)
{
	if (!t->io_if_index[m])
		return;
	t->io[m]->ops->close(t->io[m]); /* closing takes it out of epoll */
	rcu_assign(t->io[m], NULL);
	t->io_if_index[m] = 0;
}

static int open_packet(struct teaming *t, unsigned int m, uint32_t if_index, const struct tw_io_filter *f)
{
	struct tw_io *io;
	int r = tw_io_packet_open(if_index, &io);

	if (r < 0)
		return r;
	/*
	 * Part of a filter that does not fit the NIC makes it promiscuous, or costs some reception: no
	 * reason to give up.
	 */
	r = io->ops->filter(io, f);
	if (r < 0)
		log_debug("team member %u: socket filter: %s", m, strerror(-r));
	r = tw_watch_add(t, io->ops->fd(io), TW_TAG_MEMBER(m));
	if (r < 0) {
		io->ops->close(io);
		return r;
	}
	t->io_if_index[m] = if_index;
	rcu_assign(t->io[m], io);
	return 0;
}

static int open_punt(struct teaming *t, unsigned int m)
{
	struct tw_io *io;
	int r;

	r = tw_io_punt_open(t->punt_pool[m], &io);
	if (r < 0)
		return r;
	rcu_assign(t->io[m], io);
	tw_timer_set(&t->core.timers, &t->punt_timer, tw_now(&t->core) + PUNT_POLL);
	tw_timer_set(&t->core.timers, &t->link_timer, tw_now(&t->core));
	return 0;
}

static void sync_one(struct teaming *t, unsigned int m, const struct tw_io_filter *f)
{
	const struct tw_member *mem = &t->core.members[m];
	uint32_t want = mem->used && mem->dev && mem->info.if_index == mem->port.if_index ? mem->info.if_index : 0;
	int r = 0;

	if (t->io_if_index[m] != want)
		close_packet(t, m);
	if (want && !t->io[m])
		r = open_packet(t, m, want, f);
	else if (want && t->filter_stale)
		r = t->io[m]->ops->filter(t->io[m], f);
	else if (mem->used && mem->dev && !mem->info.if_index && !t->io[m])
		r = open_punt(t, m);
	if (r < 0)
		log_debug("team member %s: neighbour socket: %s", mem->spec.name, strerror(-r));
}

void tw_sockets_sync(struct teaming *t)
{
	struct mac *plain = t->core.n_plain ? calloc(t->core.n_plain, sizeof(*plain)) : NULL;
	struct tw_io_filter f;

	fill_filter(&t->core, plain, &f);
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		sync_one(t, m, &f);
	t->filter_stale = false;
	free(plain);
}

void tw_sockets_close(struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		if (t->io[m])
			t->io[m]->ops->close(t->io[m]);
		t->io[m] = NULL;
		t->io_if_index[m] = 0;
	}
}

/* ---- polling ---- */

static bool is_punt(const struct teaming *t, unsigned int m)
{
	return t->io[m] && !t->io_if_index[m];
}

static bool any_punt(const struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (is_punt(t, m))
			return true;
	return false;
}

static void on_punt(struct tw_timer *timer, void *arg)
{
	struct teaming *t = arg;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		if (is_punt(t, m))
			tw_sockets_read(t, m);
	if (any_punt(t))
		tw_timer_set(&t->core.timers, timer, tw_now(&t->core) + PUNT_POLL);
}

static void on_link(struct tw_timer *timer, void *arg)
{
	struct teaming *t = arg;

	if (t->provider_failed)
		t->provider_failed = t->pops->handle(t->provider) < 0;
	tw_team_news(t);
	if (any_punt(t) || t->provider_failed)
		tw_timer_set(&t->core.timers, timer, tw_now(&t->core) + LINK_POLL);
}

void tw_sockets_init(struct teaming *t)
{
	tw_timer_init(&t->punt_timer, on_punt, t);
	tw_timer_init(&t->link_timer, on_link, t);
}
