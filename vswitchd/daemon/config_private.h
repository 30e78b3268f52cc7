/* SPDX-License-Identifier: BSD-3-Clause */
/* Between config.c, config_text.c and config_check.c. */
#ifndef DAEMON_CONFIG_PRIVATE_H
#define DAEMON_CONFIG_PRIVATE_H

#include "daemon/config.h"

/* The file with its includes put in place, and where every line of it came from. */
struct config_text {
	char *text;
	size_t len, room;
	struct config_segment {
		uint32_t first; /* line in text, from 1 */
		struct config_where where;
	} *segments;
	size_t n_segments, segments_room;
	uint32_t line; /* of the end of text */
};

int config_text_load(const char *file, struct config *c, struct config_text *ret, struct config_errors *errors);
int config_text_parse(const char *name, const char *text, size_t len, struct config *c, struct config_text *ret,
		      struct config_errors *errors);
void config_text_free(struct config_text *t);
struct config_where config_text_where(const struct config_text *t, uint32_t line);

/*
 * The parser has failed in this line of the text. Because that ends too early? @param ret the bracket that is
 * open. @return its line; 0: something else is wrong.
 */
uint32_t config_unclosed(const char *text, uint32_t line, char *ret);

/* Add an error (or warning) at a place. */
void config_error(const struct config *c, struct config_errors *errors, struct config_where where, const char *fmt,
		  ...) __attribute__((format(printf, 4, 5)));
void config_warning(const struct config *c, struct config_errors *errors, struct config_where where, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5)));

/* Order by place. */
void config_errors_sort(struct config_errors *errors);

/* Grow an array to hold one more element. @return 0, -ENOMEM (array unchanged). */
int config_grow(void *array, size_t *room, size_t n, size_t size);

/* A hash set of indices into something the caller owns. */
#define CONFIG_SET_NONE ((size_t)-1)
struct config_set {
	struct {
		uint64_t hash;
		uint32_t index; /* + 1; 0: empty */
	} *slots;
	size_t mask;
};
typedef bool (*config_set_equal_fn)(const void *key, size_t index, const void *arg);

uint64_t config_hash(const void *data, size_t len, uint64_t seed);
int config_set_init(struct config_set *s, size_t n); /* for at most n members. 0, -ENOMEM */
void config_set_done(struct config_set *s);
size_t config_set_find(const struct config_set *s, uint64_t hash, config_set_equal_fn equal, const void *key,
		       const void *arg);
void config_set_add(struct config_set *s, uint64_t hash, size_t index);

/* config_load() and config_parse() with any judge, or none. */
typedef int (*config_judge_fn)(const struct config *c, struct config_errors *errors);
int config_read_judged(const char *file, config_judge_fn judge, struct config **ret, struct config_errors *errors);
int config_parse_judged(const char *name, const char *text, size_t len, config_judge_fn judge, struct config **ret,
			struct config_errors *errors);
struct config_where config_group_where(const struct config *c, const char *name);

/* Checks between objects (config_check.c). @return 0, -ENOMEM. */
int config_check(const struct config *c, struct config_errors *errors);
/* Checks of what belongs to this host (config_check_local.c). */
void config_check_settings(const struct config *c, struct config_errors *errors);
void config_check_ports(const struct config *c, struct config_errors *errors);
void config_check_team(const struct config *c, struct config_errors *errors);

/* "file:line" of an object, for messages about two places. */
#define CONFIG_PLACE_STR 256
const char *config_place(const struct config *c, enum object_kind kind, size_t i, char buf[CONFIG_PLACE_STR]);

#endif
