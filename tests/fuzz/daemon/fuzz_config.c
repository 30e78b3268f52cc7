/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration file. Refused with reasons or accepted whole; what was accepted is found again by its keys. */
#include <string.h>

#include "daemon/config.h"
#include "daemon/config_policy.h"
#include "fuzz.h"

/* libconfig 1.5 loses a text that stands in front of a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static void check_index(const struct config *c)
{
	struct config_index *x = NULL;
	const char *file;
	unsigned int k, line;
	size_t i;

	FUZZ_CHECK(config_index_new(c, &x) == 0, "no memory");
	for (k = 0; k < OBJECT_COUNT; k++) {
		for (i = 0; i < c->objects[k].n; i++) {
			FUZZ_CHECK(config_index_find(x, k, config_spec(c, k, i), &file, &line),
				   "an object has no place");
			FUZZ_CHECK(line >= 1, "line %u", line);
		}
	}
	config_index_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	char *all;
	int r;

	/* Files of the machine are not part of the input. */
	if (size > 65536 || memmem(data, size, "@include", 8))
		return 0;
	r = config_parse("fuzz", (const char *)data, size, &c, &errors);
	FUZZ_CHECK((r == 0) == (c != NULL), "result %d", r);
	FUZZ_CHECK((r == 0) == (errors.n_errors == 0), "result %d with %zu errors", r, errors.n_errors);
	if (r == 0) {
		check_index(c);
		r = config_check_policy(c, NULL, &errors);
		FUZZ_CHECK((r == 0) == (errors.n_errors == 0), "policy: result %d with %zu errors", r,
			   errors.n_errors);
	}
	all = config_errors_join(&errors);
	FUZZ_CHECK(all, "no memory");
	free(all);
	config_free(c);
	config_errors_free(&errors);
	return 0;
}
