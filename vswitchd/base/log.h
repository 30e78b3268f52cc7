/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logging with a replaceable sink (the daemon plugs the journal in; default: stderr with the level in front).
 * Never called on the packet path. Library code logs at debug only: an error is logged once, by the layer
 * that decides what to do about it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <errno.h>
#include <stdarg.h>
#include <syslog.h>

/* @param level LOG_ERR .. LOG_DEBUG of syslog.h; text without a line feed. May be called from any thread. */
typedef void (*log_sink_fn)(int level, const char *file, int line, const char *text);

/* Replace the sink; NULL restores stderr. Main thread, before other threads exist. */
void log_set_sink(log_sink_fn sink);

/* Highest level that is passed to the sink (default LOG_INFO). Any thread. */
void log_set_level(int level);
int log_level(void);

void log_write(int level, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define log_full(level, ...)                                                     \
	do {                                                                     \
		if ((level) <= log_level())                                      \
			log_write((level), __FILE__, __LINE__, __VA_ARGS__);     \
	} while (0)

#define log_error(...)	 log_full(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_full(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_full(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_full(LOG_DEBUG, __VA_ARGS__)

/*
 * Log with errno set from r (0 or -errno), so that %m works, and return r: `return log_error_errno(r, "...:
 * %m")`.
 */
#define log_error_errno(r, ...)                  \
	({                                       \
		int r_ = (r);                    \
		errno = r_ < 0 ? -r_ : r_;       \
		log_full(LOG_ERR, __VA_ARGS__);  \
		r_;                              \
	})

#endif
