/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <rte_log.h>

#include "base/log.h"
#include "base/tick.h"
#include "daemon/logsink.h"

#define LINE_MAX_ 1024

bool log_is_journal(int fd, const char *journal_stream)
{
	unsigned long long dev, ino;
	struct stat st;
	char end;

	return journal_stream && sscanf(journal_stream, "%llu:%llu%c", &dev, &ino, &end) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void journal_sink(int level, const char *file, int line, const char *text)
{
	char code_file[128], code_line[32];

	snprintf(code_file, sizeof(code_file), "CODE_FILE=%s", file);
	snprintf(code_line, sizeof(code_line), "CODE_LINE=%d", line);
	sd_journal_send_with_location(code_file, code_line, "", "PRIORITY=%i", level, "MESSAGE=%s", text,
				      "SYSLOG_IDENTIFIER=vswitchd", NULL);
}

void log_open(void)
{
	if (log_is_journal(STDERR_FILENO, getenv("JOURNAL_STREAM")))
		log_set_sink(journal_sink);
}

/*
 * DPDK's vhost library reports what guests do; a guest must not be able to fill the log. So many lines a second pass,
 * the rest is counted.
 */
#define DPDK_LINES_PER_SECOND 20

static bool dpdk_may_log(void)
{
	static uint64_t second;	      /* threads race here; a line more or less does not matter */
	static unsigned int lines;
	uint64_t now = tick_ms() / 1000;

	if (__atomic_exchange_n(&second, now, __ATOMIC_RELAXED) != now) {
		unsigned int n = __atomic_exchange_n(&lines, 0, __ATOMIC_RELAXED);

		if (n > DPDK_LINES_PER_SECOND)
			log_warning("dpdk: %u messages left out", n - DPDK_LINES_PER_SECOND);
	}
	return __atomic_add_fetch(&lines, 1, __ATOMIC_RELAXED) <= DPDK_LINES_PER_SECOND;
}

static int dpdk_level(const char *text)
{
	static const int levels[] = { LOG_ERR,	   LOG_ERR,   LOG_ERR,	 LOG_ERR,
				      LOG_WARNING, LOG_DEBUG, LOG_DEBUG, LOG_DEBUG };
	int dpdk = rte_log_cur_msg_loglevel();

	/* An absent front-end, for instance, is a warning there and everyday life here. */
	if (dpdk == RTE_LOG_WARNING && strncmp(text, "VHOST_", 6) == 0)
		return LOG_DEBUG;
	return dpdk > 0 && dpdk <= 8 ? levels[dpdk - 1] : LOG_DEBUG;
}

/* One complete line of DPDK's. */
static void dpdk_line(const char *text, size_t len)
{
	int level = dpdk_level(text);

	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len && level <= log_level() && dpdk_may_log())
		log_full(level, "dpdk: %.*s", len > LINE_MAX_ ? LINE_MAX_ : (int)len, text);
}

static ssize_t dpdk_write(void *cookie, const char *text, size_t len)
{
	const char *p = text, *end = text + len, *nl;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		nl = nl ? nl : end;
		dpdk_line(p, (size_t)(nl - p));
	}
	return (ssize_t)len;
}

int log_open_dpdk(void)
{
	static FILE *stream; /* DPDK keeps it until the process ends */
	cookie_io_functions_t io = { .write = dpdk_write };

	if (stream)
		return 0;
	stream = fopencookie(NULL, "w", io);
	if (!stream)
		return -ENOMEM;
	setvbuf(stream, NULL, _IOLBF, LINE_MAX_);
	return rte_openlog_stream(stream) < 0 ? -EINVAL : 0;
}

static int event_level(enum event_id id)
{
	switch (id) {
	case EVENT_PORT_FAILED:
	case EVENT_MEMBER_FAILED:
	case EVENT_TEAM_DOWN:
		return LOG_ERR;
	case EVENT_MTU_MISMATCH:
	case EVENT_NEEDS_RESET:
	case EVENT_TEAM_ALARM:
		return LOG_WARNING;
	case EVENT_PORT_QUEUE:
	case EVENT_OBJECT:
	case EVENT_READY:
		return LOG_DEBUG;
	default:
		return LOG_INFO;
	}
}

static void event_text(const struct event *ev, char *buf, size_t size)
{
	size_t used = (size_t)snprintf(buf, size, "%s", ev->name);
	unsigned int i;
	int n;

	for (i = 0; i < ev->n; i++) {
		if (!ev->pairs[i].value[0])
			continue;
		n = snprintf(buf + used, size - used, " %s=%s", ev->pairs[i].key, ev->pairs[i].value);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

static void event_to_journal(int level, const struct event *ev, const char *text)
{
	struct iovec iov[EVENT_PAIRS + 4];
	char fields[EVENT_PAIRS + 4][LINE_MAX_];
	unsigned int i, n = 0;
	char *p;

	snprintf(fields[n++], LINE_MAX_, "PRIORITY=%d", level);
	snprintf(fields[n++], LINE_MAX_, "MESSAGE=%s", text);
	snprintf(fields[n++], LINE_MAX_, "SYSLOG_IDENTIFIER=vswitchd");
	snprintf(fields[n++], LINE_MAX_, "VSWITCHD_EVENT=%s", ev->name);
	for (i = 0; i < ev->n; i++) {
		/* Journal fields are A-Z 0-9 _ */
		snprintf(fields[n], LINE_MAX_, "VSWITCHD_%s=%s", ev->pairs[i].key, ev->pairs[i].value);
		for (p = fields[n]; *p != '='; p++)
			*p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
		n++;
	}
	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){ fields[i], strlen(fields[i]) };
	sd_journal_sendv(iov, (int)n);
}

void log_event(enum event_id id, const struct event *ev)
{
	int level = event_level(id);
	char text[LINE_MAX_];

	if (level > log_level())
		return;
	event_text(ev, text, sizeof(text));
	if (log_is_journal(STDERR_FILENO, getenv("JOURNAL_STREAM")))
		event_to_journal(level, ev, text);
	else
		log_full(level, "%s", text);
}
