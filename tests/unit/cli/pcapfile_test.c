/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet files: what our own writer writes is read, and so is what others write. */
#include "../unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pcapfile.h"
#include "cli/pcapng.h"

static const uint8_t bytes[61] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45 };

static void assert_frame(const uint8_t *file, size_t n)
{
	const uint8_t *frame;
	size_t len;

	assert_int_equal(pcapfile_first_frame(file, n, &frame, &len), 0);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(frame, bytes, sizeof(bytes));
}

static void what_capture_writes_is_read(void **state)
{
	struct pcapng_packet p = { .interface = 1, .len = 61, .captured = 61, .data = bytes,
				   .comment = "drop no-record" };
	const uint8_t *frame;
	char *file = NULL;
	size_t n = 0, len, begin;
	FILE *f = open_memstream(&file, &n);

	assert_int_equal(pcapng_section(f, "test"), 0);
	assert_int_equal(pcapng_interface(f, "vm1", "port vm1, VSID 5001", 65535), 0);
	assert_int_equal(pcapng_interface(f, "eth0", "a member", 65535), 0);
	fflush(f);
	begin = n;
	assert_int_equal(pcapfile_first_frame((uint8_t *)file, n, &frame, &len), -ENODATA);
	assert_int_equal(pcapng_packet(f, &p), 0);
	p.captured = 10;
	assert_int_equal(pcapng_packet(f, &p), 0); /* the first is wanted */
	fclose(f);
	assert_frame((uint8_t *)file, n);
	for (size_t cut = 0; cut < begin + 32 + sizeof(bytes); cut++) {
		int r = pcapfile_first_frame((uint8_t *)file, cut, &frame, &len);

		assert_true(r == -ENODATA || r == -EINVAL);
	}
	free(file);
}

static size_t put(uint8_t *file, size_t at, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(file + at, &value, 4);
	return at + 4;
}

/* The other byte order; blocks that are not known, and links that are not Ethernet, are passed over. */
static void what_others_write_is_read(void **state)
{
	static const uint32_t words[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010000, 0xffffffff, 0xffffffff, 28, /* section */
		0x0bad, 16, 4711, 16,						    /* of another's */
		1, 20, 101u << 16, 0, 20,					    /* raw IP */
		1, 20, 1u << 16, 0, 20,						    /* Ethernet */
		6, 36, 0, 0, 0, 4, 4, 0x45000000, 36,				    /* of the first */
		6, 96, 1, 0, 0, 61, 61,
	};
	static const uint32_t old[] = { 0xa1b2c3d4, 0x00020004, 0, 0, 65535, 1, 0, 0, 61, 61 };
	const uint8_t *frame;
	uint8_t file[512] = { 0 };
	size_t n = 0, len;

	for (size_t i = 0; i < sizeof(words) / 4; i++)
		n = put(file, n, words[i]);
	memcpy(file + n, bytes, sizeof(bytes));
	n = put(file, n + 64, 96);
	assert_frame(file, n);
	put(file, n - 4 - 64 - 8, 65); /* longer than its block */
	assert_int_equal(pcapfile_first_frame(file, n, &frame, &len), -EINVAL);

	n = 0;
	for (size_t i = 0; i < sizeof(old) / 4; i++)
		n = put(file, n, old[i]);
	memcpy(file + n, bytes, sizeof(bytes));
	assert_frame(file, n + sizeof(bytes));
	assert_int_equal(pcapfile_first_frame(file, n + sizeof(bytes) - 1, &frame, &len), -EINVAL);
	put(file, 20, 101);
	assert_int_equal(pcapfile_first_frame(file, n + sizeof(bytes), &frame, &len), -ENODATA);
	assert_int_equal(pcapfile_first_frame((const uint8_t *)"no packets", 10, &frame, &len), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_capture_writes_is_read),
		cmocka_unit_test(what_others_write_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
