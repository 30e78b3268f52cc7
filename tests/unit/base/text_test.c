/* SPDX-License-Identifier: BSD-3-Clause */
/* errs, log, drop, str, tick: what people read and write. */
#include <errno.h>
#include <stdbool.h>

#include "base/drop.h"
#include "base/errs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tick.h"
#include "unit.h"

static void error_text_and_code(void **state)
{
	struct errbuf e = { "old" };

	assert_int_equal(err_set(&e, EINVAL, "vsid %d", 7), -EINVAL);
	assert_string_equal(e.text, "vsid 7");
	assert_int_equal(err_set(NULL, ERANGE, "x"), -ERANGE);
	assert_int_equal(err_prefix(&e, -EINVAL, "port %s: ", "vm1"), -EINVAL);
	assert_string_equal(e.text, "port vm1: vsid 7");
	assert_int_equal(err_prefix(NULL, -1, "x"), -1);
}

static void a_long_error_keeps_its_end(void **state)
{
	char path[600];
	struct errbuf e;

	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	err_set(&e, EINVAL, "the reason");
	err_prefix(&e, -EINVAL, "%s: ", path);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_non_null(strstr(e.text, "ppp"));
	/* A prefix as long as the buffer was cut itself; the reason is whole. */
	assert_string_equal(e.text + strlen(e.text) - strlen("the reason"), "the reason");
	err_set(&e, EINVAL, "%s", path);
	err_prefix(&e, -EINVAL, "a: ");
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "...p", 4);
}

static int logged_level, logged_calls;
static char logged_text[256];

static void sink(int level, const char *file, int line, const char *text)
{
	logged_level = level;
	logged_calls++;
	snprintf(logged_text, sizeof(logged_text), "%s", text);
	assert_non_null(strstr(file, "text_test.c"));
	assert_true(line > 0);
	errno = EPIPE; /* a sink may fail; the caller's errno survives */
}

static void log_levels_and_errno(void **state)
{
	assert_int_equal(log_level(), LOG_INFO);
	log_set_sink(sink);
	log_set_level(LOG_WARNING);
	log_info("not seen");
	assert_int_equal(logged_calls, 0);
	errno = ENOENT;
	log_warning("w %d: %m", 1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(logged_calls, 1);
	assert_int_equal(logged_level, LOG_WARNING);
	assert_string_equal(logged_text, "w 1: No such file or directory");
	assert_int_equal(log_error_errno(-EACCES, "open: %m"), -EACCES);
	assert_string_equal(logged_text, "open: Permission denied");
	log_set_sink(NULL);
	log_set_level(LOG_INFO);
}

static void drops_have_unique_stable_names(void **state)
{
	for (unsigned int i = 0; i < DROP_COUNT; i++) {
		const char *n = drop_name(i);

		assert_non_null(n);
		assert_true(strspn(n, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(n) && *n);
		assert_true(strlen(drop_text(i)) > 10);
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(n, drop_name(j));
	}
	assert_null(drop_name(DROP_COUNT));
	assert_null(drop_text(DROP_COUNT));
	assert_string_equal(drop_name(DROP_GUEST_VLAN), "guest-vlan");
}

static void drop_counters_count(void **state)
{
	struct drop_counters c = { 0 };

	drop_count(&c, DROP_TTL, 3);
	drop_count(&c, DROP_TTL, 1);
	assert_int_equal(c.n[DROP_TTL], 4);
	assert_int_equal(c.n[DROP_NONE], 0);
}

static void numbers(void **state)
{
	static const struct {
		const char *s;
		uint64_t min, max;
		int r;
		uint64_t v;
	} t[] = {
		{ "0", 0, 9, 0, 0 },
		{ "9", 0, 9, 0, 9 },
		{ "10", 0, 9, -ERANGE, 0 },
		{ "3", 4, 9, -ERANGE, 0 },
		{ "0x1F", 0, 99, 0, 31 },
		{ "0X1f", 0, 99, 0, 31 },
		{ "0x", 0, 99, -EINVAL, 0 },
		{ "", 0, 9, -EINVAL, 0 },
		{ "-1", 0, 9, -EINVAL, 0 },
		{ "+1", 0, 9, -EINVAL, 0 },
		{ " 1", 0, 9, -EINVAL, 0 },
		{ "1 ", 0, 9, -EINVAL, 0 },
		{ "1a", 0, 99, -EINVAL, 0 },
		{ "007", 0, 9, 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0 },
		{ "184467440737095516160", 0, UINT64_MAX, -ERANGE, 0 }, /* 2^64 times ten */
		{ "99999999999999999999999999999x", 0, UINT64_MAX, -EINVAL, 0 },
	};

	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t v = 42;

		assert_int_equal(parse_u64(t[i].s, t[i].min, t[i].max, &v), t[i].r);
		assert_int_equal(v, t[i].r ? 42 : t[i].v);
	}
}

static void octal_and_bool(void **state)
{
	uint64_t v = 1;
	bool b = true;

	assert_int_equal(parse_octal("0660", 0, 0777, &v), 0);
	assert_int_equal(v, 0660);
	assert_int_equal(parse_octal("660", 0, 0777, &v), 0);
	assert_int_equal(v, 0660);
	assert_int_equal(parse_octal("0680", 0, 0777, &v), -EINVAL);
	assert_int_equal(parse_octal("1777", 0, 0777, &v), -ERANGE);
	assert_int_equal(v, 0660);
	assert_int_equal(parse_bool("off", &b), 0);
	assert_false(b);
	assert_int_equal(parse_bool("Yes", &b), 0);
	assert_true(b);
	assert_int_equal(parse_bool("maybe", &b), -EINVAL);
	assert_int_equal(parse_bool("", &b), -EINVAL);
	assert_true(b);
}

static void macs(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "02",
					  "02:",
					  "02:0",
					  "02:00:00:00:00",
					  "02:00:00:00:00:0",
					  "02:00:00:00:00:01:",
					  "02:00:00:00:00:01 ",
					  "02:00:00:00:00-01",
					  "0g:00:00:00:00:01",
					  "020000000001",
					  "2:0:0:0:0:1",
					  "02:00:00:00:00:011"};
	struct mac m = { { 9, 9, 9, 9, 9, 9 } };
	char buf[MAC_STR];

	assert_int_equal(parse_mac("02:00:aB:Cd:00:fF", &m), 0);
	assert_memory_equal(&m, "\x02\x00\xab\xcd\x00\xff", 6);
	assert_string_equal(format_mac(&m, buf), "02:00:ab:cd:00:ff");
	assert_int_equal(parse_mac("12-34-56-78-9a-bc", &m), 0);
	assert_string_equal(format_mac(&m, buf), "12:34:56:78:9a:bc");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *exact = (char *)unit_exact_copy(bad[i], strlen(bad[i]) + 1);

		assert_int_equal(parse_mac(exact, &m), -EINVAL);
		free(exact);
	}
	assert_string_equal(format_mac(&m, buf), "12:34:56:78:9a:bc");
	assert_string_equal(format_mac(&(struct mac){ 0 }, buf), "");
}

static void addresses(void **state)
{
	static const char *const bad[] = {
		"",	     "10",  "10.0.0", "10.0.0.256", "10.0.0.1 ",    " 10.0.0.1", "10.0.0.01",
		"1.2.3.4.5", "::g", ":::",    "1::2::3",    "fe80::1%eth0", "[::1]",	 "0:0:0:0:0:0:0:0:0"};
	struct ip_addr a;
	char buf[IP_STR];

	assert_int_equal(parse_ip("10.1.2.3", &a), 0);
	assert_int_equal(a.family, 4);
	assert_memory_equal(a.b, "\x0a\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_string_equal(format_ip(&a, buf), "10.1.2.3");
	assert_int_equal(parse_ip("2001:DB8::0001", &a), 0);
	assert_int_equal(a.family, 6);
	assert_string_equal(format_ip(&a, buf), "2001:db8::1");
	assert_int_equal(parse_ip("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", &a), 0);
	assert_int_equal(strlen(format_ip(&a, buf)), 39);
	assert_int_equal(parse_ip("::", &a), 0);
	assert_true(ip_is_any(&a) && a.family == 6);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_ip(bad[i], &a), -EINVAL);
	assert_int_equal(a.family, 6);
	assert_string_equal(format_ip(&(struct ip_addr){ 0 }, buf), "");
}

static void prefixes(void **state)
{
	struct ip_prefix p;
	char buf[PREFIX_STR];

	assert_int_equal(parse_prefix("10.0.0.5/24", &p), 0);
	assert_string_equal(format_prefix(&p, buf), "10.0.0.5/24");
	assert_int_equal(parse_prefix("10.0.0.5", &p), 0);
	assert_int_equal(p.len, 32);
	assert_int_equal(parse_prefix("fe80::1/128", &p), 0);
	assert_int_equal(parse_prefix("::/0", &p), 0);
	assert_int_equal(p.len, 0);
	assert_int_equal(p.addr.family, 6);
	assert_int_equal(parse_prefix("10.0.0.0/33", &p), -ERANGE);
	assert_int_equal(parse_prefix("::/129", &p), -ERANGE);
	assert_int_equal(parse_prefix("10.0.0.0/", &p), -EINVAL);
	assert_int_equal(parse_prefix("10.0.0.0/0x8", &p), -EINVAL);
	assert_int_equal(parse_prefix("10.0.0.0/8/8", &p), -EINVAL);
	assert_int_equal(parse_prefix("/8", &p), -EINVAL);
	assert_int_equal(parse_prefix("11111111111111111111111111111111111111111111111/8", &p), -EINVAL);
	assert_int_equal(p.addr.family, 6);
	assert_string_equal(format_prefix(&(struct ip_prefix){ 0 }, buf), "");
	assert_int_equal(parse_prefix("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", &p), 0);
	assert_int_equal(strlen(format_prefix(&p, buf)), 43);
}

static void strings(void **state)
{
	static const char *const list[] = { "gateway-mac", "gateways", "learning", "rdid", NULL };
	char buf[4] = "xyz", shown[8];

	assert_int_equal(str_copy(buf, sizeof(buf), "abc"), 0);
	assert_string_equal(buf, "abc");
	assert_int_equal(str_copy(buf, sizeof(buf), "abcd"), -ENAMETOOLONG);
	assert_string_equal(buf, "abc");
	assert_string_equal(str_nearest("gatway", list), "gateways");
	assert_string_equal(str_nearest("laerning", list), "learning");
	assert_string_equal(str_nearest("rid", list), "rdid");
	assert_string_equal(str_nearest("drid", list), "rdid");
	assert_null(str_nearest("dixd", list));
	assert_null(str_nearest("metric", list));
	assert_null(str_nearest("", list));
	assert_string_equal(str_visible("ab\ncdef", shown, sizeof(shown)), "ab?cdef");
	assert_string_equal(str_visible("abcdefgh", shown, sizeof(shown)), "abcd...");
}

static void ids(void **state)
{
	char id[66];

	memset(id, 'a', sizeof(id));
	id[63] = '\0';
	assert_true(str_is_id(id));
	id[63] = 'a';
	id[64] = '\0';
	assert_false(str_is_id(id));
	assert_true(str_is_id("vm1.eth0:a_b-c"));
	assert_false(str_is_id(""));
	assert_false(str_is_id("-a"));
	assert_false(str_is_id(".a"));
	assert_false(str_is_id("a/b"));
	assert_false(str_is_id("a b"));
	assert_false(str_is_id("\xc3\xa4"));
}

static void utf8(void **state)
{
	static const char *const good[] = {
		"",	    "a b~",	    "\xc3\xa4",	       "\xe2\x82\xac", "\xf0\x9f\x98\x80",
		"\xc2\xa0", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"a\nb",
					  "\x1b[0m",
					  "\x7f",
					  "\xc2\x85",
					  "\xc3",
					  "\xc3(",
					  "\x80",
					  "\xc0\x80",
					  "\xe0\x80\x80",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\xf8\x88\x80\x80\x80",
					  "\xe2\x82",
					  "\xf0\x80\x80\x80",
					  "\xff"};
	unsigned int i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(str_is_text(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *exact = (char *)unit_exact_copy(bad[i], strlen(bad[i]) + 1);

		assert_false(str_is_text(exact));
		free(exact);
	}
}

static void rates(void **state)
{
	struct rate r;
	unsigned int i, got;

	rate_init(&r, 1000, 10, 1000000, 5000); /* a token each 1000 cycles */
	for (got = 0; rate_take(&r, 1, 5000); got++)
		;
	assert_int_equal(got, 10);
	assert_false(rate_take(&r, 1, 5999));
	assert_true(rate_take(&r, 1, 6000));
	assert_false(rate_take(&r, 1, 6000));
	assert_false(rate_take(&r, 1, 5000)); /* a clock that goes back gives nothing */
	/* Long idle time is worth the burst, not more, all at once or one by one. */
	assert_false(rate_take(&r, 11, 900000000));
	assert_true(rate_take(&r, 10, 900000000));
	assert_false(rate_take(&r, 1, 900000000));
	/* Slow polling loses nothing: 100 turns of 2.5 tokens' time. */
	for (i = 1, got = 0; i <= 100; i++)
		while (rate_take(&r, 1, 900000000 + i * 2500))
			got++;
	assert_int_equal(got, 250);
	rate_init(&r, 0, 5, 1000000, 0);
	for (i = 0; i < 1000; i++)
		assert_true(rate_take(&r, 1000, 0));
	rate_init(&r, 1, 0, UINT64_C(3000000000), 0);
	assert_true(rate_take(&r, 1, 0));
	assert_false(rate_take(&r, 1, 0));
	rate_init(&r, 1, UINT64_MAX, UINT64_C(3000000000), 0);
	assert_true(rate_take(&r, 1000, 0));
}

static void clock_runs(void **state)
{
	uint64_t a = tick_ns(), ms = tick_ms();

	assert_true(tick_ns() >= a);
	assert_true(ms >= a / 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_text_and_code),
		cmocka_unit_test(a_long_error_keeps_its_end),
		cmocka_unit_test(log_levels_and_errno),
		cmocka_unit_test(drops_have_unique_stable_names),
		cmocka_unit_test(drop_counters_count),
		cmocka_unit_test(numbers),
		cmocka_unit_test(octal_and_bool),
		cmocka_unit_test(macs),
		cmocka_unit_test(addresses),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(strings),
		cmocka_unit_test(ids),
		cmocka_unit_test(utf8),
		cmocka_unit_test(rates),
		cmocka_unit_test(clock_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
