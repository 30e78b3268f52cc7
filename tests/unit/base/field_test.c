/* SPDX-License-Identifier: BSD-3-Clause */
/* The table machinery on a table of its own. */
#include <errno.h>
#include <stdbool.h>

#include "base/field.h"
#include "base/str.h"
#include "unit.h"

struct part {
	struct ip_addr address;
	uint16_t weight;
	char note[16];
};

struct thing {
	char id[64];
	uint8_t small;
	uint64_t large;
	uint32_t rights;
	bool on;
	uint8_t colour;
	char text[32];
	struct mac mac;
	struct ip_addr ip;
	uint16_t n_prefixes;
	struct ip_prefix prefixes[3];
	uint16_t n_parts;
	struct part parts[2];
	uint16_t n_names;
	char names[2][8];
	uint32_t state;
};

static const char *const colours[] = { "red", "green", "blue", NULL };

#define AT(m)	.offset = offsetof(struct thing, m), .size = sizeof(((struct thing *)0)->m)
#define OF(m)	.offset = offsetof(struct part, m), .size = sizeof(((struct part *)0)->m)
#define LIST(m) .offset = offsetof(struct thing, m), .size = sizeof(((struct thing *)0)->m[0]), \
		.max_items = sizeof(((struct thing *)0)->m) / sizeof(((struct thing *)0)->m[0]), \
		.count_offset = offsetof(struct thing, n_##m)

static const struct field part_rows[] = {
	{ "address", FIELD_IP, OF(address), .flags = FIELD_REQUIRED },
	{ "weight", FIELD_UINT, OF(weight), .min = 1, .max = 255, .def = "1" },
	{ "note", FIELD_STRING, OF(note) },
	{ NULL },
};

static const struct field rows[] = {
	{ "id", FIELD_ID, AT(id), .flags = FIELD_KEY | FIELD_REQUIRED },
	{ "small", FIELD_UINT, AT(small), .flags = FIELD_ZERO_OK, .min = 5, .max = 200 },
	{ "large", FIELD_UINT, AT(large) },
	{ "rights", FIELD_UINT, AT(rights), .flags = FIELD_OCTAL, .max = 0777, .def = "0640" },
	{ "on", FIELD_BOOL, AT(on), .def = "true" },
	{ "colour", FIELD_ENUM, AT(colour), .names = colours, .def = "green" },
	{ "text", FIELD_STRING, AT(text), .def = "some text" },
	{ "mac", FIELD_MAC, AT(mac) },
	{ "ip", FIELD_IP, AT(ip), .def = "10.0.0.1" },
	{ "prefixes", FIELD_PREFIX, LIST(prefixes) },
	{ "parts", FIELD_STRUCT, LIST(parts), .sub = part_rows },
	{ "names", FIELD_STRING, LIST(names) },
	{ "state", FIELD_UINT, AT(state), .flags = FIELD_STATE },
	{ NULL },
};

static struct thing t, u;
static struct errbuf e;
static char line[1024];

static int fresh(void **state)
{
	memset(&t, 0xaa, sizeof(t));
	field_defaults(rows, &t, sizeof(t));
	memset(&e, 0, sizeof(e));
	return 0;
}

static int set(const char *name, unsigned int item, const char *text)
{
	return field_set(field_find(rows, name), &t, item, text, &e);
}

static const char *get(const char *name, unsigned int item)
{
	static char buf[256];

	int n = field_get(field_find(rows, name), &t, item, buf, sizeof(buf));

	assert_int_equal(n, strlen(buf));
	return buf;
}

static void defaults_apply(void **state)
{
	assert_string_equal(get("text", 0), "some text");
	assert_string_equal(get("rights", 0), "0640");
	assert_int_equal(t.rights, 0640);
	assert_string_equal(get("ip", 0), "10.0.0.1");
	assert_string_equal(get("colour", 0), "green");
	assert_string_equal(get("on", 0), "true");
	assert_string_equal(get("small", 0), "0");
	assert_string_equal(get("id", 0), "");
	assert_string_equal(get("mac", 0), "");
	assert_string_equal(get("prefixes", 0), "");
	assert_int_equal(field_count(field_find(rows, "prefixes"), &t), 0);
	assert_int_equal(field_count(field_find(rows, "id"), &t), 1);
	assert_null(field_find(rows, "smal"));
}

static void values_are_set_and_read_back(void **state)
{
	assert_int_equal(set("id", 0, "vm1"), 0);
	assert_int_equal(set("small", 0, "200"), 0);
	assert_int_equal(set("small", 0, "0"), 0);
	assert_int_equal(set("large", 0, "18446744073709551615"), 0);
	assert_int_equal(set("rights", 0, "777"), 0);
	assert_int_equal(set("on", 0, "off"), 0);
	assert_int_equal(set("colour", 0, "blue"), 0);
	assert_int_equal(set("text", 0, ""), 0);
	assert_int_equal(set("mac", 0, "02-00-00-00-00-0A"), 0);
	assert_int_equal(set("ip", 0, "::1"), 0);
	assert_string_equal(t.id, "vm1");
	assert_int_equal(t.small, 0);
	assert_int_equal(t.large, UINT64_MAX);
	assert_int_equal(t.rights, 0777);
	assert_false(t.on);
	assert_int_equal(t.colour, 2);
	assert_string_equal(get("text", 0), "");
	assert_string_equal(get("mac", 0), "02:00:00:00:00:0a");
	assert_string_equal(get("ip", 0), "::1");
	assert_int_equal(set("ip", 0, ""), 0);
	assert_int_equal(set("mac", 0, ""), 0);
	assert_string_equal(get("mac", 0), "");
	assert_int_equal(field_uint(field_find(rows, "large"), &t, 0), UINT64_MAX);
	assert_int_equal(field_uint(field_find(rows, "colour"), &t, 0), 2);
}

static void errors_name_value_and_what_is_allowed(void **state)
{
	u = t;
	assert_int_equal(set("small", 0, "4"), -ERANGE);
	assert_string_equal(e.text, "small: '4' is out of range, allowed: 0 or 5..200");
	assert_int_equal(set("small", 0, "201"), -ERANGE);
	assert_int_equal(set("small", 0, ""), -EINVAL);
	assert_int_equal(set("rights", 0, "0790"), -EINVAL);
	assert_string_equal(e.text, "rights: '0790' is not valid, allowed: 0000..0777");
	assert_int_equal(set("on", 0, "2"), -EINVAL);
	assert_string_equal(e.text, "on: '2' is not valid, allowed: true|false");
	assert_int_equal(set("colour", 0, "gren"), -EINVAL);
	assert_string_equal(e.text,
			    "colour: 'gren' is not valid, allowed: red|green|blue (did you mean 'green'?)");
	assert_int_equal(set("text", 0, "0123456789012345678901234567890\xc3\xa4"), -ENAMETOOLONG);
	assert_non_null(strstr(e.text, "is too long, allowed: text of at most 31 bytes"));
	assert_int_equal(set("text", 0, "01234567890123456789012345678901"), -ENAMETOOLONG);
	assert_int_equal(set("text", 0, "a\nb"), -EINVAL);
	assert_string_equal(e.text, "text: 'a?b' is not valid, allowed: text of at most 31 bytes");
	assert_int_equal(set("mac", 0, "zz"), -EINVAL);
	assert_string_equal(e.text, "mac: 'zz' is not a MAC address (02:00:00:00:00:01)");
	assert_int_equal(set("ip", 0, "10.0.0.0/8"), -EINVAL);
	assert_int_equal(set("prefixes", 0, "10.0.0.0/99"), -ERANGE);
	assert_int_equal(set("prefixes", 0, ""), -EINVAL);
	assert_int_equal(set("names", 0, ""), -EINVAL);
	assert_int_equal(set("prefixes", 3, "10.0.0.0/8"), -E2BIG);
	assert_string_equal(e.text, "prefixes: at most 3 values are allowed");
	assert_int_equal(set("id", 1, "a"), -E2BIG);
	assert_int_equal(set("state", 0, "1"), -EINVAL);
	assert_int_equal(set("parts", 0, "{address=10.0.0.1 wait=2}"), -EINVAL);
	assert_string_equal(e.text, "there is no field 'wait'");
	assert_int_equal(field_set(field_find(rows, "mac"), &t, 0, "zz", NULL), -EINVAL);
	assert_memory_equal(&t, &u, sizeof(t));
}

static void lists_grow(void **state)
{
	assert_int_equal(set("prefixes", 0, "10.0.0.0/8"), 0);
	assert_int_equal(set("prefixes", 1, "fe80::/64"), 0);
	assert_int_equal(set("prefixes", 0, "11.0.0.0/8"), 0);
	assert_int_equal(t.n_prefixes, 2);
	assert_string_equal(get("prefixes", 0), "11.0.0.0/8");
	assert_string_equal(get("prefixes", 1), "fe80::/64");
	assert_string_equal(get("prefixes", 2), "");
	/* Structures: whole, without braces, the first field alone; what is skipped gets its defaults. */
	assert_int_equal(set("parts", 1, "{address=10.0.0.2 weight=7 note=\"a b\"}"), 0);
	assert_int_equal(t.n_parts, 2);
	assert_int_equal(t.parts[0].weight, 1);
	assert_string_equal(get("parts", 1), "{address=10.0.0.2 weight=7 note=\"a b\"}");
	assert_int_equal(set("parts", 1, "weight=9"), 0);
	assert_string_equal(get("parts", 1), "{weight=9}");
	assert_int_equal(set("parts", 0, "10.0.0.9"), 0);
	assert_string_equal(get("parts", 0), "{address=10.0.0.9}");
	assert_int_equal(set("parts", 0, "{address=10.0.0.9} x"), -EINVAL);
	assert_int_equal(set("parts", 0, "{address=10.0.0.9"), -EINVAL);
	assert_string_equal(get("parts", 0), "{address=10.0.0.9}");
}

static void small_buffers_are_refused(void **state)
{
	char buf[8];

	assert_int_equal(set("id", 0, "12345678"), 0);
	assert_int_equal(field_get(&rows[0], &t, 0, buf, 8), -ENOSPC);
	assert_int_equal(set("id", 0, "1234567"), 0);
	assert_int_equal(field_get(&rows[0], &t, 0, buf, 8), 7);
	assert_int_equal(set("parts", 0, "10.0.0.9"), 0);
	assert_int_equal(field_get(field_find(rows, "parts"), &t, 0, buf, 8), -ENOSPC);
	assert_int_equal(field_get(field_find(rows, "prefixes"), &t, 0, buf, 0), -ENOSPC);
	assert_int_equal(field_allowed(field_find(rows, "parts"), buf, 8), -ENOSPC);
	assert_int_equal(field_allowed(field_find(rows, "colour"), buf, 8), -ENOSPC);
}

static void allowed_values_as_text(void **state)
{
	static const struct {
		const char *name, *text;
	} want[] = {
		{ "on", "true|false" },
		{ "small", "0 or 5..200" },
		{ "large", "0..18446744073709551615" },
		{ "rights", "0000..0777" },
		{ "colour", "red|green|blue" },
		{ "prefixes", "address/length, up to 3 of them" },
	};
	char buf[512];
	unsigned int i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(field_allowed(field_find(rows, want[i].name), buf, sizeof(buf)),
				 strlen(want[i].text));
		assert_string_equal(buf, want[i].text);
	}
	assert_true(field_allowed(field_find(rows, "parts"), buf, sizeof(buf)) > 0);
	assert_string_equal(buf,
			    "{address=address weight=1..255 note=text of at most 15 bytes}, up to 2 of them");
}

static void check_finds_what_set_would_not_make(void **state)
{
	assert_int_equal(field_check(rows, &t, &e), -EINVAL);
	assert_string_equal(e.text, "id is missing");
	strcpy(t.id, "a b");
	assert_int_equal(field_check(rows, &t, &e), -EINVAL);
	strcpy(t.id, "ab");
	assert_int_equal(field_check(rows, &t, &e), 0);

#define BROKEN(member, value, code)                                          \
	do {                                                                 \
		u = t;                                                       \
		t.member = (value);                                          \
		assert_int_equal(field_check(rows, &t, &e), code);           \
		t = u;                                                       \
		assert_int_equal(field_check(rows, &t, &e), 0);              \
	} while (0)
	BROKEN(small, 3, -ERANGE);
	BROKEN(rights, 01000, -ERANGE);
	BROKEN(colour, 3, -EINVAL);
	BROKEN(text[2], '\n', -EINVAL);
	BROKEN(ip.family, 5, -EINVAL);
	BROKEN(ip.b[5], 1, -EINVAL);
	BROKEN(n_prefixes, 4, -ERANGE);
	BROKEN(n_prefixes, 1, -EINVAL); /* an unset element */
	BROKEN(n_parts, 1, -EINVAL);	/* a part without address, weight 0 */
#undef BROKEN
	*(uint8_t *)&t.on = 2;
	assert_int_equal(field_check(rows, &t, &e), -EINVAL);
	t.on = true;
	memset(t.text, 'x', sizeof(t.text));
	assert_int_equal(field_check(rows, &t, &e), -EINVAL);
	t.text[0] = '\0';
	assert_int_equal(field_check(rows, &t, NULL), 0);
}

static void equality_ignores_state_and_garbage(void **state)
{
	u = t;
	u.state = 5;
	u.text[20] = 'x'; /* behind the end */
	u.prefixes[2].len = 9; /* beyond the count */
	assert_true(field_equal(rows, &t, &u));
	u.mac.b[0] = 2;
	assert_false(field_equal(rows, &t, &u));
	u = t;
	u.n_parts = 1;
	assert_false(field_equal(rows, &t, &u));
	u.n_parts = 9; /* what an array cannot hold is not looked at */
	assert_int_equal(field_count(field_find(rows, "parts"), &u), 2);
	u.n_parts = t.n_parts = 1;
	assert_true(field_equal(rows, &t, &u));
	u.parts[0].note[0] = 'n';
	assert_false(field_equal(rows, &t, &u));
}

static void a_line_leaves_out_defaults_and_quotes(void **state)
{
	assert_int_equal(field_write(rows, &t, line, sizeof(line)), 0);
	assert_string_equal(line, "");
	assert_int_equal(set("id", 0, "vm1"), 0);
	assert_int_equal(set("text", 0, "say \"hi\\\" [x]"), 0);
	assert_int_equal(set("ip", 0, ""), 0);
	assert_int_equal(set("prefixes", 0, "10.0.0.0/8"), 0);
	assert_int_equal(set("prefixes", 1, "fe80::/64"), 0);
	assert_int_equal(set("parts", 0, "10.0.0.1"), 0);
	assert_int_equal(set("parts", 1, "address=10.0.0.2 weight=2"), 0);
	assert_int_equal(set("names", 0, "a,b"), 0);
	assert_int_equal(set("names", 1, "="), 0);
	t.state = 77;
	assert_true(field_write(rows, &t, line, sizeof(line)) > 0);
	assert_string_equal(line,
			    "id=vm1 text=\"say \\\"hi\\\\\\\" [x]\" ip=\"\" prefixes=[10.0.0.0/8,fe80::/64] "
			    "parts=[{address=10.0.0.1},{address=10.0.0.2 weight=2}] names=[\"a,b\",\"=\"]");
	memset(&u, 0x55, sizeof(u));
	assert_int_equal(field_read(rows, &u, line, &e), 0);
	assert_true(field_equal(rows, &t, &u));
	assert_int_equal(u.state, 0);
	assert_int_equal(field_write(rows, &t, line, strlen(line)), -ENOSPC);
}

static void a_line_over_an_object(void **state)
{
	assert_int_equal(field_read(rows, &t, "id=vm1 small=7 text=a prefixes=[10.0.0.0/8,fe80::/64] names=[a,b]", &e),
			 0);
	assert_int_equal(field_read_over(rows, &t, "text=b prefixes=[11.0.0.0/8]", &e), 0);
	assert_true(field_write(rows, &t, line, sizeof(line)) > 0);
	assert_string_equal(line, "id=vm1 small=7 text=b prefixes=[11.0.0.0/8] names=[a,b]");
	assert_int_equal(field_read_over(rows, &t, "names=[]", &e), 0);
	assert_true(field_write(rows, &t, line, sizeof(line)) > 0);
	assert_string_equal(line, "id=vm1 small=7 text=b prefixes=[11.0.0.0/8]");
}

static void lines_by_hand(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *err;
	} c[] = {
		{ "", 0, "" },
		{ "  id=a\ton=no ", 0, "" },
		{ "prefixes=[ 10.0.0.0/8 , 11.0.0.0/8 ]", 0, "" },
		{ "prefixes=[]", 0, "" },
		{ "parts=[{}]", 0, "" },
		{ "parts=[ { weight=3 } ]", 0, "" },
		{ "id", -EINVAL, "name=value expected" },
		{ "=a", -EINVAL, "name=value expected" },
		{ "id =a", -EINVAL, "name=value expected" },
		{ "idd=a", -EINVAL, "there is no field 'idd'" },
		{ "id=a id=b", -EINVAL, "id: is given twice" },
		{ "id=[a]", -EINVAL, NULL },
		{ "state=1", -EINVAL, "state: is reported by the switch and cannot be set" },
		{ "prefixes=10.0.0.0/8", -EINVAL, "prefixes: '[' expected, it is a list" },
		{ "prefixes=[10.0.0.0/8", -EINVAL, "prefixes: ',' or ']' expected" },
		{ "prefixes=[10.0.0.0/8,]", -EINVAL, "prefixes: value is missing" },
		{ "prefixes=[\"\"]", -EINVAL, NULL },
		{ "id= on=no", -EINVAL, "id: value is missing" },
		{ "id=\"\" on=no", 0, "" },
		{ "prefixes=[::/0,::/1,::/2,::/3]", -E2BIG, "prefixes: at most 3 values are allowed" },
		{ "parts=[10.0.0.1]", -EINVAL, "parts: '{' expected" },
		{ "parts=[{address=1.1.1.1]", -EINVAL, NULL },
		{ "text=\"a\"b", -EINVAL, "blank expected between values" },
		{ "text=\"a", -EINVAL, "text: closing quote is missing" },
		{ "text=\"a\\", -EINVAL, "text: closing quote is missing" },
		{ "small=999", -ERANGE, NULL },
		{ "id=a}", -EINVAL, NULL },
	};
	unsigned int i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		char *exact = (char *)unit_exact_copy(c[i].text, strlen(c[i].text) + 1);

		e.text[0] = '\0';
		assert_int_equal(field_read(rows, &u, exact, &e), c[i].r);
		if (c[i].err)
			assert_string_equal(e.text, c[i].err);
		free(exact);
	}
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "text=", 5);
	assert_int_equal(field_read(rows, &u, line, &e), -ENAMETOOLONG);
	memcpy(line, "text=\"", 6);
	line[6 + FIELD_ITEM_MAX] = '"';
	line[7 + FIELD_ITEM_MAX] = '\0';
	assert_int_equal(field_read(rows, &u, line, &e), -ENAMETOOLONG);
	line[6 + FIELD_ITEM_MAX] = line[7 + FIELD_ITEM_MAX] = 'x';
	assert_int_equal(field_read(rows, &u, line, &e), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults_apply, fresh),
		cmocka_unit_test_setup(values_are_set_and_read_back, fresh),
		cmocka_unit_test_setup(errors_name_value_and_what_is_allowed, fresh),
		cmocka_unit_test_setup(lists_grow, fresh),
		cmocka_unit_test_setup(small_buffers_are_refused, fresh),
		cmocka_unit_test_setup(allowed_values_as_text, fresh),
		cmocka_unit_test_setup(check_finds_what_set_would_not_make, fresh),
		cmocka_unit_test_setup(equality_ignores_state_and_garbage, fresh),
		cmocka_unit_test_setup(a_line_leaves_out_defaults_and_quotes, fresh),
		cmocka_unit_test_setup(a_line_over_an_object, fresh),
		cmocka_unit_test_setup(lines_by_hand, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
