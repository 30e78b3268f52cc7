/* SPDX-License-Identifier: BSD-3-Clause */
/* Places for captures, traces and tests: nobody keeps root out. */
#include "../unit.h"

#include <errno.h>

#include "daemon/watch_share.h"

static void a_user_has_a_share(void **state)
{
	struct watch_share s = { .n = 0 };
	struct errbuf err;

	for (unsigned int i = 0; i < WATCH_PER_UID; i++)
		assert_int_equal(watch_share_take(&s, 1000, &err), 0);
	assert_int_equal(watch_share_take(&s, 1000, &err), -EBUSY);
	assert_non_null(strstr(err.text, "of yours"));
	assert_int_equal(watch_share_take(&s, 1001, &err), 0);
	watch_share_give(&s, 1000);
	assert_int_equal(watch_share_take(&s, 1000, &err), 0);
	watch_share_give(&s, 4711); /* has none */
	assert_int_equal(s.n, WATCH_PER_UID + 1);
}

static void some_places_are_roots(void **state)
{
	struct watch_share s = { .n = 0 };
	struct errbuf err;
	unsigned int n = 0;

	while (watch_share_take(&s, 1000 + n, &err) == 0)
		n++;
	assert_int_equal(n, WATCH_MAX - WATCH_ROOT);
	for (unsigned int i = 0; i < WATCH_ROOT; i++)
		assert_int_equal(watch_share_take(&s, 0, &err), 0);
	assert_int_equal(watch_share_take(&s, 0, &err), -EBUSY);
	watch_share_give(&s, 1000);
	assert_int_equal(watch_share_take(&s, 0, &err), 0); /* root may have all that is free */
	assert_int_equal(watch_share_take(&s, 1000, &err), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_has_a_share),
		cmocka_unit_test(some_places_are_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
