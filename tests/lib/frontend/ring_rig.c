/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed;

void rig_seed(void)
{
	const char *again = getenv("TEST_SEED");

	seed = again ? strtoull(again, NULL, 0) : (uint64_t)time(NULL) | 1;
	printf("TEST_SEED=%llu\n", (unsigned long long)seed);
}

uint32_t below(struct rig *r, uint32_t n)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (uint32_t)((r->random >> 16) % n);
}

struct vhu_queue_config config(unsigned int variant, bool rx)
{
	return (struct vhu_queue_config){
		.size = 64,
		.buf_len = variant & 32 ? 256 : 2048,
		.hdr_len = 12,
		.rx_bufs = 1,
		.rx = rx,
		.packed = variant & 1,
		.indirect = variant & 2,
		.event_idx = variant & 4,
		.hdr_desc = variant & 8,
		.mergeable = variant & 16,
	};
}

void setup(struct rig *r, const struct vhu_queue_config *cfg)
{
	const size_t bytes[2] = { vhu_queue_ring_bytes(cfg), vhu_queue_buf_bytes(cfg) };

	r->random = seed;
	assert_int_equal(vhu_mem_init(&r->mem, bytes, 2, false), 0);
	assert_int_equal(vhu_queue_init(&r->q, cfg, &r->mem, 0, 1), 0);
	model_init(&r->dev, &r->q, &r->mem);
}

void teardown(struct rig *r)
{
	vhu_queue_free(&r->q);
	vhu_mem_free(&r->mem);
}

void fill(struct rig *r, uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)below(r, 256);
}

uint32_t gather(const struct model_chain *c, uint8_t *out)
{
	uint32_t len = 0;

	for (unsigned int i = 0; i < c->n; i++) {
		assert_true(len + c->part[i].len <= MAX_FRAME + 64);
		memcpy(out + len, c->part[i].p, c->part[i].len);
		len += c->part[i].len;
	}
	return len;
}

static uint32_t scatter(const struct model_chain *c, const uint8_t *data, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned int i = 0; i < c->n && done < len; i++) {
		uint32_t part = len - done < c->part[i].len ? len - done : c->part[i].len;

		assert_true(c->part[i].writable);
		memcpy(c->part[i].p, data + done, part);
		done += part;
	}
	return done;
}

bool deliver(struct rig *r, const uint8_t *data, uint32_t len)
{
	static struct model_chain c[64];
	struct model saved = r->dev;
	uint32_t done = 0, written[64], n = 0;

	do {
		if (n == 64 || !model_pop(&r->dev, &c[n]) || (n && !r->q.cfg.mergeable)) {
			r->dev = saved;
			return false;
		}
		written[n] = scatter(&c[n], data + done, len - done);
		done += written[n++];
	} while (done < len);
	((struct virtio_net_hdr_v1 *)c[0].part[0].p)->num_buffers = (uint16_t)n;
	/* a split used index shows all at once; packed elements: the first one last, as section 2.7.9 wants
	 * it visible */
	for (unsigned int i = 0; i < n; i++)
		model_push(&r->dev, &c[i], written[i]);
	return true;
}

void take_in(const struct vhu_pkt *pkt, const struct vhu_frame *want)
{
	uint32_t off = 0;

	assert_int_equal(pkt->len, want->len);
	for (unsigned int i = 1; i < pkt->n_iov; i++) {
		assert_memory_equal(pkt->iov[i].iov_base, want->data + 12 + off, pkt->iov[i].iov_len);
		off += (uint32_t)pkt->iov[i].iov_len;
	}
	assert_int_equal(off, want->len);
}

void drain(struct model *dev)
{
	struct model_chain c;

	while (model_pop(dev, &c))
		model_push(dev, &c, 0);
}
