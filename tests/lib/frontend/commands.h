/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_LIB_FRONTEND_COMMANDS_H
#define TESTS_LIB_FRONTEND_COMMANDS_H

#include "peer.h"

#include <stdio.h>

/* One line of a client; the answer, one JSON line per port, is written to fd. The line is taken apart. */
void command_run(struct peer *peer, char *line, int fd);

/* The figures of a port as one JSON line whose first member is key: value. */
void report_port(struct peer_port *p, const char *key, const char *value, int fd);

void commands_help(FILE *out);

#endif
