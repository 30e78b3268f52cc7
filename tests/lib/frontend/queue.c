/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CACHE_LINE 64
#define HEADROOM   CACHE_LINE /* the header ends where the line of the data begins, as in a DPDK guest */

const char *const vhu_violation_names[VHU_VIOLATIONS] = {
	[VHU_BAD_INDEX] = "used-index",
	[VHU_BAD_ID] = "used-id",
	[VHU_BAD_LENGTH] = "used-length",
	[VHU_BAD_MERGE] = "num-buffers",
};

static const struct vhu_ring_ops *ring_ops(const struct vhu_queue_config *cfg)
{
	return cfg->packed ? &vhu_packed_ops : &vhu_split_ops;
}

/* An odd number of cache lines, so that buffers do not fall into the same cache sets. */
static uint32_t buf_stride(const struct vhu_queue_config *cfg)
{
	uint32_t lines = (HEADROOM + cfg->buf_len + CACHE_LINE - 1) / CACHE_LINE;

	return (lines | 1) * CACHE_LINE;
}

/* One table entry per data buffer that fits and one for the header. */
static uint32_t table_entries(const struct vhu_queue_config *cfg)
{
	return cfg->size + 1u < VHU_MAX_CHAIN ? cfg->size + 1u : VHU_MAX_CHAIN;
}

static size_t tables_bytes(const struct vhu_queue_config *cfg)
{
	return cfg->indirect ? (size_t)cfg->size * table_entries(cfg) * sizeof(struct vring_desc) : 0;
}

size_t vhu_queue_ring_bytes(const struct vhu_queue_config *cfg)
{
	return ring_ops(cfg)->bytes(cfg->size) + tables_bytes(cfg) + 2 * 4096;
}

size_t vhu_queue_buf_bytes(const struct vhu_queue_config *cfg)
{
	return (size_t)cfg->size * buf_stride(cfg) + 4096;
}

static int make_fd(int *ret_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int take_memory(struct vhu_queue *q, struct vhu_mem *mem, unsigned int ring_region,
		       unsigned int buf_region)
{
	q->ring_len = q->ops->bytes(q->cfg.size);
	q->ring = vhu_mem_alloc(mem, ring_region, q->ring_len, 4096);
	q->bufs = vhu_mem_alloc(mem, buf_region, (size_t)q->cfg.size * q->stride, CACHE_LINE);
	if (!q->ring || !q->bufs)
		return -ENOMEM;
	q->bufs_gpa = vhu_mem_gpa(mem, q->bufs);
	if (!q->cfg.indirect)
		return 0;
	q->tables = vhu_mem_alloc(mem, ring_region, tables_bytes(&q->cfg), CACHE_LINE);
	q->tables_gpa = q->tables ? vhu_mem_gpa(mem, q->tables) : 0;
	return q->tables ? 0 : -ENOMEM;
}

int vhu_queue_init(struct vhu_queue *q, const struct vhu_queue_config *cfg, struct vhu_mem *mem,
		   unsigned int ring_region, unsigned int buf_region)
{
	int err;

	*q = (struct vhu_queue){
		.ops = ring_ops(cfg),
		.cfg = *cfg,
		.stride = buf_stride(cfg),
		.table_len = table_entries(cfg),
		.kick_fd = -1,
		.call_fd = -1,
	};
	err = take_memory(q, mem, ring_region, buf_region);
	if (err)
		return err;
	q->free = calloc(cfg->size, sizeof(*q->free));
	q->chain = calloc(cfg->size, sizeof(*q->chain));
	q->chain_next = calloc(cfg->size, sizeof(*q->chain_next));
	err = q->free && q->chain && q->chain_next ? 0 : -ENOMEM;
	if (!err)
		err = make_fd(&q->kick_fd);
	if (!err)
		err = make_fd(&q->call_fd);
	if (err) {
		vhu_queue_free(q);
		return err;
	}
	vhu_queue_reset(q);
	return 0;
}

void vhu_queue_free(struct vhu_queue *q)
{
	if (q->kick_fd >= 0)
		close(q->kick_fd);
	if (q->call_fd >= 0)
		close(q->call_fd);
	q->kick_fd = q->call_fd = -1;
	free(q->free);
	free(q->chain);
	free(q->chain_next);
	q->free = q->chain = q->chain_next = NULL;
}

void vhu_queue_reset(struct vhu_queue *q)
{
	memset(q->ring, 0, q->ring_len);
	memset(q->chain, 0, q->cfg.size * sizeof(*q->chain));
	for (uint16_t i = 0; i < q->cfg.size; i++)
		q->free[i] = i;
	q->free_head = 0;
	q->n_free = q->cfg.size;
	q->in_flight = 0;
	q->broken = false;
	q->ops->init(q);
	if (q->cfg.rx)
		q->ops->rx_fill(q);
	q->quiet = false;
	vhu_disarm(q);
}

void vhu_kick(struct vhu_queue *q)
{
	uint64_t one = 1;

	q->stats.kicks++;
	/* EAGAIN means that the back-end has not read 2^64-2 kicks: it is told anyway */
	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return;
}
