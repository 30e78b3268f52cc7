/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "teaming/xdp_fds.h"

static bool is_xdp_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_XDP;
}

static bool is_bpf(int fd)
{
	char path[40], target[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strncmp(target, "anon_inode:bpf", 14) == 0 || strcmp(target, "anon_inode:btf") == 0;
}

void tw_xdp_fds_list(struct tw_xdp_fds *ret)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	ret->n = 0;
	if (!dir)
		return;
	while (ret->n < TW_XDP_FDS && (e = readdir(dir))) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && fd != dirfd(dir) && (is_xdp_socket(fd) || is_bpf(fd)))
			ret->fd[ret->n++] = fd;
	}
	closedir(dir);
}

static bool has(const struct tw_xdp_fds *fds, int fd)
{
	for (unsigned int i = 0; i < fds->n; i++)
		if (fds->fd[i] == fd)
			return true;
	return false;
}

void tw_xdp_fds_new(struct tw_xdp_fds *after, const struct tw_xdp_fds *before)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < after->n; i++)
		if (!has(before, after->fd[i]))
			after->fd[n++] = after->fd[i];
	after->n = n;
}

void tw_xdp_fds_close(const struct tw_xdp_fds *fds)
{
	for (unsigned int i = 0; i < fds->n; i++)
		if (is_xdp_socket(fds->fd[i]) || is_bpf(fds->fd[i]))
			close(fds->fd[i]);
}
