/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads: the only folder that reads or writes PMD and library offload flags. Everything else speaks of
 * virtio_net_hdr terms in struct pkt_meta (gso_type, gso_size, csum_*), with offsets from the first byte of the
 * tenant's frame. Packets travel unsplit; whoever sends one to somebody that cannot take it as it is calls here:
 *
 *	to a team member	offload_transmit()  encapsulates, in hardware or software
 *	to a guest		offload_gro() on what was gathered for it
 *	to a guest, or plain	offload_gso_begin(), offload_gso_next(), offload_csum_finish(), where the receiver has
 *				not asked for such packets
 */
#ifndef OFFLOAD_OFFLOAD_H
#define OFFLOAD_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/drop.h"
#include "base/encap_ops.h"
#include "base/member_ops.h"
#include "base/meta.h"
#include "base/port_ops.h"
#include "base/stats.h"

/* ---- what came of it, per worker ---- */

#define OFFLOAD_COUNTER_LIST(X) \
	X(TSO_HW, "tso-hardware", "packets of up to 64 KiB cut by the NIC") \
	X(TSO_HW_FRAMES, "tso-hardware-frames", "frames on the wire that the NIC cut them into") \
	X(TSO_SW, "tso-software", "packets of up to 64 KiB cut by the switch") \
	X(TSO_FRAMES, "tso-frames", "frames that the switch cut them into") \
	X(CSUM_HW, "checksum-hardware", "checksums left to the NIC") \
	X(CSUM_SW, "checksum-software", "checksums finished by the switch") \
	X(REFUSED, "refused", "packets that a NIC did not accept as they were, sent by software") \
	X(GRO_PACKETS, "gro-packets", "packets merged from received segments") \
	X(GRO_FRAMES, "gro-frames", "received segments in them") \
	X(RX_CSUM_HW, "rx-checksum-hardware", "inner checksums verified by the NIC") \
	X(RX_CSUM_SW, "rx-checksum-software", "inner checksums verified by the switch") \
	X(RX_CSUM_BAD, "rx-checksum-bad", "inner checksums found wrong: delivered as they are, never called good") \
	X(RSS_SW, "rss-software", "received frames handed over to the worker that their inner flow chooses")

enum offload_counter {
#define X(sym, name, text) OFFLOAD_##sym,
	OFFLOAD_COUNTER_LIST(X)
#undef X
	OFFLOAD_COUNTERS,
};

/* One per worker, written by it alone, read by anybody. */
struct offload_counters {
	uint64_t n[OFFLOAD_COUNTERS];
};

/* Name and explanation; NULL outside the list. */
const char *offload_counter_name(enum offload_counter c);
const char *offload_counter_text(enum offload_counter c);

/* ---- what a device does for us: struct member_dev.offload ---- */

#define OFFLOAD_BIT_LIST(X) \
	X(CHAINS, "chains", "frames of several buffers") \
	X(TX_CSUM, "tx-checksum", "inner TCP and UDP checksums of NVGRE frames") \
	X(TX_TSO, "tx-segmentation", "inner TCP of NVGRE frames cut into segments") \
	X(RX_CSUM, "rx-checksum", "checksums of received frames, outer and inner") \
	X(RX_RSS, "rx-inner-rss", "received frames spread over queues by the inner flow") \
	X(STEER, "rx-steering", "flow rules: VSID and inner MAC to a queue")

enum offload_bit_index {
#define X(sym, name, text) OFFLOAD_I_##sym,
	OFFLOAD_BIT_LIST(X)
#undef X
	OFFLOAD_BITS,
};

enum offload_bit {
#define X(sym, name, text) OFFLOAD_F_##sym = 1 << OFFLOAD_I_##sym,
	OFFLOAD_BIT_LIST(X)
#undef X
};

/* ---- from and to guests ---- */

/* The segment chain of a frame from a guest against its length. Out of line part of offload_guest_chain(). */
enum drop_reason offload_guest_chain_slow(const struct rte_mbuf *m);

/*
 * Does the chain add up? @return DROP_NONE, DROP_GUEST_META, or DROP_GUEST_SUM: it does, but the library has made a
 * checksum of it before it was complete. Worker.
 */
static inline enum drop_reason offload_guest_chain(const struct rte_mbuf *m)
{
	if (__builtin_expect(m->nb_segs == 1 && m->pkt_len == m->data_len, 1))
		return DROP_NONE;
	return offload_guest_chain_slow(m);
}

/*
 * Take over what the vhost library says that the guest wants done with a frame: into virtio_net_hdr terms of *meta,
 * after comparing it with meta->pkt, our own parse. The flags of the mbuf are gone afterwards. Only needed if there
 * are any.
 * @param may  PORT_*: what the guest negotiated.
 * @return DROP_NONE; DROP_GUEST_META: the guest has not negotiated it, there is no TCP or UDP header in the first
 * segment where one has to be, it is a fragment, or the segment size is out of reason. Worker.
 */
enum drop_reason offload_guest_take(struct rte_mbuf *m, struct pkt_meta *meta, uint32_t may);

enum offload_give {
	OFFLOAD_GIVE_WHOLE,    /* *pkt is as the library wants it */
	OFFLOAD_GIVE_FINISHED, /* the same; its checksum had to be finished */
	OFFLOAD_GIVE_SEGMENTS, /* the guest does not take it: offload_gso_begin(), and this again for each segment */
	OFFLOAD_GIVE_NOT,      /* *why */
};

/*
 * Prepare a packet with offload_wanted() for the vhost library, which tells the guest. Also one that other guests
 * share: their turn comes later or is over.
 * @param pkt    may become another mbuf, whose chain holds the first one.
 * @param takes  PORT_RX_*: what the guest negotiated.
 */
enum offload_give offload_guest_give(struct rte_mbuf **pkt, uint32_t takes, struct rte_mempool *pool,
				     enum drop_reason *why);

/* ---- to a member ---- */

/* Has the packet to go through offload_transmit(), instead of being encapsulated straight? */
static inline bool offload_wanted(const struct pkt_meta *meta)
{
	return meta->gso_type || meta->csum_state == CSUM_PARTIAL;
}

/* Encapsulated frames, in order, to be sent by the member of their metadata; they are the callee's. */
typedef void (*offload_emit_fn)(void *arg, struct rte_mbuf **pkts, uint16_t n);

/* How a worker transmits. */
struct offload_out {
	const struct member_dev *dev; /* of the template's member; NULL: not open, everything is done in software */
	uint16_t queue;		      /* of dev, that the worker sends by */
	bool flow_id;		      /* as in encap_ops.encap() */
	struct rte_mempool *pool;     /* segments are allocated from it */
	uint16_t *ip_id;	      /* the worker's counter, as in encap_ops.encap() */
	offload_emit_fn emit;
	void *arg;
	struct offload_counters *counters;
};

/*
 * Encapsulate and emit one packet with an unfinished checksum or of more than one segment (offload_wanted()): the
 * NIC does the rest if its member is trusted with it, else the switch does, with the same bytes on the wire (HNV row
 * 65). Segments are at most gso_size, and at most what fits the template's max_inner (row 66); a packet without
 * gso_type has been compared with max_inner by the caller.
 *
 * To be called from egress between choosing the template and the encapsulation of the others, in order: those that came
 * before it go first.
 * @param m  first segment writable, headroom of at least t->len; meta->pkt, hash and vsid_out valid.
 * @return DROP_NONE: taken. Otherwise the reason, and m stays the caller's: GUEST_META (metadata contradict the
 * packet), TOO_BIG (no payload fits), NO_MBUF (some segments may have been emitted).
 */
enum drop_reason offload_transmit(const struct offload_out *out, struct rte_mbuf *m, const struct encap_template *t);

/*
 * Is the unfinished checksum of a packet without gso_type left to the NIC? Else offload_csum_finish() before it is
 * encapsulated. Worker.
 * @param dev  as in struct offload_out.
 */
bool offload_csum_left(const struct member_dev *dev, const struct rte_mbuf *m, const struct encap_template *t);

/*
 * Describe encapsulated packets, of which offload_csum_left() was true, to the driver of out->dev, which looks at all
 * of them at once. What it does not accept has its checksum finished here: all can be sent, and are the caller's still.
 * @param tmpl  that they were encapsulated by. Worker.
 */
void offload_csum_leave(const struct offload_out *out, struct rte_mbuf **pkts, const struct encap_template *const *tmpl,
			uint16_t n);

/*
 * Make a frame acceptable to a member: a chain becomes one segment where the device cannot send chains.
 * @return the mbuf to send (maybe another one, the argument is freed then), NULL when impossible (argument not
 * freed). Worker; only called for frames with more than one segment.
 */
struct rte_mbuf *offload_tx_chain(struct rte_mbuf *m, uint64_t tx_offloads, struct rte_mempool *pool);

/* ---- in software ---- */

/*
 * Finish the checksum of a packet with CSUM_PARTIAL: sum from csum_start to the end of the IP packet, which holds the
 * pseudo header's sum where csum_offset says. The state becomes CSUM_UNKNOWN: complete.
 * @param m  headers in the first segment, which is writable.
 * @return DROP_NONE; DROP_GUEST_META: the place is not inside the packet.
 */
enum drop_reason offload_csum_finish(struct rte_mbuf *m);

/*
 * Are the IPv4 header's and the TCP or UDP checksum right? Reads everything. False too for what has none: fragments,
 * other protocols, UDP without, IPv6 with extension headers. meta->pkt is valid.
 */
bool offload_csum_verify(const struct rte_mbuf *m);

#define OFFLOAD_HEADERS_MAX 256 /* Ethernet to TCP of a packet that is to be cut; HNV's MaxHeaderSizeSupported */

/* A packet that is being cut. Private to gso.c; on the caller's stack. */
struct offload_gso {
	const struct rte_mbuf *seg; /* where the next payload is */
	uint32_t seg_off, left, l3_end, seq;
	uint64_t pseudo, l4_sum, ip_sum;
	uint16_t mss, hdr_len, l4_off, id;
	uint8_t l3_off, flags;
	bool v6, partial, first, more;
	struct pkt_meta meta;
	uint8_t hdr[OFFLOAD_HEADERS_MAX];
};

/*
 * Begin to cut a TCP packet into frames of gso_size bytes of payload.
 * @param m          only read; has to stay as it is until the last call of offload_gso_next().
 * @param max_inner  largest IP packet, lowers gso_size; 0: no limit.
 * @param partial    leave checksums of segments unfinished (CSUM_PARTIAL), for somebody who finishes them.
 * @return DROP_NONE; DROP_GUEST_META: no TCP packet of that type, no segment size, headers longer than
 * OFFLOAD_HEADERS_MAX; DROP_TOO_BIG: max_inner leaves no room for payload. Worker.
 */
enum drop_reason offload_gso_begin(struct offload_gso *g, const struct rte_mbuf *m, uint16_t max_inner, bool partial);

/*
 * The next segments, at most n: new buffers of pool, with metadata.
 * @return how many, 0 at the end; -ENOMEM: the pool is empty, and no further segment comes.
 */
int offload_gso_next(struct offload_gso *g, struct rte_mempool *pool, struct rte_mbuf **ret, uint16_t n);

/* ---- from a member ---- */

/* Did the NIC, if it is trusted with that, verify the outer IPv4 checksum of a received frame? Worker. */
bool offload_rx_ip_good(const struct member_dev *dev, const struct rte_mbuf *m);

/* Nothing that the NIC said of a received frame is believed any more. Worker. */
void offload_rx_forget(struct rte_mbuf *m);

/*
 * Take the NIC's word for a frame after decapsulation: meta->csum_state becomes CSUM_GOOD if the member is trusted with
 * that, the outer and the inner IP header and the inner TCP or UDP checksum were all found right, and the NIC saw the
 * packet that we see (HNV row 67). Unknown is not good. meta->pkt is valid, csum_state CSUM_UNKNOWN. Worker.
 * @param dev  that the frame came by.
 */
void offload_rx_verdict(const struct member_dev *dev, struct rte_mbuf *m, struct offload_counters *c);

/*
 * Merge consecutive segments of TCP flows, for a guest that takes large packets with unfinished checksums: to be called
 * from local.c on what was gathered for one port, before it is given to the queue. Touches only frames from the wire
 * that nobody shares, with verified checksums (csum_state, or verified here); order within a flow is kept. Merged
 * packets are chains with gso_type, gso_size, gso_hdr_len and CSUM_PARTIAL, at most 65535 bytes of frame.
 * @param pkts   the packets; those that became part of another are taken out.
 * @param takes  PORT_RX_*: families that the guest does not take are left alone.
 * @return how many are left. Worker.
 */
uint16_t offload_gro(struct rte_mbuf **pkts, uint16_t n, uint32_t takes, struct offload_counters *c);

/* ---- control side ---- */

/*
 * Choose a member's device configuration from what its driver claims: what the packet path can use.
 * @param c  rxq, txq, mtu and pool are kept; the offload members are filled. portctl thread.
 */
void offload_member_config(const struct member_info *info, struct member_config *c);

/*
 * For member_config.choose: out of what is asked for, what the driver claims completely. Half of it would only make
 * drivers slower, and some (virtio) would hand over packets with unfinished checksums for it. portctl thread.
 */
void offload_member_choose(const struct member_info *claims, struct member_config *c);

/* How sure is it? */
enum offload_proof {
	OFFLOAD_PROOF_NO,	/* not granted */
	OFFLOAD_PROOF_GRANTED,	/* configured; nothing more can be said of it */
	OFFLOAD_PROOF_ACCEPTED, /* its driver's own check takes such packets; what the card does was not seen */
	OFFLOAD_PROOF_PROVEN,	/* looped, and right */
	OFFLOAD_PROOF_REFUTED,	/* seen to be wrong, or refused: never used */
};
extern const char *const offload_proof_names[];

/* What has to be known of an offload before it is used. */
enum offload_trust { OFFLOAD_TRUST_ACCEPTED, OFFLOAD_TRUST_PROVEN, OFFLOAD_TRUST_NONE, OFFLOAD_TRUST_GRANTED };
extern const char *const offload_trust_names[];

const char *offload_bit_name(enum offload_bit_index b);
const char *offload_bit_text(enum offload_bit_index b);

struct offload_claim {
	bool claimed;	/* by its driver */
	bool requested; /* at configuration, or by rules */
	bool granted;	/* by its driver */
	bool used;	/* by the packet path */
	uint8_t proof;	/* enum offload_proof */
	char why[64];	/* of a refutation, or of what could not be had; "" */
};

/* Packet classes and the path that each takes by a member: "hardware" or "software". */
#define OFFLOAD_PATH_LIST(X) \
	X(PLAIN, "tx-plain", "complete packets to the wire") \
	X(CSUM, "tx-checksum", "packets with an unfinished checksum to the wire") \
	X(TSO, "tx-large", "packets of more than one segment to the wire") \
	X(RX_CSUM, "rx-checksum", "verification of what is received") \
	X(RX_MERGE, "rx-merge", "segments merged for guests that take large packets") \
	X(RX_QUEUE, "rx-queue", "choice of the worker that receives")

enum offload_path {
#define X(sym, name, text) OFFLOAD_PATH_##sym,
	OFFLOAD_PATH_LIST(X)
#undef X
	OFFLOAD_PATHS,
};
const char *offload_path_name(enum offload_path p);

struct offload_member_status {
	char name[ID_SIZE];
	struct offload_claim bits[OFFLOAD_BITS];
	const char *paths[OFFLOAD_PATHS];
	uint16_t rx_queues;
	uint32_t rules_wanted, rules; /* installed */
	char rules_why[64];	      /* of the first that was refused, "" */
};

/*
 * Received frames are handed to the worker that their inner flow chooses, where a member's queues do not spread inner
 * flows over workers (datapath/handover.c).
 */
enum offload_rss {
	OFFLOAD_RSS_AUTO, /* while a worker gets more than it can carry and another one has time */
	OFFLOAD_RSS_OFF,
	OFFLOAD_RSS_ALWAYS,
};
extern const char *const offload_rss_names[];

struct offload_knobs {
	uint8_t trust; /* enum offload_trust */
	bool vmq;      /* install flow rules */
};

#define OFFLOAD_MEMBERS 64 /* open at a time */

/* The table of members and rules. Main thread creates and frees it, without members. NULL: out of memory. */
struct offload;
struct offload *offload_create(const struct offload_knobs *knobs);
void offload_free(struct offload *o);

/*
 * Knobs that may change at any time; packets in flight go the way they began. Rules follow at the next offload_steer().
 * Main thread.
 */
void offload_set_knobs(struct offload *o, const struct offload_knobs *knobs);

/*
 * A device was configured (struct member_config.ready): test what it claims (proof.c), and tell the packet path what to
 * use, by d->offload. Takes up to a second where frames are lost. portctl thread, before publication.
 * @param d     stays where it is until offload_member_close(). @param c what it was configured with.
 * @param encap the encapsulation to test with.
 */
void offload_member_open(struct offload *o, const char *name, struct member_dev *d, const struct member_info *info,
			 const struct member_config *c, const struct encap_ops *encap);
/* It is about to be closed: its rules are removed. Nothing happens when it is not known. portctl thread. */
void offload_member_close(struct offload *o, const char *name);

/* A flow rule to have: frames of one family outside, a VSID and an inner destination MAC go to a queue. */
struct offload_want {
	char member[ID_SIZE];
	uint32_t vsid;
	struct mac mac;
	uint16_t queue;
	uint8_t family; /* of the outer IP header: 4 or 6 */
};

/*
 * Have exactly these rules (none with knob vmq off), in the NVGRE way or the GRE key way, whichever a card takes. Rules
 * that stay are not touched; wants for members that are not open, or queues that they do not have, are ignored.
 * What a card refuses costs nothing but a status line. portctl thread. @return 0, -ENOMEM (some may be missing).
 */
int offload_steer(struct offload *o, const struct offload_want *wants, unsigned int n);

/* Members that are open. Any control thread. @return how many, at most max. */
unsigned int offload_status(struct offload *o, struct offload_member_status *ret, unsigned int max);

#endif
