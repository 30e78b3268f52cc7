/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the packet path needs of a port: vhost-user now, tap and plain next. A queue pair is one
 * object; rx is from the guest, tx toward it.
 */
#ifndef BASE_PORT_OPS_H
#define BASE_PORT_OPS_H

#include <stdint.h>
#include <rte_mbuf.h>

#define PORT_RX_MIN 2 /* the library must not be asked for one packet of a packed ring */

struct port_queue;

struct port_ops {
	const char *name;
	/*
	 * Receive up to n frames (any n; the implementation loops over its own limit), but PORT_RX_MIN if a kind of
	 * queue cannot be asked for fewer: pkts has room for that. The mbufs become the caller's; their struct
	 * pkt_meta is not initialised. Worker that owns the queue, inside its read section.
	 */
	uint16_t (*rx)(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n);
	/*
	 * Copy frames to the guest. The mbufs stay the caller's whether accepted or not. Several workers may
	 * call it for one queue. @return how many of the first were accepted.
	 */
	uint16_t (*tx)(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n);
	/* Packets waiting from the guest, 0 if none or not ready: asked before a worker sleeps. */
	int (*pending)(struct port_queue *q);
};

/* What was negotiated with the guest, in struct port_queue's offloads. */
#define PORT_CSUM	0x01 /* may send unfinished checksums */
#define PORT_TSO4	0x02 /* may send TCP packets to be segmented */
#define PORT_TSO6	0x04
#define PORT_ECN	0x08 /* ... with CWR */
#define PORT_RX_CSUM	0x10 /* takes unfinished checksums */
#define PORT_RX_TSO4	0x20 /* takes TCP packets to be segmented */
#define PORT_RX_TSO6	0x40
#define PORT_RX_ECN	0x80 /* ... with CWR */

struct port_queue {
	const struct port_ops *ops;
	/* Written by the control side of the port (vhost's callback thread), read by workers each turn. */
	uint32_t rx_ready, tx_ready;
	uint32_t offloads; /* PORT_*, of the guest that is there */
	uint32_t fits; /* bytes that every receive buffer holds; a longer frame may be refused for that */
	uint16_t index; /* queue pair */
	uint16_t port;	/* port index of policy/ */
	uint16_t mtu;	/* the larger of the port's and what the guest was told; 0: unknown */
	int socket;	/* NUMA node of the guest's memory, or SOCKET_ID_ANY */
};

#endif
