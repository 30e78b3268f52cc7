/* SPDX-License-Identifier: BSD-3-Clause */
/* An imitation of libteam: one team device whose state the test sets, from any thread. */
#ifndef TESTS_TEAMING_FAKE_LIBTEAM_H
#define TESTS_TEAMING_FAKE_LIBTEAM_H

#include "base/tick.h"
#include "teaming/libteam_watch.h"

extern const struct tw_libteam_ops fake_libteam_ops;

void fake_reset(void);
/* A port joins or changes; one event. */
void fake_port(uint32_t if_index, bool enabled);
void fake_port_gone(uint32_t if_index);
/* Events without news. */
void fake_repeat(unsigned int n);
/* n events, the first of which is a loss; a port is new then (0: none). */
void fake_lose(unsigned int n, uint32_t if_index);
/* Events without news, without end. */
void fake_storm(bool on);
void fake_attach_error(int r);
void fake_refresh_error(int r);
void fake_wait_handled(void);

unsigned int fake_handles(void);
unsigned int fake_refreshes(void);
unsigned int fake_queued_at_refresh(void);
/* Snapshots asked for since fake_storm(). */
unsigned int fake_rounds(void);

#endif
