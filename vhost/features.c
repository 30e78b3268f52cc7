/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port offers: one table {bit, condition}. A bit stands here only if the path honours it: an offload promised
 * and not kept stalls TCP while ping works. UDP segmentation is left out: the library knows no UDP packets that are to
 * be segmented, and nobody fragments for a guest what it asked for. VIRTIO_F_IN_ORDER is left out: it gains nothing
 * with this library, and with it a used descriptor stands for several buffers, so that a packed ring could not be
 * proven after a restart.
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "vhost_private.h"

enum condition {
	ALWAYS,
	IF_MULTIQUEUE,
	IF_PACKED,
	IF_MERGEABLE,
	IF_TX_CHECKSUM,
	IF_TSO,
	IF_ECN,
	IF_RX_CHECKSUM,
	IF_RX_TSO,
	IF_RX_ECN,
};

struct feature {
	uint8_t bit;
	uint8_t condition; /* enum condition */
};

static const struct feature table[] = {
	{ VIRTIO_NET_F_MTU, ALWAYS }, /* QEMU tells host_mtu, we compare */
	{ VIRTIO_NET_F_MRG_RXBUF, IF_MERGEABLE },
	{ VIRTIO_NET_F_CSUM, IF_TX_CHECKSUM },
	{ VIRTIO_NET_F_HOST_TSO4, IF_TSO },
	{ VIRTIO_NET_F_HOST_TSO6, IF_TSO },
	{ VIRTIO_NET_F_HOST_ECN, IF_ECN },
	{ VIRTIO_NET_F_GUEST_CSUM, IF_RX_CHECKSUM },
	{ VIRTIO_NET_F_GUEST_TSO4, IF_RX_TSO },
	{ VIRTIO_NET_F_GUEST_TSO6, IF_RX_TSO },
	{ VIRTIO_NET_F_GUEST_ECN, IF_RX_ECN },
	{ VIRTIO_NET_F_CTRL_VQ, ALWAYS }, /* handled by the front-end */
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, ALWAYS },
	{ VIRTIO_NET_F_MQ, IF_MULTIQUEUE },
	{ VHOST_F_LOG_ALL, ALWAYS }, /* dirty log of live migration */
	{ VIRTIO_F_ANY_LAYOUT, ALWAYS },
	{ VIRTIO_RING_F_INDIRECT_DESC, ALWAYS },
	{ VIRTIO_RING_F_EVENT_IDX, ALWAYS },
	{ VHOST_USER_F_PROTOCOL_FEATURES, ALWAYS },
	{ VIRTIO_F_VERSION_1, ALWAYS },
	{ VIRTIO_F_RING_PACKED, IF_PACKED },
};

/* Virtio 1.1, 5.1.3.1: segmentation needs checksums, ECN needs segmentation. */
static bool holds(const struct port_spec *spec, enum condition c)
{
	bool tso = spec->tx_checksum && spec->tso, rx_tso = spec->rx_checksum && spec->rx_tso;

	switch (c) {
	case ALWAYS:
		return true;
	case IF_MULTIQUEUE:
		return spec->queues > 1;
	case IF_PACKED:
		return spec->packed;
	case IF_MERGEABLE:
		return spec->mergeable;
	case IF_TX_CHECKSUM:
		return spec->tx_checksum;
	case IF_TSO:
		return tso;
	case IF_ECN:
		return tso && spec->ecn;
	case IF_RX_CHECKSUM:
		return spec->rx_checksum;
	case IF_RX_TSO:
		return rx_tso;
	case IF_RX_ECN:
		return rx_tso && spec->ecn;
	}
	return false;
}

uint64_t features_known(void)
{
	uint64_t bits = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(table); i++)
		bits |= F_BIT(table[i].bit);
	return bits;
}

uint64_t features_offer(const struct port_spec *spec)
{
	uint64_t bits = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(table); i++)
		if (holds(spec, table[i].condition))
			bits |= F_BIT(table[i].bit);
	return bits;
}

uint32_t features_offloads(uint64_t features)
{
	static const struct {
		uint8_t bit, offload;
	} map[] = {
		{ VIRTIO_NET_F_CSUM, PORT_CSUM },	      { VIRTIO_NET_F_HOST_TSO4, PORT_TSO4 },
		{ VIRTIO_NET_F_HOST_TSO6, PORT_TSO6 },	      { VIRTIO_NET_F_HOST_ECN, PORT_ECN },
		{ VIRTIO_NET_F_GUEST_CSUM, PORT_RX_CSUM },    { VIRTIO_NET_F_GUEST_TSO4, PORT_RX_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, PORT_RX_TSO6 },    { VIRTIO_NET_F_GUEST_ECN, PORT_RX_ECN },
	};
	uint32_t offloads = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(map); i++)
		if (features & F_BIT(map[i].bit))
			offloads |= map[i].offload;
	return offloads;
}

uint64_t features_protocol(void)
{
	return F_BIT(VHOST_USER_PROTOCOL_F_MQ) | F_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
	       F_BIT(VHOST_USER_PROTOCOL_F_RARP) | F_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
	       F_BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | F_BIT(VHOST_USER_PROTOCOL_F_STATUS);
}
