/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_net.h>
#include <rte_spinlock.h>

#include "private.h"

#define QUEUE_MAX 16
#define QUEUE_LEN 256
#define BURST	  32

#define PLAIN_SEGS 8 /* of a frame that is not cut: what i40e takes; a longer one stops its queue */
#define PLAIN_LEN  9728

#define TSO_CAPA (RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO)
#define CSUM_CAPA                                                                                          \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |        \
	 RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM)
#define RX_CAPA                                                                                            \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |        \
	 RTE_ETH_RX_OFFLOAD_OUTER_IPV4_CKSUM)

struct emunic_config emunic_config;

struct queue {
	unsigned int n;
	struct rte_mbuf *pkts[QUEUE_LEN];
};

struct nic {
	struct emunic_config c;
	struct member_dev below;
	struct member_spec spec;
	struct rte_mempool *pool;
	rte_spinlock_t lock; /* slow, but as many threads as like */
	bool loop;
	uint64_t tx_offloads, rx_offloads;
	bool inner_rss;
	struct queue queues[QUEUE_MAX], looped;
	struct rule rules[RULES_MAX];
	struct emunic_stats stats;
	uint8_t flat[FRAME_MAX], out[FRAME_MAX];
};

static struct nic *nic_of(const struct member_dev *d)
{
	return d->priv;
}

const struct emunic_stats *emunic_stats(const struct member_dev *d)
{
	return &nic_of(d)->stats;
}

int emunic_parse(const char *words, unsigned int *ret)
{
	static const struct {
		const char *word;
		unsigned int bits;
	} known[] = { { "tso", EMUNIC_TSO }, { "tx-csum", EMUNIC_TX_CSUM }, { "rx-csum", EMUNIC_RX_CSUM },
		      { "rss", EMUNIC_RSS }, { "flow", EMUNIC_FLOW }, { "flow-gre", EMUNIC_FLOW_GRE },
		      { "chains", EMUNIC_CHAINS }, { "all", EMUNIC_ALL } };
	unsigned int bits = 0;

	while (*words) {
		size_t n = strcspn(words, ","), i;

		for (i = 0; i < RTE_DIM(known); i++)
			if (strlen(known[i].word) == n && strncmp(words, known[i].word, n) == 0)
				break;
		if (i == RTE_DIM(known))
			return -EINVAL;
		bits |= known[i].bits;
		words += n + (words[n] == ',');
	}
	*ret = bits;
	return 0;
}

/* ---- control ---- */

static void tell(const struct nic *nic, const char *what, const struct rule *r)
{
	const uint8_t *d = r->dst;

	if (nic->c.talk)
		fprintf(stderr, "emunic: %s: %s vsid=%u mac=%02x:%02x:%02x:%02x:%02x:%02x queue=%u\n",
			nic->spec.name, what, r->tni, d[0], d[1], d[2], d[3], d[4], d[5], r->queue);
}

static int emunic_open(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err)
{
	struct nic *nic = calloc(1, sizeof(*nic));
	int r;

	if (!nic)
		return err_set(err, ENOMEM, "out of memory");
	nic->c = emunic_config;
	nic->c.claims |= nic->c.lies;
	nic->c.rxq = nic->c.rxq ? nic->c.rxq : 1;
	nic->c.max_segs = nic->c.max_segs ? nic->c.max_segs : 64;
	nic->spec = *spec;
	nic->spec.queues = 1;
	rte_spinlock_init(&nic->lock);
	r = nic->c.below->open(&nic->spec, &nic->below, err);
	if (r < 0) {
		free(nic);
		return r;
	}
	*ret = (struct member_dev){ .ops = &emunic_ops, .priv = nic };
	return 0;
}

static int emunic_info(const struct member_dev *d, struct member_info *ret)
{
	struct nic *nic = nic_of(d);
	int r = nic->below.ops->info(&nic->below, ret);

	if (r < 0)
		return r;
	ret->max_rxq = nic->c.rxq;
	ret->max_txq = 64;
	ret->tx_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | (nic->c.claims & EMUNIC_TSO ? TSO_CAPA | CSUM_CAPA : 0) |
		       (nic->c.claims & EMUNIC_TX_CSUM ? CSUM_CAPA : 0) |
		       (nic->c.claims & EMUNIC_CHAINS ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0);
	ret->rx_capa = nic->c.claims & EMUNIC_RX_CSUM ? RX_CAPA : 0;
	ret->inner_rss = nic->c.claims & EMUNIC_RSS;
	return 0;
}

static int emunic_configure(struct member_dev *d, const struct member_config *c, struct errbuf *err)
{
	struct nic *nic = nic_of(d);
	struct member_config below = *c;
	struct member_info info = { 0 };
	int r;

	below.rxq = below.txq = 1;
	below.tx_offloads = below.rx_offloads = 0;
	r = nic->below.ops->configure(&nic->below, &below, err);
	if (r == 0)
		r = emunic_info(d, &info);
	if (r < 0)
		return r;
	nic->pool = c->pool;
	d->rxq = RTE_MIN(c->rxq, nic->c.rxq);
	d->txq = c->txq;
	d->tx_offloads = nic->tx_offloads = c->tx_offloads & info.tx_capa;
	d->rx_offloads = nic->rx_offloads = c->rx_offloads & info.rx_capa;
	d->inner_rss = c->inner_rss && d->rxq > 1 && info.inner_rss && !nic->c.outer_rss;
	nic->inner_rss = d->inner_rss && !(nic->c.lies & EMUNIC_RSS);
	return 0;
}

static void empty(struct queue *q)
{
	rte_pktmbuf_free_bulk(q->pkts, q->n);
	q->n = 0;
}

static void emunic_close(struct member_dev *d)
{
	struct nic *nic = nic_of(d);

	for (unsigned int q = 0; q < QUEUE_MAX; q++)
		empty(&nic->queues[q]);
	empty(&nic->looped);
	nic->below.ops->close(&nic->below);
	free(nic);
	d->priv = NULL;
}

static int emunic_loop(const struct member_dev *d, bool on)
{
	struct nic *nic = nic_of(d);

	if (nic->c.no_loop)
		return -ENOTSUP;
	nic->loop = on;
	empty(&nic->looped);
	return 0;
}

static struct rte_flow *emunic_flow_create(const struct member_dev *d, const struct rte_flow_item *pattern,
					   const struct rte_flow_action *actions, struct errbuf *err)
{
	struct nic *nic = nic_of(d);
	unsigned int i, can = nic->c.claims;
	struct rule rule;
	int r = can & (EMUNIC_FLOW | EMUNIC_FLOW_GRE) ? emunic_rule(pattern, actions, can, d->rxq, &rule) : -ENOTSUP;

	rte_spinlock_lock(&nic->lock);
	for (i = 0; r == 0 && i < RULES_MAX && nic->rules[i].id; i++)
		if (nic->rules[i].tni == rule.tni && memcmp(nic->rules[i].dst, rule.dst, 6) == 0)
			r = -EEXIST;
	if (r == 0 && i == RULES_MAX)
		r = -ENOSPC;
	for (i = 0; r == 0 && nic->rules[i].id; i++)
		;
	if (r == 0) {
		rule.id = (struct rte_flow *)(void *)&nic->rules[i];
		nic->rules[i] = rule;
		nic->stats.rules++;
		tell(nic, "rule", &rule);
	}
	rte_spinlock_unlock(&nic->lock);
	if (r == 0)
		return rule.id;
	err_set(err, -r, "the card does not know such a rule");
	return NULL;
}

static int emunic_flow_destroy(const struct member_dev *d, struct rte_flow *flow)
{
	struct nic *nic = nic_of(d);
	int r = -ENOENT;

	rte_spinlock_lock(&nic->lock);
	for (unsigned int i = 0; i < RULES_MAX; i++) {
		if (nic->rules[i].id != flow)
			continue;
		nic->rules[i].id = NULL;
		tell(nic, "no rule", &nic->rules[i]);
		nic->stats.rules--;
		r = 0;
	}
	rte_spinlock_unlock(&nic->lock);
	return r;
}

static int emunic_link(const struct member_dev *d, bool *ret_up, uint32_t *ret_speed)
{
	const struct nic *nic = nic_of(d);

	*ret_up = true;
	*ret_speed = 0;
	return nic->below.ops->link ? nic->below.ops->link(&nic->below, ret_up, ret_speed) : 0;
}

/* ---- transmit ---- */

static bool wants(const struct rte_mbuf *m)
{
	return m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK;
}

/* Are the lengths those of the headers? */
static bool true_lengths(const struct rte_mbuf *m, const struct desc *d)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	struct seen s;

	if (d->payload > m->data_len || m->data_len < 64)
		return false;
	if (d->outer_ip != 14 && d->outer_ip != 18)
		return false;
	if (f[d->outer_ip] >> 4 != (d->outer4 ? 4 : 6) || f[d->inner_ip] >> 4 != (d->v4 ? 4 : 6))
		return false;
	s.outer_len = d->outer4 ? (f[d->outer_ip] & 15u) * 4 : 40;
	s.inner_ip_len = d->v4 ? (f[d->inner_ip] & 15u) * 4 : 40;
	if (m->outer_l3_len != s.outer_len || m->l2_len != 22 || m->l3_len != s.inner_ip_len)
		return false;
	return !(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) || m->l4_len == (f[d->l4 + 12] >> 4) * 4u;
}

static int check(const struct nic *nic, const struct rte_mbuf *m)
{
	uint64_t f = m->ol_flags, l4 = f & RTE_MBUF_F_TX_L4_MASK, need = 0;
	struct desc d;

	if (m->nb_segs > 1 && !(nic->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS))
		return -ENOTSUP;
	if (m->nb_segs > nic->c.max_segs)
		return -EINVAL;
	if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) && (m->nb_segs > PLAIN_SEGS || m->pkt_len > PLAIN_LEN))
		return -EINVAL;
	if (!wants(m))
		return 0;
	emunic_desc(m, &d);
	need |= f & RTE_MBUF_F_TX_TCP_SEG ? TSO_CAPA : 0;
	need |= f & RTE_MBUF_F_TX_IP_CKSUM ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM : 0;
	need |= f & RTE_MBUF_F_TX_OUTER_IP_CKSUM ? RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM : 0;
	need |= l4 == RTE_MBUF_F_TX_TCP_CKSUM ? RTE_ETH_TX_OFFLOAD_TCP_CKSUM : 0;
	need |= l4 == RTE_MBUF_F_TX_UDP_CKSUM ? RTE_ETH_TX_OFFLOAD_UDP_CKSUM : 0;
	if ((nic->tx_offloads & need) != need)
		return -ENOTSUP;
	if ((f & RTE_MBUF_F_TX_TUNNEL_MASK) != RTE_MBUF_F_TX_TUNNEL_GRE || d.outer4 == d.outer6 || d.v4 == d.v6)
		return -EINVAL;
	if (!true_lengths(m, &d))
		return -EINVAL;
	if (!(f & RTE_MBUF_F_TX_TCP_SEG))
		return m->tso_segsz ? -EINVAL : 0;
	if (d.v4 && !(f & RTE_MBUF_F_TX_IP_CKSUM))
		return -EINVAL;
	if (d.outer4 && !(f & RTE_MBUF_F_TX_OUTER_IP_CKSUM))
		return -EINVAL;
	return m->tso_segsz >= 64 && m->tso_segsz <= 9674 && m->pkt_len < FRAME_MAX ? 0 : -EINVAL;
}

/* What it was told it may free fast has one owner, in buffers of its own. */
static bool is_sole(const struct nic *nic, const struct rte_mbuf *m)
{
	for (; m && nic->tx_offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE; m = m->next)
		if (rte_mbuf_refcnt_read(m) != 1 || !RTE_MBUF_DIRECT(m))
			return false;
	return true;
}

static uint16_t emunic_prepare(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	struct nic *nic = nic_of(d);
	uint16_t i;

	if (nic->c.careless)
		return n;
	for (i = 0; i < n; i++) {
		int r = check(nic, pkts[i]);

		if (r == 0 && wants(pkts[i]))
			r = rte_net_intel_cksum_prepare(pkts[i]); /* what drivers do */
		if (r < 0) {
			nic->stats.refused++;
			rte_errno = -r;
			break;
		}
	}
	return i;
}

static void send_one(struct nic *nic, struct rte_mbuf *m)
{
	if (nic->loop) {
		if (nic->looped.n < QUEUE_LEN)
			nic->looped.pkts[nic->looped.n++] = m;
		else
			rte_pktmbuf_free(m);
		nic->stats.looped++;
		return;
	}
	if (nic->below.ops->tx(&nic->below, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static void send_bytes(struct nic *nic, const uint8_t *f, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(nic->pool), *last = m;

	while (m && len) {
		uint32_t n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(last));

		memcpy(rte_pktmbuf_mtod(last, uint8_t *), f, n);
		last->data_len = (uint16_t)n;
		m->pkt_len += n;
		f += n;
		len -= n;
		if (!len)
			break;
		last->next = rte_pktmbuf_alloc(nic->pool);
		if (!last->next) {
			rte_pktmbuf_free(m);
			return;
		}
		last = last->next;
		m->nb_segs++;
	}
	if (m)
		send_one(nic, m);
}

static void flatten(const struct rte_mbuf *m, uint8_t *ret)
{
	for (; m; m = m->next) {
		memcpy(ret, rte_pktmbuf_mtod(m, const void *), m->data_len);
		ret += m->data_len;
	}
}

static void offloaded(struct nic *nic, struct rte_mbuf *m)
{
	bool tso = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	struct desc d;

	emunic_desc(m, &d);
	flatten(m, nic->flat);
	if (nic->c.lies & (tso ? EMUNIC_TSO : EMUNIC_TX_CSUM)) {
		send_bytes(nic, nic->flat, d.len);
		return;
	}
	for (uint32_t i = 0; i < emunic_frames(&d); i++)
		send_bytes(nic, nic->out, emunic_frame(&d, nic->flat, i, nic->out));
	if (tso)
		nic->stats.tso++;
	else
		nic->stats.csum++;
}

static uint16_t emunic_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	struct nic *nic = nic_of(d);

	rte_spinlock_lock(&nic->lock);
	for (uint16_t i = 0; i < n; i++) {
		if (check(nic, pkts[i]) < 0) { /* the queue of a real one would hang */
			fprintf(stderr, "emunic: a packet that prepare() refuses was sent\n");
			abort();
		}
		if (!is_sole(nic, pkts[i])) {
			fprintf(stderr, "emunic: a shared buffer was sent\n");
			abort();
		}
		if (wants(pkts[i])) {
			offloaded(nic, pkts[i]);
			rte_pktmbuf_free(pkts[i]);
		} else {
			nic->stats.plain++;
			send_one(nic, pkts[i]);
		}
	}
	rte_spinlock_unlock(&nic->lock);
	return n;
}

/* ---- receive ---- */

static uint16_t choose(struct nic *nic, uint16_t queues, const uint8_t *f, const struct seen *s)
{
	uint32_t hash = 0;

	if (!s->nvgre)
		return 0;
	for (unsigned int i = 0; i < RULES_MAX && !(nic->c.lies & EMUNIC_FLOW); i++) {
		if (!nic->rules[i].id || nic->rules[i].tni != s->tni || memcmp(nic->rules[i].dst, s->dst, 6) != 0)
			continue;
		nic->stats.matched++;
		return nic->rules[i].queue;
	}
	if (!nic->inner_rss || !s->version)
		return 0;
	for (uint32_t i = s->inner_ip + (s->version == 4 ? 12 : 8); i < s->l4 + (s->proto ? 4 : 0); i++)
		hash = hash * 31 + f[i];
	return (uint16_t)((hash ^ hash >> 7) % queues);
}

static void sort(const struct member_dev *d, struct rte_mbuf *m)
{
	struct nic *nic = nic_of(d);
	struct seen s;
	struct queue *q;
	uint16_t index;

	m->ol_flags &= ~(RTE_MBUF_F_TX_OFFLOAD_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	m->packet_type = 0;
	flatten(m, nic->flat);
	if (!emunic_look(nic->flat, m->pkt_len, &s))
		memset(&s, 0, sizeof(s));
	else if (nic->rx_offloads)
		emunic_judge(m, nic->flat, &s, nic->c.lies & EMUNIC_RX_CSUM);
	index = choose(nic, d->rxq, nic->flat, &s);
	q = &nic->queues[index];
	if (q->n < QUEUE_LEN)
		q->pkts[q->n++] = m;
	else
		rte_pktmbuf_free(m);
	nic->stats.queue[index]++;
}

static uint16_t emunic_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	struct nic *nic = nic_of(d);
	struct queue *from = &nic->queues[q];
	struct rte_mbuf *in[BURST];
	uint16_t got;

	rte_spinlock_lock(&nic->lock);
	for (unsigned int i = 0; i < nic->looped.n; i++)
		sort(d, nic->looped.pkts[i]);
	nic->looped.n = 0;
	got = nic->below.ops->rx(&nic->below, 0, in, BURST);
	for (uint16_t i = 0; i < got; i++)
		sort(d, in[i]);
	got = (uint16_t)RTE_MIN((unsigned int)n, from->n);
	memcpy(pkts, from->pkts, got * sizeof(pkts[0]));
	from->n -= got;
	memmove(from->pkts, from->pkts + got, from->n * sizeof(pkts[0]));
	rte_spinlock_unlock(&nic->lock);
	return got;
}

const struct member_ops emunic_ops = {
	.name = "emunic",
	.open = emunic_open,
	.info = emunic_info,
	.configure = emunic_configure,
	.close = emunic_close,
	.rx = emunic_rx,
	.tx = emunic_tx,
	.prepare = emunic_prepare,
	.flow_create = emunic_flow_create,
	.flow_destroy = emunic_flow_destroy,
	.link = emunic_link,
	.loop = emunic_loop,
};
