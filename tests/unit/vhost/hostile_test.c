/* SPDX-License-Identifier: BSD-3-Clause */
/* Front-ends that send what the library would take to its harm. (tests/lib/frontend has many more.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "bed.h"
#include "echo.h"
#include "guest.h"

enum { SET_VRING_NUM = 8, SET_VRING_BASE = 10 };

/* A guest at a port, both running. */
static struct guest *running(bool packed, struct vhu_port **ret)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .packed = packed };
	struct guest *g;

	spec.packed = packed;
	bed_forget();
	g = guest_open(&o);
	*ret = bed_port(&spec);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	return g;
}

/* Messages that the library would take, to its harm: refused, and the guest's traffic goes on. */
static void run_hostile(bool packed)
{
	struct vhu_port *p;
	struct guest *g = running(packed, &p);

	bed_worker_start(p, 1);
	echo(g, 0, 100, 60);
	assert_int_equal(guest_send_state(g, SET_VRING_NUM, 0, 0), -EREMOTEIO);
	assert_int_equal(guest_send_state(g, SET_VRING_NUM, 1, 32768), -EREMOTEIO);
	assert_int_equal(guest_send_state(g, SET_VRING_BASE, 1, 0x7fff), 0);
	assert_int_equal(guest_send_state(g, SET_VRING_BASE, 200, 0x7fff), 0);
	assert_int_equal(guest_send_absurd_memory(g), -EREMOTEIO);
	guest_replug(g); /* an honest one */
	echo(g, 0, 500, 60);
	bed_worker_stop();
	vhu_port_destroy(p);
	guest_close(g);
}

static void test_hostile(void **state)
{
	run_hostile(false);
	run_hostile(true);
}

/* A ring whose size was not told since it was stopped, or refused, is not served. */
static void test_ring_without_size(void **state)
{
	struct vhu_port *p;
	struct guest *g = running(false, &p);

	guest_stop(g);
	bed_wait(VHU_STOPPED);
	assert_int_equal(guest_send_state(g, SET_VRING_NUM, 0, 0), -EREMOTEIO);
	assert_int_equal(guest_send_state(g, SET_VRING_NUM, 1, 100), -EREMOTEIO);
	bed_forget();
	guest_start_without_size(g);
	bed_wait(VHU_READY);
	assert_false(vhu_port_queue(p, 0)->rx_ready);
	assert_false(vhu_port_queue(p, 0)->tx_ready);
	vhu_port_destroy(p);
	guest_close(g);
}

/* A call descriptor that would block whoever writes to it: not the worker. */
static void test_blocking_call(void **state)
{
	struct vhu_port *p;
	struct guest *g = running(false, &p);

	bed_worker_start(p, 1);
	guest_block_call(g);
	echo(g, 0, 500, 60);
	bed_worker_stop();
	vhu_port_destroy(p);
	guest_close(g);
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, bed_cleanup)
	const struct CMUnitTest tests[] = {
		T(test_hostile), T(test_ring_without_size), T(test_blocking_call),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
