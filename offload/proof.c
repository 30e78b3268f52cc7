/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The test of a device before anybody uses it. Where it can be looped, frames are sent in its way and in software, and
 * what comes back has to be the same byte for byte; damaged frames must not be called good; a rule must bring its frame
 * to its queue, and flows must reach more than one. That is "proven", or "refuted".
 *
 * Without a loop there is no peer to ask. Then the driver's own check (rte_eth_tx_prepare) of such packets is what can
 * be had: "accepted". Nothing is sent to the wire. What its check accepts and the card does wrong stays unseen; knob
 * offload.trust decides whether that is enough.
 */
#include <errno.h>
#include <stdlib.h>
#include <rte_cycles.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "offload/control.h"
#include "offload/offload_private.h"

#define PROOF_VSID VSID_MAX
#define SHOTS	   16
#define SHOT_SIZE  2048
#define MSS	   500
#define PAYLOAD	   (MSS * 3 + 123) /* a short one at the end */
#define INNER_SIZE 2048
#define FLOWS	   32
#define WAIT_MS	   200

struct shots {
	unsigned int n;
	uint32_t len[SHOTS];
	uint16_t queue[SHOTS];
	uint8_t state[SHOTS]; /* enum csum_state, by the device's word */
	uint8_t data[SHOTS][SHOT_SIZE];
};

struct proof {
	struct member *m;
	const struct encap_ops *encap;
	struct rte_mempool *pool;
	bool looped;
	struct offload_counters counters;
	struct shots soft, hard;
	uint32_t inner_off; /* of the template in use */
};

static const uint8_t inner_mac[2][6] = { { 2, 0, 0, 0, 0xff, 1 }, { 2, 0, 0, 0, 0xff, 2 } };

static void verdict(struct proof *p, enum offload_bit_index bit, enum offload_proof proof, const char *why)
{
	struct offload_claim *b = &p->m->bits[bit];

	b->proof = (uint8_t)proof;
	str_copy(b->why, sizeof(b->why), why);
}

/* ---- packets ---- */

/* RFC 5737 and RFC 3849: addresses that nobody has. */
static struct ip_addr test_address(bool v6, uint8_t last)
{
	return v6 ? ip6_from((uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8, [15] = last }) :
		    ip4_from((uint8_t[4]){ 192, 0, 2, last });
}

static int make_template(struct proof *p, bool v6, struct encap_template *ret)
{
	struct encap_path path = { .src_mac = p->m->info.mac, .dst_mac = p->m->info.mac,
				   .src = test_address(v6, 1), .dst = test_address(v6, 2) };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = p->encap->template_build(ret, &path);
	ret->ops = p->encap;
	ret->max_inner = 1400;
	p->inner_off = ret->len;
	return r;
}

static uint32_t put_ip(uint8_t *ip, bool v6, uint8_t proto, uint32_t l4_len)
{
	struct ip_addr src = test_address(v6, 3), dst = test_address(v6, 4);

	if (v6) {
		store_be32(ip, 0x60000000);
		store_be16(ip + 4, (uint16_t)l4_len);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, src.b, 16);
		memcpy(ip + 24, dst.b, 16);
		return sizeof(struct ipv6_hdr);
	}
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(l4_len + sizeof(struct ipv4_hdr)));
	store_be16(ip + 4, 0x1234);
	store_be16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, src.b, 4);
	memcpy(ip + 16, dst.b, 4);
	store_sum(ip + 10, sum_bytes_c(ip, sizeof(struct ipv4_hdr)));
	return sizeof(struct ipv4_hdr);
}

/* A tenant's frame with an unfinished checksum. @param gso  to be cut. NULL: no buffer. */
static struct rte_mbuf *packet(struct proof *p, bool v6, uint8_t proto, uint32_t payload, uint16_t port, bool gso)
{
	uint32_t l4_hdr = proto == IPPROTO_TCP_ ? TCP_HLEN_MIN : 8, l3, len;
	uint8_t buf[INNER_SIZE] = { 0 }, *l4;
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
	struct pkt_meta *meta;
	uint16_t pseudo;

	memcpy(buf, inner_mac[1], 6);
	memcpy(buf + 6, inner_mac[0], 6);
	store_be16(buf + 12, v6 ? ETHERTYPE_IPV6_ : ETHERTYPE_IPV4_);
	l3 = put_ip(buf + ETH_HLEN_, v6, proto, l4_hdr + payload);
	l4 = buf + ETH_HLEN_ + l3;
	store_be16(l4, port);
	store_be16(l4 + 2, 9); /* discard */
	if (proto == IPPROTO_TCP_) {
		store_be32(l4 + 4, 0xfffffe00); /* wraps */
		l4[12] = 0x50;
		l4[13] = TCP_CWR | TCP_ACK | TCP_PSH | TCP_FIN;
	} else {
		store_be16(l4 + 4, (uint16_t)(8 + payload));
	}
	for (uint32_t i = 0; i < payload; i++)
		l4[l4_hdr + i] = (uint8_t)(i * 7 + i / 256);
	pseudo = (uint16_t)sum_fold(sum_pseudo(buf + ETH_HLEN_, v6, proto, l4_hdr + payload));
	memcpy(l4 + (proto == IPPROTO_TCP_ ? TCP_AT_CSUM : UDP_AT_CSUM), &pseudo, 2);
	len = ETH_HLEN_ + l3 + l4_hdr + payload;
	if (!m || len > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
	meta = pkt_meta(m);
	memset(meta, 0, sizeof(*meta));
	(void)pkt_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &meta->pkt);
	meta->vsid_in = meta->vsid_out = PROOF_VSID;
	meta->hash = 0x5a5a5a5a;
	meta->csum_state = CSUM_PARTIAL;
	meta->csum_start = meta->pkt.l4_off;
	meta->csum_offset = proto == IPPROTO_TCP_ ? TCP_AT_CSUM : UDP_AT_CSUM;
	if (gso) {
		meta->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		meta->gso_size = MSS;
	}
	return m;
}

/* ---- ways ---- */

static void keep(struct shots *s, const struct rte_mbuf *m, uint16_t queue)
{
	uint8_t buf[SHOT_SIZE];
	const void *d;

	if (s->n == SHOTS || m->pkt_len > SHOT_SIZE)
		return;
	d = rte_pktmbuf_read(m, 0, m->pkt_len, buf);
	memcpy(s->data[s->n], d, m->pkt_len);
	s->len[s->n] = m->pkt_len;
	s->queue[s->n++] = queue;
}

static void keep_soft(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	struct proof *p = arg;

	for (uint16_t i = 0; i < n; i++)
		keep(&p->soft, pkts[i], 0);
	rte_pktmbuf_free_bulk(pkts, n);
}

/* A frame of ours that came back; what the device says of it is looked at as the packet path would. */
static void came_back(struct proof *p, struct rte_mbuf *m, uint16_t queue)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned int i = p->hard.n;
	struct pkt_meta *meta = pkt_meta(m);

	if (m->data_len < p->inner_off + ETH_HLEN_ || memcmp(d + p->inner_off, inner_mac[1], 6) != 0)
		return;
	keep(&p->hard, m, queue);
	if (p->hard.n == i || !rte_pktmbuf_adj(m, (uint16_t)p->inner_off))
		return;
	memset(meta, 0, sizeof(*meta));
	if (pkt_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &meta->pkt) == DROP_NONE)
		offload_rx_verdict(p->m->dev, m, &p->counters);
	p->hard.state[i] = meta->csum_state;
}

static void collect(struct proof *p, unsigned int want)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * WAIT_MS;
	const struct member_dev *dev = p->m->dev;
	struct rte_mbuf *pkts[SHOTS];

	do {
		for (uint16_t q = 0; q < dev->rxq; q++) {
			uint16_t n = dev->ops->rx(dev, q, pkts, SHOTS);

			for (uint16_t i = 0; i < n; i++)
				came_back(p, pkts[i], q);
			rte_pktmbuf_free_bulk(pkts, n);
		}
	} while (p->hard.n < want && rte_rdtsc() < end);
}

static void send_hard(void *arg, struct rte_mbuf **pkts, uint16_t n)
{
	struct proof *p = arg;
	uint16_t sent = 0;

	if (p->looped)
		sent = p->m->dev->ops->tx(p->m->dev, 0, pkts, n);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

static int transmit(struct proof *p, struct rte_mbuf *m, const struct encap_template *t, bool hard)
{
	uint16_t ip_id = 0xfffe;
	struct offload_out out = { .dev = hard ? p->m->dev : NULL, .flow_id = true, .pool = p->pool, .ip_id = &ip_id,
				   .emit = hard ? send_hard : keep_soft, .arg = p, .counters = &p->counters };

	if (!m)
		return -ENOMEM;
	if (offload_transmit(&out, m, t) == DROP_NONE)
		return 0;
	rte_pktmbuf_free(m);
	return -ENOMEM;
}

static bool same(const struct shots *a, const struct shots *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned int i = 0; i < a->n; i++)
		if (a->len[i] != b->len[i] || memcmp(a->data[i], b->data[i], a->len[i]) != 0)
			return false;
	return true;
}

/* ---- what is proven ---- */

/* Does the driver look at all? What it has to refuse: segments of no bytes, of every kind of tunnel at once. */
static bool driver_checks(struct proof *p)
{
	const struct member_dev *dev = p->m->dev;
	struct rte_mbuf *m = dev->ops->prepare ? packet(p, false, IPPROTO_TCP_, PAYLOAD, 1000, true) : NULL;
	bool refused;

	if (!m)
		return false;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_MACSEC |
		       RTE_MBUF_F_TX_SEC_OFFLOAD;
	m->l2_len = ETH_HLEN_;
	m->l3_len = sizeof(struct ipv4_hdr);
	m->l4_len = 0;
	m->tso_segsz = 0;
	refused = dev->ops->prepare(dev, 0, &m, 1) != 1;
	rte_pktmbuf_free(m);
	return refused;
}

/* One packet in both ways. @return the proof, with the reason of a refutation. */
static enum offload_proof both_ways(struct proof *p, bool outer6, bool inner6, uint8_t proto, bool gso,
				    const char **why)
{
	uint32_t payload = gso ? PAYLOAD : MSS - 1;
	uint64_t refused = p->counters.n[OFFLOAD_REFUSED];
	struct encap_template t;
	int r = make_template(p, outer6, &t);

	p->soft.n = p->hard.n = 0;
	if (r == 0)
		r = transmit(p, packet(p, inner6, proto, payload, 1000, gso), &t, false);
	if (r == 0)
		r = transmit(p, packet(p, inner6, proto, payload, 1000, gso), &t, true);
	if (r < 0) {
		*why = "no buffers for the test";
		return OFFLOAD_PROOF_GRANTED;
	}
	*why = "its driver refuses such packets";
	if (p->counters.n[OFFLOAD_REFUSED] != refused)
		return OFFLOAD_PROOF_REFUTED;
	if (!p->looped) {
		bool checks = driver_checks(p);

		*why = checks ? "" : "its driver checks nothing";
		return checks ? OFFLOAD_PROOF_ACCEPTED : OFFLOAD_PROOF_GRANTED;
	}
	collect(p, p->soft.n);
	*why = p->hard.n == p->soft.n ? "frames differ from those of software" : "other number of frames than software";
	return same(&p->soft, &p->hard) ? OFFLOAD_PROOF_PROVEN : OFFLOAD_PROOF_REFUTED;
}

static void prove_tx(struct proof *p, enum offload_bit_index bit)
{
	enum offload_proof worst = OFFLOAD_PROOF_PROVEN;
	const char *why = "";
	bool gso = bit == OFFLOAD_I_TX_TSO;

	if (!p->m->bits[bit].granted)
		return;
	p->m->dev->offload = OFFLOAD_F_CHAINS | 1u << bit;
	for (unsigned int i = 0; i < (gso ? 4 : 8) && worst != OFFLOAD_PROOF_REFUTED; i++) {
		const char *text = "";
		enum offload_proof r = both_ways(p, i & 1, i & 2, i & 4 ? IPPROTO_UDP_ : IPPROTO_TCP_, gso, &text);

		if (r == OFFLOAD_PROOF_REFUTED || r < worst) {
			worst = r;
			why = r == OFFLOAD_PROOF_PROVEN ? "" : text;
		}
	}
	verdict(p, bit, worst, why);
}

/* Send one frame as it is, spoilt at a place (0: not), and have it back. @return its state, -ENOENT: it was lost. */
static int one_back(struct proof *p, bool v6, uint32_t spoil, uint16_t port)
{
	struct encap_template t;
	struct rte_mbuf *m;

	p->soft.n = p->hard.n = 0;
	if (make_template(p, false, &t) < 0)
		return -ENOENT;
	if (transmit(p, packet(p, v6, IPPROTO_TCP_, 100, port, false), &t, false) < 0 || p->soft.n != 1)
		return -ENOENT;
	m = rte_pktmbuf_alloc(p->pool);
	if (!m || p->soft.len[0] > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		return -ENOENT;
	}
	if (spoil)
		p->soft.data[0][spoil] ^= 0x40;
	memcpy(rte_pktmbuf_append(m, (uint16_t)p->soft.len[0]), p->soft.data[0], p->soft.len[0]);
	send_hard(p, &m, 1);
	collect(p, 1);
	return p->hard.n == 1 ? p->hard.state[0] : -ENOENT;
}

static void prove_rx(struct proof *p)
{
	const char *why = "";
	enum offload_proof r = OFFLOAD_PROOF_PROVEN;

	if (!p->m->bits[OFFLOAD_I_RX_CSUM].granted)
		return;
	if (!p->looped) {
		verdict(p, OFFLOAD_I_RX_CSUM, OFFLOAD_PROOF_GRANTED, "it has no loop to be tested by");
		return;
	}
	p->m->dev->offload = OFFLOAD_F_RX_CSUM;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		uint32_t inner_ip = p->inner_off + ETH_HLEN_;

		if (one_back(p, v6, 0, 1000) != CSUM_GOOD)
			why = "good frames are not called good";
		else if (one_back(p, v6, inner_ip + 90, 1000) != CSUM_UNKNOWN)
			why = "a damaged payload is called good";
		else if (!v6 && one_back(p, v6, inner_ip + 1, 1000) != CSUM_UNKNOWN)
			why = "a damaged inner header is called good";
		else if (one_back(p, v6, ETH_HLEN_ + 1, 1000) != CSUM_UNKNOWN)
			why = "a damaged outer header is called good";
		if (*why)
			r = OFFLOAD_PROOF_REFUTED;
	}
	verdict(p, OFFLOAD_I_RX_CSUM, r, why);
}

static void prove_rss(struct proof *p)
{
	const struct offload_claim *b = &p->m->bits[OFFLOAD_I_RX_RSS];
	unsigned int queues = 0;
	uint64_t seen = 0;

	if (!p->looped || !b->granted)
		return;
	for (uint16_t i = 0; i < FLOWS && one_back(p, false, 0, (uint16_t)(1000 + i * 77)) >= 0; i++)
		seen |= UINT64_C(1) << p->hard.queue[0] % 64;
	queues = (unsigned int)__builtin_popcountll(seen);
	verdict(p, OFFLOAD_I_RX_RSS, queues > 1 ? OFFLOAD_PROOF_PROVEN : OFFLOAD_PROOF_REFUTED,
		queues > 1 ? "" : "flows of one tunnel come by one queue");
}

static void prove_steer(struct proof *p)
{
	struct offload_want want = { .vsid = PROOF_VSID, .family = 4 };
	struct errbuf err = { "" };
	struct rte_flow *flow;
	bool there = true;

	if (!p->looped || p->m->dev->rxq < 2 || !p->m->bits[OFFLOAD_I_STEER].claimed)
		return;
	memcpy(&want.mac, inner_mac[1], 6);
	for (want.queue = 0; want.queue < 2; want.queue++) {
		flow = steer_install(p->m, &want, &err);
		if (!flow) {
			verdict(p, OFFLOAD_I_STEER, OFFLOAD_PROOF_NO, err.text);
			return;
		}
		there = there && one_back(p, false, 0, 1000) >= 0 && p->hard.queue[0] == want.queue;
		(void)p->m->dev->ops->flow_destroy(p->m->dev, flow);
	}
	verdict(p, OFFLOAD_I_STEER, there ? OFFLOAD_PROOF_PROVEN : OFFLOAD_PROOF_REFUTED,
		there ? "" : "a rule's frames come by another queue");
}

void proof_run(struct member *m, const struct encap_ops *encap, struct rte_mempool *pool)
{
	CLEANUP_FREE struct proof *p = calloc(1, sizeof(*p));
	const struct member_dev *dev = m->dev;

	if (!p || !encap || !pool)
		return;
	p->m = m;
	p->encap = encap;
	p->pool = pool;
	p->looped = dev->ops->loop && dev->ops->loop(dev, true) == 0;
	/* A loop that loses an ordinary frame proves nothing. */
	if (p->looped && one_back(p, false, 0, 1000) < 0) {
		dev->ops->loop(dev, false);
		p->looped = false;
	}
	prove_tx(p, OFFLOAD_I_TX_CSUM);
	prove_tx(p, OFFLOAD_I_TX_TSO);
	prove_rx(p);
	prove_rss(p);
	prove_steer(p);
	if (p->looped)
		dev->ops->loop(dev, false);
	m->dev->offload = 0;
}
