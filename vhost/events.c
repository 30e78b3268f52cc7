/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Callbacks of the library. For one port they come one at a time: from the library's event thread, from its
 * reconnect thread or the registering one (new_connection), and from the unregistering one (destroy_device).
 *
 * vring_state_changed and features_changed hold the library's locks of all queues, on which workers spin:
 * they do not wait for anything. destroy_device waits until workers have let go.
 */
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/vhost.h>
#include <rte_pause.h>

#include "base/log.h"
#include "vhost_private.h"

static bool is_packed(uint64_t features)
{
	return features & F_BIT(VIRTIO_F_RING_PACKED);
}

static uint64_t negotiated(int vid)
{
	uint64_t features = 0;

	rte_vhost_get_negotiated_features(vid, &features);
	return features;
}

/* Guest address of something in guest memory, 0 if it is not. */
static uint64_t guest_address(int vid, const void *host)
{
	struct rte_vhost_memory *mem;
	uint64_t at = (uintptr_t)host, gpa = 0;
	uint32_t i;

	if (rte_vhost_get_mem_table(vid, &mem) < 0)
		return 0;
	for (i = 0; i < mem->nregions; i++) {
		const struct rte_vhost_mem_region *r = &mem->regions[i];

		if (at >= r->host_user_addr && at - r->host_user_addr < r->size)
			gpa = at - r->host_user_addr + r->guest_phys_addr;
	}
	free(mem);
	return gpa;
}

/* The driver may be adding descriptors: more looks, but not too much work, since queues are locked. */
static int prove(const struct rte_vhost_vring *ring, uint16_t told, struct ring_saved saved, bool from_guest,
		 struct packed_proof *ret)
{
	unsigned int tries = 8 + 16384 / ring->size;
	int r;

	do {
		r = packed_prove(ring->desc_packed, ring->size, told, saved, from_guest, ret);
		if (r == 0)
			return 0;
		rte_pause();
	} while (--tries);
	return r;
}

/*
 * Bring a packed ring to where the device stands. @param known: it was served in this connection. @param doubted: it
 * was looked at in this connection before, and not served: the guest has been reset since, or nothing has changed.
 */
static int packed_start(struct vhu_port *p, int vid, uint16_t vring, const struct rte_vhost_vring *ring,
			bool known, bool doubted)
{
	struct ring_slot *slot = rings_slot(p->rings, vring);
	uint64_t gpa = guest_address(vid, ring->desc_packed);
	struct ring_saved saved = ring_recall(slot, gpa, ring->size);
	struct packed_proof proof;
	uint16_t avail, used;
	int r;

	if (rte_vhost_get_vring_base(vid, vring, &avail, &used) < 0)
		return -ENODATA;
	/* Switched off and on again in this connection: it is where we left it. */
	if (known && saved.state == RING_RUNNING && saved.pos == avail)
		return 0;
	if (doubted && saved.state == RING_RUNNING)
		saved.state = RING_DOUBTED;
	r = prove(ring, avail, saved, vring & 1, &proof);
	if (r < 0)
		return r;
	if (proof.torn) {
		packed_complete(ring->desc_packed, &proof);
		if (negotiated(vid) & F_BIT(VHOST_F_LOG_ALL))
			rte_vhost_log_used_vring(vid, vring, proof.slot * sizeof(struct vring_packed_desc),
						 sizeof(struct vring_packed_desc));
	}
	if (proof.pos != avail || proof.torn)
		log_debug("port %s: ring %u resumes at 0x%04x, was told 0x%04x", p->spec.id, vring, proof.pos,
			  avail);
	if (rte_vhost_set_vring_base(vid, vring, proof.pos, proof.pos) < 0)
		return -ENODATA;
	ring_begin(slot, gpa, ring->size, proof.pos);
	return 0;
}

/* May workers have this ring? Only if the library has checked its size, and for this ring format. */
static void vring_start(struct vhu_port *p, int vid, uint16_t vring)
{
	struct vring_view *v = &p->vrings[vring];
	bool packed = is_packed(negotiated(vid)), known = v->usable, doubted = v->unproven;
	struct rte_vhost_vring ring;

	v->unproven = false;
	if (rte_vhost_get_vhost_vring(vid, vring, &ring) < 0 || !v->size || ring.size != v->size ||
	    v->packed != packed || (packed && !p->rings)) {
		log_debug("port %s: ring %u was not set up, not served", p->spec.id, vring);
		v->usable = false;
		return;
	}
	v->usable = true;
	if (packed && packed_start(p, vid, vring, &ring, known, doubted) < 0) {
		v->usable = false;
		v->unproven = true;
		port_event(p, (struct vhu_event){ .type = VHU_NEEDS_RESET, .queue = vring });
	}
}

/* Let workers at a ring, or take it away (they may still be in their last burst). */
static void vring_publish(struct vhu_port *p, uint16_t vring)
{
	const struct vring_view *v = &p->vrings[vring];
	struct vhu_queue *q = &p->queues[vring / 2];
	uint32_t ready = p->facts.running && v->enabled && v->usable;

	if (ready)
		__atomic_store_n(&q->fresh, 1, __ATOMIC_RELAXED);
	__atomic_store_n(vring & 1 ? &q->q.rx_ready : &q->q.tx_ready, ready, __ATOMIC_RELEASE);
}

/* Pairs in use and rings in doubt, for the status. */
static void count_vrings(struct vhu_port *p)
{
	unsigned int i;

	p->facts.pairs = 0;
	p->facts.unproven = false;
	for (i = 0; i < p->spec.queues; i++) {
		const struct vring_view *tx = &p->vrings[2 * i], *rx = tx + 1;

		p->facts.pairs += tx->enabled && rx->enabled && p->facts.running;
		p->facts.unproven |= (tx->enabled && tx->unproven) || (rx->enabled && rx->unproven);
	}
	p->facts.vring_size = (uint16_t)p->vrings[0].size;
}

static int new_connection(int vid)
{
	char path[PATH_MAX];
	struct vhu_port *p;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -1;
	p = port_find(path);
	/* One front-end per port; a second one on a listening socket is sent away. */
	if (!p || p->vid >= 0 || rte_vhost_extern_callback_register(vid, &vhu_message_ops, NULL) < 0)
		return -1;
	port_bind_vid(p, vid);
	memset(p->vrings, 0, sizeof(p->vrings));
	p->facts.connected = true;
	p->facts.connections++;
	p->facts.features = 0;
	p->facts.mtu = 0;
	count_vrings(p);
	port_show(p);
	port_event(p, (struct vhu_event){ .type = VHU_CONNECTED });
	return 0;
}

/*
 * The front-end went away by itself: its guest is gone with it, so what comes next may be another machine and
 * gets what the port's specification says. (When the switch ends, this is not called.)
 */
static void destroy_connection(int vid)
{
	struct vhu_port *p = port_of_vid(vid);

	if (!p)
		return;
	state_forget(vhu_config.state_dir, &p->spec);
	if (port_offer(p, __atomic_load_n(&p->offer, __ATOMIC_RELAXED)) < 0)
		log_debug("port %s: features not changed", p->spec.id);
	port_unbind_vid(p);
	p->facts.connected = false;
	p->facts.unproven = false;
	port_show(p);
	port_event(p, (struct vhu_event){ .type = VHU_DISCONNECTED });
}

static void remember_features(struct vhu_port *p, uint64_t features)
{
	struct saved_features f = { .negotiated = features & ~F_BIT(VHOST_F_LOG_ALL) };
	int r;

	if (rte_vhost_driver_get_features(p->spec.socket, &f.offered) < 0)
		return;
	r = state_save(vhu_config.state_dir, &p->spec, &f);
	if (r < 0)
		log_error_errno(r, "port %s: cannot remember its features: %m", p->spec.id);
}

/*
 * Four packets at a time toward a packed ring the library takes for one descriptor each, and looks neither at NEXT nor
 * at INDIRECT: of one chain it makes four buffers, and into an indirect table that is long enough it writes the packet.
 * Drivers make chains or tables where they cannot merge buffers; with fewer packets per call the library follows them.
 */
static uint16_t packed_burst(uint64_t features)
{
	return features & F_BIT(VIRTIO_NET_F_MRG_RXBUF) ? VHU_BURST : VHU_SINGLY;
}

#define LARGE_BUFFER 65562 /* virtio 1.1, 5.1.6.3.1; with a header of 12 bytes */

/* Receive buffers are as long as the guest made them; without mergeable ones it must have room for its MTU. */
static uint32_t frame_that_fits(uint64_t features, uint16_t mtu)
{
	if (!(features & F_BIT(VIRTIO_NET_F_MRG_RXBUF)) &&
	    features & (F_BIT(VIRTIO_NET_F_GUEST_TSO4) | F_BIT(VIRTIO_NET_F_GUEST_TSO6)))
		return LARGE_BUFFER - 12;
	if (features & F_BIT(VIRTIO_NET_F_MRG_RXBUF))
		return UINT32_MAX;
	return (mtu ? mtu : ETH_DATA_LEN) + ETH_HLEN;
}

/* All that stays as it is until destroy_device. */
static void prepare_queues(struct vhu_port *p, int vid, uint64_t features, int socket, uint16_t mtu)
{
	bool packed = is_packed(features) && p->rings;
	unsigned int i;

	for (i = 0; i < p->spec.queues; i++) {
		struct vhu_queue *q = &p->queues[i];

		q->vid = vid;
		q->rx_saved = packed ? rings_slot(p->rings, q->rx_vring) : NULL;
		q->tx_saved = packed ? rings_slot(p->rings, q->tx_vring) : NULL;
		q->tx_burst = packed_burst(features);
		__atomic_store_n(&q->q.socket, socket, __ATOMIC_RELAXED);
		__atomic_store_n(&q->q.fits, frame_that_fits(features, mtu), __ATOMIC_RELAXED);
		__atomic_store_n(&q->q.mtu, RTE_MAX(mtu, p->mtu), __ATOMIC_RELAXED);
		__atomic_store_n(&q->q.offloads, features_offloads(features), __ATOMIC_RELAXED);
	}
}

static int new_device(int vid)
{
	struct vhu_port *p = port_of_vid(vid);
	uint64_t features = negotiated(vid);
	uint16_t mtu = 0, i;
	int node;

	if (!p)
		return -1;
	node = rte_vhost_get_numa_node(vid);
	if (node < 0)
		node = SOCKET_ID_ANY;
	if (rte_vhost_get_mtu(vid, &mtu) < 0)
		mtu = 0;
	prepare_queues(p, vid, features, node, mtu);
	p->facts.features = features;
	p->facts.mtu = mtu;
	p->facts.socket = node;
	p->facts.running = true;
	count_vrings(p);
	port_show(p);
	for (i = 0; i < 2 * p->spec.queues; i++)
		vring_publish(p, i);
	remember_features(p, features);
	port_event(p, (struct vhu_event){ .type = VHU_READY, .features = features, .mtu = mtu });
	if (mtu && mtu != p->mtu)
		port_event(p, (struct vhu_event){ .type = VHU_MTU_MISMATCH, .mtu = mtu });
	return 0;
}

static void destroy_device(int vid)
{
	struct vhu_port *p = port_of_vid(vid);

	if (!p)
		return;
	p->facts.running = false;
	count_vrings(p);
	port_show(p);
	port_unpublish(p);
	port_event(p, (struct vhu_event){ .type = VHU_STOPPED });
}

static int vring_state_changed(int vid, uint16_t vring, int enable)
{
	struct vhu_port *p = port_of_vid(vid);

	if (!p || vring >= 2 * p->spec.queues)
		return 0;
	p->vrings[vring].enabled = enable;
	if (enable)
		vring_start(p, vid, vring);
	vring_publish(p, vring);
	count_vrings(p);
	port_show(p);
	port_event(p, (struct vhu_event){ .type = VHU_QUEUE, .queue = vring, .enabled = enable });
	return 0;
}

/* The dirty log of a migration goes on or off; nothing else may change. */
static int features_changed(int vid, uint64_t features)
{
	struct vhu_port *p = port_of_vid(vid);

	if (!p)
		return 0;
	p->facts.features = features;
	port_show(p);
	return 0;
}

const struct rte_vhost_device_ops vhu_device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.features_changed = features_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};
