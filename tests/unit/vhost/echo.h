/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_VHOST_ECHO_H
#define TESTS_UNIT_VHOST_ECHO_H

#include <stdint.h>

#include "guest.h"

double now(void); /* seconds */

/*
 * n frames of len bytes to the switch and back on one queue pair; the test fails if they are not there, in
 * order and whole, in 10 s. What was on the way before is passed over.
 */
void echo(struct guest *g, unsigned int pair, unsigned int n, uint32_t len);

/*
 * After frames were sent with no regard for what comes back: until one goes there and back, the rings are
 * empty then.
 */
void echo_settle(struct guest *g, unsigned int pair);

#endif
