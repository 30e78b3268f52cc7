/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "teaming/packet_filter.h"

static bool reads_netdev(int fd, uint32_t if_index)
{
	struct sockaddr_ll address = { 0 };
	socklen_t len = sizeof(address);

	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.sll_family == AF_PACKET &&
	       address.sll_ifindex == (int)if_index;
}

static bool has_filter(int fd)
{
	socklen_t len = 0; /* of the filter, in instructions */

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) == 0 && len > 0;
}

static int refuse_outgoing(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

int tw_packet_refuse_outgoing(uint32_t if_index)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int r = 0, n = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (e = readdir(dir))) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] == '.' || fd == dirfd(dir) || !reads_netdev(fd, if_index) || has_filter(fd))
			continue;
		r = refuse_outgoing(fd);
		n += r == 0;
	}
	closedir(dir);
	return r < 0 ? r : n;
}
