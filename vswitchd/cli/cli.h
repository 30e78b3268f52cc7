/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to vswitchctl: one const table of commands drives parsing, help and completion. Single thread. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/errs.h"
#include "base/object.h"
#include "protocol/protocol.h"

#define DEFAULT_SOCKET  "/run/vswitchd/control"
#define DEFAULT_MANAGER "/run/vswitchd/manager"

/*
 * Options of some commands; a command takes those that its usage line shows.
 * X(symbol, "name", what the value is called or NULL: it has none, "text")
 */
#define OPTION_LIST(X)                                                                               \
	X(VSID, "vsid", "N", "virtual subnet")                                                       \
	X(FROM, "from", "ADDRESS", "source address")                                                 \
	X(TO, "to", "ADDRESS", "destination address")                                                \
	X(MEMBER, "member", "NAME", "by this team member only")                                      \
	X(SIZE, "size", "N", "bytes of the IP packet")                                               \
	X(DF, "df", NULL, "not to be fragmented on the way")                                         \
	X(COUNT, "count", "N", "end after so many")                                                  \
	X(INTERVAL, "interval", "MS", "milliseconds from one to the next")                           \
	X(TIMEOUT, "timeout", "MS", "milliseconds to wait")                                          \
	X(SEQUENCE, "sequence", "N", "number of the test, the same at both ends; default 1")         \
	X(RECEIVER, "receiver", NULL, "arm this port; the sender is on another host")                \
	X(PACKET, "packet", "TEXT", "a packet in words, or a frame in hex: run it without sending")  \
	X(READ, "read", "FILE", "the first frame of a pcap or pcapng file: run it without sending")  \
	X(DROPS, "drops", NULL, "only what is dropped")                                              \
	X(WRITE, "write", "FILE", "pcapng file; default is standard output")                         \
	X(SNAP, "snap", "N", "bytes of each frame that are kept")                                    \
	X(BUFFER, "buffer", "MIB", "memory for copies that are not read yet; default 4")             \
	X(DRY_RUN, "dry-run", NULL, "only say what would change")

enum cli_opt {
#define X(sym, ...) OPT_##sym,
	OPTION_LIST(X)
#undef X
	OPT_COUNT_OF,
};

struct cli_option {
	const char *name, *value, *text;
};

extern const struct cli_option cli_options[OPT_COUNT_OF];

struct cli {
	const char *socket, *manager; /* manager: where managers are asked */
	bool json;
	/* options of some commands */
	bool follow, all;
	const char *port;
	const char *opt[OPT_COUNT_OF]; /* "" for those without a value; NULL: not given */
};

struct command {
	const char *noun, *verb; /* verb NULL: the noun alone */
	const char *args;	 /* for the usage line */
	const char *text;
	int kind;		 /* enum object_kind for the generic ones, -1 */
	int (*run)(const struct cli *cli, const struct command *cmd, int argc, char **argv);
};

extern const struct command commands[]; /* ended by noun NULL */

/* client.c: one call. reply parameters are the caller's. @return 0 or -errno, reason printed to stderr already. */
int cli_call(const struct cli *cli, enum method method, struct json_object *parameters, struct json_object **ret);
/* The same, but an error that the daemon replies is not printed. */
int cli_try(const struct cli *cli, enum method method, struct json_object *parameters, struct json_object **ret);
/* A streaming call; fn gets each reply's parameters (borrowed), a negative return ends it. */
int cli_stream(const struct cli *cli, enum method method, struct json_object *parameters,
	       int (*fn)(struct json_object *reply, void *arg), void *arg);

/* A streaming call of which the caller reads the replies. s is the caller's to end, also after an error. */
int cli_begin(const struct cli *cli, enum method method, struct json_object *parameters, struct stream *s);
/* The next reply of what was read. @return 1 with its parameters (caller puts them), 0: none, -errno (printed). */
int cli_next(struct stream *s, struct json_object **ret, bool *ret_continues);

/* options.c. All print why they fail. */
/* Does the command take what was given? */
int cli_check_options(const struct cli *cli, const struct command *cmd);
/* An option as a parameter of the same name, if it was given. p and ret may be NULL. */
int cli_number(const struct cli *cli, enum cli_opt opt, uint64_t min, uint64_t max, struct json_object *p,
	       uint64_t *ret);
int cli_string(const struct cli *cli, enum cli_opt opt, struct json_object *p);
/* Words NAME=VALUE of these names as parameters. */
int cli_words(struct json_object *p, const char *const *names, int argc, char **argv);
/* Words NAME=VALUE and options as parameter "filter". */
int cli_filter(const struct cli *cli, struct json_object *p, int argc, char **argv);
void print_options(const struct command *cmd);

/* print.c */
struct column {
	const char *title, *path; /* path: members joined by '.' */
	int width;		  /* at least; negative: left-aligned */
};
void print_json(struct json_object *o);
void print_header(const struct column *c);
void print_row(const struct column *c, struct json_object *o);
void print_table(const struct column *c, struct json_object *array);
/* "name: value" lines, nested objects and lists indented. */
void print_object(struct json_object *o, int indent);

/* objects.c */
int cmd_object_list(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_object_show(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_object_add(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_object_remove(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_object_import(const struct cli *cli, const struct command *cmd, int argc, char **argv);

/* show.c */
int cmd_port_list(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_port_show(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_team(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_neighbours(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_stats(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_drops(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_offload(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_traffic(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_workers(const struct cli *cli, const struct command *cmd, int argc, char **argv);
/* top.c */
int cmd_top(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_events(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_reload(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_version(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_info(const struct cli *cli, const struct command *cmd, int argc, char **argv);

/* diag.c, capture.c */
int cmd_next_hop(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_ping(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_test_port(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_trace(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_capture(const struct cli *cli, const struct command *cmd, int argc, char **argv);

/* policy.c */
int cmd_store(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_policy_apply(const struct cli *cli, const struct command *cmd, int argc, char **argv);

/* completion.c: a bash script, printed. */
void print_completion(void);

/* Print "vswitchctl: ..." and return r. */
int cli_error(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
