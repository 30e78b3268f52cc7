/* SPDX-License-Identifier: BSD-3-Clause */
#include "mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE (2UL << 20)

void vhu_mem_free(struct vhu_mem *mem)
{
	for (unsigned int i = 0; i < mem->n; i++)
		if (mem->region[i].va)
			munmap(mem->region[i].va, mem->region[i].size);
	if (mem->fd >= 0)
		close(mem->fd);
	*mem = (struct vhu_mem){ .fd = -1 };
}

/* All regions mapped from fd, at addresses they have already or anywhere. */
static int map_regions(struct vhu_mem *mem, int fd)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		struct vhu_region *r = &mem->region[i];
		void *va = mmap(r->va, r->size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE | (r->va ? MAP_FIXED : 0), fd, (off_t)r->offset);

		if (va == MAP_FAILED)
			return -errno;
		r->va = va;
	}
	return 0;
}

static int make_file(uint64_t size, bool huge, int *ret_fd)
{
	int err, fd = memfd_create("guest-memory", MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0));

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int vhu_mem_init(struct vhu_mem *mem, const size_t *size, unsigned int n, bool huge)
{
	size_t page = huge ? HUGE_PAGE : (size_t)sysconf(_SC_PAGESIZE);
	uint64_t total = 0;
	int err;

	*mem = (struct vhu_mem){ .fd = -1 };
	if (n == 0 || n > VHU_MAX_REGIONS)
		return -EINVAL;
	mem->n = n;
	for (unsigned int i = 0; i < n; i++) {
		struct vhu_region *r = &mem->region[i];

		r->size = (size[i] + page - 1) & ~(page - 1);
		r->offset = total;
		/* holes, and never an address that equals a pointer or an offset */
		r->gpa = ((uint64_t)i << 32) + 0x40000000;
		total += r->size;
	}
	mem->huge = huge;
	err = make_file(total, huge, &mem->fd);
	if (!err)
		err = map_regions(mem, mem->fd);
	if (err)
		vhu_mem_free(mem);
	return err;
}

int vhu_mem_pull(struct vhu_mem *mem)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		struct vhu_region *r = &mem->region[i];

		if (mmap(r->va, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			return -errno;
	}
	return ftruncate(mem->fd, 0) < 0 ? -errno : 0;
}

int vhu_mem_renew(struct vhu_mem *mem)
{
	const struct vhu_region *last = &mem->region[mem->n - 1];
	int fd, err = make_file(last->offset + last->size, mem->huge, &fd);

	if (err)
		return err;
	close(mem->fd);
	mem->fd = fd;
	return map_regions(mem, fd);
}

void *vhu_mem_alloc(struct vhu_mem *mem, unsigned int i, size_t len, size_t align)
{
	struct vhu_region *r = &mem->region[i];
	uint64_t start = (r->used + align - 1) & ~((uint64_t)align - 1);

	if (start > r->size || len > r->size - start)
		return NULL;
	r->used = start + len;
	return r->va + start;
}

uint64_t vhu_mem_gpa(const struct vhu_mem *mem, const void *va)
{
	const uint8_t *p = va;

	for (unsigned int i = 0; i < mem->n; i++) {
		const struct vhu_region *r = &mem->region[i];

		if (p >= r->va && p < r->va + r->size)
			return r->gpa + (uint64_t)(p - r->va);
	}
	return UINT64_MAX;
}

void vhu_mem_table(const struct vhu_mem *mem, struct vhu_msg *msg, int *fds, unsigned int *n_fds)
{
	*msg = (struct vhu_msg){
		.request = VHU_SET_MEM_TABLE,
		.flags = VHU_VERSION,
		.size = (uint32_t)(8 + mem->n * sizeof(struct vhu_msg_region)),
		.mem.n = mem->n,
	};
	for (unsigned int i = 0; i < mem->n; i++) {
		const struct vhu_region *r = &mem->region[i];

		msg->mem.region[i] = (struct vhu_msg_region){
			.gpa = r->gpa,
			.size = r->size,
			.user_addr = (uintptr_t)r->va,
			.mmap_offset = r->offset,
		};
		fds[i] = mem->fd;
	}
	*n_fds = mem->n;
}
