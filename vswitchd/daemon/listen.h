/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets: our own, or those that the service manager made for us (socket units). Main thread. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/errs.h"

/*
 * Listen on a unix stream socket. One that was passed to us for this path is taken as it is; a file that nobody
 * listens on any more is replaced, anything else is left alone.
 * @param mode rights of the file. @param ret_passed the file is the service manager's: do not remove it.
 * @return the descriptor (non-blocking, close-on-exec), or -errno with a reason.
 */
int listen_unix(const char *path, mode_t mode, bool *ret_passed, struct errbuf *err);

/* Listen on TCP. @param text for messages. @return as above. */
int listen_tcp(const struct sockaddr *address, socklen_t size, const char *text, struct errbuf *err);

#endif
