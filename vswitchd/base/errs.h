/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors are 0 or -errno. Where a person has to read the reason (config, CLI, control socket) the function
 * takes a `struct errbuf *` besides and fills it with one sentence that names the value and what is allowed.
 */
#ifndef BASE_ERRS_H
#define BASE_ERRS_H

#include <errno.h>
#include <stdarg.h>

struct errbuf {
	char text[512];
};

/*
 * Write a reason into `err` and return -code, so that `return err_set(err, EINVAL, "...")` reads as one act.
 * @param err   may be NULL: only the code is returned.
 * @param code  positive errno.
 * @return -code. Any thread.
 */
int err_set(struct errbuf *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Put text in front of the reason already in `err` ("port vm1: ..."), keeping its end when it is too long.
 * @return r, unchanged, so that it can be used in a return statement. Any thread.
 */
int err_prefix(struct errbuf *err, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
