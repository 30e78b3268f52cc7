/* SPDX-License-Identifier: BSD-3-Clause */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct job {
	const struct tap_config *cfg;
	int *fds;
	int err;
};

static int enter_netns(const char *netns)
{
	char path[256];
	int fd, err;

	if (!netns)
		return 0;
	if (snprintf(path, sizeof(path), strchr(netns, '/') ? "%s" : "/run/netns/%s", netns) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int open_queue(const struct tap_config *cfg, int *ret_fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int err, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (cfg->queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(ifr.ifr_name, cfg->name, strlen(cfg->name) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int request(int sock, const struct tap_config *cfg, unsigned long what, struct ifreq *ifr)
{
	memcpy(ifr->ifr_name, cfg->name, strlen(cfg->name) + 1);
	return ioctl(sock, what, ifr) < 0 ? -errno : 0;
}

static int set_up(const struct tap_config *cfg)
{
	struct ifreq ifr = { 0 };
	int err = 0, sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	if (cfg->mac) {
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, cfg->mac, 6);
		err = request(sock, cfg, SIOCSIFHWADDR, &ifr);
	}
	if (!err && cfg->mtu) {
		ifr = (struct ifreq){ .ifr_mtu = cfg->mtu };
		err = request(sock, cfg, SIOCSIFMTU, &ifr);
	}
	if (!err) {
		ifr = (struct ifreq){ 0 };
		err = request(sock, cfg, SIOCGIFFLAGS, &ifr);
	}
	if (!err) {
		ifr.ifr_flags |= IFF_UP;
		err = request(sock, cfg, SIOCSIFFLAGS, &ifr);
	}
	close(sock);
	return err;
}

static void *make(void *arg)
{
	struct job *job = arg;
	unsigned int n = 0;

	job->err = enter_netns(job->cfg->netns);
	while (!job->err && n < job->cfg->queues) {
		job->err = open_queue(job->cfg, &job->fds[n]);
		n += !job->err;
	}
	if (!job->err)
		job->err = set_up(job->cfg);
	while (job->err && n)
		close(job->fds[--n]);
	return NULL;
}

int tap_open(const struct tap_config *cfg, int *ret_fds)
{
	struct job job = { .cfg = cfg, .fds = ret_fds };
	pthread_t thread;
	int err;

	if (strlen(cfg->name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	err = pthread_create(&thread, NULL, make, &job);
	if (err)
		return -err;
	pthread_join(thread, NULL);
	return job.err;
}

int tap_set_offload(int fd, int hdr_len, bool csum, bool tso4, bool tso6, bool ecn)
{
	unsigned int flags = 0;

	if (csum) {
		flags |= TUN_F_CSUM;
		flags |= tso4 ? TUN_F_TSO4 : 0;
		flags |= tso6 ? TUN_F_TSO6 : 0;
		flags |= ecn && (tso4 || tso6) ? TUN_F_TSO_ECN : 0;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) < 0 || ioctl(fd, TUNSETOFFLOAD, flags) < 0)
		return -errno;
	return 0;
}

int tap_set_queue(int fd, bool attached)
{
	struct ifreq ifr = { .ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	/* EINVAL: it is in that state already */
	return ioctl(fd, TUNSETQUEUE, &ifr) < 0 && errno != EINVAL ? -errno : 0;
}
