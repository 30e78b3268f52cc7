/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main() of a fuzz target without libFuzzer: runs the files and directories given, so that the corpus is a
 * regression test of every build and compiler. --rounds N adds N mutations of each input, the same ones every
 * time.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static unsigned int rounds, inputs;
static uint64_t random_state;
static char current[4096];

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return n ? (uint32_t)((random_state >> 33) % n) : 0;
}

static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	FUZZ_CHECK(exact, "no memory");
	if (size)
		memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

/* One to four small changes: byte, bit, number at the edge, cut, repeat. */
static size_t mutate(uint8_t *data, size_t size)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe, ' ', '"', '{', ']' };

	for (unsigned int n = 1 + random_below(4); n && size; n--) {
		uint32_t at = random_below((uint32_t)size), len = random_below((uint32_t)size - at);

		switch (random_below(6)) {
		case 0:
			data[at] = (uint8_t)random_below(256);
			break;
		case 1:
			data[at] ^= (uint8_t)(1u << random_below(8));
			break;
		case 2:
			data[at] = edges[random_below(sizeof(edges))];
			break;
		case 3:
			size -= len;
			break;
		case 4:
			memmove(data + at, data + at + len, size - at - len);
			size -= len;
			break;
		default: /* the buffer has twice the room */
			memmove(data + at + len, data + at, size - at);
			size += len;
			n = 1;
		}
	}
	return size;
}

static void run_file(const char *path)
{
	static uint8_t data[INPUT_MAX], changed[2 * INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t size;

	FUZZ_CHECK(f, "%s: %s", path, strerror(errno));
	size = fread(data, 1, sizeof(data), f);
	FUZZ_CHECK(!ferror(f), "%s: read error", path);
	fclose(f);
	snprintf(current, sizeof(current), "%s", path);
	inputs++;
	random_state = size;
	run_one(data, size);
	for (unsigned int i = 0; i < rounds; i++) {
		memcpy(changed, data, size);
		run_one(changed, mutate(changed, size));
	}
}

static int is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void run_path(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_input, alphasort);

	if (n < 0 && errno == ENOTDIR) {
		run_file(path);
		return;
	}
	FUZZ_CHECK(n >= 0, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		run_path(file);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	int i = 1;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	if (argc > 2 && strcmp(argv[1], "--rounds") == 0) {
		rounds = (unsigned int)strtoul(argv[2], NULL, 10);
		i = 3;
	}
	for (; i < argc; i++)
		run_path(argv[i]);
	printf("%u inputs, %u mutations of each\n", inputs, rounds);
	FUZZ_CHECK(inputs, "no input found: usage: %s [--rounds N] FILE|DIRECTORY...", argv[0]);
	return 0;
}
