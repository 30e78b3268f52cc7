/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "teaming/ethtool.h"
#include "teaming/team.h"

#define BATCH	   64
#define FRAME_SIZE 9234 /* jumbo with a tag */
#define BURST	   256

#ifndef TUNSETCARRIER
#define TUNSETCARRIER _IOW('T', 226, int)
#endif

/* ---- the TAP ---- */

static int attach(struct tw_relay *r, struct errbuf *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	r->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (r->fd < 0)
		return err_set(err, errno, "relay %s: /dev/net/tun: %s", r->name, strerror(errno));
	memcpy(ifr.ifr_name, r->name, sizeof(ifr.ifr_name));
	if (ioctl(r->fd, TUNSETIFF, &ifr) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, EBUSY, "relay %s: somebody else uses that TAP device", r->name);
	if (errno == EINVAL)
		return err_set(err, EINVAL, "relay %s: there is a device of that name which is no (single-queue) TAP",
			       r->name);
	return err_set(err, errno, "relay %s: cannot make or take the TAP device: %s%s", r->name, strerror(errno),
		       errno == EPERM ? " (needs CAP_NET_ADMIN)" : "");
}

static int get_mac(struct tw_relay *r)
{
	struct ifreq ifr = { 0 };

	if (ioctl(r->fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(&r->mac, ifr.ifr_hwaddr.sa_data, sizeof(r->mac));
	return 0;
}

static bool is_port(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/net/%s/master", name);
	return access(path, F_OK) == 0;
}

static int set_mac(struct tw_relay *r, const struct mac *mac)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = 1 /* ARPHRD_ETHER */ };

	if (mac_is_zero(mac) || mac_equal(mac, &r->mac) || is_port(r->name))
		return 0;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, sizeof(*mac));
	if (ioctl(r->fd, SIOCSIFHWADDR, &ifr) < 0)
		return -errno;
	r->mac = *mac;
	return 0;
}

void tw_relay_close(struct tw_relay *r)
{
	if (!r)
		return;
	closep(&r->fd);
	free(r);
}

int tw_relay_open(const char *name, const struct mac *mac, struct tw_relay **ret, struct errbuf *err)
{
	struct tw_relay *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return err_set(err, ENOMEM, "out of memory");
	r->fd = r->carrier = -1;
	str_copy(r->name, sizeof(r->name), name);
	for (unsigned int i = 0; i < 2; i++)
		rate_init(&r->rate[i], TW_RELAY_PPS, BURST, S_NS, tick_ns());
	e = attach(r, err);
	if (e == 0 && ((e = get_mac(r)) < 0 || (e = set_mac(r, mac)) < 0))
		err_set(err, -e, "relay %s: MAC address: %s", name, strerror(-e));
	if (e < 0) {
		tw_relay_close(r);
		return e;
	}
	tw_relay_link(r, false, 0);
	*ret = r;
	return 0;
}

void tw_relay_link(struct tw_relay *r, bool up, uint32_t speed)
{
	int carrier = up;

	/* First: LACP puts ports of different speeds into different groups. */
	if (up && speed && speed != r->speed && tw_ethtool_set_speed(r->name, speed) == 0)
		r->speed = speed;
	if (carrier == r->carrier)
		return;
	if (ioctl(r->fd, TUNSETCARRIER, &carrier) < 0)
		log_debug("relay %s: carrier: %s", r->name, strerror(errno));
	r->carrier = carrier;
}

bool tw_relay_passes(struct tw_relay *r, bool inward, const uint8_t *frame, uint32_t len, uint64_t now)
{
	if (len < ETH_HLEN_)
		return false;
	if (tw_is_link_local(frame))
		return true;
	/* What the device was given for its provider addresses is no business of the kernel's. */
	if (inward && !(frame[0] & 1) && !mac_equal(frame, &r->mac))
		return false;
	return rate_take(&r->rate[inward ? 0 : 1], 1, now);
}

/* ---- members ---- */

void tw_relay_inward(struct teaming *t, unsigned int m, const uint8_t *frame, uint32_t len)
{
	struct tw_relay *r = t->relay[m];

	if (!r || !tw_relay_passes(r, true, frame, len, tw_now(&t->core)))
		return;
	/* Refused while the TAP is down, or when nobody reads: as on a wire. */
	if (write(r->fd, frame, len) < 0)
		log_debug("relay %s: frame lost: %s", r->name, strerror(errno));
}

void tw_relay_outward(struct teaming *t, unsigned int m)
{
	struct tw_relay *r = m < TEAM_MEMBERS ? t->relay[m] : NULL;
	uint8_t buf[FRAME_SIZE];
	ssize_t n;

	for (unsigned int i = 0; r && i < BATCH; i++) {
		n = read(r->fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		/* Others may fill only half of the ring to the worker. */
		if (t->io[m] && tw_relay_passes(r, false, buf, (uint32_t)n, tw_now(&t->core)) &&
		    (tw_is_link_local(buf) || tw_io_punt_quiet(t->io[m])))
			tw_sockets_send(t, m, buf, (uint32_t)n);
	}
}

/* Workers look at what they were told, so they are told again only about changes. */
static void tell_workers(struct teaming *t, unsigned int m)
{
	if (t->io[m] && !t->io_if_index[m])
		tw_io_punt_relay(t->io[m], t->relay[m] ? &t->relay[m]->mac : NULL);
}

void tw_relay_follow(struct teaming *t, unsigned int m, const struct provider_port *port)
{
	struct tw_relay *r = t->relay[m];

	if (!r)
		return;
	tw_relay_link(r, t->core.members[m].dev && port->link, port->speed);
	if (get_mac(r) == 0)
		tell_workers(t, m);
}

void tw_relays_sync(struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		const struct tw_member *mem = &t->core.members[m];
		struct tw_relay *r = t->relay[m];

		if (r && (!mem->used || strcmp(mem->spec.relay, r->name) != 0)) {
			tw_relay_close(r); /* closing takes it out of epoll */
			t->relay[m] = r = NULL;
		}
		/* At once: closing takes a while, in which teamd could count on it. */
		if (r && !mem->dev)
			tw_relay_link(r, false, 0);
		tell_workers(t, m);
	}
}
