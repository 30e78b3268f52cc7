/* SPDX-License-Identifier: BSD-3-Clause */
/* next-hop, ping, test port, trace: why did this packet not arrive? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/filter.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/pcapfile.h"

#define FRAME_MAX 9234u
#define FILE_MAX  (1u << 20) /* bytes in which the first frame has to be */

static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, name, &v);
	return v;
}

static const char *text(struct json_object *o, const char *name)
{
	struct json_object *v = member(o, name);

	return v ? json_object_get_string(v) : "";
}

static bool is(struct json_object *o, const char *name, const char *value)
{
	return strcmp(text(o, name), value) == 0;
}

static void put_line(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* ---- next-hop ---- */

int cmd_next_hop(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	static const char *const names[] = { "vsid", "from", "to", NULL };
	struct json_object *p = json_object_new_object(), *reply;
	int r = cli_words(p, names, argc, argv);

	if (r >= 0)
		r = cli_string(cli, OPT_FROM, p);
	if (r >= 0)
		r = cli_string(cli, OPT_TO, p);
	if (r >= 0)
		r = cli_number(cli, OPT_VSID, 0, UINT32_MAX, p, NULL);
	if (r >= 0 && (!member(p, "vsid") || !member(p, "from") || !member(p, "to")))
		r = cli_error(-EINVAL, "next-hop %s is wanted", cmd->args);
	if (r < 0) {
		json_object_put(p);
		return r;
	}
	r = cli_call(cli, METHOD_NEXT_HOP, p, &reply);
	if (r < 0)
		return r;
	if (cli->json)
		print_json(member(reply, "next_hop"));
	else
		print_object(member(reply, "next_hop"), 0);
	json_object_put(reply);
	return 0;
}

/* ---- ping ---- */

struct pings {
	const struct cli *cli;
	unsigned int sent, answered;
	bool stopped;
};

static void print_pong(struct json_object *o)
{
	if (is(o, "result", "ok")) {
		printf("%s from %s by %s: sequence %s, %s bytes, %.3f ms", text(o, "to"), text(o, "from"),
		       text(o, "member"), text(o, "sequence"), text(o, "size"),
		       json_object_get_double(member(o, "rtt-us")) / 1000.);
		if (!is(o, "came-by", text(o, "member")))
			printf(", came back by %s", text(o, "came-by"));
		putchar('\n');
		return;
	}
	printf("%s: sequence %s: %s: %s", text(o, "to"), text(o, "sequence"), text(o, "result"), text(o, "text"));
	if (member(o, "next-hop"))
		printf(" (next hop %s, from %s by %s)", text(o, "next-hop"), text(o, "from"), text(o, "member"));
	if (is(o, "result", "mtu") || is(o, "result", "too-big"))
		printf("; %s bytes, MTU %s", text(o, "size"), text(o, "mtu"));
	if (member(o, "by"))
		printf("; said by %s", text(o, "by"));
	putchar('\n');
}

static int on_pong(struct json_object *reply, void *arg)
{
	struct pings *s = arg;
	struct json_object *o = member(reply, "pong");

	if (!o)
		return 0;
	s->sent++;
	s->answered += is(o, "result", "ok");
	if (s->cli->json)
		put_line(o);
	else
		print_pong(o);
	return fflush(stdout) == 0 ? 0 : -EPIPE;
}

int cmd_ping(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *p = json_object_new_object();
	struct pings s = { .cli = cli };
	int r = argc == 1 ? 0 : cli_error(-EINVAL, "ping %s is wanted", cmd->args);

	if (r >= 0)
		json_object_object_add(p, "to", json_object_new_string(argv[0]));
	if (r >= 0)
		r = cli_string(cli, OPT_FROM, p);
	if (r >= 0)
		r = cli_string(cli, OPT_MEMBER, p);
	if (r >= 0)
		r = cli_number(cli, OPT_SIZE, 1, UINT16_MAX, p, NULL);
	if (r >= 0)
		r = cli_number(cli, OPT_COUNT, 1, UINT32_MAX, p, NULL);
	if (r >= 0)
		r = cli_number(cli, OPT_INTERVAL, 1, UINT32_MAX, p, NULL);
	if (r >= 0)
		r = cli_number(cli, OPT_TIMEOUT, 1, UINT32_MAX, p, NULL);
	if (cli->opt[OPT_DF])
		json_object_object_add(p, "df", json_object_new_boolean(true));
	if (r < 0) {
		json_object_put(p);
		return r;
	}
	r = cli_stream(cli, METHOD_PING, p, on_pong, &s);
	if (r < 0)
		return r;
	if (!cli->json)
		printf("%u sent, %u answered\n", s.sent, s.answered);
	return s.answered && s.answered == s.sent ? 0 : -EIO;
}

/* ---- test port ---- */

struct test_state {
	const struct cli *cli;
	bool ok;
};

static int on_test(struct json_object *reply, void *arg)
{
	struct test_state *s = arg;
	struct json_object *o = member(reply, "test");

	if (!o) {
		if (s->cli->opt[OPT_RECEIVER] && !s->cli->json)
			puts("armed");
		else if (s->cli->opt[OPT_RECEIVER])
			puts("{\"armed\":true}");
		fflush(stdout);
		return 0;
	}
	s->ok = is(o, "result", "ok");
	if (s->cli->json) {
		put_line(o);
	} else {
		printf("%s: %s -> %s, sequence %s, %s bytes", text(o, "result"), text(o, "from"),
		       *text(o, "to") ? text(o, "to") : text(o, "receiver"), text(o, "sequence"), text(o, "size"));
		if (member(o, "rtt-us"))
			printf(", %.3f ms", json_object_get_double(member(o, "rtt-us")) / 1000.);
		if (member(o, "lost"))
			printf(", the %s was dropped: %s", text(o, "lost"), text(o, "reason"));
		if (member(o, "text"))
			printf(": %s", text(o, "text"));
		putchar('\n');
	}
	return 0;
}

int cmd_test_port(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *p = json_object_new_object();
	struct test_state s = { .cli = cli };
	bool receiver_only = cli->opt[OPT_RECEIVER] != NULL;
	int r = argc >= 1 && argc <= 2 && !(receiver_only && argc == 2) ?
			0 : cli_error(-EINVAL, "test port %s is wanted", cmd->args);

	if (r >= 0)
		json_object_object_add(p, receiver_only ? "receiver" : "sender", json_object_new_string(argv[0]));
	if (r >= 0 && argc == 2)
		json_object_object_add(p, "receiver", json_object_new_string(argv[1]));
	if (r >= 0)
		r = cli_string(cli, OPT_FROM, p);
	if (r >= 0)
		r = cli_string(cli, OPT_TO, p);
	if (r >= 0)
		r = cli_number(cli, OPT_SIZE, 1, UINT16_MAX, p, NULL);
	if (r >= 0)
		r = cli_number(cli, OPT_SEQUENCE, 0, UINT16_MAX, p, NULL);
	if (r >= 0)
		r = cli_number(cli, OPT_TIMEOUT, 1, UINT32_MAX, p, NULL);
	if (r < 0) {
		json_object_put(p);
		return r;
	}
	r = cli_stream(cli, METHOD_TEST_PORT, p, on_test, &s);
	return r < 0 ? r : s.ok ? 0 : -EIO;
}

/* ---- trace ---- */

static void print_bytes(const char *hex)
{
	for (size_t i = 0; hex[i] && hex[i + 1]; i += 2) {
		if (i % 64 == 0)
			printf("%s    %04zx ", i ? "\n" : "", i / 2);
		printf(" %c%c", hex[i], hex[i + 1]);
	}
	putchar('\n');
}

static void print_stage(struct json_object *row)
{
	static const char *const details[] = { "reason", "port", "host", "member", "vsid", "bucket", "record", NULL };

	printf("  %-9s %-8s", text(row, "stage"), text(row, "verdict"));
	for (unsigned int i = 0; details[i]; i++)
		if (member(row, details[i]))
			printf(" %s=%s", details[i], text(row, details[i]));
	printf(" length=%s cycles=%s\n", text(row, "length"), text(row, "cycles"));
	if (member(row, "text"))
		printf("            %s\n", text(row, "text"));
	if (member(row, "frame"))
		print_bytes(text(row, "frame"));
}

static void print_trace(struct json_object *o)
{
	struct json_object *rows = member(o, "stages");

	printf("%s\n", text(o, "packet"));
	if (member(o, "note"))
		printf("  note: %s\n", text(o, "note"));
	if (member(o, "rows-lost"))
		printf("  note: %s looks at packets were lost up to here: too many match\n", text(o, "rows-lost"));
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		print_stage(json_object_array_get_idx(rows, i));
	if (member(o, "rows-left-out"))
		printf("  %s more rows are left out\n", text(o, "rows-left-out"));
	if (member(o, "frames-left-out"))
		printf("  the bytes of %s more are left out\n", text(o, "frames-left-out"));
}

struct traces {
	const struct cli *cli;
	bool first;
};

static int on_trace(struct json_object *reply, void *arg)
{
	struct traces *s = arg;
	struct json_object *o = member(reply, "trace");

	if (!o)
		return 0;
	if (s->cli->json)
		put_line(o);
	else
		print_trace(o);
	return fflush(stdout) == 0 ? 0 : -EPIPE;
}

/* The first Ethernet frame of a pcap or pcapng file, as hex digits. Caller frees. */
static char *frame_of_file(const char *path)
{
	CLEANUP_FCLOSE FILE *f = fopen(path, "re");
	CLEANUP_FREE uint8_t *file = malloc(FILE_MAX);
	const uint8_t *frame;
	size_t n, len;
	char *hex;
	int r;

	if (!f || !file) {
		cli_error(-EIO, "%s: %s", path, strerror(errno));
		return NULL;
	}
	n = fread(file, 1, FILE_MAX, f);
	r = pcapfile_first_frame(file, n, &frame, &len);
	if (r == 0 && len < ETH_HLEN_)
		r = -ENODATA;
	if (r < 0 || len > FRAME_MAX) {
		cli_error(-EINVAL, "%s: %s", path, r == -EINVAL ? "neither a pcap nor a pcapng file" :
			  r < 0 ? "no Ethernet frame in it" : "the first frame is too long");
		return NULL;
	}
	hex = malloc(2 * len + 1);
	for (size_t i = 0; hex && i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", frame[i]);
	return hex;
}

static int dry_run(const struct cli *cli, const char *packet)
{
	struct json_object *p = json_object_new_object(), *reply;
	int r;

	if (!cli->port) {
		json_object_put(p);
		return cli_error(-EINVAL, "trace: whose packet is it? --port ID");
	}
	json_object_object_add(p, "port", json_object_new_string(cli->port));
	json_object_object_add(p, "packet", json_object_new_string(packet));
	r = cli_call(cli, METHOD_DRY_RUN, p, &reply);
	if (r < 0)
		return r;
	if (cli->json)
		print_json(member(reply, "trace"));
	else
		print_trace(member(reply, "trace"));
	json_object_put(reply);
	return 0;
}

int cmd_trace(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct json_object *p;
	struct traces s = { .cli = cli };
	CLEANUP_FREE char *hex = NULL;
	int r;

	if (cli->opt[OPT_PACKET] || cli->opt[OPT_READ]) {
		if (argc || (cli->opt[OPT_PACKET] && cli->opt[OPT_READ]))
			return cli_error(-EINVAL, "trace: one packet, and no filter");
		if (cli->opt[OPT_PACKET])
			return dry_run(cli, cli->opt[OPT_PACKET]);
		hex = frame_of_file(cli->opt[OPT_READ]);
		return hex ? dry_run(cli, hex) : -EINVAL;
	}
	p = json_object_new_object();
	r = cli_filter(cli, p, argc, argv);
	if (r >= 0)
		r = cli_number(cli, OPT_COUNT, 1, UINT32_MAX, p, NULL);
	if (r < 0) {
		json_object_put(p);
		return r;
	}
	return cli_stream(cli, METHOD_TRACE, p, on_trace, &s);
}
