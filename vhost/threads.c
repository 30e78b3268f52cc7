/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library starts its two threads, which parse what front-ends write, when its first client is registered and
 * started. They inherit the rights of whoever does that: portctl, which may open devices. So a thread that has given
 * up its rights registers a client for a socket that nobody makes, and ends.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <rte_vhost.h>

#include "vhost/vhost_private.h"

struct start {
	const struct vhu_config *config;
	int r;
};

static void *start_main(void *arg)
{
	struct start *s = arg;
	static const char path[] = "/proc/nobody"; /* where nobody can make one */

	s->r = s->config->confine ? s->config->confine() : 0;
	if (s->r < 0)
		return NULL;
	if (rte_vhost_driver_register(path, RTE_VHOST_USER_CLIENT) < 0) {
		s->r = -ENOMEM;
		return NULL;
	}
	if (rte_vhost_driver_start(path) < 0)
		s->r = -ENOMEM;
	rte_vhost_driver_unregister(path);
	return NULL;
}

int threads_start(const struct vhu_config *config, struct errbuf *err)
{
	struct start s = { .config = config };
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, start_main, &s);

	if (r == 0)
		pthread_join(thread, NULL);
	if (r == 0)
		r = s.r;
	return r < 0 ? err_set(err, -r, "threads for vhost-user: %s", strerror(-r)) : 0;
}
