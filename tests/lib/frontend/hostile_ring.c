/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong rings: what a guest with a broken or evil driver may write into its memory. */
#include "hostile.h"

#include <errno.h>
#include <string.h>

#define MAX_RAW 1024

static struct vhu_queue *tx_queue(const struct hostile *h)
{
	return vhu_port_txq(h->port->vhu, 0);
}

static uint8_t *buffer(const struct vhu_queue *q, uint16_t slot)
{
	return q->bufs + (size_t)(slot % q->cfg.size) * q->stride;
}

static uint64_t buffer_gpa(const struct vhu_queue *q, uint16_t slot)
{
	return q->bufs_gpa + (uint64_t)(slot % q->cfg.size) * q->stride;
}

/* May n more descriptors be written without overwriting some the back-end has not looked at? A split ring's
 * used index tells; raw packed chains cannot be told apart any more, so there a ring is filled once. */
static bool room(const struct hostile *h, const struct vhu_queue *q, unsigned int n)
{
	if (q->cfg.packed)
		return h->posted + n < q->cfg.size;
	return h->posted + n < q->cfg.size ||
	       q->split.avail_idx == __atomic_load_n(&q->split.used->idx, __ATOMIC_ACQUIRE);
}

static int post(struct hostile *h, struct vhu_queue *q, const struct vhu_raw_desc *d, unsigned int n)
{
	if (!room(h, q, n))
		return -EAGAIN; /* a fresh connection is needed */
	if (!q->cfg.packed && h->posted + n >= q->cfg.size)
		h->posted = 0; /* all of it was consumed */
	q->ops->raw(q, d, n, h->slot % q->cfg.size);
	h->slot += n;
	h->posted += n;
	return 0;
}

/* A frame with header in the buffer at slot; descriptor for it. */
static struct vhu_raw_desc place(const struct hostile *h, struct vhu_queue *q,
				 const struct virtio_net_hdr_v1 *hdr, const uint8_t *data, uint32_t len)
{
	uint8_t *p = buffer(q, h->slot);
	uint32_t room = q->stride - q->cfg.hdr_len;

	len = len < room ? len : room;
	memcpy(p, hdr, q->cfg.hdr_len);
	memcpy(p + q->cfg.hdr_len, data, len);
	return (struct vhu_raw_desc){
		.addr = buffer_gpa(q, h->slot),
		.len = q->cfg.hdr_len + len,
		.next = h->slot % q->cfg.size,
	};
}

static int post_good(struct hostile *h)
{
	const struct virtio_net_hdr_v1 none = { 0 };
	struct vhu_queue *q = tx_queue(h);
	uint8_t data[2048];
	uint32_t len = hostile_frame(h, &h->random, data);
	struct vhu_raw_desc d = place(h, q, &none, data, len);
	int err = post(h, q, &d, 1);

	h->frames += !err;
	return err;
}

void hostile_send_good(struct hostile *h)
{
	struct vhu_frame f = { 0 };
	uint8_t data[2048];

	f.data = data;
	f.len = hostile_frame(h, &h->random_frames, data);
	h->frames += vhu_tx(tx_queue(h), &f, 1);
}

/* An address that is wrong in one of the ways there are. */
static uint64_t bad_address(struct hostile *h)
{
	const struct vhu_mem *mem = &h->port->vhu->mem;
	const struct vhu_region *r = &mem->region[hostile_below(h, mem->n)];

	switch (hostile_below(h, 8)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX - hostile_below(h, 64);
	case 2: /* begins inside, ends outside */
		return r->gpa + r->size - 1 - hostile_below(h, 64);
	case 3:
		return r->gpa + r->size;
	case 4:
		return r->gpa - 1 - hostile_below(h, 64);
	case 5: /* the hypervisor's pointer is not the guest's */
		return (uintptr_t)r->va;
	case 6: /* the ring itself */
		return vhu_mem_gpa(mem, tx_queue(h)->ring);
	default:
		return hostile_random(h);
	}
}

static uint32_t odd_length(struct hostile *h)
{
	static const uint32_t lens[] = { 0,  1,	   11,	   12,	    13,		26,
					 72, 1526, 0xffff, 0x10000, 0x7fffffff, 0xffffffff };

	return lens[hostile_below(h, sizeof(lens) / sizeof(lens[0]))];
}

static struct vhu_raw_desc plain(const struct vhu_queue *q, uint16_t slot, uint32_t len)
{
	return (struct vhu_raw_desc){ .addr = buffer_gpa(q, slot), .len = len, .next = slot % q->cfg.size };
}

/* n descriptors linked in a row. */
static void link_chain(const struct hostile *h, const struct vhu_queue *q, struct vhu_raw_desc *d,
		       unsigned int n)
{
	for (unsigned int i = 0; i + 1 < n; i++) {
		d[i].flags |= VRING_DESC_F_NEXT;
		if (!q->cfg.packed)
			d[i].next = (uint16_t)((h->slot + i + 1) % q->cfg.size);
	}
}

static int attack_address(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d[3];
	unsigned int n = 1 + hostile_below(h, 3);
	int err;

	for (unsigned int i = 0; i < n; i++)
		d[i] = plain(q, (uint16_t)(h->slot + i), 64);
	d[hostile_below(h, n)].addr = bad_address(h);
	d[hostile_below(h, n)].len = odd_length(h);
	link_chain(h, q, d, n);
	err = post(h, q, d, n);
	return err ? err : post_good(h);
}

static int attack_loop(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d[4];
	unsigned int n = 1 + hostile_below(h, 4);
	int err;

	for (unsigned int i = 0; i < n; i++)
		d[i] = plain(q, (uint16_t)(h->slot + i), hostile_below(h, 2) ? 64 : 0);
	link_chain(h, q, d, n);
	d[n - 1].flags |= VRING_DESC_F_NEXT; /* packed: a chain without end */
	if (!q->cfg.packed)
		d[n - 1].next = (uint16_t)((h->slot + hostile_below(h, n)) % q->cfg.size);
	err = post(h, q, d, n);
	return err ? err : post_good(h);
}

static int attack_chain(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d[MAX_RAW];
	unsigned int most = q->cfg.size < MAX_RAW ? q->cfg.size - 1u : MAX_RAW,
		     n = 1 + hostile_below(h, most);
	uint32_t len = hostile_below(h, 2) ? odd_length(h) : 1 + hostile_below(h, 64);

	for (unsigned int i = 0; i < n; i++)
		d[i] = plain(q, (uint16_t)(h->slot + i), len);
	link_chain(h, q, d, n);
	return post(h, q, d, n);
}

static int attack_length(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d[4];
	unsigned int n = 1 + hostile_below(h, 4);
	int err;

	for (unsigned int i = 0; i < n; i++)
		d[i] = plain(q, (uint16_t)(h->slot + i), hostile_below(h, 14));
	link_chain(h, q, d, n);
	err = post(h, q, d, n);
	return err ? err : post_good(h);
}

static int attack_index(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d[2] = { plain(q, h->slot, 76), plain(q, h->slot + 1, 64) };
	uint16_t wrong = (uint16_t)(q->cfg.size + hostile_below(h, 65536u - q->cfg.size));

	if (q->cfg.packed) {
		d[0].next = wrong;
		return post(h, q, d, 1);
	}
	if (hostile_below(h, 2)) {
		d[0].flags = VRING_DESC_F_NEXT;
		d[0].next = wrong;
		return post(h, q, d, 1);
	}
	if (!room(h, q, 1))
		return -EAGAIN;
	q->ops->raw(q, d, 0, wrong); /* the entry of the available ring */
	return post_good(h);
}

static int attack_flags(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d = plain(q, h->slot, 76);
	int err;

	d.flags = (uint16_t)hostile_random(h) & ~(q->cfg.packed ? 0x8080 : 0);
	err = post(h, q, &d, 1);
	return err ? err : post_good(h);
}

/* A table in a buffer of the ring, with something wrong in or about it. */
static int attack_indirect(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vring_desc *t = (struct vring_desc *)buffer(q, h->slot);
	struct vhu_raw_desc d = plain(q, h->slot, 3 * sizeof(*t));
	int err;

	for (uint16_t i = 0; i < 3; i++)
		t[i] = (struct vring_desc){
			.addr = buffer_gpa(q, (uint16_t)(h->slot + 1)),
			.len = 64,
			.flags = i < 2 ? VRING_DESC_F_NEXT : 0,
			.next = (uint16_t)(i + 1),
		};
	d.flags = VRING_DESC_F_INDIRECT;
	switch (hostile_below(h, 7)) {
	case 0:
		d.addr = bad_address(h);
		break;
	case 1:
		d.len = odd_length(h);
		break;
	case 2: /* a loop in the table */
		t[2].flags = VRING_DESC_F_NEXT;
		t[2].next = (uint16_t)hostile_below(h, 3);
		break;
	case 3: /* out of the table */
		t[1].next = (uint16_t)(3 + hostile_below(h, 65533));
		break;
	case 4: /* a table in the table */
		t[1].flags |= VRING_DESC_F_INDIRECT;
		break;
	case 5:
		t[hostile_below(h, 3)].addr = bad_address(h);
		break;
	default:
		d.flags |= VRING_DESC_F_NEXT;
		break;
	}
	err = post(h, q, &d, 1);
	h->slot++; /* the buffer the table points to */
	return err ? err : post_good(h);
}

static int attack_jump(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	int err = post_good(h);

	if (err)
		return err;
	if (q->cfg.packed) {
		/* flags that no driver writes, anywhere */
		q->packed.desc[hostile_below(h, q->cfg.size)].flags = (uint16_t)hostile_random(h);
	} else {
		q->split.avail_idx += (uint16_t)hostile_random(h);
		__atomic_store_n(&q->split.avail->idx, q->split.avail_idx, __ATOMIC_RELEASE);
	}
	vhu_kick(q);
	return -EPIPE;
}

/* A right frame behind a header that lies about it. */
static int attack_header(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	uint64_t a = hostile_random(h), b = hostile_random(h);
	struct virtio_net_hdr_v1 hdr;
	struct vhu_raw_desc d;
	uint8_t data[2048];
	uint32_t len = hostile_frame(h, &h->random, data);

	memcpy(&hdr, &a, 8);
	memcpy((uint8_t *)&hdr + 8, &b, 4);
	/* mostly values that mean something: random ones are thrown out at the first look */
	if (hostile_below(h, 4)) {
		static const uint8_t types[] = { 0, 1, 3, 4, 0x81, 0x84 };

		hdr.flags &= 3;
		hdr.gso_type = types[hostile_below(h, sizeof(types))];
		hdr.hdr_len = (uint16_t)hostile_below(h, len + 64);
		hdr.gso_size = hostile_below(h, 4) ? (uint16_t)hostile_below(h, 1600) : 0;
		hdr.csum_start = (uint16_t)hostile_below(h, len + 64);
		hdr.csum_offset = (uint16_t)hostile_below(h, 64);
	}
	d = place(h, q, &hdr, data, len);
	return post(h, q, &d, 1);
}

/* Frames cut short, damaged, or of any length, behind a right header. */
static int attack_frame(struct hostile *h)
{
	const struct virtio_net_hdr_v1 none = { 0 };
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d;
	uint8_t data[2048];
	uint32_t len = hostile_frame(h, &h->random, data);

	switch (hostile_below(h, 3)) {
	case 0:
		len = hostile_below(h, len + 1);
		break;
	case 1:
		for (unsigned int i = 1 + hostile_below(h, 4); i; i--)
			data[hostile_below(h, len < 80 ? len : 80)] = (uint8_t)hostile_random(h);
		break;
	default:
		for (uint32_t i = 0; i < len; i++)
			data[i] = (uint8_t)hostile_random(h);
		len = hostile_below(h, len + 1);
		break;
	}
	d = place(h, q, &none, data, len);
	return post(h, q, &d, 1);
}

/* Frames of up to 64 KiB and more, over many buffers. */
static int attack_jumbo(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	struct vhu_raw_desc d[MAX_RAW];
	unsigned int n = 1 + hostile_below(h, 40);
	int err;

	if (n >= q->cfg.size)
		n = q->cfg.size - 1u;
	memset(buffer(q, h->slot), 0, q->cfg.hdr_len);
	for (unsigned int i = 0; i < n; i++)
		d[i] = plain(q, (uint16_t)(h->slot + i), q->cfg.buf_len);
	link_chain(h, q, d, n);
	err = post(h, q, d, n);
	return err ? err : post_good(h);
}

/* Receive buffers no packet should be written to; somebody has to send to this port. */
static int attack_receive(struct hostile *h)
{
	struct vhu_queue *q = vhu_port_rxq(h->port->vhu, 0);
	struct vhu_raw_desc d[3];
	unsigned int n = 1 + hostile_below(h, 3);

	for (unsigned int i = 0; i < n; i++) {
		d[i] = plain(q, (uint16_t)(h->slot + i),
			     hostile_below(h, 2) ? hostile_below(h, 20) : odd_length(h));
		d[i].flags = hostile_below(h, 4) ? VRING_DESC_F_WRITE : 0;
		if (hostile_below(h, 4) == 0)
			d[i].addr = bad_address(h);
	}
	link_chain(h, q, d, n);
	/* the ring is full of good buffers from the start: overwrite what is there as well */
	for (unsigned int i = 0; i < 8; i++) {
		uint16_t slot = (uint16_t)hostile_below(h, q->cfg.size);

		if (q->cfg.packed)
			q->packed.desc[slot].len = d[0].len;
		else
			q->split.desc[slot] =
				(struct vring_desc){ d[0].addr, d[0].len, d[0].flags, d[0].next };
	}
	q->ops->raw(q, d, n, h->slot % q->cfg.size);
	h->slot += n;
	return 0;
}

/* Bytes of the ring overwritten, wherever, while the back-end works on it. */
static int attack_scribble(struct hostile *h)
{
	struct vhu_queue *q = h->port->vhu->queue + hostile_below(h, 2);
	uint8_t *ring = q->ring;

	for (unsigned int i = 1 + hostile_below(h, 16); i; i--)
		ring[hostile_below(h, (uint32_t)q->ring_len)] = (uint8_t)hostile_random(h);
	vhu_kick(q);
	return post_good(h);
}

/* A right descriptor that changes under the reader: length, address, header and frame. */
static int attack_race(struct hostile *h)
{
	struct vhu_queue *q = tx_queue(h);
	uint16_t slot = h->slot % q->cfg.size;
	uint64_t wrong = bad_address(h);
	uint8_t *p = buffer(q, slot);
	volatile __u64 *addr =
		q->cfg.packed ? &q->packed.desc[q->packed.avail_idx].addr : &q->split.desc[slot].addr;
	volatile __u32 *len =
		q->cfg.packed ? &q->packed.desc[q->packed.avail_idx].len : &q->split.desc[slot].len;
	uint64_t right = buffer_gpa(q, slot);
	int err = post_good(h);

	for (unsigned int i = 0; !err && i < 2000; i++) {
		*len = i & 1 ? 0xffffffff : 76;
		*addr = i & 2 ? wrong : right;
		p[i % 64] = (uint8_t)i;
	}
	return err;
}

const struct hostile_script hostile_ring_scripts[] = {
	{ "desc-address", HOSTILE_RING, false, attack_address, "descriptors that point outside the memory" },
	{ "desc-loop", HOSTILE_RING, false, attack_loop, "chains that never end" },
	{ "desc-chain", HOSTILE_RING, false, attack_chain,
	  "chains as long as the ring, lengths up to 4 GiB each" },
	{ "desc-length", HOSTILE_RING, false, attack_length, "lengths of zero and less than a header" },
	{ "desc-index", HOSTILE_RING, false, attack_index, "descriptor numbers and ids beyond the ring" },
	{ "desc-flags", HOSTILE_RING, false, attack_flags, "random flags" },
	{ "indirect", HOSTILE_RING, false, attack_indirect, "wrong indirect tables" },
	{ "avail-jump", HOSTILE_RING, false, attack_jump, "an available index (packed: flags) that jumps" },
	{ "header", HOSTILE_RING, false, attack_header, "virtio_net_hdr that lies about a right frame" },
	{ "frame", HOSTILE_RING, false, attack_frame, "frames cut short, damaged or random" },
	{ "jumbo", HOSTILE_RING, false, attack_jumbo, "frames of up to 80 KiB" },
	{ "receive", HOSTILE_RING, false, attack_receive, "wrong receive buffers" },
	{ "scribble", HOSTILE_RING, false, attack_scribble, "random bytes over the rings" },
	{ "race", HOSTILE_RING, false, attack_race, "descriptors that change while they are read" },
	{ 0 },
};
