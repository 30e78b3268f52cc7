/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets in words, for dry runs:
 *
 *	tcp 10.0.0.11:1024 > 10.0.1.2:80 size=1500 df
 *	udp [fd00::11]:53 > [fd00::12]:53
 *	icmp 10.0.0.11 > 10.0.0.1 ttl=1		(echo request; icmpv6 likewise)
 *	arp 10.0.0.11 > 10.0.0.12		(who has the second?)  nd fd00::11 > fd00::12
 *	ip 10.0.0.11 > 10.0.0.12 protocol=89
 *
 * and behind that, in any order: size=BYTES of the IP packet, ttl=N, df, protocol=N, flags=syn,ack,fin,rst,psh,
 * vlan=N, src-mac=MAC, dst-mac=MAC. Instead of all: hex digits, the whole frame.
 *
 * The text is anybody's: bounded, refused with a reason. Pure functions, any thread.
 */
#ifndef DATAPATH_DESCRIBE_H
#define DATAPATH_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/wire.h"

#define DESCRIBE_FRAME_MAX 9234 /* jumbo with a tag */

enum describe_kind { DESCRIBE_IP, DESCRIBE_TCP, DESCRIBE_UDP, DESCRIBE_ECHO, DESCRIBE_QUESTION, DESCRIBE_FRAME };

struct description {
	enum describe_kind kind; /* QUESTION: ARP or neighbour solicitation, by family */
	struct ip_addr from, to;
	uint16_t from_port, to_port;
	uint8_t protocol, ttl, tcp_flags;
	bool df, tagged;
	uint16_t vlan;
	uint32_t size;		 /* of the IP packet, 0: as small as it gets */
	struct mac src, dst;	 /* zero: not said */
	uint32_t frame_len;	 /* DESCRIBE_FRAME */
	uint8_t frame[DESCRIBE_FRAME_MAX];
};

/* @return 0; -EINVAL with a reason that names the word. */
int describe_parse(const char *text, struct description *ret, struct errbuf *err);

/*
 * The frame, with checksums. MACs that were not said have to be filled in before. @param buf of DESCRIBE_FRAME_MAX.
 * @return bytes.
 */
uint32_t describe_build(const struct description *d, uint8_t *buf);

/*
 * A frame in words of the same kind, as far as its first `len` bytes tell; what NVGRE carries, with its VSID. @param
 * total of the frame.
 */
void describe_frame(const uint8_t *data, uint32_t len, uint32_t total, char *buf, size_t size);

#endif
