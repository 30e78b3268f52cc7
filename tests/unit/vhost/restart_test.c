/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch goes away in order and comes back while the guest stays. (Killed: kill_test.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "base/log.h"
#include "bed.h"
#include "echo.h"
#include "guest.h"

#define PACKED (1ull << VIRTIO_F_RING_PACKED)

struct pair {
	struct port_spec spec;
	struct guest_options o;
	struct vhu_port *p;
	struct guest *g;
};

static struct pair begin_sized(bool packed, unsigned int queues, uint16_t size)
{
	struct pair t = { .spec = bed_spec("vm") };

	t.spec.packed = packed;
	t.spec.queues = (uint16_t)queues;
	t.o = (struct guest_options){
		.server = true, .packed = packed, .pairs = queues, .size = size, .mergeable = true,
	};
	t.o.path = strdup(t.spec.socket);
	bed_forget();
	t.g = guest_open(&t.o);
	t.p = bed_port(&t.spec);
	bed_worker_start(t.p, queues);
	guest_meet(t.g);
	guest_start(t.g);
	bed_wait(VHU_READY);
	return t;
}

static struct pair begin(bool packed, unsigned int queues)
{
	return begin_sized(packed, queues, 256);
}

static void leave(struct pair *t)
{
	bed_worker_stop();
	vhu_port_destroy(t->p);
	t->p = NULL;
}

static void come_back(struct pair *t)
{
	bed_forget();
	t->p = bed_port(&t->spec);
	bed_worker_start(t->p, t->spec.queues);
	guest_wait_gone(t->g);
	guest_meet(t->g);
}

static void end(struct pair *t)
{
	leave(t);
	guest_close(t->g);
	free((void *)(uintptr_t)t->o.path);
}

static void run_restarts(bool packed, unsigned int queues)
{
	struct pair t = begin(packed, queues);
	unsigned int buffers = 0, i, k;
	struct vhu_status st;

	for (i = 0; i < 10; i++) {
		uint64_t offered = guest_offered(t.g);

		for (k = 0; k < queues; k++) {
			echo(t.g, k, 100 + 37 * i, 60);
			guest_send(t.g, k, 13, 0, 60); /* may be taken by the old switch, or by the new one */
		}
		leave(&t);
		if (i)
			assert_int_equal(bed_buffers(), buffers);
		buffers = bed_buffers();
		come_back(&t);
		guest_start(t.g);
		bed_wait(VHU_READY);
		assert_int_equal(guest_offered(t.g), offered);
		vhu_port_status(t.p, &st);
		assert_int_equal(st.state, PORT_ACTIVE);
		assert_int_equal(st.packed, packed);
		for (k = 0; k < queues; k++)
			echo(t.g, k, 300, 60);
	}
	end(&t);
}

static void test_split(void **state)
{
	run_restarts(false, 1);
	run_restarts(false, 2);
}

static void test_packed(void **state)
{
	run_restarts(true, 1);
	run_restarts(true, 2);
}

static const char *file(const struct pair *t, const char *kind)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s.%s", bed_dir, t->spec.id, kind);
	return path;
}

static void damage(const struct pair *t, const char *kind)
{
	assert_int_equal(truncate(file(t, kind), 100), 0);
}

/* What was remembered is lost: nothing is guessed, it is said, and a guest that resets is served again. */
static void test_packed_memory_lost(void **state)
{
	struct pair t = begin(true, 1);
	struct vhu_status st;

	echo(t.g, 0, 100, 60);
	leave(&t);
	damage(&t, "rings");
	come_back(&t);
	guest_start(t.g);
	bed_wait(VHU_NEEDS_RESET);
	bed_wait(VHU_READY);
	vhu_port_status(t.p, &st);
	assert_int_equal(st.state, PORT_NEEDS_GUEST_RESET);
	guest_stop(t.g);
	guest_reset(t.g);
	bed_forget();
	guest_start(t.g);
	bed_wait(VHU_READY);
	vhu_port_status(t.p, &st);
	assert_int_equal(st.state, PORT_ACTIVE);
	echo(t.g, 0, 1000, 60);
	end(&t);
}

/* The driver loads again while there is no switch: the ring is new, what we remember is not believed. */
static void test_packed_reset_meanwhile(void **state)
{
	struct pair t = begin(true, 1);

	echo(t.g, 0, 100, 60);
	leave(&t);
	guest_reset(t.g);
	come_back(&t);
	guest_start(t.g);
	bed_wait(VHU_READY);
	echo(t.g, 0, 1000, 60);
	end(&t);
}

/* The old switch was killed in a burst and left the first of three frames unmarked: it is completed. */
static void test_packed_torn(void **state)
{
	struct pair t = begin(true, 1);

	echo(t.g, 0, 100, 60);
	leave(&t);
	assert_int_equal(guest_send(t.g, 0, 5, 0, 60), 5);
	guest_tear(t.g, 0, 5, 3);
	come_back(&t);
	guest_start(t.g);
	bed_wait(VHU_READY);
	echo(t.g, 0, 1000, 60);
	assert_int_equal(bed_worker_frames(), 1002); /* with the two that were not touched */
	end(&t);
}

/*
 * Stop and go on without a restart: the front-end's word counts. So small that a full new ring could be an
 * old one, had we not recorded that we told.
 */
static void run_stop(bool packed)
{
	struct pair t = begin_sized(packed, 1, 32);
	unsigned int i;

	for (i = 0; i < 10; i++) {
		echo(t.g, 0, 100 + i, 60);
		guest_stop(t.g);
		bed_wait(VHU_STOPPED);
		guest_start(t.g);
		bed_wait(VHU_READY);
	}
	guest_stop(t.g);
	guest_reset(t.g);
	bed_forget();
	guest_start(t.g);
	bed_wait(VHU_READY);
	echo(t.g, 0, 1000, 60);
	end(&t);
}

static void test_stop(void **state)
{
	run_stop(false);
	run_stop(true);
}

/* A running guest keeps what it negotiated, whatever the specification now says; the next does not. */
static void test_features_stay(void **state)
{
	struct pair t = begin(true, 1);

	assert_true(guest_acked(t.g) & PACKED);
	leave(&t);
	t.spec.packed = false;
	come_back(&t);
	guest_start(t.g);
	bed_wait(VHU_READY);
	assert_true(guest_offered(t.g) & PACKED);
	echo(t.g, 0, 100, 60);

	/* Its machine ends. */
	assert_int_equal(access(file(&t, "features"), F_OK), 0);
	guest_leave(t.g);
	bed_wait(VHU_DISCONNECTED);
	assert_int_equal(access(file(&t, "features"), F_OK), -1);
	guest_reset(t.g);
	guest_meet(t.g);
	assert_int_equal(guest_try_start(t.g), -ENOTSUP);
	assert_false(guest_offered(t.g) & PACKED);
	end(&t);
}

static char notices[512];

static void on_log(int level, const char *file, int line, const char *text)
{
	if (level == LOG_NOTICE)
		snprintf(notices, sizeof(notices), "%s", text);
}

static void test_features_damaged(void **state)
{
	struct pair t = begin(false, 1);
	uint64_t offered = guest_offered(t.g);

	leave(&t);
	damage(&t, "features");
	log_set_sink(on_log);
	come_back(&t);
	log_set_sink(NULL);
	assert_non_null(strstr(notices, t.spec.id));
	guest_start(t.g);
	bed_wait(VHU_READY);
	assert_int_equal(guest_offered(t.g), offered);
	echo(t.g, 0, 100, 60);
	end(&t);
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, bed_cleanup)
	const struct CMUnitTest tests[] = {
		T(test_split),
		T(test_packed),
		T(test_packed_memory_lost),
		T(test_packed_reset_meanwhile),
		T(test_packed_torn),
		T(test_stop),
		T(test_features_stay),
		T(test_features_damaged),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
