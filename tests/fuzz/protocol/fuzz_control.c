/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a client sends to the control socket: messages out of a byte stream, their objects into specs. What is accepted
 * must come back from JSON equal.
 */
#include <string.h>

#include "fuzz.h"
#include "protocol/protocol.h"

static void check_object(enum object_kind kind, struct json_object *o)
{
	const struct object_type *type = &object_types[kind];
	union object_spec spec, again;
	struct json_object *back;
	struct errbuf err = { "" };

	field_defaults(type->fields, &spec, type->size);
	if (fields_from_json(type->fields, &spec, o, &err) < 0) {
		FUZZ_CHECK(*err.text, "refused without a reason");
		return;
	}
	(void)object_validate(kind, &spec, &err);
	back = fields_to_json(type->fields, &spec, true);
	FUZZ_CHECK(back, "no JSON of a %s", type->name);
	field_defaults(type->fields, &again, type->size);
	FUZZ_CHECK(fields_from_json(type->fields, &again, back, &err) == 0, "%s: %s", type->name, err.text);
	FUZZ_CHECK(field_equal(type->fields, &spec, &again), "a %s changed on its way through JSON", type->name);
	json_object_put(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s;
	struct json_object *o;

	stream_init(&s, -1);
	s.in = malloc(size ? size : 1);
	FUZZ_CHECK(s.in, "no memory");
	if (size)
		memcpy(s.in, data, size);
	s.in_len = s.in_size = size;
	while (stream_next(&s, &o) > 0) {
		struct json_object *p = NULL, *method = NULL;

		if (json_object_object_get_ex(o, "method", &method) && json_object_is_type(method, json_type_string))
			(void)method_find(json_object_get_string(method));
		json_object_object_get_ex(o, "parameters", &p);
		for (unsigned int k = 0; k < OBJECT_COUNT; k++)
			check_object((enum object_kind)k, p ? p : o);
		json_object_put(o);
	}
	stream_done(&s);
	return 0;
}
