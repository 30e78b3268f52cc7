/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file: settings and static objects, read as a whole, checked as a whole. Nothing here touches the
 * running switch; all functions may be called on any thread.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/object.h"
#include "daemon/config_schema.h"

/* A place in the files; file is an index into config.files. */
struct config_where {
	uint32_t line;
	uint16_t file;
};

/* All objects of one kind, in the order of the file. */
struct config_list {
	size_t n, room;
	uint8_t *specs; /* n structures of object_types[kind].size bytes */
	struct config_where *where;
};

struct config {
	struct settings settings;
	struct config_list objects[OBJECT_COUNT];
	struct config_where groups[SETTINGS_GROUPS_MAX]; /* of settings_groups[]; line 0: not in the file */
	char **files; /* as named by the user or by @include; [0] is the main file */
	size_t n_files;
};

/* Everything that is wrong, at most CONFIG_ERRORS_MAX of them; `more` counts the rest. */
#define CONFIG_ERRORS_MAX 1000

struct config_error {
	struct config_where where;
	bool warning; /* legal, but probably not what was meant */
	char *text;   /* complete: "file:line: what" */
};

struct config_errors {
	struct config_error *list;
	size_t n, room, more;
	size_t n_errors; /* of the n, those that are no warnings */
};

/*
 * Read a file and what it includes.
 * @param ret written on success, freed by config_free().
 * @param errors  all errors and warnings, ordered by place; initialise with { 0 }, free with config_errors_free().
 * @return 0 (perhaps with warnings); -EINVAL (errors tell why); -ENOMEM.
 */
int config_load(const char *file, struct config **ret, struct config_errors *errors);

/*
 * The same without any check of one object or setting against others, and of this machine: for who needs the file and
 * is no switch. config_check_store() judges the group `store`.
 */
int config_fetch(const char *file, struct config **ret, struct config_errors *errors);
int config_fetch_text(const char *name, const char *text, size_t len, struct config **ret,
		     struct config_errors *errors);
void config_check_store(const struct config *c, struct config_errors *errors);

/* config_load() from memory; `name` stands for the file in messages, and @include is relative to its directory. */
int config_parse(const char *name, const char *text, size_t len, struct config **ret, struct config_errors *errors);

struct config *config_free(struct config *c);
void config_errors_free(struct config_errors *errors);

/* All texts, one per line, malloc'ed; NULL: no memory. */
char *config_errors_join(const struct config_errors *errors);

static inline void *config_spec(const struct config *c, enum object_kind kind, size_t i)
{
	return c->objects[kind].specs + i * object_types[kind].size;
}

/*
 * What this version cannot do, or not with these settings, although the object is well-formed. @return 0 or -EINVAL
 * with a reason.
 */
int config_supported(const struct settings *s, enum object_kind kind, const void *spec, struct errbuf *err);

/* The socket of a port: its own or the default below socket-dir. @return 0, -ENAMETOOLONG. */
int port_socket_path(const struct settings *s, const struct port_spec *p, char buf[PATH_SIZE], struct errbuf *err);

/* What the settings say of the team, pointing into them; lists, event and arg are left empty. */
struct teaming_config;
void config_team(const struct settings *s, struct teaming_config *ret);

/*
 * Where the objects of a configuration stand, for refusals at run time: 16 bytes per object, keeps no specs.
 */
struct config_index;
int config_index_new(const struct config *c, struct config_index **ret);
struct config_index *config_index_free(struct config_index *x);
/* @return false when the configuration has no such object. */
bool config_index_find(const struct config_index *x, enum object_kind kind, const void *spec, const char **ret_file,
		       unsigned int *ret_line);

union tcp_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/*
 * "ADDRESS:PORT", "[ADDRESS]:PORT". @param public addresses other than the loopback's are allowed.
 * @return 0, -EINVAL with a reason.
 */
int config_tcp_address(const char *text, bool public, union tcp_address *ret, struct errbuf *err);

#endif
