/* SPDX-License-Identifier: BSD-3-Clause */
/* A wall clock that jumps: of this process alone, libraries included. The monotonic one goes on as it does. */
#ifndef TESTS_UNIT_WALL_CLOCK_H
#define TESTS_UNIT_WALL_CLOCK_H

/* What the wall clock is ahead (or, negative, behind) from now on. Any thread. */
void wall_clock_jump(long seconds);

#endif
