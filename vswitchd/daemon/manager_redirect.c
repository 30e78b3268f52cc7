/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What other hosts say of guests that have moved (MS-NVGREE, HNV row 28). Workers have compared it with policy; main
 * does once more, since policy may have changed meanwhile, and believes it for a short time.
 */
#include "base/flowhash.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "daemon/manager_private.h"

#define HINT_MS	 10000 /* policy comes sooner, or the old host says it once more */
#define AGAIN_MS 10000 /* "nothing is known of it" is news again after that */

static const char *host_id(const struct manager *m, uint16_t host)
{
	const struct policy_host *h = policy_host(m->policy, host);

	return h ? h->id : "";
}

static void tell(struct manager *m, const struct sighting *s, uint16_t from, uint16_t to)
{
	char vsid[16], mac[MAC_STR], pa[IP_STR], new_pa[IP_STR] = "";

	snprintf(vsid, sizeof(vsid), "%u", s->vsid);
	format_mac(&s->mac, mac);
	format_ip(&s->pa, pa);
	if (ip_is_set(&s->ca))
		format_ip(&s->ca, new_pa);
	manager_emit(m, EVENT_REDIRECT, "vsid", vsid, "mac", mac, "host", host_id(m, from), "pa", pa, "new-host",
		     host_id(m, to), "new-pa", new_pa, NULL);
}

/* Nothing changes by it, so it may be said at any rate. */
static bool is_news(struct manager *m, const struct sighting *s, uint64_t now)
{
	uint64_t key = mac_load(&s->mac) ^ (uint64_t)s->vsid << 40;
	unsigned int i = (unsigned int)(flowhash_mix(key ^ FLOWHASH_K1, FLOWHASH_K2) % UNREACHABLE_TOLD);
	bool news = m->unreachable[i].key != key || now - m->unreachable[i].at >= AGAIN_MS;

	if (news) {
		m->unreachable[i].key = key;
		m->unreachable[i].at = now;
	}
	return news;
}

void redirect_see(struct manager *m, const struct sighting *s)
{
	uint16_t from = policy_host_of_pa(m->policy, &s->pa), to = HOST_NONE;
	uint64_t now = tick_ms();
	int r = 0;

	if (!m->knobs.redirect)
		return; /* turned off while it was on its way */
	if (ip_is_set(&s->ca)) {
		to = policy_host_of_pa(m->policy, &s->ca);
		r = policy_hint(m->policy, s->vsid, &s->mac, from, to, now + HINT_MS);
	} else if (!is_news(m, s, now)) {
		return;
	}
	if (r < 0)
		log_debug("what host %s says of a guest of virtual-subnet %u is not believed: %s", host_id(m, from),
			  s->vsid, strerror(-r));
	else
		tell(m, s, from, to);
}
