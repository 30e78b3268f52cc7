/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text forms of addresses and numbers; strict parsers (whole string or error), formatters that always
 * terminate.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

#define MAC_STR	   18
#define IP_STR	   46
#define PREFIX_STR 50

/*
 * Parsers of a whole string. Decimal or 0x without sign and blanks; octal for file rights ("0660", "660");
 * true false yes no on off 1 0; 02:00:00:00:00:01, also with '-', any value; "10.0.0.0/24" where host bits
 * may be set, and which is of full length without "/". @return 0 and *ret written, or -EINVAL (malformed),
 * -ERANGE (number outside its range).
 */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int parse_octal(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int parse_bool(const char *s, bool *ret);
int parse_mac(const char *s, struct mac *ret);
int parse_ip(const char *s, struct ip_addr *ret);
int parse_prefix(const char *s, struct ip_prefix *ret);

/* Formatters: write at most the *_STR size including NUL, return buf. An unset address (a zero MAC) is "". */
char *format_mac(const struct mac *m, char buf[MAC_STR]);
char *format_ip(const struct ip_addr *a, char buf[IP_STR]);
char *format_prefix(const struct ip_prefix *p, char buf[PREFIX_STR]);

/* Copy with guaranteed NUL. @return 0, -ENAMETOOLONG (dst is then truncated). */
int str_copy(char *dst, size_t size, const char *src);

/*
 * The entry of a NULL-terminated list nearest to s by edit distance, or NULL when none is near. For "did you
 * mean".
 */
const char *str_nearest(const char *s, const char *const *list);

/*
 * Object ids (ports, hosts, routing domains): 1..63 characters of [A-Za-z0-9._:-], not beginning with '-' or
 * '.'.
 */
bool str_is_id(const char *s);

/* Valid UTF-8 without control characters: may be shown in a log, a terminal and JSON. Any thread. */
bool str_is_text(const char *s);

/*
 * A copy of somebody else's bytes that may stand in a message: '?' for all but printable ASCII, "..." at the
 * end when it was cut to size (at least 4). @return buf. Any thread.
 */
char *str_visible(const char *s, char *buf, size_t size);

#endif
