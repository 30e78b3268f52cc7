/* SPDX-License-Identifier: BSD-3-Clause */
/* A real etcd of the test's own on loopback, from Debian's package. */
#ifndef UNIT_ETCD_SERVER_H
#define UNIT_ETCD_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct etcd_server {
	char dir[64], url[64];
	unsigned int port; /* and port + 1 for members among themselves */
	pid_t pid;
};

/* Is etcd installed? */
bool etcd_server_known(void);
/* Start it on free ports, wait until it serves. @return 0, -errno. */
int etcd_server_new(struct etcd_server *s);
/* Again, on the same data and ports. */
int etcd_server_start(struct etcd_server *s);
void etcd_server_kill(struct etcd_server *s); /* as a crash */
void etcd_server_free(struct etcd_server *s);
/* POST to it, the answer is thrown away. @return HTTP status. */
long etcd_server_post(const struct etcd_server *s, const char *path, const char *body);

#endif
