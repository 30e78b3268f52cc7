/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of eal.h that touches the machine. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/memfd.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "base/cleanup.h"
#include "base/drivers.h"
#include "base/log.h"
#include "daemon/eal.h"

#define HUGE_DIR "/sys/kernel/mm/hugepages"

static uint64_t read_number(const char *dir, const char *file)
{
	CLEANUP_FCLOSE FILE *f = NULL;
	unsigned long long v = 0;
	char path[512];

	snprintf(path, sizeof(path), HUGE_DIR "/%s/%s", dir, file);
	f = fopen(path, "re");
	return f && fscanf(f, "%llu", &v) == 1 ? v : 0;
}

/* DPDK uses the largest size that has pages; so do we for counting. */
static void probe_sizes(struct eal_machine *m)
{
	DIR *d = opendir(HUGE_DIR);
	unsigned long long kb;
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		uint64_t available, reserved;

		if (sscanf(e->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		available = read_number(e->d_name, "free_hugepages");
		reserved = read_number(e->d_name, "resv_hugepages");
		available = available > reserved ? available - reserved : 0;
		if (available && available * kb * 1024 > m->free_huge) {
			m->free_huge = available * kb * 1024;
			m->huge_size = kb * 1024;
		}
	}
	closedir(d);
}

/* A container may see free pages that its cgroup does not grant. */
static bool try_page(uint64_t size)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(size);
	int fd = memfd_create("vswitchd-probe", MFD_CLOEXEC | MFD_HUGETLB | shift << MFD_HUGE_SHIFT);
	void *p = MAP_FAILED;

	if (fd < 0)
		return false;
	if (ftruncate(fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	munmap(p, size);
	return true;
}

void eal_probe(struct eal_machine *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (sched_getaffinity(0, sizeof(ret->cpus), &ret->cpus) < 0)
		CPU_SET(0, &ret->cpus);
	probe_sizes(ret);
	ret->huge_works = ret->huge_size && try_page(ret->huge_size);
}

int eal_init(const struct eal_plan *p, struct errbuf *err)
{
	char *argv[EAL_MAX_ARGS + 1]; /* rte_eal_init() changes the order */
	char line[2048] = "";
	size_t used = 0;
	int i;

	memcpy(argv, p->argv, sizeof(argv));
	for (i = 0; i < p->argc && used < sizeof(line); i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s", i ? " " : "", argv[i]);
	log_debug("EAL: %s", line);
	if (!p->pci)
		drivers_few();
	if (rte_eal_init(p->argc, argv) < 0)
		return err_set(err, rte_errno ? rte_errno : EIO,
			       "DPDK does not start: %s; its own messages are above%s", rte_strerror(rte_errno),
			       p->hugepages ? " (huge pages are in use: memory.hugepages = \"off\" goes without)" : "");
	return drivers_basic(err);
}
