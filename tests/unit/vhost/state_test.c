/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the state directory: what was written is read, what is damaged or another's is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost/vhost_private.h"

static char dir[] = "/tmp/vhost-state-XXXXXX";
static const struct port_spec spec = {
	.id = "vm1", .socket = "/run/x/vm1.sock", .queues = 2, .packed = true,
};
static const struct saved_features features = { .offered = 0x1234567890, .negotiated = 0x34567890 };

static char *path(const char *kind)
{
	static char buf[128];

	snprintf(buf, sizeof(buf), "%s/vm1.%s", dir, kind);
	return buf;
}

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int cleanup(void **state)
{
	unlink(path("features"));
	unlink(path("rings"));
	return 0;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

static off_t size_of(const char *file)
{
	struct stat st;

	assert_return_code(stat(file, &st), errno);
	return st.st_size;
}

static void flip_byte(const char *file, off_t at)
{
	int fd = open(file, O_RDWR);
	uint8_t b;

	assert_return_code(fd, errno);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 0x10;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

static void test_features_kept(void **state)
{
	struct saved_features f = { 0 };
	struct stat st;

	assert_int_equal(state_load(dir, &spec, &f), -ENOENT);
	assert_int_equal(state_save(dir, &spec, &features), 0);
	assert_int_equal(state_load(dir, &spec, &f), 0);
	assert_memory_equal(&f, &features, sizeof(f));
	assert_return_code(stat(path("features"), &st), errno);
	assert_int_equal(st.st_mode & 0777, 0600);
	state_forget(dir, &spec);
	assert_int_equal(state_load(dir, &spec, &f), -ENOENT);
	/* No temporary file is left: the directory can be removed at the end. */
}

static void test_features_every_byte_counts(void **state)
{
	struct saved_features f;
	off_t i;

	assert_int_equal(state_save(dir, &spec, &features), 0);
	for (i = 0; i < size_of(path("features")); i++) {
		flip_byte(path("features"), i);
		assert_int_equal(state_load(dir, &spec, &f), -EBADMSG);
		flip_byte(path("features"), i);
	}
	assert_int_equal(state_load(dir, &spec, &f), 0);
}

static void test_features_length(void **state)
{
	struct saved_features f;
	off_t size;

	assert_int_equal(state_save(dir, &spec, &features), 0);
	size = size_of(path("features"));
	assert_return_code(truncate(path("features"), size + 1), errno);
	assert_int_equal(state_load(dir, &spec, &f), -EBADMSG);
	assert_return_code(truncate(path("features"), 0), errno);
	assert_int_equal(state_load(dir, &spec, &f), -EBADMSG);
}

static void test_features_other_socket(void **state)
{
	struct port_spec other = spec;
	struct saved_features f;

	assert_int_equal(state_save(dir, &spec, &features), 0);
	strcpy(other.socket, "/run/x/vm2.sock");
	assert_int_equal(state_load(dir, &other, &f), -EBADMSG);
}

/* Neither a link nor something that blocks on open is followed. */
static void test_features_not_a_file(void **state)
{
	struct saved_features f;
	char aside[64];

	snprintf(aside, sizeof(aside), "%s/aside", dir);
	assert_int_equal(state_save(dir, &spec, &features), 0);
	assert_return_code(rename(path("features"), aside), errno);
	assert_return_code(symlink(aside, path("features")), errno);
	assert_int_equal(state_load(dir, &spec, &f), -EBADMSG);
	unlink(path("features"));
	unlink(aside);
	assert_return_code(mkfifo(path("features"), 0600), errno);
	assert_int_equal(state_load(dir, &spec, &f), -EBADMSG);
}

static void test_rings_kept(void **state)
{
	struct ring_saved saved;
	struct ring_file *f;

	assert_int_equal(rings_open(dir, &spec, &f), 0);
	assert_int_equal(ring_recall(rings_slot(f, 3), 0x1000, 256).state, RING_NONE);
	ring_begin(rings_slot(f, 3), 0x1000, 256, 0x8007);
	rings_close(f);
	assert_int_equal(rings_open(dir, &spec, &f), 0);
	saved = ring_recall(rings_slot(f, 3), 0x1000, 256);
	assert_int_equal(saved.state, RING_RUNNING);
	assert_int_equal(saved.pos, 0x8007);
	assert_int_equal(ring_recall(rings_slot(f, 2), 0x1000, 256).state, RING_NONE);
	ring_end(rings_slot(f, 3), 0x0011);
	saved = ring_recall(rings_slot(f, 3), 0x1000, 256);
	assert_int_equal(saved.state, RING_TOLD);
	assert_int_equal(saved.pos, 0x0011);
	rings_close(f);
}

static void test_rings_of_another_ring(void **state)
{
	struct ring_file *f;
	struct ring_slot *s;

	assert_int_equal(rings_open(dir, &spec, &f), 0);
	s = rings_slot(f, 0);
	ring_begin(s, 0x1000, 256, 0x8007);
	assert_int_equal(ring_recall(s, 0x2000, 256).state, RING_NONE);
	assert_int_equal(ring_recall(s, 0x1000, 128).state, RING_NONE);
	ring_begin(s, 0x1000, 4, 0x8007); /* outside the ring */
	assert_int_equal(ring_recall(s, 0x1000, 4).state, RING_NONE);
	rings_close(f);
}

static void test_rings_damaged_slot(void **state)
{
	struct ring_file *f;
	struct ring_slot *s, was;
	unsigned int i;

	assert_int_equal(rings_open(dir, &spec, &f), 0);
	s = rings_slot(f, 1);
	ring_begin(s, 0x1000, 256, 0x8007);
	was = *s;
	for (i = 0; i < 8 * offsetof(struct ring_slot, reserved); i++) {
		((uint8_t *)s)[i / 8] ^= 1u << i % 8;
		assert_int_equal(ring_recall(s, 0x1000, 256).state, RING_NONE);
		*s = was;
	}
	assert_int_equal(ring_recall(s, 0x1000, 256).state, RING_RUNNING);
	rings_close(f);
}

static void test_rings_damaged_file(void **state)
{
	struct port_spec other = spec;
	struct ring_file *f;
	unsigned int i;

	for (i = 0; i < 32; i++) {
		assert_int_equal(rings_open(dir, &spec, &f), 0);
		ring_begin(rings_slot(f, 0), 0x1000, 256, 0x8007);
		rings_close(f);
		flip_byte(path("rings"), i);
		assert_int_equal(rings_open(dir, &spec, &f), 1);
		assert_int_equal(ring_recall(rings_slot(f, 0), 0x1000, 256).state, RING_NONE);
		rings_close(f);
	}
	strcpy(other.socket, "/run/x/vm2.sock");
	assert_int_equal(rings_open(dir, &other, &f), 1);
	rings_close(f);
	other.queues = 3;
	assert_int_equal(rings_open(dir, &other, &f), 1);
	rings_close(f);
}

static void test_no_directory(void **state)
{
	struct saved_features f;
	struct ring_file *rings;

	assert_int_equal(state_save("/nowhere/at/all", &spec, &features), -ENOENT);
	assert_int_equal(state_load("/nowhere/at/all", &spec, &f), -ENOENT);
	assert_int_equal(rings_open("/nowhere/at/all", &spec, &rings), -ENOENT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, cleanup)
	const struct CMUnitTest tests[] = {
		T(test_features_kept),	   T(test_features_every_byte_counts), T(test_features_length),
		T(test_features_other_socket), T(test_features_not_a_file),    T(test_rings_kept),
		T(test_rings_of_another_ring), T(test_rings_damaged_slot),     T(test_rings_damaged_file),
		T(test_no_directory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
