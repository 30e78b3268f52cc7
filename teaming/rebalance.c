/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>
#include <rte_common.h>

#include "teaming/core.h"

#define ROUND_NS (10 * S_NS)
#define REST_NS	 (30 * S_NS) /* a bucket that was moved stays for so long */
#define GIVE_UP	 (600 * S_NS) /* and one that could not be moved */
#define SOON_NS	 (100 * MS_NS)

/* Loads in thousandths of the speed. */
#define BUSY	500 /* below it nobody suffers */
#define GAP	150
#define WORTH	5 /* what an exchange has to gain */

void tw_rebalance_configure(struct tw_rebalance *r, bool enabled, bool force)
{
	if (!enabled)
		memset(r, 0, sizeof(*r));
	r->enabled = enabled;
	r->force = force;
}

bool tw_rebalance_measure(struct tw_rebalance *r, const uint64_t bytes[TEAM_BUCKETS], uint64_t now)
{
	uint64_t passed = now - r->at;

	if (!r->at) {
		memcpy(r->bytes, bytes, sizeof(r->bytes));
		r->at = now;
		r->next = now + ROUND_NS;
		return false;
	}
	if (passed < SOON_NS)
		return false;
	for (unsigned int b = 0; b < TEAM_BUCKETS; b++) {
		uint64_t rate = (uint64_t)((unsigned __int128)(bytes[b] - r->bytes[b]) * S_NS / passed);

		/* Half of what was, half of what is: a second ago counts half, five seconds ago 3 %. */
		r->rate[b] = (r->rate[b] + rate) / 2;
	}
	memcpy(r->bytes, bytes, sizeof(r->bytes));
	r->at = now;
	return true;
}

uint64_t tw_rebalance_rate(const struct tw_rebalance *r, const struct tw_select *s, unsigned int member)
{
	uint64_t sum = 0;

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		sum += s->now[b] == member ? r->rate[b] : 0;
	return sum;
}

/* Thousandths of the speed in Mbit/s. */
static uint64_t load(uint64_t rate, uint32_t speed)
{
	return rate * 8 / 1000 / speed;
}

static bool movable(const struct tw_rebalance *r, const struct tw_select *s, unsigned int b, unsigned int member,
		    uint64_t now)
{
	return s->now[b] == member && tw_select_settled(s, b) && now >= r->rests[b];
}

static unsigned int quietest(const struct tw_rebalance *r, const struct tw_select *s, unsigned int member, uint64_t now)
{
	unsigned int best = TEAM_BUCKETS;

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		if (movable(r, s, b, member, now) && (best == TEAM_BUCKETS || r->rate[b] < r->rate[best]))
			best = b;
	return best;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The bucket of a member whose rate is nearest to what is wanted. */
static unsigned int nearest(const struct tw_rebalance *r, const struct tw_select *s, unsigned int member,
			    uint64_t wanted, uint64_t now)
{
	unsigned int best = TEAM_BUCKETS;

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		if (movable(r, s, b, member, now) &&
		    (best == TEAM_BUCKETS || distance(r->rate[b], wanted) < distance(r->rate[best], wanted)))
			best = b;
	return best;
}

bool tw_rebalance_pick(const struct tw_rebalance *r, const struct tw_select *s, const uint32_t speed[TEAM_MEMBERS],
		       uint64_t now, struct tw_exchange *ret)
{
	unsigned int from = TEAM_NO_MEMBER, to = TEAM_NO_MEMBER, busy, quiet;
	uint64_t rate[TEAM_MEMBERS], moved, after;

	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		if (!(s->carries >> m & 1) || !speed[m])
			continue;
		rate[m] = tw_rebalance_rate(r, s, m);
		if (from == TEAM_NO_MEMBER || load(rate[m], speed[m]) > load(rate[from], speed[from]))
			from = m;
		if (to == TEAM_NO_MEMBER || load(rate[m], speed[m]) < load(rate[to], speed[to]))
			to = m;
	}
	if (from == to || load(rate[from], speed[from]) <= BUSY ||
	    load(rate[from], speed[from]) - load(rate[to], speed[to]) <= GAP)
		return false;
	quiet = quietest(r, s, to, now);
	if (quiet == TEAM_BUCKETS)
		return false;
	/* What would make both equally loaded: rates in proportion to the speeds. */
	moved = (uint64_t)(((unsigned __int128)rate[from] * speed[to] - (unsigned __int128)rate[to] * speed[from]) /
			   (speed[from] + speed[to]));
	busy = nearest(r, s, from, moved + r->rate[quiet], now);
	if (busy == TEAM_BUCKETS || r->rate[busy] <= r->rate[quiet])
		return false;
	moved = r->rate[busy] - r->rate[quiet];
	after = RTE_MAX(load(rate[from] - moved, speed[from]), load(rate[to] + moved, speed[to]));
	if (after + WORTH > load(rate[from], speed[from]))
		return false;
	*ret = (struct tw_exchange){ (uint8_t)busy, (uint8_t)quiet, (uint8_t)from, (uint8_t)to };
	return true;
}

/* ---- in the core ---- */

static void swap(struct tw_core *c, unsigned int a, unsigned int b)
{
	struct tw_rebalance *r = &c->rebalance;

	tw_select_swap(&c->select, a, b);
	r->rests[a] = r->rests[b] = tw_now(c) + REST_NS;
	tw_plain_moved(c);
	c->dirty |= TW_DIRTY_VIEW;
}

/* Has the exchange stayed as it was made: no member of it went away meanwhile? */
static bool stands(const struct tw_select *s, const struct tw_exchange *x)
{
	return s->home[x->busy] == x->to && s->home[x->quiet] == x->from && tw_select_settled(s, x->busy) &&
	       tw_select_settled(s, x->quiet);
}

/* Exchanges that workers could not make in a whole round, because the busy bucket's traffic never paused. */
static void conclude(struct tw_core *c, const uint64_t *waiting)
{
	struct tw_rebalance *r = &c->rebalance;

	for (unsigned int i = 0; i < r->n_open; i++) {
		const struct tw_exchange *x = &r->open[i];

		/* The quiet one may take its time. */
		if (!stands(&c->select, x) || !team_bucket_in(waiting, x->busy))
			continue;
		if (r->force) {
			tw_select_hurry(&c->select, x->busy);
			c->dirty |= TW_DIRTY_VIEW;
			tw_event(c, TEAMING_REBALANCE, x->to, NULL, "bucket %u never pauses: moved to %s all the same",
				 x->busy, c->members[x->to].spec.name);
			continue;
		}
		swap(c, x->busy, x->quiet);
		r->rests[x->busy] = tw_now(c) + GIVE_UP;
		r->undone++;
		tw_event(c, TEAMING_REBALANCE, x->from, NULL, "bucket %u never pauses: stays with %s", x->busy,
			 c->members[x->from].spec.name);
	}
	r->n_open = 0;
}

void tw_traffic(struct tw_core *c, const uint64_t bytes[TEAM_BUCKETS], const uint64_t waiting[TEAM_BUCKETS / 64])
{
	struct tw_rebalance *r = &c->rebalance;
	uint32_t speed[TEAM_MEMBERS];
	struct tw_exchange x;

	if (!r->enabled || !tw_rebalance_measure(r, bytes, tw_now(c)) || r->at < r->next)
		return;
	r->next = r->at + ROUND_NS;
	conclude(c, waiting);
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++)
		speed[m] = tw_member_speed(c, m);
	while (r->n_open < REBALANCE_MOVES && tw_rebalance_pick(r, &c->select, speed, r->at, &x)) {
		swap(c, x.busy, x.quiet);
		r->open[r->n_open++] = x;
		r->exchanged++;
		tw_event(c, TEAMING_REBALANCE, x.to, NULL,
			 "bucket %u (%" PRIu64 " kbit/s) goes from %s to %s, bucket %u comes back", x.busy,
			 r->rate[x.busy] / 125, c->members[x.from].spec.name, c->members[x.to].spec.name, x.quiet);
	}
}
