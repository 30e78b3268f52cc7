/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scope-bound clean-up, systemd's way: a destructor runs when the variable leaves scope, TAKE() hands the
 * pointer on and disarms it. Control side only.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Take the value of a pointer variable and leave NULL behind. */
#define TAKE(ptr) ({ __typeof__(ptr) *pp_ = &(ptr); __typeof__(ptr) p_ = *pp_; *pp_ = NULL; p_; })

/* Take the value of an fd variable and leave -1 behind. */
#define TAKE_FD(fd) ({ int *fp_ = &(fd); int f_ = *fp_; *fp_ = -1; f_; })

/* Make a clean-up function `fn##p` for pointers to `type` that are freed by `fn`, which accepts NULL. */
#define DEFINE_CLEANUP(type, fn)		\
	static inline void fn##p(type *p)	\
	{					\
		if (*p)				\
			fn(*p);			\
	}					\
	struct cleanup_semicolon_

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define CLEANUP_FREE CLEANUP(freep)
#define CLEANUP_CLOSE CLEANUP(closep)
#define CLEANUP_FCLOSE CLEANUP(fclosep)

#endif
