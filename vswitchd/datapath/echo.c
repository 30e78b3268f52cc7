/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests through ports: an echo request that the switch put in for a guest is taken out, and answered, before the guest
 * of the other port; see struct watch_echo. No guest sees any of it. Only while a test is on, and only what carries
 * its sequence number: a guest that forges such a request at that moment gets an answer that it could as well have
 * got from the other guest.
 */
#include "datapath/echo.h"
#include "datapath/watch_private.h"

/* The ICMP header of a test's echo; NULL: none. @param request else an answer. */
static const uint8_t *find(const struct watch_echo *e, const uint8_t *data, uint32_t len, uint32_t total,
			   struct pkt_info *info, bool *ret_request)
{
	const uint8_t *icmp;
	bool v4;

	if (pkt_parse(data, len, total, info) || !(info->flags & PKT_F_L4) || info->l4_off + (uint32_t)ECHO_BYTES > len)
		return NULL;
	v4 = info->kind == PKT_IPV4;
	if (!(v4 ? info->proto == IPPROTO_ICMP_ : info->kind == PKT_IPV6 && info->proto == IPPROTO_ICMP6_))
		return NULL;
	icmp = data + info->l4_off;
	*ret_request = icmp[0] == (v4 ? 8 : 128);
	if (!*ret_request && icmp[0] != (v4 ? 0 : 129))
		return NULL;
	if (memcmp(icmp + 8, ECHO_MAGIC, ECHO_MAGIC_LEN) != 0 || load_be16(icmp + 6) != e->sequence)
		return NULL;
	return !e->nonce || memcmp(icmp + ECHO_NONCE_AT, &e->nonce, 8) == 0 ? icmp : NULL;
}

static void swap(uint8_t *a, uint8_t *b, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/* RFC 1624: of a checksum when a word at `at` becomes `new`. */
static void change(uint8_t *csum, uint8_t *at, uint16_t new)
{
	uint32_t sum = (uint16_t)~load_be16(csum) + (uint32_t)(uint16_t)~load_be16(at) + new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(csum, (uint16_t)~sum);
	store_be16(at, new);
}

/* The answer that the receiver's guest would give, marked as ours. The rest may lie in other segments. */
static void turn_round(struct rte_mbuf *m, const struct pkt_info *info)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *), *l3 = data + info->l3_off, *icmp = data + info->l4_off;
	uint8_t *mark = icmp + 8 + ECHO_MAGIC_LEN;
	bool v4 = info->kind == PKT_IPV4;

	swap(data, data + 6, 6);
	if (v4) {
		swap(l3 + 12, l3 + 16, 4);
		change(l3 + 10, l3 + 8, (uint16_t)(ECHO_TTL << 8 | l3[9]));
	} else {
		swap(l3 + 8, l3 + 24, 16);
		l3[7] = ECHO_TTL;
	}
	change(icmp + 2, icmp, (uint16_t)(v4 ? 0 : 129 << 8));
	change(icmp + 2, mark, (uint16_t)(ECHO_BY_SWITCH << 8 | mark[1]));
}

/* The port goes while workers look: datapath_watch_forget(). */
static uint16_t port_of(const struct watch_echo *e)
{
	return __atomic_load_n(&e->port, __ATOMIC_RELAXED);
}

static void answer(struct worker *w, struct rte_mbuf *m, const struct pkt_info *info, uint16_t port)
{
	struct rte_mbuf *a;

	if (w->n_again == RTE_DIM(w->again) || info->l3_end > m->pkt_len)
		return;
	a = rte_pktmbuf_copy(m, w->dp->params.pool, 0, info->l3_end); /* others may share it */
	if (!a)
		return;
	turn_round(a, info);
	*pkt_meta(a) = (struct pkt_meta){ .src = port, .dst = PORT_NONE };
	w->again[w->n_again++] = a;
}

void echo_again(struct worker *w)
{
	struct rte_mbuf *list[RTE_DIM(w->again)];
	uint16_t n = w->n_again;

	memcpy(list, w->again, n * sizeof(list[0]));
	w->n_again = 0;
	for (uint16_t i = 0; i < n; i++)
		inject_egress(w, pkt_meta(list[i])->src, list[i]);
}

static void note(struct worker *w, struct watch *watch, struct rte_mbuf *m, const struct sight *at, const uint8_t *icmp,
		 bool request)
{
	struct watch_writer *out = &watch->ends[w->id].writer;
	struct watch_record *r = watch_note(out, m, at, watch->spec.snap);

	if (!r)
		return;
	r->mark = load_be16(icmp + 6);
	r->flags = (request ? ECHO_REQUEST : 0) | (icmp[8 + ECHO_MAGIC_LEN] == ECHO_BY_SWITCH ? ECHO_ANSWERED : 0);
	watch_commit(out);
}

uint16_t echo_take(struct worker *w, struct watch *watch, struct rte_mbuf **pkts, uint16_t n, const struct sight *at)
{
	const struct watch_echo *e = &watch->spec.echo;
	uint16_t k = 0;

	if (at->port != port_of(e))
		return n;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt_info info;
		bool request;
		const uint8_t *icmp = find(e, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &info,
					   &request);

		if (!icmp || request != e->receiver) {
			pkts[k++] = m;
			continue;
		}
		note(w, watch, m, at, icmp, request);
		if (request)
			answer(w, m, &info, at->port);
		worker_free(w, m);
	}
	return k;
}

void echo_seen(struct worker *w, struct watch *watch, struct rte_mbuf *m, const struct sight *at)
{
	const struct watch_echo *e = &watch->spec.echo;
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *), *icmp;
	struct pkt_info info;
	bool request;

	if (at->why == DROP_MEMBER_TX || m->data_len < ECHO_BYTES)
		return; /* in its tunnel already: it is missed, and the counters of the member tell */
	icmp = find(e, data, m->data_len, m->pkt_len, &info, &request);
	if (icmp && (at->point == WATCH_DROP || (at->port == port_of(e) && !e->receiver && request)))
		note(w, watch, m, at, icmp, request);
}
