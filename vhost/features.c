/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port offers: one table {bit, condition}. A bit stands here only if the path honours it; checksum and
 * segmentation offloads do not appear until it does: an offload promised and not kept stalls TCP while ping
 * works. VIRTIO_F_IN_ORDER is left out: it gains nothing with this library, and with it a used descriptor
 * stands for several buffers, so that a packed ring could not be proven after a restart.
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "vhost_private.h"

enum condition {
	ALWAYS,
	IF_MULTIQUEUE,
	IF_PACKED,
};

struct feature {
	uint8_t bit;
	uint8_t condition; /* enum condition */
};

static const struct feature table[] = {
	{ VIRTIO_NET_F_MTU, ALWAYS }, /* QEMU tells host_mtu, we compare */
	{ VIRTIO_NET_F_MRG_RXBUF, ALWAYS },
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

static bool holds(const struct port_spec *spec, enum condition c)
{
	switch (c) {
	case ALWAYS:
		return true;
	case IF_MULTIQUEUE:
		return spec->queues > 1;
	case IF_PACKED:
		return spec->packed;
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

uint64_t features_protocol(void)
{
	return F_BIT(VHOST_USER_PROTOCOL_F_MQ) | F_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
	       F_BIT(VHOST_USER_PROTOCOL_F_RARP) | F_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
	       F_BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | F_BIT(VHOST_USER_PROTOCOL_F_STATUS);
}
