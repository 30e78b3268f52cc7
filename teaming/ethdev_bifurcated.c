/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "teaming/ethdev_bifurcated.h"
#include "teaming/team.h"

#define PCI_NAME 16 /* 0000:3b:00.0 */

const char *tw_sysfs = "/sys";

bool tw_bifurcated(const char *driver)
{
	/* mlx4 is one as well, but cannot match NVGRE. */
	return strncmp(driver, "mlx5_", 5) == 0;
}

/* ---- one RDMA device for two ports ---- */

static bool is_pci(const char *devargs, char *ret)
{
	unsigned int domain = 0, bus, device, function;
	const char *at = strncmp(devargs, "pci:", 4) == 0 ? devargs + 4 : devargs;
	int used = 0;

	if (sscanf(at, "%4x:%2x:%2x.%1u%n", &domain, &bus, &device, &function, &used) != 4 || !used) {
		domain = 0;
		if (sscanf(at, "%2x:%2x.%1u%n", &bus, &device, &function, &used) != 3 || !used)
			return false;
	}
	if (at[used] && at[used] != ',')
		return false;
	snprintf(ret, PCI_NAME, "%04x:%02x:%02x.%u", domain & 0xffff, bus & 0xff, device & 0xff, function % 10);
	return true;
}

/* The RDMA device of a PCI device. @return whether it has one. */
static bool rdma_device(const char *pci, char *ret, size_t size)
{
	char path[256];
	struct dirent *e;
	DIR *d;

	*ret = '\0';
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/infiniband", tw_sysfs, pci);
	d = opendir(path);
	while (d && !*ret && (e = readdir(d)))
		if (e->d_name[0] != '.')
			str_copy(ret, size, e->d_name);
	if (d)
		closedir(d);
	return *ret;
}

static bool is_mlx5(const char *pci)
{
	char path[256], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", tw_sysfs, pci);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	return strcmp(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, "mlx5_core") == 0;
}

static int bonded(const char *pci, const char *rdma, struct errbuf *err)
{
	return err_set(err, EBUSY,
		       "%s: the card's ports are in one team, which makes them one RDMA device (%s) that DPDK cannot "
		       "open per port. Switch RoCE off on both before they join the team (devlink dev param set "
		       "pci/%s name enable_roce value false cmode driverinit; devlink dev reload pci/%s), or use ports "
		       "of different cards, or type af-xdp",
		       pci, rdma, pci, pci);
}

int tw_bifurcated_check(const char *devargs, bool failed, struct errbuf *err)
{
	char pci[PCI_NAME], sibling[PCI_NAME], rdma[64];

	if (!is_pci(devargs, pci) || !is_mlx5(pci))
		return 0;
	if (rdma_device(pci, rdma, sizeof(rdma)))
		return strstr(rdma, "bond") ? bonded(pci, rdma, err) : 0;
	if (!failed)
		return 0;
	/* The one RDMA device is the first port's. */
	memcpy(sibling, pci, sizeof(pci));
	sibling[strlen(sibling) - 1] = '0';
	if (rdma_device(sibling, rdma, sizeof(rdma)) && strstr(rdma, "bond"))
		return bonded(pci, rdma, err);
	return err_set(err, ENODEV,
		       "%s has no RDMA device, by which DPDK reaches it: is the module mlx5_ib loaded (package "
		       "rdma-core)? Type af-xdp needs none",
		       pci);
}

/* ---- rules ---- */

enum way { WAY_INNER, WAY_OUTER, WAY_GRE, WAY_ONE_QUEUE, WAYS };

const char *const tw_steer_way_names[] = { "by inner headers", "by outer headers",
					   "by outer headers, of anything in GRE", "not at all", NULL };

struct rule {
	struct rte_flow_item_eth eth, eth_mask;
	struct rte_flow_item_vlan vlan, vlan_mask;
	struct rte_flow_item_ipv4 ip4, ip4_mask;
	struct rte_flow_item_ipv6 ip6, ip6_mask;
	struct rte_flow_item_nvgre nvgre, nvgre_mask;
	struct rte_flow_item pattern[6];
	struct rte_flow_action_rss rss;
	struct rte_flow_action_queue queue;
	struct rte_flow_action actions[2];
	uint16_t queues[RTE_MAX_QUEUES_PER_PORT];
};

static void match_ip(const struct tw_steer_pa *pa, struct rule *r, struct rte_flow_item *item)
{
	if (pa->address.family == 4) {
		memcpy(&r->ip4.hdr.dst_addr, pa->address.b, 4);
		r->ip4_mask.hdr.dst_addr = UINT32_MAX;
		r->ip4.hdr.next_proto_id = IPPROTO_GRE_;
		r->ip4_mask.hdr.next_proto_id = 0xff;
		*item = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &r->ip4,
						.mask = &r->ip4_mask };
	} else {
		memcpy(r->ip6.hdr.dst_addr, pa->address.b, 16);
		memset(r->ip6_mask.hdr.dst_addr, 0xff, 16);
		r->ip6.hdr.proto = IPPROTO_GRE_;
		r->ip6_mask.hdr.proto = 0xff;
		*item = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_IPV6, .spec = &r->ip6,
						.mask = &r->ip6_mask };
	}
}

static void match(const struct tw_steer_pa *pa, enum way way, struct rule *r)
{
	struct rte_flow_item *item = r->pattern;

	memcpy(&r->eth.dst, &pa->mac, 6);
	memset(&r->eth_mask.dst, 0xff, 6);
	*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_ETH, .spec = &r->eth, .mask = &r->eth_mask };
	if (pa->vlan) {
		r->vlan.tci = htobe16(pa->vlan);
		r->vlan_mask.tci = htobe16(0xfff);
		*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_VLAN, .spec = &r->vlan,
						  .mask = &r->vlan_mask };
	}
	match_ip(pa, r, item++);
	if (way <= WAY_OUTER) {
		/* RFC 7637 3.2: key present, nothing else; transparent Ethernet bridging */
		r->nvgre = (struct rte_flow_item_nvgre){ .c_k_s_rsvd0_ver = htobe16(0x2000),
							 .protocol = htobe16(0x6558) };
		r->nvgre_mask = (struct rte_flow_item_nvgre){ .c_k_s_rsvd0_ver = 0xffff, .protocol = 0xffff };
		*item++ = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_NVGRE, .spec = &r->nvgre,
						  .mask = &r->nvgre_mask };
	}
	item->type = RTE_FLOW_ITEM_TYPE_END;
}

static void act(const struct member_dev *dev, enum way way, struct rule *r)
{
	r->actions[1].type = RTE_FLOW_ACTION_TYPE_END;
	if (way == WAY_ONE_QUEUE || dev->rxq == 1) {
		r->actions[0] = (struct rte_flow_action){ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &r->queue };
		return;
	}
	for (uint16_t q = 0; q < dev->rxq && q < RTE_DIM(r->queues); q++)
		r->queues[r->rss.queue_num++] = q;
	r->rss.queue = r->queues;
	r->rss.level = way == WAY_INNER ? 2 : 0;
	r->rss.types = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;
	r->actions[0] = (struct rte_flow_action){ .type = RTE_FLOW_ACTION_TYPE_RSS, .conf = &r->rss };
}

/* As the card took the last one, or worse. What it takes once it is asked for first from then on. */
static struct rte_flow *create(struct tw_steer *s, const struct tw_steer_pa *pa, struct errbuf *err)
{
	CLEANUP_FREE struct rule *r = NULL;
	struct rte_flow *flow = NULL;
	uint8_t way = s->way;

	if (!s->dev->ops->flow_create) {
		err_set(err, ENOTSUP, "its driver knows no flow rules");
		return NULL;
	}
	for (; way < WAYS && !flow; way++) {
		free(r);
		r = calloc(1, sizeof(*r));
		if (!r) {
			err_set(err, ENOMEM, "out of memory");
			return NULL;
		}
		match(pa, way, r);
		act(s->dev, way, r);
		flow = s->dev->ops->flow_create(s->dev, r->pattern, r->actions, err);
	}
	if (flow)
		s->way = (uint8_t)(way - 1);
	return flow;
}

static void destroy(const struct tw_steer *s, unsigned int i)
{
	if (s->rules[i].flow)
		s->dev->ops->flow_destroy(s->dev, s->rules[i].flow);
}

static bool equal(const struct tw_steer_pa *a, const struct tw_steer_pa *b)
{
	return ip_equal(&a->address, &b->address) && a->vlan == b->vlan && mac_equal(&a->mac, &b->mac);
}

static unsigned int find(const struct tw_steer *s, const struct tw_steer_pa *pa)
{
	unsigned int i;

	for (i = 0; i < s->n && !equal(&s->rules[i].pa, pa); i++)
		;
	return i;
}

static bool listed(const struct tw_steer_pa *pas, unsigned int n, const struct tw_steer_pa *pa)
{
	for (unsigned int i = 0; i < n; i++)
		if (equal(&pas[i], pa))
			return true;
	return false;
}

static void forget(struct tw_steer *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		destroy(s, i);
	*s = (struct tw_steer){ 0 };
}

int tw_steer_set(struct tw_steer *s, const struct member_dev *dev, const struct tw_steer_pa *pas, unsigned int n,
		 struct errbuf *err)
{
	struct tw_steer next;
	int r = 0;

	if (s->dev != dev) {
		forget(s);
		s->dev = dev;
	}
	next = *s;
	next.n = 0;
	for (unsigned int i = 0; dev && i < n && i < LOCAL_PAS; i++) {
		unsigned int old = find(s, &pas[i]);
		struct errbuf e = { "" };

		next.rules[next.n].pa = pas[i];
		next.rules[next.n].flow = old < s->n ? s->rules[old].flow : create(&next, &pas[i], &e);
		if (old == s->n && !next.rules[next.n].flow && r == 0)
			r = err_set(err, EIO, "%s", e.text);
		next.n++;
	}
	for (unsigned int i = 0; i < s->n; i++)
		if (!listed(pas, n, &s->rules[i].pa))
			destroy(s, i);
	*s = next;
	return r;
}

/* ---- members ---- */

static unsigned int list_pas(const struct tw_core *c, struct tw_steer_pa *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (c->pas[i].used)
			ret[n++] = (struct tw_steer_pa){ .address = c->pas[i].spec.address, .mac = c->pas[i].spec.mac,
							 .vlan = c->pas[i].spec.vlan };
	return n;
}

/* All of them by each member: addresses move. */
void tw_steer_sync(struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		const struct tw_member *mem = &t->core.members[m];
		bool steered = mem->used && mem->dev && mem->info.bifurcated;
		struct tw_steer_pa pas[LOCAL_PAS];
		uint8_t way = t->steer[m].way;
		struct errbuf err;

		if (!steered && !t->steer[m].dev)
			continue;
		if (tw_steer_set(&t->steer[m], steered ? mem->dev : NULL, pas, steered ? list_pas(&t->core, pas) : 0,
				 &err) < 0)
			tw_event(&t->core, TEAMING_ALARM, m, NULL,
				 "%s: NVGRE stays with the kernel: flow rule refused: %s", mem->spec.name, err.text);
		else if (t->steer[m].way > way && mem->dev && mem->dev->rxq > 1)
			tw_event(&t->core, TEAMING_TEAM, m, NULL, "%s: spreads over its queues %s", mem->spec.name,
				 tw_steer_way_names[t->steer[m].way]);
	}
}
