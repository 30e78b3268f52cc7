/* SPDX-License-Identifier: BSD-3-Clause */
/* The learner's connections: from the workers' rings, to the guests, the event bus and the store. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_mbuf.h>

#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "daemon/manager_private.h"

#define BATCH 256 /* sightings per turn of the loop */

/* ---- what the learner wants ---- */

static void tell(struct manager *m, const struct learn_news *n)
{
	char vsid[16], ca[IP_STR] = "", mac[MAC_STR] = "", rival[IP_STR] = "", reason[160];

	snprintf(vsid, sizeof(vsid), "%u", n->rec.vsid);
	if (ip_is_set(&n->rec.ca))
		format_ip(&n->rec.ca, ca);
	format_mac(&n->rec.mac, mac);
	if (!mac_is_zero(&n->rival))
		format_mac(&n->rival, rival);
	else if (ip_is_set(&n->pa))
		format_ip(&n->pa, rival);
	snprintf(reason, sizeof(reason), n->suppressed ? "%s (%u more were not told)" : "%s", n->reason, n->suppressed);
	manager_emit(m, EVENT_CUSTOMER_ADDRESS, "change", learn_change_names[n->change], "vsid", vsid, "ca", ca, "mac",
		     mac, "host", n->rec.host, "port", manager_port_id(m, n->port), "reason", reason, "rival", rival,
		     NULL);
}

static void on_news(void *arg, const struct learn_news *n)
{
	static const enum learned_change changes[LEARN_CHANGE_COUNT] = {
		[LEARN_ADDED] = LEARNED_ADDED, [LEARN_MOVED] = LEARNED_MOVED, [LEARN_DELETED] = LEARNED_REMOVED
	};
	struct manager *m = arg;

	tell(m, n);
	m->changes++;
	if (n->learned && manager_learned_changed(m, changes[n->change], &n->rec) < 0)
		log_error("no memory to keep a learned address");
}

/* The frame goes, or its buffer comes back. @return 0, -ENOENT, -ENOBUFS. */
static int inject(struct manager *m, struct rte_mbuf *buf, bool made)
{
	int r = made ? datapath_inject(m->datapath, buf) : -ENOENT;

	if (r < 0)
		rte_pktmbuf_free(buf);
	return r;
}

static enum learn_asked on_ask(void *arg, uint32_t vsid, const struct ip_addr *ca, const struct mac *mac,
			       const struct mac *asker)
{
	struct manager *m = arg;
	struct rte_mbuf *buf = rte_pktmbuf_alloc(m->pool);
	bool made;
	int r;

	if (!buf)
		return LEARN_NOT_NOW;
	made = policy_neigh_ask(m->policy, vsid, ca, mac_load(mac), asker ? mac_load(asker) : 0, buf);
	r = inject(m, buf, made);
	if (!made)
		return LEARN_NOWHERE;
	return r == -ENOBUFS ? LEARN_NOT_NOW : LEARN_ASKED; /* a port without a guest does not answer */
}

static uint64_t on_lost(void *arg, uint32_t vsid, const struct mac *mac)
{
	struct manager *m = arg;
	uint32_t v = policy_mac_lookup(m->policy, vsid, mac_load(mac));
	struct datapath_port_stats stats;

	if (v == MACV_MISS || MACV_KIND(v) != MACV_LOCAL || datapath_port_stats(m->datapath, MACV_INDEX(v), &stats) < 0)
		return 0;
	return stats.drops[DROP_PORT_FULL];
}

static void on_announce(void *arg, uint16_t port, const struct ip_addr *ca, const struct mac *mac)
{
	struct manager *m = arg;
	const struct policy_port *p = policy_port(m->policy, port);
	struct rte_mbuf *buf = p ? rte_pktmbuf_alloc(m->pool) : NULL;

	if (buf)
		inject(m, buf, policy_neigh_announce(m->policy, p, ca, mac_load(mac), buf));
}

static const struct learn_ops ops = { on_news, on_ask, on_lost, on_announce };

/* ---- what wakes it ---- */

static void tick(struct manager *m)
{
	uint64_t now = tick_ms(), next = learn_tick(m->learn, now);

	m->learn_soon = false;
	if (!m->learn_timer)
		return;
	if (next == UINT64_MAX) {
		sd_event_source_set_enabled(m->learn_timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(m->learn_timer, (next - now) * 1000);
	sd_event_source_set_enabled(m->learn_timer, SD_EVENT_ONESHOT);
}

/* Once per turn, however much has happened in it: it looks at everything that is going on. */
static void tick_soon(struct manager *m)
{
	/* Armed anew each time it would never be its turn while a host loads its records. */
	if (!m->learn_timer || m->learn_soon)
		return;
	m->learn_soon = true;
	sd_event_source_set_time_relative(m->learn_timer, 0);
	sd_event_source_set_enabled(m->learn_timer, SD_EVENT_ONESHOT);
}

/* A batch per turn: neither workers nor guests keep others waiting. */
static int on_sights(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	struct sighting sights[BATCH];
	uint64_t now = tick_ms();
	unsigned int n;
	eventfd_t ignored;

	eventfd_read(fd, &ignored);
	n = datapath_sights(m->datapath, sights, BATCH);
	if (n)
		eventfd_write(fd, 1); /* there may be more */
	for (unsigned int i = 0; i < n; i++)
		if (sights[i].kind == SIGHT_REDIRECT)
			redirect_see(m, &sights[i]);
		else if (sights[i].kind == SIGHT_SOLICITS)
			ports_advertise(m, sights[i].port);
		else
			learn_see(m->learn, &sights[i], now);
	tick(m);
	return 0;
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata)
{
	tick(userdata);
	return 0;
}

/* ---- life ---- */

static struct learn_params params(const struct manager *m)
{
	return (struct learn_params){
		.per_port = m->settings.learned_per_port,
		.verify_ms = m->settings.verify_s * 1000,
		.claim_ms = m->settings.claim_wait_ms,
	};
}

int learn_start(struct manager *m, struct errbuf *err)
{
	struct learn_params p = params(m);
	int r = learn_new(m->policy, m->settings.host_id, &p, &ops, m, &m->learn);

	if (r < 0)
		return err_set(err, -r, "no memory for what is learned");
	m->learn_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->learn_fd < 0)
		return err_set(err, errno, "cannot make an eventfd: %s", strerror(errno));
	r = sd_event_add_io(m->loop, &m->learn_source, m->learn_fd, EPOLLIN, on_sights, m);
	if (r >= 0)
		r = sd_event_add_time_relative(m->loop, &m->learn_timer, CLOCK_MONOTONIC, 0, 1, on_time, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->learn_timer, SD_EVENT_OFF);
	return r < 0 ? err_set(err, -r, "cannot prepare the event loop: %s", strerror(-r)) : 0;
}

void learn_begin(struct manager *m)
{
	learn_restore(m->learn, tick_ms());
	tick(m);
}

void learn_stop(struct manager *m)
{
	m->learn_source = sd_event_source_disable_unref(m->learn_source);
	m->learn_timer = sd_event_source_disable_unref(m->learn_timer);
	if (m->learn_fd >= 0)
		close(m->learn_fd);
	m->learn_fd = -1;
	m->learn = learn_free(m->learn);
}

void learn_settings(struct manager *m)
{
	struct learn_params p = params(m);

	learn_set_params(m->learn, &p);
	tick(m);
}

void learn_port(struct manager *m, uint16_t index)
{
	if (m->stopping)
		return;
	learn_port_changed(m->learn, index, tick_ms());
	manager_later(m, LATER_GROUPS);
}

void learn_port_active(struct manager *m, uint16_t index)
{
	const struct policy_port *p = policy_port(m->policy, index);
	struct sighting s = { .kind = SIGHT_MAC, .port = index, .vsid = p ? p->vsid : 0 };

	for (uint16_t i = 0; s.vsid && i < p->n_macs; i++) {
		s.mac = p->macs[i];
		learn_see(m->learn, &s, tick_ms());
	}
	tick_soon(m);
}

void learn_record(struct manager *m, const struct record_spec *rec)
{
	learn_record_changed(m->learn, rec, tick_ms());
	tick_soon(m);
}
