/* SPDX-License-Identifier: BSD-3-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "teaming/xdp.h"

#define PROGRAM "vswitchd_nvgre" /* function name in xdp/nvgre.bpf.c */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

int tw_xdp_path(const char **ret, struct errbuf *err)
{
	const char *path = getenv("VSWITCHD_XDP_PROG");

	if (!path || !*path)
		path = XDP_OBJECT;
	if (!*path)
		return err_set(err, ENOTSUP, "this build has no AF_XDP support: clang was missing");
	if (access(path, R_OK) < 0)
		return err_set(err, ENOENT, "XDP program %s: %s", path, strerror(errno));
	*ret = path;
	return 0;
}

/*
 * An abstract socket address belongs to the network namespace, as the netdev does, and ends with its owner.
 */
static int claim(const char *netdev, uint32_t if_index, int *ret, struct errbuf *err)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n;

	if (fd < 0)
		return err_set(err, errno, "socket: %s", strerror(errno));
	n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "vswitchd-xdp-%u", if_index);
	if (bind(fd, (void *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0) {
		if (errno == EADDRINUSE)
			return err_set(err, EBUSY, "%s is in use by another vswitchd", netdev);
		return err_set(err, errno, "cannot claim %s: %s", netdev, strerror(errno));
	}
	*ret = TAKE_FD(fd);
	return 0;
}

/* @return 1 ours by name, 0 not, -errno (-EPERM: may not look). */
static int named_ours(uint32_t id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	CLEANUP_CLOSE int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	return strncmp(info.name, PROGRAM, sizeof(info.name)) == 0;
}

/* What a note about this program says, or "" when it cannot be written. */
static void note_text(uint32_t if_index, uint32_t id, char *buf, size_t size)
{
	CLEANUP_FCLOSE FILE *f = fopen(BOOT_ID, "re");
	char boot[40];

	*buf = '\0';
	if (f && fscanf(f, "%39s", boot) == 1)
		snprintf(buf, size, "%s %u %u\n", boot, if_index, id);
}

static char *note_path(const char *netdev, const char *state_dir)
{
	char *path;

	if (!state_dir || asprintf(&path, "%s/xdp-%s", state_dir, netdev) < 0)
		return NULL;
	return path;
}

static bool noted_ours(const char *netdev, uint32_t if_index, uint32_t id, const char *state_dir)
{
	CLEANUP_FREE char *path = note_path(netdev, state_dir);
	CLEANUP_FCLOSE FILE *f = path ? fopen(path, "re") : NULL;
	char want[96], have[96];

	note_text(if_index, id, want, sizeof(want));
	return f && *want && fgets(have, sizeof(have), f) && strcmp(want, have) == 0;
}

void tw_xdp_note(const char *netdev, uint32_t if_index, const char *state_dir)
{
	CLEANUP_FREE char *path = note_path(netdev, state_dir);
	CLEANUP_FCLOSE FILE *f = NULL;
	char text[96];
	uint32_t id;

	if (!path || bpf_xdp_query_id((int)if_index, 0, &id) < 0 || !id)
		return;
	note_text(if_index, id, text, sizeof(text));
	f = fopen(path, "we");
	if (f)
		fputs(text, f);
}

static int remove_left_over(const char *netdev, uint32_t if_index, const char *state_dir, struct errbuf *err)
{
	uint32_t id = 0;
	int r = bpf_xdp_query_id((int)if_index, 0, &id), ours;

	if (r < 0)
		return err_set(err, -r, "%s: cannot ask for its XDP program: %s", netdev, strerror(-r));
	if (!id)
		return 0;
	ours = named_ours(id);
	if (ours < 0)
		ours = noted_ours(netdev, if_index, id, state_dir);
	if (!ours)
		return err_set(err, EEXIST, "%s has an XDP program of somebody else's (id %u); "
			       "\"ip link set dev %s xdp off\" removes it", netdev, id, netdev);
	r = bpf_xdp_detach((int)if_index, 0, NULL);
	if (r < 0)
		return err_set(err, -r, "%s: cannot remove the XDP program of an earlier run: %s", netdev,
			       strerror(-r));
	log_debug("%s: removed the XDP program of an earlier run (id %u)", netdev, id);
	return 0;
}

int tw_xdp_claim(const char *netdev, uint32_t if_index, const char *state_dir, int *ret_claim, struct errbuf *err)
{
	CLEANUP_CLOSE int fd = -1;
	int r = claim(netdev, if_index, &fd, err);

	if (r == 0)
		r = remove_left_over(netdev, if_index, state_dir, err);
	if (r == 0)
		*ret_claim = TAKE_FD(fd);
	return r;
}
