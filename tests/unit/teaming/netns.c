/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static bool inside;

int netns_setup(void **state)
{
	if (unshare(CLONE_NEWNET) == 0)
		inside = true;
	else
		fprintf(stderr, "skipped: a network namespace needs root\n");
	if (inside)
		ip_run("link set lo up");
	return 0;
}

void netns_need(void)
{
	if (!inside)
		skip();
}

void ip_run(const char *fmt, ...)
{
	char command[512] = "ip ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command + 3, sizeof(command) - 3, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static bool running(const char *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), r;
	struct ifreq ifr = { .ifr_flags = 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	r = ioctl(fd, SIOCGIFFLAGS, &ifr);
	close(fd);
	assert_int_equal(r, 0);
	return ifr.ifr_flags & IFF_RUNNING;
}

void cable_wait(const char *a, const char *b)
{
	while (!running(a) || !running(b))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ip_run("link set %s up", a); /* the link watch is done when it gives the lock away that this takes */
}

void cable(const char *a, const char *b)
{
	ip_run("link add %s type veth peer name %s", a, b);
	for (unsigned int i = 0; i < 2; i++) {
		ip_run("link set %s addrgenmode none", i ? a : b);
		ip_run("link set %s up", i ? a : b);
	}
	cable_wait(a, b);
}

int raw_open(const char *device)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	address.sll_ifindex = (int)if_nametoindex(device);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	return fd;
}

int raw_recv(int fd, void *buf, size_t size, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	n = recv(fd, buf, size, 0);
	return n < 0 ? 0 : (int)n;
}
