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

#define DEFAULT_SOCKET "/run/vswitchd/control"

struct cli {
	const char *socket;
	bool json;
	/* options of some commands */
	bool follow, all;
	const char *port;
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
int cmd_workers(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_next_hop(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_events(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_reload(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_version(const struct cli *cli, const struct command *cmd, int argc, char **argv);
int cmd_info(const struct cli *cli, const struct command *cmd, int argc, char **argv);

/* completion.c: a bash script, printed. */
void print_completion(void);

/* Print "vswitchctl: ..." and return r. */
int cli_error(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
