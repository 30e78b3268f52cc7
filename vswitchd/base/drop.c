/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "base/drop.h"

static const struct {
	const char *name, *text;
} drops[DROP_COUNT] = {
#define X(sym, n, t) [DROP_##sym] = { n, t },
	DROP_LIST(X)
#undef X
};

const char *drop_name(enum drop_reason r)
{
	return (unsigned int)r < DROP_COUNT ? drops[r].name : NULL;
}

const char *drop_text(enum drop_reason r)
{
	return (unsigned int)r < DROP_COUNT ? drops[r].text : NULL;
}
