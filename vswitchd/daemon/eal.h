/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment, derived from the configuration: users never type EAL options. eal_plan() is a pure function of
 * what it is given, eal_probe() looks at the machine, eal_init() does it.
 */
#ifndef DAEMON_EAL_H
#define DAEMON_EAL_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/object.h"
#include "daemon/config_schema.h"

#define EAL_MAX_ARGS (24 + 2 * TEAM_MEMBERS)

/* The machine. */
struct eal_machine {
	cpu_set_t cpus;		 /* this process may use */
	uint64_t free_huge;	 /* bytes in free huge pages of the size that would be used */
	uint64_t huge_size;	 /* that size, 0: none */
	bool huge_works;	 /* such a page can really be had */
};

struct eal_plan {
	char *argv[EAL_MAX_ARGS + 1]; /* NULL-terminated, malloc'ed */
	int argc;
	bool hugepages, pci;
	uint32_t megabytes;
	unsigned int n_workers;
	char note[256]; /* why ordinary pages are used although huge ones were wanted; "" otherwise */
};

void eal_probe(struct eal_machine *ret);

/*
 * @param members  n of them: a PCI address among them turns PCI on, for these devices only.
 * @return 0 with *ret (eal_plan_done()), -EINVAL or -ENOMEM with a reason.
 */
int eal_plan(const struct settings *s, const struct member_spec *members, unsigned int n,
	     const struct eal_machine *machine, struct eal_plan *ret, struct errbuf *err);
void eal_plan_done(struct eal_plan *p);

/* rte_eal_init() with a plan. Main thread, once. @return 0 or -errno with a reason. */
int eal_init(const struct eal_plan *p, struct errbuf *err);

#endif
