/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "base/log.h"

static int current_level = LOG_INFO;
static log_sink_fn current_sink;

static void sink_stderr(int level, const char *file, int line, const char *text)
{
	static const char *const names[] = {
		"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug",
	};

	/* One call, so that lines of several threads do not mix. */
	if (level >= LOG_DEBUG)
		fprintf(stderr, "debug: %s:%d: %s\n", file, line, text);
	else
		fprintf(stderr, "%s: %s\n", names[level < 0 ? 0 : level], text);
}

void log_set_sink(log_sink_fn sink)
{
	__atomic_store_n(&current_sink, sink, __ATOMIC_RELEASE);
}

void log_set_level(int level)
{
	__atomic_store_n(&current_level, level, __ATOMIC_RELAXED);
}

int log_level(void)
{
	return __atomic_load_n(&current_level, __ATOMIC_RELAXED);
}

void log_write(int level, const char *file, int line, const char *fmt, ...)
{
	log_sink_fn sink = __atomic_load_n(&current_sink, __ATOMIC_ACQUIRE);
	int saved = errno;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(sink ? sink : sink_stderr)(level, file, line, text);
	errno = saved;
}
