/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch's side for tests of vhost/: DPDK, a pool, a state directory, the events, a polling worker. */
#ifndef TESTS_UNIT_VHOST_BED_H
#define TESTS_UNIT_VHOST_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost/vhost.h"

#define BED_MTU 1450

extern char bed_dir[32]; /* sockets and state, made by bed_start */

/* Directory only (for a process that runs no switch itself). */
int bed_make_dir(void);
void bed_remove_dir(void);

int bed_start(void **state); /* cmocka group set-up */
int bed_stop(void **state);
int bed_cleanup(void **state); /* test tear-down: a worker that a failed test has left behind */

/* Free buffers in the pool; equal before and after whatever a test does. */
unsigned int bed_buffers(void);

struct port_spec bed_spec(const char *id);
struct vhu_port *bed_port(const struct port_spec *spec);

/* Wait for the next event of this type (others are passed over), at most 10 s. */
struct vhu_event bed_wait(enum vhu_event_type type);
/* The next event, whatever it is, however long it takes. */
struct vhu_event bed_next(void);
/* Events of this type that have come and were not waited for; forgets all. */
unsigned int bed_count(enum vhu_event_type type);
void bed_forget(void);

/* The worker polls the first n queues of a port, sends every frame back where it came from, and counts. */
void bed_worker_start(struct vhu_port *p, unsigned int n);
void bed_worker_stop(void);
uint64_t bed_worker_frames(void);
uint64_t bed_worker_malformed(void); /* mbufs whose lengths do not add up */
/* A worker that sits inside its section: does not become quiescent until released. */
void bed_worker_hold(bool hold);
bool bed_worker_is_held(void);

#endif
