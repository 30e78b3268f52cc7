/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections of the ports. Control thread only. */
#ifndef TESTS_LIB_FRONTEND_LINK_H
#define TESTS_LIB_FRONTEND_LINK_H

#include "peer.h"

/* Begin to listen for, or to try, a connection. */
void link_begin(struct peer *peer, struct peer_port *p);

/* The listening socket, the connection, the back-end's channel is readable. */
void link_listen_event(struct peer *peer, struct peer_port *p);
void link_event(struct peer *peer, struct peer_port *p);
void link_backend_event(struct peer *peer, struct peer_port *p);

/*
 * Connect what is not connected.
 * @param pause_ms  after an attempt that nobody took
 * @return milliseconds until the next attempt: 0 after a connection that a hostile script has used up, -1: none is due
 */
int link_retry(struct peer *peer, int pause_ms);

/* Take the connection down; why goes into the event. The port connects again unless held. */
void link_down(struct peer *peer, struct peer_port *p, const char *why);

/* The same and forget rings and features. */
void link_restart_guest(struct peer *peer, struct peer_port *p, const char *why);

/* Orderly stop and start of the rings on a connection that stays. 0 or -errno. */
int link_stop_rings(struct peer_port *p);
int link_start_rings(struct peer_port *p);

/* The guest boots again: orderly stop, rings and features forgotten, start, all on one connection. 0 or
 * -errno. */
int link_reboot(struct peer_port *p);

/* Orderly stop, then on with the same guest at another socket. 0 or -errno. */
int link_migrate(struct peer *peer, struct peer_port *p, const char *path);

#endif
