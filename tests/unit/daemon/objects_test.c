/* SPDX-License-Identifier: BSD-3-Clause */
/* The difference of two lists of objects, which is what a reload applies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "daemon/objects.h"

static struct record_spec record(unsigned int ca, unsigned int mac)
{
	uint8_t b[4] = { 10, 0, (uint8_t)(ca >> 8), (uint8_t)ca };
	struct record_spec r;

	object_default(OBJECT_RECORD, &r);
	r.vsid = 5001;
	r.ca = ip4_from(b);
	r.mac.b[0] = 2;
	r.mac.b[5] = (uint8_t)mac;
	str_copy(r.host, sizeof(r.host), "h1");
	return r;
}

static void add(struct object_list *l, unsigned int ca, unsigned int mac)
{
	struct record_spec r = record(ca, mac);

	assert_int_equal(object_list_add(l, &r, ORIGIN_CONFIG), 0);
}

static unsigned int last_byte(const void *spec)
{
	return spec ? ((const struct record_spec *)spec)->ca.b[3] : 0;
}

static void test_diff(void **state)
{
	struct object_list a = { .kind = OBJECT_RECORD }, b = { .kind = OBJECT_RECORD };
	struct object_diff d = { 0 };

	/* 2 goes, 3 stays, 1 changes, 9 comes; in different orders */
	add(&a, 3, 3);
	add(&a, 2, 2);
	add(&a, 1, 1);
	add(&b, 9, 9);
	add(&b, 1, 7);
	add(&b, 3, 3);
	assert_int_equal(object_diff(&a, &b, &d), 0);
	assert_int_equal(d.n, 3);
	assert_int_equal(d.steps[0].change, OBJECT_CHANGED);
	assert_int_equal(last_byte(d.steps[0].from), 1);
	assert_int_equal(((const struct record_spec *)d.steps[0].to)->mac.b[5], 7);
	assert_int_equal(d.steps[1].change, OBJECT_REMOVED);
	assert_int_equal(last_byte(d.steps[1].from), 2);
	assert_null(d.steps[1].to);
	assert_int_equal(d.steps[2].change, OBJECT_ADDED);
	assert_int_equal(last_byte(d.steps[2].to), 9);
	assert_null(d.steps[2].from);
	free(d.steps);
	/* State is not part of the comparison, nor is anything to do between equals. */
	((struct record_spec *)object_list_spec(&a, 0))->unusable = true;
	assert_int_equal(object_diff(&a, &a, &d), 0);
	assert_int_equal(d.n, 0);
	free(d.steps);
	object_list_done(&a);
	object_list_done(&b);
}

static void test_empty(void **state)
{
	struct object_list a = { .kind = OBJECT_RECORD }, b = { .kind = OBJECT_RECORD };
	struct object_diff d = { 0 };

	assert_int_equal(object_diff(&a, &b, &d), 0);
	assert_int_equal(d.n, 0);
	free(d.steps);
	add(&b, 1, 1);
	assert_int_equal(object_diff(&a, &b, &d), 0);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.steps[0].change, OBJECT_ADDED);
	free(d.steps);
	assert_int_equal(object_diff(&b, &a, &d), 0);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.steps[0].change, OBJECT_REMOVED);
	free(d.steps);
	object_list_done(&b);
}

static unsigned int seed_of(void)
{
	const char *s = getenv("TEST_SEED");
	unsigned int seed = s ? (unsigned int)strtoul(s, NULL, 0) : (unsigned int)time(NULL);

	print_message("TEST_SEED=%u\n", seed);
	return seed;
}

/* Applying the difference to one list must give the other, whatever they hold. */
static void test_random(void **state)
{
	unsigned int round, i;

	srandom(seed_of());
	for (round = 0; round < 200; round++) {
		struct object_list a = { .kind = OBJECT_RECORD }, b = { .kind = OBJECT_RECORD }, c;
		struct object_diff d = { 0 };

		for (i = 0; i < 64; i++) {
			if (random() % 2)
				add(&a, i * 7 % 64, (unsigned int)random() % 2);
			if (random() % 2)
				add(&b, i * 11 % 64, (unsigned int)random() % 2);
		}
		assert_int_equal(object_diff(&a, &b, &d), 0);
		assert_int_equal(object_list_copy(&c, &a), 0);
		for (i = 0; i < d.n; i++) {
			size_t at = object_list_find(&c, d.steps[i].from ? d.steps[i].from : d.steps[i].to);

			assert_int_equal(at == OBJECT_NONE, d.steps[i].change == OBJECT_ADDED);
			if (d.steps[i].change == OBJECT_ADDED)
				assert_int_equal(object_list_add(&c, d.steps[i].to, ORIGIN_CONFIG), 0);
			else if (d.steps[i].change == OBJECT_REMOVED)
				object_list_remove(&c, at);
			else
				memcpy(object_list_spec(&c, at), d.steps[i].to, sizeof(struct record_spec));
		}
		assert_int_equal(c.n, b.n);
		free(d.steps);
		assert_int_equal(object_diff(&c, &b, &d), 0);
		assert_int_equal(d.n, 0);
		free(d.steps);
		object_list_done(&a);
		object_list_done(&b);
		object_list_done(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
