/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch is killed in the middle of traffic and started again, as its service manager does, while the
 * guest stays. It is a child process here and tells its events through a pipe. Seed: TEST_SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bed.h"
#include "echo.h"
#include "guest.h"

#define ROUNDS	    12
#define PATIENCE_MS 10000

struct host {
	pid_t pid;
	int events;
	bool unproven; /* NEEDS_RESET has come */
};

static void run_switch(const struct port_spec *spec, int out)
{
	void *state = NULL;
	struct vhu_port *p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bed_start(&state) < 0)
		_exit(1);
	p = bed_port(spec);
	bed_worker_start(p, spec->queues);
	for (;;) {
		struct vhu_event ev = bed_next();

		if (write(out, &ev, sizeof(ev)) != (ssize_t)sizeof(ev))
			_exit(1);
	}
}

static struct host start(const struct port_spec *spec)
{
	struct host h = { 0 };
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	h.pid = fork();
	assert_return_code(h.pid, errno);
	if (!h.pid) {
		close(fd[0]);
		run_switch(spec, fd[1]);
	}
	close(fd[1]);
	h.events = fd[0];
	return h;
}

static void kill_it(struct host *h)
{
	assert_int_equal(kill(h->pid, SIGKILL), 0);
	assert_int_equal(waitpid(h->pid, NULL, 0), h->pid);
	close(h->events);
}

static void wait_event(struct host *h, enum vhu_event_type type)
{
	struct pollfd p = { .fd = h->events, .events = POLLIN };
	struct vhu_event ev;

	do {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_int_equal(read(h->events, &ev, sizeof(ev)), sizeof(ev));
		h->unproven |= ev.type == VHU_NEEDS_RESET;
	} while (ev.type != type);
}

static void wait_ready(struct host *h)
{
	h->unproven = false;
	wait_event(h, VHU_READY);
}

/* Bursts into both rings, with no regard for what comes back: the end finds the worker anywhere. */
static void storm(struct guest *g, unsigned int queues)
{
	unsigned int turns = 1 + (unsigned int)rand() % 3000, i;
	uint32_t last = 0;

	while (turns--) {
		for (i = 0; i < queues; i++) {
			guest_send(g, i, 1 + (unsigned int)rand() % 32, 0, 60);
			guest_receive(g, i, 1u << 28, &last);
		}
	}
}

/* @return how often the guest could go on without a reset, of ROUNDS. */
static unsigned int run_kills(const struct guest_options *layout, unsigned int queues)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = *layout;
	unsigned int went_on = 0, i, k;
	struct guest *g;
	struct host h;

	spec.packed = o.packed;
	spec.queues = (uint16_t)queues;
	o.path = spec.socket;
	o.server = true;
	o.pairs = queues;
	g = guest_open(&o);
	h = start(&spec);
	guest_meet(g);
	guest_start(g);
	wait_ready(&h);
	for (i = 0; i < ROUNDS; i++) {
		storm(g, queues);
		kill_it(&h);
		guest_wait_gone(g);
		h = start(&spec);
		guest_meet(g);
		guest_start(g);
		wait_ready(&h);
		went_on += !h.unproven;
		if (h.unproven) {
			guest_stop(g);
			wait_event(&h, VHU_STOPPED); /* the other ring's doubt may be told after VHU_READY */
			guest_reset(g);
			guest_start(g);
			wait_ready(&h);
			assert_false(h.unproven);
		}
		for (k = 0; k < queues; k++) {
			echo_settle(g, k);
			echo(g, k, 500, 60);
		}
	}
	kill_it(&h);
	guest_close(g);
	print_message("went on %u times of %u\n", went_on, ROUNDS);
	return went_on;
}

static void test_split(void **state)
{
	assert_int_equal(run_kills(&(struct guest_options){ 0 }, 1), ROUNDS);
	assert_int_equal(run_kills(&(struct guest_options){ .indirect = true, .event_idx = true }, 2),
			 ROUNDS);
}

/*
 * Refusing is right where the ring leaves a doubt, but must not be the rule: those moments are short.
 */
static void test_packed(void **state)
{
	assert_in_range(run_kills(&(struct guest_options){ .packed = true }, 1), ROUNDS * 2 / 3, ROUNDS);
	assert_in_range(
		run_kills(&(struct guest_options){ .packed = true, .indirect = true, .mergeable = true }, 1),
		ROUNDS * 2 / 3, ROUNDS);
}

/* Chains without tables. */
static void test_packed_chains(void **state)
{
	assert_in_range(run_kills(&(struct guest_options){ .packed = true, .hdr_desc = true }, 1), ROUNDS / 2,
			ROUNDS);
}

static int setup(void **state)
{
	const char *s = getenv("TEST_SEED");
	unsigned int seed = s ? (unsigned int)strtoul(s, NULL, 0) : (unsigned int)time(NULL);

	srand(seed);
	print_message("TEST_SEED=%u\n", seed);
	return bed_make_dir();
}

static int teardown(void **state)
{
	bed_remove_dir();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_chains),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
