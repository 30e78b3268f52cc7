/* SPDX-License-Identifier: BSD-3-Clause */
/* A network namespace for this process, with cables in it. */
#ifndef TESTS_TEAMING_NETNS_H
#define TESTS_TEAMING_NETNS_H

#include "unit.h"

/* cmocka group set-up: a namespace of our own; the group is skipped where we may not (needs root). */
int netns_setup(void **state);
/* Skip the test when netns_setup() had to. */
void netns_need(void);

/* Run `ip ARGUMENTS`; it has to succeed. */
void ip_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A veth pair without IPv6 of its own, both ends up. */
void cable(const char *a, const char *b);

/* Until both ends carry frames: the kernel's link watch is a little behind. */
void cable_wait(const char *a, const char *b);

/* Raw socket that sees and sends everything on a device; not blocking. */
int raw_open(const char *device);
/* Next frame within ms. @return length, 0: none came. */
int raw_recv(int fd, void *buf, size_t size, int ms);

#endif
