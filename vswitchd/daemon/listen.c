/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "daemon/listen.h"

#define BACKLOG 64

/* A socket file that nobody listens on is a left-over; anything else is not ours to remove. */
static int remove_stale(const char *path, const struct sockaddr_un *a, struct errbuf *err)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, errno, "socket: %s", strerror(errno));
	r = connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? errno : 0;
	close(fd);
	if (r != ECONNREFUSED)
		return err_set(err, EADDRINUSE, "%s is in use by another process", path);
	return unlink(path) < 0 ? err_set(err, errno, "%s: %s", path, strerror(errno)) : 0;
}

static int passed(const char *path)
{
	int n = sd_listen_fds(0);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
		if (sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) > 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
			return fd;
	return -ENOENT;
}

int listen_unix(const char *path, mode_t mode, bool *ret_passed, struct errbuf *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int fd = -1;
	int r;

	if (str_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		return err_set(err, ENAMETOOLONG, "%s: too long for a socket", path);
	r = passed(path);
	*ret_passed = r >= 0;
	if (r >= 0)
		return r;
	r = remove_stale(path, &a, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, errno, "socket: %s", strerror(errno));
	fchmod(fd, 0600);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	return TAKE_FD(fd);
}

int listen_tcp(const struct sockaddr *address, socklen_t size, const char *text, struct errbuf *err)
{
	CLEANUP_CLOSE int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return err_set(err, errno, "socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0)
		return err_set(err, errno, "%s: %s", text, strerror(errno));
	return TAKE_FD(fd);
}
