/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text of diagnostics. The first byte says which: a packet in words (what is accepted becomes a frame that fits, and
 * can be described again), a filter, or the bytes of a frame to be described.
 */
#include <string.h>

#include "base/filter.h"
#include "base/pkt.h"
#include "datapath/describe.h"
#include "fuzz.h"

static char *text_of(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	FUZZ_CHECK(s, "no memory");
	memcpy(s, data, size);
	s[size] = '\0';
	return s;
}

static void words(const char *text)
{
	static struct description d;
	struct errbuf err = { "" };
	uint8_t *frame;
	char again[64];
	uint32_t n;

	if (describe_parse(text, &d, &err) < 0) {
		FUZZ_CHECK(*err.text, "refused without a reason");
		return;
	}
	frame = malloc(DESCRIBE_FRAME_MAX);
	FUZZ_CHECK(frame, "no memory");
	n = describe_build(&d, frame);
	FUZZ_CHECK(n >= 14 && n <= DESCRIBE_FRAME_MAX, "a frame of %u bytes", n);
	describe_frame(frame, n, n, again, sizeof(again));
	FUZZ_CHECK(memchr(again, 0, sizeof(again)), "description without end");
	free(frame);
}

static void filter(const char *text)
{
	struct filter_spec f, g;
	struct errbuf err = { "" };
	char line[1024];

	if (field_read(filter_fields, &f, text, &err) < 0 || filter_check(&f, &err) < 0) {
		FUZZ_CHECK(*err.text, "refused without a reason");
		return;
	}
	FUZZ_CHECK(field_write(filter_fields, &f, line, sizeof(line)) >= 0, "too long");
	FUZZ_CHECK(field_read(filter_fields, &g, line, &err) == 0, "'%s' does not read back: %s", line, err.text);
	FUZZ_CHECK(field_equal(filter_fields, &f, &g), "'%s' changed", line);
}

static void frame(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	char text[40];

	FUZZ_CHECK(exact, "no memory");
	memcpy(exact, data, size);
	describe_frame(exact, (uint32_t)size, (uint32_t)size + 10, text, sizeof(text));
	FUZZ_CHECK(memchr(text, 0, sizeof(text)), "description without end");
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	if (data[0] == 'f') {
		frame(data + 1, size - 1);
		return 0;
	}
	text = text_of(data + 1, size - 1);
	if (data[0] == 'w')
		words(text);
	else
		filter(text);
	free(text);
	return 0;
}
