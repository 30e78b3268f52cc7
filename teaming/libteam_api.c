/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libteam itself. What is known of version 1.31 and taken care of here:
 * - team_check_events() waits when there is nothing, and uses select(): never called; team_handle_events() only when
 *   its descriptor is readable.
 * - team_free() of a handle that team_init() has not completed closes descriptor 0.
 * - libnl-cli ends the process when it cannot make a socket.
 * - Ports come in LIFO order; a port whose removal was lost stays: who is a port is checked by rtnetlink.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <team.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "teaming/libteam_watch.h"

#define SOCKETS 6 /* that libteam makes, and some */

static void on_log(struct team_handle *th, int priority, const char *file, int line, const char *fn,
		   const char *format, va_list args) __attribute__((format(printf, 6, 0)));

static void on_log(struct team_handle *th, int priority, const char *file, int line, const char *fn,
		   const char *format, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, args);
	log_debug("libteam: %s", text);
}

static int enough_sockets(void)
{
	int fds[SOCKETS], n = 0, r = 0;

	for (; n < SOCKETS; n++) {
		fds[n] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		if (fds[n] < 0) {
			r = -errno;
			break;
		}
	}
	while (n-- > 0)
		close(fds[n]);
	return r;
}

/* Its options are for CAP_NET_ADMIN only, of this thread. */
static bool may_ask(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	memset(d, 0, sizeof(d));
	if (syscall(SYS_capget, &h, d) < 0)
		return true; /* the kernel will tell */
	return d[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
}

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/*
 * Descriptor 0 goes with it. When that is /dev/null it is made anew; when it is anything else the handle is left as it
 * is: a few descriptors lost, once per failure.
 */
static void free_incomplete(struct team_handle *th)
{
	int fd;

	if (!is_null(0))
		return;
	team_free(th);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd > 0)
		close(fd); /* another thread has got 0 meanwhile: it is welcome to it */
}

static int api_attach(uint32_t if_index, void **ret)
{
	struct team_handle *th;
	int r;

	if (!may_ask())
		return -EPERM;
	r = enough_sockets();
	if (r < 0)
		return r;
	th = team_alloc();
	if (!th)
		return -ENOMEM;
	team_set_log_fn(th, on_log);
	r = team_init(th, if_index);
	if (r) {
		free_incomplete(th);
		return r < 0 ? r : -EIO;
	}
	*ret = th;
	return 0;
}

static void api_detach(void *handle)
{
	team_free(handle);
}

static int api_fd(void *handle)
{
	return team_get_event_fd(handle);
}

static int api_handle(void *handle)
{
	return team_handle_events(handle);
}

static int api_refresh(void *handle)
{
	return team_refresh(handle);
}

static void add_port(struct team_handle *th, struct team_port *port, struct tw_snapshot *ret)
{
	struct tw_snap_port p;
	uint32_t i;

	if (ret->n == TEAM_MEMBERS) {
		ret->beyond++;
		return;
	}
	memset(&p, 0, sizeof(p));
	p.if_index = team_get_port_ifindex(port);
	p.speed = team_get_port_speed(port);
	p.link = team_is_port_link_up(port);
	if (team_get_port_enabled(th, p.if_index, &p.enabled) < 0)
		p.enabled = false;
	if (team_get_port_user_linkup(th, p.if_index, &p.user_linkup) < 0)
		p.user_linkup = false;
	for (i = ret->n++; i > 0 && ret->ports[i - 1].if_index > p.if_index; i--)
		ret->ports[i] = ret->ports[i - 1];
	ret->ports[i] = p;
}

static void api_snapshot(void *handle, struct tw_snapshot *ret)
{
	struct team_port *port;
	char *mode;

	if (team_get_mode_name(handle, &mode) == 0 && mode)
		str_copy(ret->mode, sizeof(ret->mode), mode);
	if (team_get_active_port(handle, &ret->active) < 0)
		ret->active = 0;
	team_for_each_port(port, handle)
		if (!team_is_port_removed(port))
			add_port(handle, port, ret);
}

const struct tw_libteam_ops tw_libteam_ops = {
	.attach = api_attach,
	.detach = api_detach,
	.fd = api_fd,
	.handle = api_handle,
	.refresh = api_refresh,
	.snapshot = api_snapshot,
};
