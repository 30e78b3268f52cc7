/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "teaming/ethtool.h"

static int request(const char *name, unsigned long code, struct ifreq *ifr)
{
	CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (str_copy(ifr->ifr_name, sizeof(ifr->ifr_name), name) < 0)
		return -ENODEV;
	return ioctl(fd, code, ifr) < 0 ? -errno : 0;
}

static int ethtool(const char *name, void *command)
{
	struct ifreq ifr = { .ifr_data = command };

	return request(name, SIOCETHTOOL, &ifr);
}

union link_settings {
	struct ethtool_link_settings base;
	uint32_t space[sizeof(struct ethtool_link_settings) / 4 + 3 * 127]; /* three masks behind it */
};

static int get_link_settings(const char *name, union link_settings *s)
{
	int8_t words;
	int r;

	/* The first request only says, negated, how long the masks are. */
	*s = (union link_settings){ .base.cmd = ETHTOOL_GLINKSETTINGS };
	r = ethtool(name, s);
	if (r < 0)
		return r;
	if (s->base.link_mode_masks_nwords >= 0)
		return -EOPNOTSUPP;
	words = (int8_t)-s->base.link_mode_masks_nwords;
	s->base = (struct ethtool_link_settings){ .cmd = ETHTOOL_GLINKSETTINGS, .link_mode_masks_nwords = words };
	return ethtool(name, s);
}

uint32_t tw_ethtool_speed(const char *name)
{
	union link_settings s;

	if (get_link_settings(name, &s) < 0 || s.base.speed == (uint32_t)SPEED_UNKNOWN)
		return 0;
	return s.base.speed;
}

int tw_ethtool_set_speed(const char *name, uint32_t speed)
{
	union link_settings s;
	int r = get_link_settings(name, &s);

	if (r < 0)
		return r;
	s.base.cmd = ETHTOOL_SLINKSETTINGS;
	s.base.speed = speed;
	s.base.duplex = DUPLEX_FULL;
	return ethtool(name, &s);
}

unsigned int tw_ethtool_rx_queues(const char *name)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };

	if (ethtool(name, &c) < 0)
		return 1;
	return c.rx_count + c.combined_count ? c.rx_count + c.combined_count : 1;
}

int tw_ethtool_no_merging(const char *name)
{
	struct ethtool_value gro = { .cmd = ETHTOOL_SGRO }, flags = { .cmd = ETHTOOL_GFLAGS };
	int r = ethtool(name, &gro);

	if (ethtool(name, &flags) == 0 && flags.data & ETH_FLAG_LRO) {
		flags.cmd = ETHTOOL_SFLAGS;
		flags.data &= ~(uint32_t)ETH_FLAG_LRO;
		r = ethtool(name, &flags) < 0 ? -EIO : r;
	}
	return r;
}

int tw_netdev_running(const char *name)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int r = request(name, SIOCGIFFLAGS, &ifr);

	return r < 0 ? r : (ifr.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

int tw_netdev_mtu(const char *name)
{
	struct ifreq ifr = { .ifr_mtu = 0 };
	int r = request(name, SIOCGIFMTU, &ifr);

	return r < 0 ? r : ifr.ifr_mtu;
}
