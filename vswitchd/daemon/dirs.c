/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/dirs.h"

static int set_rights(const char *path, mode_t mode)
{
	if (chmod(path, mode) == 0)
		return 0;
	if (errno != EPERM || !(mode & S_ISGID) || chmod(path, mode & 0777) < 0)
		return -1;
	log_warning("%s: what is made there does not get its group (not permitted here): systemd-tmpfiles --create "
		    "vswitchd.conf", path);
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct errbuf *err)
{
	struct stat st;

	/*
	 * mkdir() first, then look: an existing directory keeps the rights its owner gave it.
	 * Service managers refuse calls with set-group-id (RestrictSUIDSGID=), even where nothing is to be made.
	 */
	if (mkdir(path, mode & 0777) == 0)
		return set_rights(path, mode) == 0 ? 0 : err_set(err, errno, "cannot set the rights of %s: %m", path);
	if (errno != EEXIST)
		return err_set(err, errno, "cannot make directory %s: %m", path);
	if (stat(path, &st) < 0)
		return err_set(err, errno, "cannot use directory %s: %m", path);
	return S_ISDIR(st.st_mode) ? 0 : err_set(err, ENOTDIR, "%s is not a directory", path);
}

/* The one that is made without being named, below the run directory. */
static bool is_ours(const struct settings *s)
{
	size_t n = strlen(s->run_dir);

	return strncmp(s->socket_dir, s->run_dir, n) == 0 && strcmp(s->socket_dir + n, "/ports") == 0;
}

/* Sockets of guests: QEMU runs as somebody else, who has to make files here and connect to ours. */
static int make_socket_dir(const struct settings *s, struct errbuf *err)
{
	const mode_t mode = *s->socket_group ? 02770 : 0755;
	CLEANUP_FREE char *buf = NULL;
	struct group g, *found = NULL;
	struct stat st;
	int r;

	r = make_dir(s->socket_dir, mode, err);
	if (r < 0)
		return r;
	/*
	 * Our own one of before follows the setting. One that somebody else has made keeps its rights; so does, without
	 * a group that is set, one of the group we run in: a package has made it for QEMU to write in.
	 */
	if (stat(s->socket_dir, &st) < 0)
		return err_set(err, errno, "cannot use directory %s: %m", s->socket_dir);
	if (is_ours(s) && (*s->socket_group || st.st_gid != getegid()) && (st.st_mode & 0777) != (mode & 0777) &&
	    set_rights(s->socket_dir, mode) < 0)
		return err_set(err, errno, "cannot set the rights of %s: %m", s->socket_dir);
	if (!*s->socket_group)
		return 0;
	buf = malloc(65536);
	if (!buf)
		return err_set(err, ENOMEM, "out of memory");
	if (getgrnam_r(s->socket_group, &g, buf, 65536, &found) != 0 || !found)
		return err_set(err, EINVAL, "paths.socket-group: there is no group '%s'", s->socket_group);
	if (stat(s->socket_dir, &st) == 0 && st.st_gid == g.gr_gid)
		return 0;
	if (chown(s->socket_dir, (uid_t)-1, g.gr_gid) < 0)
		return err_set(err, errno, "cannot give %s to group %s: %m", s->socket_dir, s->socket_group);
	return 0;
}

int dirs_make(const struct settings *s, struct errbuf *err)
{
	int r = make_dir(s->run_dir, 0755, err);

	if (r == 0)
		r = make_dir(s->state_dir, 0700, err);
	if (r == 0)
		r = make_socket_dir(s, err);
	return r;
}

int dirs_lock(const char *run_dir, struct errbuf *err)
{
	CLEANUP_CLOSE int fd = -1;
	char path[PATH_SIZE + 8], pid[32] = "";
	ssize_t n;

	snprintf(path, sizeof(path), "%s/lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_set(err, errno, "cannot open %s: %m", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_set(err, errno, "cannot lock %s: %m", path);
		n = read(fd, pid, sizeof(pid) - 1);
		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		return err_set(err, EBUSY, "already running as pid %s in %s", *pid ? pid : "?", run_dir);
	}
	/* The file stays when we end: removing it could take away a lock that another daemon has just got. */
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid))
		return err_set(err, errno, "cannot write %s: %m", path);
	return TAKE_FD(fd);
}

static int salt_read(const char *path, uint64_t *ret)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[17], *end;
	uint64_t salt;

	if (fd < 0)
		return -errno;
	if (read(fd, text, 16) != 16)
		return -EINVAL;
	text[16] = '\0';
	salt = strtoull(text, &end, 16);
	if (*end)
		return -EINVAL;
	*ret = salt;
	return 0;
}

/* Under another name first, so that a crash leaves either no salt or a whole one. */
static int salt_write(const char *path, uint64_t salt)
{
	char tmp[PATH_SIZE + 16], text[32];
	CLEANUP_CLOSE int fd = -1;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	snprintf(text, sizeof(text), "%016llx\n", (unsigned long long)salt);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, 17) != 17 || fsync(fd) < 0)
		return -EIO;
	return rename(tmp, path) < 0 ? -errno : 0;
}

int dirs_salt(const char *state_dir, uint64_t *ret, struct errbuf *err)
{
	char path[PATH_SIZE + 8];
	uint64_t salt;
	int r;

	snprintf(path, sizeof(path), "%s/salt", state_dir);
	r = salt_read(path, &salt);
	if (r < 0) {
		if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
			return err_set(err, EIO, "no random numbers");
		r = salt_write(path, salt);
	}
	if (r < 0) {
		errno = -r;
		return err_set(err, -r, "cannot write %s: %m", path);
	}
	*ret = salt;
	return 0;
}
