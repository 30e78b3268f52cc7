/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: one memfd, mapped as up to eight regions with holes between their guest addresses, as a
 * guest with memory below and above 4 GiB has them. Single threaded until the port starts; then read only.
 */
#ifndef TESTS_LIB_FRONTEND_MEM_H
#define TESTS_LIB_FRONTEND_MEM_H

#include "msg.h"

struct vhu_region {
	uint64_t gpa;	 /* guest physical address */
	uint64_t size;	 /* bytes */
	uint64_t offset; /* in the memfd */
	uint8_t *va;
	uint64_t used; /* bytes handed out */
};

struct vhu_mem {
	int fd;
	bool huge;
	unsigned int n;
	struct vhu_region region[VHU_MAX_REGIONS];
};

/* n regions of size[i] bytes (rounded up to pages, of 2 MiB when huge). Returns 0 or -errno; -EINVAL for
 * n. */
int vhu_mem_init(struct vhu_mem *mem, const size_t *size, unsigned int n, bool huge);
void vhu_mem_free(struct vhu_mem *mem);

/* Zeroed room in region i, aligned to align (a power of two). NULL when it is full. Never freed one by
 * one. */
void *vhu_mem_alloc(struct vhu_mem *mem, unsigned int i, size_t len, size_t align);

/* Guest address of a pointer into a region; UINT64_MAX when it is in none. */
uint64_t vhu_mem_gpa(const struct vhu_mem *mem, const void *va);

/* The SET_MEM_TABLE message of this memory with its descriptors (fds: room for VHU_MAX_FDS; they are
 * mem->fd). */
void vhu_mem_table(const struct vhu_mem *mem, struct vhu_msg *msg, int *fds, unsigned int *n_fds);

/* Take the pages away from everybody who mapped the memfd, as a hypervisor that truncates the file of its
 * guest's memory; here private pages take their place. Then renew: a new memfd at the same addresses, all
 * zero. 0 or -errno. */
int vhu_mem_pull(struct vhu_mem *mem);
int vhu_mem_renew(struct vhu_mem *mem);

#endif
