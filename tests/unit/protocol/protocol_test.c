/* SPDX-License-Identifier: BSD-3-Clause */
/* Framing and bounds of the control protocol, objects as JSON, the generated interface description. */
#include "../unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/protocol.h"

struct pair {
	struct stream a, b;
};

static void pair_new(struct pair *p)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	stream_init(&p->a, fd[0]);
	stream_init(&p->b, fd[1]);
}

static void pair_done(struct pair *p)
{
	stream_done(&p->a);
	stream_done(&p->b);
}

static void put(int fd, const char *s, size_t n)
{
	assert_int_equal(send(fd, s, n, 0), n);
}

static void messages_are_framed(void **state)
{
	struct json_object *o = NULL;
	struct pair p;

	pair_new(&p);
	put(p.a.fd, "{\"a\":1}", 7);
	assert_int_equal(stream_read(&p.b), 7);
	assert_int_equal(stream_next(&p.b, &o), 0); /* no NUL yet */
	put(p.a.fd, "\0{\"b\":2}\0{\"c\"", 13);
	assert_int_equal(stream_read(&p.b), 13);
	assert_int_equal(stream_next(&p.b, &o), 1);
	assert_true(json_object_object_get_ex(o, "a", NULL));
	json_object_put(o);
	assert_int_equal(stream_next(&p.b, &o), 1);
	assert_true(json_object_object_get_ex(o, "b", NULL));
	json_object_put(o);
	assert_int_equal(stream_next(&p.b, &o), 0);
	assert_int_equal(stream_read(&p.b), -EAGAIN);
	pair_done(&p);
}

static void bad_messages_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "1", "[]", "\"x\"", "{", "{\"a\":1}x", "{\"a\":\"\xff\"}", "null",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_object *o = NULL;
		struct pair p;

		pair_new(&p);
		put(p.a.fd, bad[i], strlen(bad[i]) + 1);
		assert_true(stream_read(&p.b) > 0);
		assert_int_equal(stream_next(&p.b, &o), -EBADMSG);
		assert_null(o);
		pair_done(&p);
	}
}

static void depth_is_bounded(void **state)
{
	char text[1024] = "";
	struct json_object *o = NULL;
	struct pair p;

	for (int i = 0; i < PROTOCOL_DEPTH_MAX + 8; i++)
		strcat(text, "{\"a\":");
	strcat(text, "1");
	for (int i = 0; i < PROTOCOL_DEPTH_MAX + 8; i++)
		strcat(text, "}");
	pair_new(&p);
	put(p.a.fd, text, strlen(text) + 1);
	assert_true(stream_read(&p.b) > 0);
	assert_int_equal(stream_next(&p.b, &o), -EBADMSG);
	pair_done(&p);
}

static void endless_message_ends(void **state)
{
	struct json_object *o = NULL;
	char chunk[16384];
	size_t sum = 0;
	struct pair p;
	int r = 0;

	pair_new(&p);
	memset(chunk, 'x', sizeof(chunk));
	while (r >= 0 && sum < 4 * PROTOCOL_MESSAGE_MAX) {
		ssize_t n = send(p.a.fd, chunk, sizeof(chunk), MSG_DONTWAIT);

		sum += n > 0 ? (size_t)n : 0;
		r = stream_read(&p.b);
		if (r >= 0 || r == -EAGAIN)
			r = stream_next(&p.b, &o);
	}
	assert_int_equal(r, -EMSGSIZE);
	assert_true(sum < PROTOCOL_MESSAGE_MAX + 8 * sizeof(chunk));
	pair_done(&p);
}

static void slow_reader_is_cut_off(void **state)
{
	struct json_object *o = json_object_new_object();
	char text[10000];
	struct pair p;
	int r = 0, n;

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	json_object_object_add(o, "text", json_object_new_string(text));
	pair_new(&p);
	for (n = 0; r >= 0 && n < 1000; n++) {
		r = stream_queue(&p.a, o);
		if (r >= 0)
			assert_true(stream_flush(&p.a) >= 0);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_true(stream_waiting(&p.a) <= PROTOCOL_QUEUE_MAX);
	json_object_put(o);
	pair_done(&p);
}

static void objects_survive_json(void **state)
{
	const struct field *rows = object_types[OBJECT_HOST].fields;
	struct host_spec h, back;
	struct json_object *o;
	struct errbuf err;

	field_defaults(rows, &h, sizeof(h));
	assert_int_equal(field_read(rows, &h, "id=h2 pas=[{address=192.0.2.1 weight=3},{address=2001:db8::1}] "
					      "spread=record", &err), 0);
	o = fields_to_json(rows, &h, true);
	field_defaults(rows, &back, sizeof(back));
	assert_int_equal(fields_from_json(rows, &back, o, &err), 0);
	assert_true(field_equal(rows, &h, &back));
	assert_int_equal(back.n_pas, 2);
	json_object_put(o);
}

static void bad_objects_are_named(void **state)
{
	static const struct {
		const char *json, *want;
	} cases[] = {
		{ "{\"vsid\": 5}", "vsid" },
		{ "{\"vsidd\": 5001}", "did you mean \"vsid\"" },
		{ "{\"ca\": [\"10.0.0.1\"]}", "single value" },
		{ "{\"mac\": {}}", "single value" },
		{ "{\"type\": \"statik\"}", "static" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *o = json_tokener_parse(cases[i].json);
		struct record_spec spec;
		struct errbuf err = { "" };

		field_defaults(object_types[OBJECT_RECORD].fields, &spec, sizeof(spec));
		assert_int_not_equal(fields_from_json(object_types[OBJECT_RECORD].fields, &spec, o, &err), 0);
		if (!strstr(err.text, cases[i].want))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].json, err.text, cases[i].want);
		json_object_put(o);
	}
}

/* With the first byte of its message; to nobody who does not wait for one, and not behind other messages. */
static void a_descriptor_goes_with_a_message(void **state)
{
	struct json_object *o = json_tokener_parse("{\"a\":1}"), *got = NULL;
	struct pair p;
	int fd[2];
	char c;

	assert_int_equal(pipe(fd), 0);
	pair_new(&p);
	assert_int_equal(stream_send_fds(&p.a, o, fd), 0);
	while (stream_next(&p.b, &got) == 0) /* the kernel gives the first byte alone */
		assert_true(stream_read(&p.b) > 0);
	json_object_put(got);
	assert_int_equal(p.b.got_fds[0], -1);
	p.b.takes_fds = true;
	assert_int_equal(stream_send_fds(&p.a, o, fd), 0);
	while (stream_next(&p.b, &got) == 0)
		assert_true(stream_read(&p.b) > 0);
	assert_true(json_object_object_get_ex(got, "a", NULL));
	json_object_put(got);
	assert_true(p.b.got_fds[0] >= 0 && p.b.got_fds[1] >= 0);
	assert_int_equal(write(p.b.got_fds[1], "x", 1), 1);
	assert_int_equal(read(p.b.got_fds[0], &c, 1), 1);
	close(p.b.got_fds[0]);
	close(p.b.got_fds[1]);
	assert_int_equal(stream_queue(&p.a, o), 0);
	assert_int_equal(stream_send_fds(&p.a, o, fd), -EBUSY);
	close(fd[0]);
	close(fd[1]);
	json_object_put(o);
	pair_done(&p);
}

/* Who may only read sees no tenant's data. */
static void tenants_data_need_a_level(void **state)
{
	static const enum method list[] = { METHOD_NEXT_HOP, METHOD_PING,  METHOD_TEST_PORT,
					    METHOD_DRY_RUN,  METHOD_TRACE, METHOD_CAPTURE };

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		assert_int_equal(methods[list[i]].level, LEVEL_OPERATE);
}

static void tables_agree(void **state)
{
	char name[64], *idl = protocol_idl();

	assert_non_null(idl);
	for (unsigned int i = 0; i < METHOD_COUNT; i++) {
		snprintf(name, sizeof(name), "%s.%s", PROTOCOL_INTERFACE, methods[i].name);
		assert_int_equal(method_find(name), i);
		snprintf(name, sizeof(name), "method %s(", methods[i].name);
		assert_non_null(strstr(idl, name));
	}
	assert_int_equal(method_find("org.vswitchd.Nothing"), METHOD_COUNT);
	assert_int_equal(method_find("List"), METHOD_COUNT);
	assert_string_equal(protocol_error_name(-ENOENT), "org.vswitchd.NotFound");
	assert_string_equal(protocol_error_name(-ENOTTY), "org.vswitchd.Failed");
	assert_int_equal(protocol_error_errno("org.vswitchd.OwnedByConfig"), -EPERM);
	free(idl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_framed),	  cmocka_unit_test(bad_messages_are_refused),
		cmocka_unit_test(depth_is_bounded),	  cmocka_unit_test(endless_message_ends),
		cmocka_unit_test(slow_reader_is_cut_off), cmocka_unit_test(objects_survive_json),
		cmocka_unit_test(bad_objects_are_named),  cmocka_unit_test(tables_agree),
		cmocka_unit_test(a_descriptor_goes_with_a_message),
		cmocka_unit_test(tenants_data_need_a_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
