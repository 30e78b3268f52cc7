/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_VHOST_ECHO_H
#define TESTS_UNIT_VHOST_ECHO_H

#include <stdint.h>

#include "guest.h"

double now(void); /* seconds */

/*
 * n frames of len bytes to the switch and back on one queue pair; the test fails if they are not there, whole, in 10 s.
 * What was in flight before (a guest whose switch was restarted) is waited for by its number.
 */
void echo(struct guest *g, unsigned int pair, unsigned int n, uint32_t len);

#endif
