/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MSS option of a TCP SYN lowered to what fits the tunnel (RFC 9293 3.7.1): the other end then sends nothing too
 * long from the first segment on, also where messages about the MTU are lost. Only what leaves by the wire; the answer
 * is lowered by the host that sends it, or fits a guest that was told ours.
 */
#include "datapath/dp.h"

#define TCP_HLEN   20u
#define TCP_AT_CSUM 16u
#define OPT_END	   0
#define OPT_NOP	   1
#define OPT_MSS	   2
#define MSS_OPTION 4u

/* The two bytes of the option's value, or NULL. `end` is inside the readable bytes. */
static uint8_t *find(uint8_t *opt, const uint8_t *end)
{
	while (opt < end && *opt != OPT_END) {
		if (*opt == OPT_NOP) {
			opt++;
			continue;
		}
		if (end - opt < 2 || opt[1] < 2 || opt[1] > end - opt)
			return NULL;
		if (*opt == OPT_MSS)
			return opt[1] == MSS_OPTION ? opt + 2 : NULL;
		opt += opt[1];
	}
	return NULL;
}

/* RFC 1624; a value at an odd place lies in two words, which is the same as if its halves were exchanged. */
static void exchange(uint8_t *csum, uint16_t old, uint16_t new, bool odd)
{
	uint32_t sum = (uint16_t)~load_be16(csum);

	sum += (uint16_t)~(odd ? __builtin_bswap16(old) : old);
	sum += odd ? __builtin_bswap16(new) : new;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(csum, (uint16_t)~sum);
}

void mss_clamp(struct rte_mbuf *m, const struct pkt_meta *meta, uint16_t max_inner)
{
	uint32_t headers = meta->pkt.kind == PKT_IPV6 ? sizeof(struct ipv6_hdr) : sizeof(struct ipv4_hdr);
	uint32_t end = RTE_MIN((uint32_t)m->data_len, meta->pkt.l3_end), hlen;
	uint8_t *tcp = rte_pktmbuf_mtod_offset(m, uint8_t *, meta->pkt.l4_off), *at;
	uint16_t old, new;

	headers += TCP_HLEN;
	if (meta->pkt.flags & PKT_F_FRAGMENT || meta->pkt.l4_off + TCP_HLEN > end || max_inner <= headers)
		return;
	hlen = (tcp[12] >> 4) * 4u;
	if (hlen <= TCP_HLEN || meta->pkt.l4_off + hlen > end)
		return;
	at = find(tcp + TCP_HLEN, tcp + hlen);
	new = (uint16_t)(max_inner - headers);
	if (!at || load_be16(at) <= new)
		return;
	old = load_be16(at);
	store_be16(at, new);
	/* An unfinished checksum is the pseudo header's alone. */
	if (meta->csum_state != CSUM_PARTIAL)
		exchange(tcp + TCP_AT_CSUM, old, new, (at - tcp) & 1);
}
