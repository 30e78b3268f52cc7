/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of DPDK's drivers are loaded. rte_eal_init() of a shared build loads every driver of its plug-in directory,
 * which on a machine with all of Debian's packages are 150 libraries and takes a second: most of what a restart costs
 * the guests. With drivers_few() it finds no such directory, and only what is used is loaded.
 */
#ifndef BASE_DRIVERS_H
#define BASE_DRIVERS_H

#include "base/errs.h"

/*
 * Before rte_eal_init(): it will load nothing by itself. Not with PCI devices, whose buses and drivers DPDK has to
 * find. Main thread.
 */
void drivers_few(void);

/* After rte_eal_init(): what every switch needs (memory pools, virtual devices). @return 0 or -errno with a reason. */
int drivers_basic(struct errbuf *err);

/*
 * The driver of a virtual device ("net_af_packet0,iface=eth1"); all of them when its name tells nothing. Without
 * drivers_few() there is nothing to do. portctl thread. @return 0 or -errno with a reason.
 */
int drivers_for_device(const char *devargs, struct errbuf *err);

#endif
