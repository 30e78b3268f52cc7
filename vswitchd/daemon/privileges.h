/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the process and its threads may do, once they are up. Rights are taken away in these steps:
 *
 *   start              a daemon that does not run as root keeps CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF of what it got,
 *                      and may not gain any by executing files. One that was started as root by hand keeps root's.
 *   threads            main, workers, the store, DPDK's thread for interrupts and all others keep no capability, but
 *                      portctl, which opens devices, and what libteam starts from there
 *   ports are up       the whole process may not make some system calls any more (execute, trace, mount, enter
 *                      namespaces, change users, load modules...); workers may only make those on a list
 *
 * A system call that is refused fails with EPERM and is told to the kernel's audit log: killing a switch for a call
 * that some driver makes once a year would take every guest's network down. Drivers that come with members at run time
 * are why the process has a list of what is refused, and not of what is allowed; service managers may do more.
 */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>

#include "base/errs.h"

/* First thing in main(). @return 0 or -errno with a reason. */
int privileges_limit(struct errbuf *err);

/* The calling thread gives up all capabilities, unless the process is root's. Any thread. @return 0 or -errno. */
int privileges_drop_thread(void);

/* The calling thread, a worker, may from now on only make the system calls that workers need. @return 0 or -errno. */
int privileges_confine_worker(void);

/* No thread may make dangerous system calls from now on. Main thread. @return 0 or -errno with a reason. */
int privileges_confine_process(struct errbuf *err);

#endif
