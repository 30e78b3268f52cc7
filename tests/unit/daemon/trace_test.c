/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces and dry runs as they are told: what is too much is left out, and said. Workers and manager are the test's. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/diag.h"

#define RING (256u * 1024)

static struct watch_memory *mem;
static struct watch_writer worker;
static struct json_object *told; /* array of all replies */
static bool over;
static sd_event_time_handler_t timer;
static void *timer_arg;
static unsigned int dry_rows, dry_bytes, shown;
static struct call call;

/* ---- what the daemon has ---- */

const struct policy *manager_policy(const struct manager *m)
{
	return NULL;
}

struct datapath *manager_datapath(const struct manager *m)
{
	return NULL;
}

const char *manager_port_id(const struct manager *m, uint16_t index)
{
	return "a";
}

const struct policy_port *policy_port(const struct policy *p, uint16_t index)
{
	static const struct policy_port port = { .vsid = 5001 };

	return &port;
}

int parameter_string(struct json_object *parameters, const char *name, bool wanted, const char **ret,
		     struct errbuf *err)
{
	*ret = json_object_get_string(json_object_object_get(parameters, name));
	return 0;
}

int diag_port(struct manager *m, struct json_object *parameters, const char *name, uint16_t *ret, struct errbuf *err)
{
	*ret = 0;
	return 0;
}

int diag_number(struct json_object *parameters, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
		struct errbuf *err)
{
	*ret = (uint64_t)json_object_get_int64(json_object_object_get(parameters, name));
	return 0;
}

int diag_filter(struct manager *m, struct json_object *parameters, struct watch_filter *ret, struct errbuf *err)
{
	*ret = (struct watch_filter){ .points = ~0u };
	return 0;
}

struct mac diag_source_mac(struct manager *m, uint16_t port, const struct ip_addr *from)
{
	return (struct mac){ { 2, 0, 0, 0, 0, 1 } };
}

bool diag_destination_mac(struct manager *m, uint32_t vsid, const struct ip_addr *from, const struct ip_addr *to,
			  struct mac *ret)
{
	*ret = (struct mac){ { 2, 0, 0, 0, 0, 2 } };
	return true;
}

struct rte_mbuf *diag_mbuf(struct manager *m, const uint8_t *data, uint32_t n)
{
	return (struct rte_mbuf *)1; /* nobody looks */
}

struct json_object *diag_row(struct manager *m, const struct watch_record *r, uint64_t first, const uint8_t *data)
{
	shown += data ? r->captured : 0;
	return json_object_new_int((int)r->mark);
}

int diag_watch_start(struct manager *m, const struct call *c, struct watch_spec *spec, bool shared,
		     struct diag_watch *ret, struct errbuf *err)
{
	*ret = (struct diag_watch){ .n_rings = 1, .fd = -1 };
	ret->readers[0] = (struct watch_reader){ .ring = worker.ring, .size = RING };
	return 0;
}

void diag_watch_stop(struct diag_watch *w)
{
}

int diag_timer(struct manager *m, sd_event_source **ret, sd_event_time_handler_t fn, void *arg)
{
	timer = fn;
	timer_arg = arg;
	return 0;
}

void diag_again(sd_event_source *source, uint64_t us)
{
}

int call_stream(struct call *c, struct json_object *o)
{
	json_object_array_add(told, o);
	return 0;
}

void call_reply(struct call *c, struct json_object *o)
{
	json_object_array_add(told, o);
	if (c->end)
		c->end(c);
	over = true;
}

/* ---- workers ---- */

static void note(struct watch_writer *w, uint32_t trace, uint32_t bytes, enum watch_point point)
{
	struct watch_record *r = watch_reserve(w, bytes);

	if (!r)
		return;
	r->point = (uint8_t)point;
	r->trace = trace;
	r->len = bytes;
	memset(r + 1, 0, bytes);
	watch_commit(w);
}

int datapath_dry_run(struct datapath *dp, uint16_t port, struct rte_mbuf *frame, const struct watch_spec *spec)
{
	struct watch_writer w = { .ring = watch_ring_of(spec->memory, 0, spec->ring_size), .size = spec->ring_size };

	for (unsigned int i = 0; i < dry_rows; i++)
		note(&w, 1, dry_bytes, WATCH_WIRE_TX);
	return 0;
}

/* ---- tests ---- */

static int setup(void **state)
{
	size_t size = watch_memory_bytes(1, RING);

	assert_int_equal(posix_memalign((void **)&mem, 64, size), 0);
	memset(mem, 0, size);
	worker = (struct watch_writer){ .ring = watch_ring_of(mem, 0, RING), .size = RING };
	told = json_object_new_array();
	over = false;
	shown = 0;
	call = (struct call){ .more = true, .parameters = json_object_new_object() };
	return 0;
}

static int teardown(void **state)
{
	if (!over && call.end)
		call.end(&call);
	json_object_put(told);
	json_object_put(call.parameters);
	free(mem);
	return 0;
}

static struct json_object *reply(size_t i)
{
	assert_true(i < json_object_array_length(told));
	return json_object_object_get(json_object_array_get_idx(told, i), "trace");
}

static int number(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_int(v) : -1;
}

static void trace_begins(int count)
{
	json_object_object_add(call.parameters, "count", json_object_new_int(count));
	assert_int_equal(do_trace(NULL, &call, NULL), 0);
	assert_int_equal(json_object_array_length(told), 1); /* from now on nothing is missed */
}

static void turns(unsigned int n)
{
	while (n-- && !over)
		timer(NULL, 0, timer_arg);
}

/* Rows that found no room are told with the next packet, once. */
static void a_trace_says_what_the_ring_lost(void **state)
{
	unsigned int n = 0;

	trace_begins(3);
	note(&worker, 1, 64, WATCH_GUEST_RX);
	turns(10);
	assert_int_equal(number(reply(1), "rows-lost"), -1);
	note(&worker, 2, 64, WATCH_GUEST_RX);
	while (!worker.lost)
		note(&worker, 2, 1024, WATCH_GUEST_RX), n++;
	for (unsigned int i = 0; i < 6; i++)
		note(&worker, 2, 1024, WATCH_GUEST_RX);
	turns(10);
	assert_int_equal(number(reply(2), "rows-lost"), 7);
	assert_int_equal(json_object_array_length(json_object_object_get(reply(2), "stages")), n < 256 ? n : 256);
	note(&worker, 3, 64, WATCH_GUEST_RX);
	turns(10);
	assert_int_equal(number(reply(3), "rows-lost"), -1);
	assert_true(over);
}

/* So are packets for which there is no place, beside 256 that are under way. */
static void a_trace_says_what_it_had_no_place_for(void **state)
{
	trace_begins(1000);
	for (uint32_t i = 1; i <= 256 + 9; i++)
		note(&worker, i, 64, WATCH_GUEST_RX);
	turns(10);
	assert_int_equal(json_object_array_length(told), 1 + 256);
	assert_int_equal(number(reply(1), "rows-lost"), 9);
	for (size_t i = 2; i < 257; i++)
		assert_int_equal(number(reply(i), "rows-lost"), -1);
	note(&worker, 300, 64, WATCH_GUEST_RX); /* there is again */
	turns(10);
	assert_int_equal(number(reply(257), "rows-lost"), -1);
}

static struct json_object *dry_run(unsigned int rows, unsigned int bytes)
{
	struct errbuf err;

	dry_rows = rows;
	dry_bytes = bytes;
	json_object_object_add(call.parameters, "packet", json_object_new_string("udp 10.0.0.2:1 > 10.0.0.3:2"));
	if (do_dry_run(NULL, &call, &err) < 0)
		fail_msg("%s", err.text);
	return reply(0);
}

static void a_dry_run_shows_all_that_is_not_much(void **state)
{
	struct json_object *o = dry_run(256, 100);

	assert_int_equal(json_object_array_length(json_object_object_get(o, "stages")), 256);
	assert_int_equal(number(o, "rows-left-out"), -1);
	assert_int_equal(number(o, "frames-left-out"), -1);
	assert_int_equal(number(o, "rows-lost"), -1);
	assert_int_equal(shown, 25600);
}

/* A flood to many: so many rows, of so many bytes as fit a message, in digits. */
static void a_dry_run_is_bounded(void **state)
{
	struct json_object *o = dry_run(300, 2000);

	assert_int_equal(json_object_array_length(json_object_object_get(o, "stages")), 256);
	assert_int_equal(number(o, "rows-left-out"), 300 - 256);
	assert_int_equal(shown, 256 * 1024 / 2000 * 2000);
	assert_int_equal(number(o, "frames-left-out"), 256 - 256 * 1024 / 2000);
	assert_true(2 * shown < PROTOCOL_MESSAGE_MAX);
	assert_int_equal(number(o, "rows-lost"), -1);
}

/* More than its memory holds is told like that of a trace. */
static void a_dry_run_says_what_its_memory_lost(void **state)
{
	struct json_object *o = dry_run(1000, 9000);
	int fit = number(o, "rows-left-out") + 256;

	assert_in_range(fit, 300, 4 * 1024 * 1024 / 9000);
	assert_int_equal(number(o, "rows-lost"), 1000 - fit);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_trace_says_what_the_ring_lost),
		T(a_trace_says_what_it_had_no_place_for),
		T(a_dry_run_shows_all_that_is_not_much),
		T(a_dry_run_is_bounded),
		T(a_dry_run_says_what_its_memory_lost),
	};

	return cmocka_run_group_tests_name("daemon-trace", tests, NULL, NULL);
}
