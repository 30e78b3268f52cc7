/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An encapsulation, chosen per remote host. NVGRE (RFC 7637) is the product's; a test-only second one proves
 * that nothing outside its file depends on NVGRE. The burst functions are the packet path; the rest is
 * control side.
 */
#ifndef BASE_ENCAP_OPS_H
#define BASE_ENCAP_OPS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/drop.h"
#include "base/object.h"
#include "base/wire.h"

/* Largest outer header: Ethernet 14 + 802.1Q 4 + IPv6 40 + 16 of encapsulation. */
#define ENCAP_HDR_MAX 80

/* The two ends of a tunnel as the underlay has resolved them. */
struct encap_path {
	struct mac src_mac, dst_mac; /* PA's own MAC; next hop's */
	uint16_t vlan;		     /* 0: untagged */
	struct ip_addr src, dst;     /* PAs, one family */
};

/*
 * Ready outer header for one (remote PA, member); two cache lines, immutable once published. ops NULL: not
 * resolved (`why` says what is missing). The header comes last so that an untagged IPv4 one shares the first
 * line with everything else that is read per packet.
 */
struct encap_template {
	const struct encap_ops *ops;
	uint32_t csum;	   /* partial sum of the outer IPv4 header without length, ID and checksum */
	uint8_t len;	   /* bytes of hdr in use */
	uint8_t l3_off;	   /* outer IP inside hdr */
	uint8_t family;	   /* 4 or 6 */
	uint8_t member;	   /* that it leaves by */
	uint16_t max_inner; /* largest inner IP packet that fits the path's MTU; judged before encap() */
	uint8_t why;	   /* enum drop_reason when ops is NULL */
	uint8_t local_pa;  /* index of our PA in the team view */
	uint8_t hdr[ENCAP_HDR_MAX];
	uint8_t reserved[28];
} __attribute__((aligned(64)));

static_assert(sizeof(struct encap_template) == 128, "two lines");
static_assert(offsetof(struct encap_template, hdr) + 14 + 20 + 8 <= 64,
	      "untagged NVGRE over IPv4 in one line");

/* What a member accepts: one per own PA. Immutable once published. */
struct encap_local {
	struct ip_addr address;
	struct mac mac;
	uint16_t vlan;
	uint8_t pa; /* index in the team view */
	uint8_t reserved[5];
};

static_assert(sizeof(struct encap_local) == 32, "indexed per packet");

/* Result of receive validation for one packet, besides the metadata. */
struct encap_rx {
	uint32_t vsid;
	struct ip_addr outer_src;
	uint16_t inner_off; /* bytes from data start to the inner frame */
	/* of the inner frame by the outer IP length: what follows is Ethernet padding, to be cut off */
	uint16_t inner_len;
	bool inner_tag;	    /* the inner frame carries a priority tag (VID 0) that the caller has to remove */
};

struct encap_ops {
	const char *name;
	uint8_t ip_proto;   /* outer IP protocol, for filters */
	/* What an inner IP packet grows by, without outer Ethernet: 42 and 62 for NVGRE. */
	uint16_t overhead4, overhead6;

	/* Fill hdr, csum, len, l3_off, family. Control side. @return 0, -EAFNOSUPPORT (families differ). */
	int (*template_build)(struct encap_template *t, const struct encap_path *path);

	/*
	 * Prepend the outer header to n packets; tmpl[i] belongs to pkts[i], all of these ops. Uses metadata
	 * vsid_out and hash; `ip_id` is the caller's running counter (advanced by n). flow_id false: FlowID
	 * 0. All succeed: the caller has checked headroom (>= len), that the first segment is writable (one
	 * reference), and the MTU. A packet that is still to be segmented (gso_size) gets the low 16 bits of
	 * its length: the segmenter writes lengths, IDs and checksums anew. Offsets in the metadata keep
	 * counting from the inner frame. Worker.
	 */
	void (*encap)(struct rte_mbuf **pkts, const struct encap_template *const *tmpl, uint16_t n,
		      uint16_t *ip_id, bool flow_id);

	/*
	 * A packet that encap() has just put behind this template is another host's and is passed on: its
	 * source, of the template's family, the hop limit and the flow's bits (FlowID) become those given.
	 * @param outer first byte of the frame. NULL: packets are not passed on. Worker.
	 */
	void (*pass_on)(uint8_t *outer, const struct encap_template *t, const struct ip_addr *src,
			uint8_t hops, uint8_t flow_id);

	/*
	 * Validate the outer headers of one frame and find the inner one. No change to the packet. Worker.
	 * @param data   first byte of the frame, `len` contiguous bytes of it; all headers up to the inner
	 *               EtherType have to be among them. @param total whole frame over all segments, >= len.
	 * @param csum_good the NIC has verified the outer IPv4 checksum.
	 * @param l      PAs of this host, n of them; *hint index of the last match (in/out), makes the usual
	 *               case one compare. After DROP_NONE it is the PA the frame came to; otherwise it is
	 *               unchanged.
	 * @return DROP_NONE and *ret filled, or the drop; DROP_WIRE_OTHER when it is not this encapsulation
	 *         or not for us at all.
	 */
	enum drop_reason (*parse)(const uint8_t *data, uint32_t len, uint32_t total, bool csum_good,
				  const struct encap_local *l, unsigned int n, unsigned int *hint,
				  struct encap_rx *ret);
};

#endif
