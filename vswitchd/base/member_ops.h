/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the switch needs of a NIC of the team. Implemented once for ethdev (AF_PACKET, AF_XDP, PCI, vdev);
 * tests have a second one that emulates an offloading NIC.
 */
#ifndef BASE_MEMBER_OPS_H
#define BASE_MEMBER_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/errs.h"
#include "base/object.h"

struct rte_flow_item;
struct rte_flow_action;
struct rte_flow;
struct rte_mempool;
struct member_dev;
struct member_info;
struct member_config;

struct member_info {
	uint16_t max_rxq, max_txq;
	uint32_t if_index;    /* of the netdev below, 0: none (neighbour I/O by punt rings) */
	uint64_t tx_capa, rx_capa; /* RTE_ETH_*_OFFLOAD_* as the driver claims; believed only by offload/ */
	int socket;
	bool bifurcated; /* rx brings what flow rules name, and nothing without them; the netdev gets the rest */
	bool inner_rss;	 /* its driver claims to choose queues by inner headers; believed only by offload/ */
	bool all_frames; /* rx brings every frame the netdev sees (AF_PACKET), own transmissions too */
	struct mac mac;
};

struct member_config {
	uint16_t rxq, txq;
	uint16_t rx_desc, tx_desc; /* 0: driver's default */
	uint64_t tx_offloads, rx_offloads;
	bool inner_rss; /* choose receive queues by inner headers where it can, else by outer ones */
	uint16_t mtu;
	struct rte_mempool *pool;
	/*
	 * Asked on portctl when the claims (tx_capa, rx_capa) are known, to take out of the offloads what makes no
	 * sense without the rest. NULL: they are only masked with the claims.
	 */
	void (*choose)(const struct member_info *claims, struct member_config *c);
	/* Told on portctl when a device is configured and before it is published; d stays where it is. NULL: nobody. */
	void (*ready)(struct member_dev *d, const struct member_info *info, const struct member_config *c);
	void *arg; /* of ready's owner */
};

/* One opened device. Immutable once published to the workers. */
struct member_dev {
	const struct member_ops *ops;
	uint16_t port_id;  /* DPDK port, for ops that have one */
	uint16_t rxq, txq; /* configured */
	uint64_t tx_offloads, rx_offloads; /* granted at configure */
	bool inner_rss;			   /* the same */
	/*
	 * What of these the packet path uses, in offload/'s terms. Written by offload/ alone, atomically, before
	 * publication and when a knob changes.
	 */
	uint32_t offload;
	void *priv;
};

struct member_ops {
	const char *name;
	/* portctl thread only: probe, configure + start, stop + close + remove. 0 or -errno with a reason. */
	int (*open)(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err);
	int (*info)(const struct member_dev *d, struct member_info *ret);
	int (*configure)(struct member_dev *d, const struct member_config *c, struct errbuf *err);
	void (*close)(struct member_dev *d);
	/*
	 * Workers. rx: the mbufs become the caller's. tx: the first of the array are taken, as many as it returns;
	 * the rest stay the caller's. Frames that the device cannot send may have been put behind the others.
	 */
	uint16_t (*rx)(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n);
	uint16_t (*tx)(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n);
	uint16_t (*prepare)(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n);
	/*
	 * offload/ on the portctl thread, and teamwatch for bifurcated devices, between configure and close. NULL: not
	 * supported.
	 */
	struct rte_flow *(*flow_create)(const struct member_dev *d, const struct rte_flow_item *pattern,
					const struct rte_flow_action *actions, struct errbuf *err);
	int (*flow_destroy)(const struct member_dev *d, struct rte_flow *flow);
	/*
	 * Link of a device without netdev, asked now and then by teamwatch; never waits. NULL: always up. speed in
	 * Mbit/s, 0 unknown.
	 */
	int (*link)(const struct member_dev *d, bool *ret_up, uint32_t *ret_speed);
	/*
	 * Receive what is sent, and let nothing out (on), or be a NIC again. portctl, before publication: offload/
	 * proves by it what the device claims. NULL, -ENOTSUP: it cannot.
	 */
	int (*loop)(const struct member_dev *d, bool on);
};

#endif
