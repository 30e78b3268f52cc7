/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ARP and ND proxy, from the parser on, in the subnet of neigh_world.h. The first byte of an input
 * chooses circumstances (bit 0: the subnet learns, 1: the port has a list of addresses, 2: no headroom, 3: no
 * tailroom, 4: the Ethernet source is made the port's, 5: the ICMPv6 checksum made right), the rest is the
 * frame.
 */
#include <stdbool.h>
#include <string.h>

#include "base/pkt.h"
#include "fuzz.h"
#include "policy/neigh_msg.h"
#include "unit/policy/neigh_world.h"
#include "unit/policy/packet.h"

/* Sound enough to get past the parser, whatever the rest is. */
static void repair(uint8_t *frame, uint32_t len, bool source, bool checksum)
{
	uint8_t tail[8] = { [7] = IPPROTO_ICMP6_ };
	uint16_t sum;

	if (source && len >= 14)
		memcpy(frame + 6, world_mac(MAC_A), 6);
	if (!checksum || len < 58 || load_be16(frame + 12) != ETHERTYPE_IPV6_ || frame[20] != IPPROTO_ICMP6_)
		return;
	store_be16(frame + 18, (uint16_t)(len - 54));
	frame[21] = 255;
	store_be32(tail, len - 54);
	memset(frame + 56, 0, 2);
	sum = csum_fold(
		csum_partial(frame + 54, len - 54, csum_partial(tail, 8, csum_partial(frame + 22, 32, 0))));
	memcpy(frame + 56, &sum, 2);
}

/* What every answer has to be, whatever was asked. */
static void check_answer(const struct packet *p, const struct world *w, const struct neigh_msg *asked)
{
	const uint8_t *data = p->buf + p->m.data_off;
	const struct policy_record *rec;
	struct neigh_msg said;
	struct pkt_info info;
	uint32_t index;

	FUZZ_CHECK(p->m.data_len == (asked->v6 ? 86 : 42) && p->m.pkt_len == p->m.data_len, "length %u",
		   p->m.pkt_len);
	FUZZ_CHECK(p->m.data_off + p->m.data_len <= p->m.buf_len, "outside the buffer");
	FUZZ_CHECK(pkt_parse(data, p->m.data_len, p->m.pkt_len, &info) == DROP_NONE,
		   "the answer is malformed");
	FUZZ_CHECK(memcmp(&info, &p->meta.pkt, sizeof(info)) == 0, "metadata of another frame");
	neigh_read(data, &info, &said);
	FUZZ_CHECK(asked->op == NEIGH_REQUEST && said.op == NEIGH_REPLY && !said.foreign,
		   "not an answer to a question");
	FUZZ_CHECK(ip_equal(&said.target, &asked->target), "about another address");
	FUZZ_CHECK(said.eth_src != asked->eth_src, "the asker's own address");
	FUZZ_CHECK(said.eth_dst == asked->eth_src || (said.group && neigh_is_probe(asked)),
		   "to somebody else");
	index = policy_ca_lookup(w->policy, WORLD_VSID, &said.target);
	if (index == REC_NONE) {
		FUZZ_CHECK(said.eth_src == w->subnet->gateway_mac, "nobody has it");
		return;
	}
	rec = policy_record(w->policy, index);
	FUZZ_CHECK(said.eth_src == mac_load(&rec->mac), "the record has another MAC");
	FUZZ_CHECK(asked->group, "a unicast probe of a VM answered");
}

/* What gets out must be the sender's own. */
static void check_passed(const struct world *w, const struct neigh_msg *msg)
{
	struct neigh_claim claims[NEIGH_CLAIMS];
	unsigned int n = neigh_claims(msg, claims);

	FUZZ_CHECK(!msg->foreign && msg->op != NEIGH_REDIRECT, "foreign link-layer address or redirect");
	for (unsigned int i = 0; i < n; i++) {
		uint32_t index = policy_ca_lookup(w->policy, WORLD_VSID, &claims[i].ca);

		if (claims[i].kind == NEIGH_CLAIM_WANTS || index == REC_NONE)
			continue;
		FUZZ_CHECK(mac_load(&policy_record(w->policy, index)->mac) == msg->eth_src,
			   "claims another's address");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size < 2048 ? (uint32_t)size : 2048;
	struct neigh_msg msg;
	struct packet *p;
	struct world w;
	uint8_t *before;

	if (len < 2)
		return 0;
	len--;
	w = world_get(data[0] & 1, data[0] & 2);
	p = packet_new(data + 1, (uint16_t)len, data[0] & 4 ? 0 : 128, data[0] & 8 ? 0 : 64);
	repair(packet_data(p), len, data[0] & 16, data[0] & 32);
	before = malloc(len);
	FUZZ_CHECK(before, "no memory");
	memcpy(before, packet_data(p), len);
	if (pkt_parse(packet_data(p), len, len, &p->meta.pkt) == DROP_NONE &&
	    (p->meta.pkt.kind == PKT_ARP || p->meta.pkt.kind == PKT_ND)) {
		neigh_read(packet_data(p), &p->meta.pkt, &msg);
		policy_neigh_egress(w.policy, w.port, w.subnet, &p->m);
		if (p->meta.verdict == VERDICT_REPLY) {
			check_answer(p, &w, &msg);
		} else {
			FUZZ_CHECK(p->m.pkt_len == len && memcmp(before, packet_data(p), len) == 0,
				   "changed");
			FUZZ_CHECK(p->meta.verdict == VERDICT_NONE || p->meta.verdict == VERDICT_FLOOD ||
					   (p->meta.verdict == VERDICT_DROP && p->meta.drop),
				   "verdict %u", p->meta.verdict);
			if (p->meta.verdict != VERDICT_DROP)
				check_passed(&w, &msg);
		}
	}
	free(before);
	packet_free(p);
	return 0;
}
