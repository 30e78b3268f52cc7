/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text to objects. The first byte says which kind and how: an object as a line (as the store reads it back),
 * or one value (as config and CLI set it; two more bytes choose the field and the element).
 */
#include <string.h>

#include "base/object.h"
#include "fuzz.h"

static char *text_of(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	FUZZ_CHECK(s, "no memory");
	if (size)
		memcpy(s, data, size);
	s[size] = '\0';
	return s;
}

/* What was accepted can be written, and reads back to the same. */
static void check_round_trip(enum object_kind kind, const union object_spec *spec)
{
	static char line[OBJECT_LINE_MAX], key[OBJECT_KEY_MAX];
	const struct field *rows = object_types[kind].fields;
	union object_spec again;
	struct errbuf err;
	int n;

	if (object_validate(kind, spec, &err) == 0)
		FUZZ_CHECK(object_key(kind, spec, key, sizeof(key)) > 0, "valid object without key");
	n = field_write(rows, spec, line, sizeof(line));
	FUZZ_CHECK(n >= 0, "an object does not fit OBJECT_LINE_MAX");
	memset(&again, 0xa5, sizeof(again));
	FUZZ_CHECK(field_read(rows, &again, line, &err) == 0, "'%s' does not read back: %s", line, err.text);
	FUZZ_CHECK(field_equal(rows, spec, &again), "'%s' changed", line);
}

static void set_one(enum object_kind kind, const uint8_t *data, size_t size)
{
	const struct field *rows = object_types[kind].fields, *f = rows;
	union object_spec spec, before;
	struct errbuf err;
	char *s;

	if (size < 2)
		return;
	for (unsigned int n = data[0]; n; n--)
		f = (f + 1)->name ? f + 1 : rows;
	object_default(kind, &spec);
	before = spec;
	s = text_of(data + 2, size - 2);
	if (field_set(f, &spec, data[1], s, &err) < 0)
		FUZZ_CHECK(memcmp(&spec, &before, object_types[kind].size) == 0,
			   "changed by a refused value");
	else if (data[1] == 0) /* otherwise there are empty elements before it */
		check_round_trip(kind, &spec);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union object_spec spec;
	enum object_kind kind;
	struct errbuf err;
	char *s;

	if (size == 0)
		return 0;
	kind = data[0] % OBJECT_COUNT;
	if (data[0] & 0x80) {
		set_one(kind, data + 1, size - 1);
		return 0;
	}
	object_default(kind, &spec);
	s = text_of(data + 1, size - 1);
	if (field_read(object_types[kind].fields, &spec, s, &err) == 0)
		check_round_trip(kind, &spec);
	free(s);
	return 0;
}
