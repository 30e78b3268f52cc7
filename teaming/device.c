/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing the members' devices, on portctl. The slow part is done without the lock. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/rcu.h"
#include "teaming/ethdev.h"
#include "teaming/team.h"
#include "teaming/xdp.h"

#define MTU_DEFAULT 1500
#define BATCH	    32
#define FORGET_MAX  256 /* batches: some rings of a fast NIC; a flood must not keep us */

void teaming_member_ops(struct teaming *t, unsigned int member, const struct member_ops *ops)
{
	if (member >= TEAM_MEMBERS)
		return;
	pthread_mutex_lock(&t->lock);
	t->core.members[member].ops = ops;
	pthread_mutex_unlock(&t->lock);
}

const struct member_ops *(*teaming_ops_for)(const struct member_spec *spec);

/* Take the slot for opening. */
static int begin(struct teaming *t, unsigned int member, struct member_spec *ret, const struct member_ops **ret_ops,
		 struct errbuf *err)
{
	struct tw_member *m = member < TEAM_MEMBERS ? &t->core.members[member] : NULL;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (!m || !m->used || m->leaving)
		r = err_set(err, ENOENT, "there is no member %u", member);
	else if (m->dev || m->busy)
		r = err_set(err, EALREADY, "%s is open already", m->spec.name);
	if (r == 0) {
		m->busy = true;
		*ret = m->spec;
		*ret_ops = m->ops ? m->ops : teaming_ops_for ? teaming_ops_for(&m->spec) : NULL;
		if (!*ret_ops)
			*ret_ops = &tw_ethdev_ops;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int open_device(const struct member_ops *ops, const struct member_spec *spec, const struct member_config *c,
		       struct member_dev *dev, struct member_info *info, struct errbuf *err)
{
	int r = ops->open(spec, dev, err);

	if (r < 0)
		return r;
	r = dev->ops->configure(dev, c, err);
	if (r == 0) {
		r = dev->ops->info(dev, info);
		if (r < 0)
			err_set(err, -r, "%s: no information about the device: %s", spec->name, strerror(-r));
	}
	if (r < 0)
		dev->ops->close(dev);
	return r;
}

/* An XDP program that a killed process left has to go before the driver attaches its own. */
static int prepare_xdp(struct teaming *t, const struct member_spec *spec, int *ret_claim, struct errbuf *err)
{
	uint32_t if_index = if_nametoindex(spec->name);

	if (!if_index)
		return err_set(err, ENODEV, "no network device '%s'", spec->name);
	return tw_xdp_claim(spec->name, if_index, t->state_dir, ret_claim, err);
}

/* The device's, kept over a reopening. Slow: the kernel makes a netdev. */
static int need_relay(struct teaming *t, unsigned int member, const struct member_spec *spec,
		      const struct member_info *info, struct tw_relay **ret, struct errbuf *err)
{
	bool have;

	if (!*spec->relay)
		return 0;
	pthread_mutex_lock(&t->lock);
	have = t->relay[member] && strcmp(t->relay[member]->name, spec->relay) == 0;
	pthread_mutex_unlock(&t->lock);
	return have ? 0 : tw_relay_open(spec->relay, &info->mac, ret, err);
}

/* Take a relay over that was made for the member. Under the lock. */
static void keep_relay(struct teaming *t, unsigned int member, struct tw_relay *relay)
{
	int r;

	if (!relay)
		return;
	tw_relay_close(t->relay[member]);
	t->relay[member] = relay;
	r = tw_watch_add(t, relay->fd, TW_TAG_RELAY(member));
	if (r < 0)
		log_warning("relay %s: nothing that the kernel sends will leave: %s", relay->name, strerror(-r));
}

static int open_locked_out(struct teaming *t, const struct member_spec *spec, const struct member_ops *ops,
			   const struct member_config *c, struct member_dev *dev, struct member_info *info,
			   int *ret_claim, struct errbuf *err)
{
	CLEANUP_CLOSE int claim = -1;
	bool xdp = spec->type == MEMBER_AF_XDP && ops == &tw_ethdev_ops;
	int r = xdp ? prepare_xdp(t, spec, &claim, err) : 0;

	if (r == 0)
		r = open_device(ops, spec, c, dev, info, err);
	if (r < 0)
		return r;
	if (xdp)
		tw_xdp_note(spec->name, info->if_index, t->state_dir);
	*ret_claim = TAKE_FD(claim);
	return 0;
}

/*
 * What a device received before anybody polls it came while its addresses were with others, who had it as well: a new
 * port of the switch is flooded to.
 */
static void forget_received(const struct member_dev *dev)
{
	struct rte_mbuf *pkts[BATCH];
	uint16_t n;

	for (uint16_t q = 0; q < dev->rxq; q++) {
		unsigned int left = FORGET_MAX;

		do {
			n = dev->ops->rx(dev, q, pkts, BATCH);
			rte_pktmbuf_free_bulk(pkts, n);
		} while (n && --left);
	}
}

int teaming_member_open(struct teaming *t, unsigned int member, const struct member_config *c, struct errbuf *err)
{
	CLEANUP_FREE struct member_dev *dev = calloc(1, sizeof(*dev));
	struct member_info info = { 0 };
	const struct member_ops *ops = NULL;
	struct tw_relay *relay = NULL;
	struct member_spec spec;
	struct tw_member *m;
	int r, claim = -1;

	if (!dev)
		return err_set(err, ENOMEM, "out of memory");
	r = begin(t, member, &spec, &ops, err);
	if (r < 0)
		return r;
	r = open_locked_out(t, &spec, ops, c, dev, &info, &claim, err);
	if (r == 0) {
		r = need_relay(t, member, &spec, &info, &relay, err);
		if (r < 0) {
			dev->ops->close(dev);
		} else {
			if (c->ready)
				c->ready(dev, &info, c);
			forget_received(dev);
		}
	}

	tw_lock(t);
	m = &t->core.members[member];
	m->busy = false;
	if (r == 0) {
		t->xdp_claim[member] = claim;
		t->punt_pool[member] = c->pool;
		keep_relay(t, member, relay);
		tw_member_device(&t->core, member, TAKE(dev), &info, c->mtu ? c->mtu : MTU_DEFAULT);
		tw_team_follow(t, member);
		tw_team_ports(t);
	} else if (m->leaving) {
		tw_member_free_slot(&t->core, member);
		tw_team_follow(t, member);
	}
	tw_unlock(t);
	return r;
}

void teaming_member_close(struct teaming *t, unsigned int member)
{
	struct tw_io *punt = NULL;
	struct member_dev *dev;
	struct tw_member *m;

	if (member >= TEAM_MEMBERS)
		return;
	m = &t->core.members[member];
	tw_lock(t);
	dev = m->dev;
	if (!dev) {
		pthread_mutex_unlock(&t->lock);
		return;
	}
	m->busy = true;
	tw_member_device(&t->core, member, NULL, NULL, 0);
	tw_team_settle(t); /* the view without it; the packet socket goes, rings stay until workers have left */
	punt = t->io[member];
	rcu_assign(t->io[member], NULL);
	pthread_mutex_unlock(&t->lock);
	tw_watch_wake(t);

	rcu_synchronize();
	if (punt)
		punt->ops->close(punt);
	dev->ops->close(dev);
	closep(&t->xdp_claim[member]);
	t->xdp_claim[member] = -1;

	tw_lock(t);
	m->busy = false;
	tw_retire(t, dev);
	if (m->leaving)
		tw_member_free_slot(&t->core, member);
	tw_team_follow(t, member);
	tw_team_news(t); /* a port may wait for the slot */
	tw_member_evaluate(&t->core, member);
	tw_unlock(t);
}
