/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/eal.h"

/* Of one packet buffer besides its data: mbuf, metadata, headroom, mempool header. */
#define MBUF_BYTES 512u
/* Bytes reserved per lookup record: the tables round up to powers of two. */
#define RECORD_BYTES 512u
/* Everything else: rings, queues, devices, DPDK's own. */
#define BASE_MEGABYTES 96u

static int add(struct eal_plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int add(struct eal_plan *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (p->argc >= EAL_MAX_ARGS)
		return -E2BIG;
	va_start(ap, fmt);
	n = vasprintf(&p->argv[p->argc], fmt, ap);
	va_end(ap);
	if (n < 0) {
		p->argv[p->argc] = NULL;
		return -ENOMEM;
	}
	p->argc++;
	return 0;
}

static uint32_t megabytes_needed(const struct settings *s)
{
	uint64_t bytes = (uint64_t)s->mbufs * (s->mbuf_size + MBUF_BYTES) + (uint64_t)s->max_records * RECORD_BYTES;

	if (s->megabytes)
		return s->megabytes;
	return (uint32_t)((bytes >> 20) + BASE_MEGABYTES + 31) / 32 * 32;
}

static int plan_memory(const struct settings *s, const struct eal_machine *m, struct eal_plan *p, struct errbuf *err)
{
	uint64_t need;

	p->megabytes = megabytes_needed(s);
	need = (uint64_t)p->megabytes << 20;
	p->hugepages = s->hugepages != HUGEPAGES_OFF && m->huge_size && m->free_huge >= need && m->huge_works;
	if (p->hugepages || s->hugepages == HUGEPAGES_OFF)
		return 0;
	snprintf(p->note, sizeof(p->note), "%u MB of huge pages are needed, %llu MB of them are free%s", p->megabytes,
		 (unsigned long long)(m->free_huge >> 20),
		 m->free_huge >= need && !m->huge_works ? ", but none can be had" : "");
	if (s->hugepages == HUGEPAGES_ON)
		return err_set(err, ENOMEM, "memory.hugepages is on: %s", p->note);
	return 0;
}

/* "0@(0-3,6)": lcore id 0, the main thread, on a set of CPUs. */
static void cpu_list(const cpu_set_t *set, char *buf, size_t size)
{
	size_t used = 0;
	int i, last;

	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, set))
			continue;
		for (last = i; last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set); last++)
			;
		used += (size_t)snprintf(buf + used, used < size ? size - used : 0, "%s%d", used ? "," : "", i);
		if (last > i)
			used += (size_t)snprintf(buf + used, used < size ? size - used : 0, "-%d", last);
		i = last;
	}
}

static int choose_cores(const struct settings *s, const struct eal_machine *m, uint16_t cores[SETTINGS_MAX_CORES],
			struct errbuf *err)
{
	int i, n = 0;

	for (i = 0; i < s->n_cores; i++) {
		if (s->cores[i] >= CPU_SETSIZE || !CPU_ISSET(s->cores[i], &m->cpus))
			return err_set(err, EINVAL, "workers.cores: this process may not run on CPU %u", s->cores[i]);
		cores[n++] = s->cores[i];
	}
	for (i = CPU_SETSIZE - 1; i >= 0 && s->n_cores == 0 && n < s->worker_count; i--)
		if (CPU_ISSET(i, &m->cpus))
			cores[n++] = (uint16_t)i;
	if (s->n_cores == 0 && n < s->worker_count)
		return err_set(err, EINVAL, "workers.count is %u, but this process may use only %d CPUs",
			       s->worker_count, n);
	return n;
}

static int plan_lcores(const struct settings *s, const struct eal_machine *m, struct eal_plan *p, struct errbuf *err)
{
	char list[4096], workers[SETTINGS_MAX_CORES * 12] = "";
	uint16_t cores[SETTINGS_MAX_CORES];
	cpu_set_t rest = m->cpus;
	size_t used = 0;
	int i, n = choose_cores(s, m, cores, err);

	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		CPU_CLR(cores[i], &rest);
		used += (size_t)snprintf(workers + used, sizeof(workers) - used, ",%d@%u", i + 1, cores[i]);
	}
	/* The control side keeps off the workers' CPUs where there are others; the kernel moves it about among them. */
	cpu_list(CPU_COUNT(&rest) ? &rest : &m->cpus, list, sizeof(list));
	p->n_workers = (unsigned int)n;
	if (add(p, "--lcores=0@(%s)%s", list, workers) < 0 || add(p, "--main-lcore=0") < 0)
		return -ENOMEM;
	return 0;
}

/* 0000:03:00.0 or 03:00.0, perhaps with arguments behind a comma. */
static bool is_pci(const char *devargs)
{
	unsigned int a, b, c, d;
	char end = ',';

	return (sscanf(devargs, "%x:%x:%x.%u%c", &a, &b, &c, &d, &end) >= 4 ||
		sscanf(devargs, "%x:%x.%u%c", &a, &b, &c, &end) >= 3) &&
	       (end == ',' || end == '\0');
}

static int plan_devices(const struct member_spec *members, unsigned int n, struct eal_plan *p)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		if (members[i].type != MEMBER_DPDK || !is_pci(members[i].devargs))
			continue;
		p->pci = true;
		r = add(p, "--allow=%s", members[i].devargs);
	}
	return r == 0 && !p->pci ? add(p, "--no-pci") : r;
}

static int plan_prefix(const struct settings *s, struct eal_plan *p)
{
	char prefix[PATH_SIZE], *c;

	snprintf(prefix, sizeof(prefix), "%s", s->run_dir + (s->run_dir[0] == '/'));
	for (c = prefix; *c; c++)
		if (*c == '/' || *c == '%' || *c == '\\')
			*c = '_';
	return add(p, "--file-prefix=%s", prefix);
}

static int plan_args(const struct settings *s, const struct member_spec *members, unsigned int n,
		     const struct eal_machine *m, struct eal_plan *p, struct errbuf *err)
{
	int r = add(p, "vswitchd");

	if (r == 0)
		r = plan_lcores(s, m, p, err);
	if (r == 0)
		r = plan_devices(members, n, p);
	if (r == 0)
		r = plan_prefix(s, p);
	/* No files, no sockets of DPDK's: the control socket is the way in. */
	if (r == 0)
		r = p->hugepages ? add(p, "--in-memory") : add(p, "--no-huge");
	if (r == 0 && !p->hugepages)
		r = add(p, "--no-shconf");
	if (r == 0)
		r = add(p, "-m");
	if (r == 0)
		r = add(p, "%u", p->megabytes);
	if (r == 0)
		r = add(p, "--no-telemetry");
	if (r == 0)
		r = add(p, "--iova-mode=va");
	return r;
}

int eal_plan(const struct settings *s, const struct member_spec *members, unsigned int n,
	     const struct eal_machine *machine, struct eal_plan *ret, struct errbuf *err)
{
	struct eal_plan p = { 0 };
	int r;

	err_set(err, ENOMEM, "out of memory");
	r = plan_memory(s, machine, &p, err);
	if (r == 0)
		r = plan_args(s, members, n, machine, &p, err);
	if (r < 0) {
		eal_plan_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void eal_plan_done(struct eal_plan *p)
{
	while (p->argc)
		free(p->argv[--p->argc]);
}
