/* SPDX-License-Identifier: BSD-3-Clause */
/* Ready outer headers toward one remote host: one per (its PA, our member). Control side. */
#include <stdlib.h>

#include "datapath/dp.h"

static enum drop_reason why_not(int r)
{
	switch (r) {
	case -EAGAIN:
		return DROP_NO_NEIGHBOUR;
	case -ENETDOWN:
		return DROP_NO_MEMBER;
	default:
		return DROP_NO_PA;
	}
}

static void build_one(struct datapath *dp, const struct policy_host *host, const struct host_pa *pa,
		      unsigned int member, struct encap_template *t)
{
	const struct encap_ops *ops = policy_encap(host->encapsulation);
	struct encap_path path;
	uint16_t mtu = 0, overhead;
	int r;

	t->member = (uint8_t)member;
	r = teaming_path(dp->params.teaming, &pa->address, member, &path, &mtu, &t->local_pa);
	if (!mac_is_zero(&pa->mac) && (r >= 0 || r == -EAGAIN)) {
		path.dst_mac = pa->mac;
		r = 0;
	}
	if (r >= 0 && ops)
		r = ops->template_build(t, &path);
	if (r < 0 || !ops) {
		t->why = (uint8_t)why_not(r);
		return;
	}
	if (!mtu)
		mtu = dp->params.provider_mtu;
	if (pa->mtu && pa->mtu < mtu)
		mtu = pa->mtu;
	overhead = t->family == 4 ? ops->overhead4 : ops->overhead6;
	t->max_inner = mtu > overhead ? (uint16_t)(mtu - overhead) : 0;
	t->ops = ops;
}

const struct tunnel *tunnel_build(struct datapath *dp, const struct policy_host *host)
{
	unsigned int n_members = teaming_view(dp->params.teaming)->n_members;
	size_t n = (size_t)host->n_pas * n_members;
	struct tunnel *t;

	if (posix_memalign((void **)&t, 64, sizeof(*t) + n * sizeof(t->tmpl[0])))
		return NULL;
	memset(t, 0, sizeof(*t) + n * sizeof(t->tmpl[0]));
	t->n_pas = host->n_pas;
	t->n_members = (uint16_t)n_members;
	t->spread = host->spread;
	t->usable = host->usable && host->n_pas; /* without addresses there is no template to choose */
	memcpy(t->pa_of_flow, host->pa_of_flow, sizeof(t->pa_of_flow));
	for (unsigned int pa = 0; pa < host->n_pas; pa++) {
		for (unsigned int m = 0; m < n_members; m++) {
			struct encap_template *tmpl = &t->tmpl[pa * n_members + m];

			build_one(dp, host, &host->pas[pa], m, tmpl);
			if (tmpl->max_inner && (!t->max_inner || tmpl->max_inner < t->max_inner))
				t->max_inner = tmpl->max_inner;
		}
	}
	return t;
}

unsigned int datapath_paths(const struct datapath *dp, uint16_t host, struct datapath_path *ret, unsigned int max)
{
	const struct tunnel *t = host < POLICY_MAX_HOSTS ? dp->tunnels[host] : NULL;
	unsigned int n = t ? RTE_MIN((unsigned int)t->n_pas, max) : 0;

	for (unsigned int pa = 0; pa < n; pa++) {
		struct datapath_path p = { .why = t->usable ? DROP_NO_MEMBER : DROP_RECORD_UNUSABLE };

		for (unsigned int m = 0; m < t->n_members; m++) {
			const struct encap_template *tmpl = &t->tmpl[pa * t->n_members + m];

			if (!tmpl->ops) {
				p.why = t->usable ? tmpl->why : p.why;
				continue;
			}
			p.usable = t->usable;
			if (!p.max_inner || tmpl->max_inner < p.max_inner)
				p.max_inner = tmpl->max_inner;
		}
		ret[pa] = p;
	}
	return n;
}
