/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket file of server mode. In client mode it is the front-end's and not touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vhost_private.h"

/* Does nobody listen there? */
static bool is_dead(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	memcpy(a.sun_path, path, strlen(path));
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED;
}

int socket_prepare(const struct port_spec *spec, struct errbuf *err)
{
	const char *path = spec->socket;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, errno, "socket %s: %m", path);
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EADDRINUSE, "%s exists and is not a socket", path);
	if (st.st_uid != geteuid())
		return err_set(err, EADDRINUSE, "socket %s exists and belongs to user %u", path, st.st_uid);
	if (!is_dead(path))
		return err_set(err, EADDRINUSE, "socket %s is in use by another process", path);
	if (unlink(path) < 0)
		return err_set(err, errno, "left-over socket %s: %m", path);
	return 0;
}

static int find_group(const char *name, gid_t *ret, struct errbuf *err)
{
	char buf[4096];
	struct group g, *found = NULL;

	if (getgrnam_r(name, &g, buf, sizeof(buf), &found) != 0 || !found)
		return err_set(err, EINVAL, "socket group '%s' does not exist", name);
	*ret = g.gr_gid;
	return 0;
}

static int set_rights(struct vhu_port *p, gid_t group, struct errbuf *err)
{
	const char *path = p->spec.socket;
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_set(err, errno, "socket %s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EADDRINUSE, "socket %s was replaced", path);
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	if (group != (gid_t)-1 && lchown(path, (uid_t)-1, group) < 0)
		return err_set(err, EACCES, "socket %s: cannot give it to group %s: %m", path,
			       p->spec.socket_group);
	if (p->spec.socket_mode && chmod(path, p->spec.socket_mode & 0777) < 0)
		return err_set(err, errno, "socket %s: mode %o: %m", path, p->spec.socket_mode);
	return 0;
}

/* Why could the library not bind? It does not say. */
static int bind_error(const char *path, struct errbuf *err)
{
	char dir[PATH_SIZE];
	char *slash;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
		return err_set(err, errno, "socket %s: directory: %m", path);
	return err_set(err, EADDRINUSE, "socket %s cannot be bound, or too many sockets (512 in server mode)",
		       path);
}

int socket_listen(struct vhu_port *p, struct errbuf *err)
{
	gid_t group = (gid_t)-1;
	mode_t old;
	int r;

	if (p->spec.socket_group[0]) {
		r = find_group(p->spec.socket_group, &group, err);
		if (r < 0)
			return r;
	}
	/*
	 * The library binds with the process's umask; nobody but us may connect before the rights are set. It
	 * counts for all threads: a file that another one makes in this moment is private at worst.
	 */
	old = umask(0077);
	umask(old | 0077);
	r = rte_vhost_driver_start(p->spec.socket);
	umask(old);
	if (r < 0)
		return bind_error(p->spec.socket, err);
	return set_rights(p, group, err);
}

static bool is_ours(const struct vhu_port *p)
{
	struct stat st;

	return p->ino && lstat(p->spec.socket, &st) == 0 && st.st_dev == p->dev && st.st_ino == p->ino;
}

void socket_unregister(struct vhu_port *p)
{
	const char *path = p->spec.socket;
	char aside[PATH_SIZE + 16];
	bool foreign = p->spec.mode == PORT_SERVER && !is_ours(p) && access(path, F_OK) == 0;

	snprintf(aside, sizeof(aside), "%s.keep", path);
	if (foreign && renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE) < 0)
		foreign = false;
	rte_vhost_driver_unregister(path);
	if (foreign)
		renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE);
}
