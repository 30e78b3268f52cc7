/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "teaming/ethtool.h"
#include "teaming/links.h"

/* RFC 2863 states and the flag by <linux/if.h>, which cannot be included beside <net/if.h>. */
#define OPER_UNKNOWN  0
#define OPER_UP	      6
#define FLAG_LOWER_UP 0x10000

#define BUFFER	   65536 /* a link with many virtual functions is long */
#define RCVBUF	   (1 << 20)
#define DUMP_TRIES 5

struct tw_links {
	struct mnl_socket *events;
	struct tw_netdev *links; /* by if_index */
	size_t n_links, space;
	char buf[BUFFER];
};

/* ---- table ---- */

/* Index of the link, or where it belongs. */
static size_t position(const struct tw_links *p, uint32_t if_index)
{
	size_t low = 0, high = p->n_links;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (p->links[mid].if_index < if_index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct tw_netdev *tw_links_find(const struct tw_links *p, uint32_t if_index)
{
	size_t i = position(p, if_index);

	return if_index && i < p->n_links && p->links[i].if_index == if_index ? &p->links[i] : NULL;
}

struct tw_netdev *tw_links_find_name(const struct tw_links *p, const char *name)
{
	for (size_t i = 0; i < p->n_links; i++)
		if (strcmp(p->links[i].name, name) == 0)
			return &p->links[i];
	return NULL;
}

static void drop(struct tw_links *p, size_t i)
{
	p->n_links--;
	memmove(&p->links[i], &p->links[i + 1], (p->n_links - i) * sizeof(*p->links));
}

static struct tw_netdev *insert(struct tw_links *p, uint32_t if_index)
{
	size_t i = position(p, if_index);

	if (p->n_links == p->space) {
		size_t space = p->space ? 2 * p->space : 64;
		struct tw_netdev *links = realloc(p->links, space * sizeof(*links));

		if (!links)
			return NULL;
		p->links = links;
		p->space = space;
	}
	memmove(&p->links[i + 1], &p->links[i], (p->n_links - i) * sizeof(*p->links));
	p->n_links++;
	p->links[i] = (struct tw_netdev){ .if_index = if_index };
	return &p->links[i];
}

/* ---- netlink ---- */

struct attributes {
	const char *name;
	const struct mac *mac;
	uint32_t mtu, master;
	uint8_t carrier, operstate;
	const char *kind;
};

static int take_info(const struct nlattr *attr, void *data)
{
	struct attributes *a = data;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
		a->kind = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static int take_attribute(const struct nlattr *attr, void *data)
{
	struct attributes *a = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			a->name = mnl_attr_get_str(attr);
		break;
	case IFLA_MTU:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			a->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_CARRIER:
		if (mnl_attr_validate(attr, MNL_TYPE_U8) == 0)
			a->carrier = mnl_attr_get_u8(attr);
		break;
	case IFLA_OPERSTATE:
		if (mnl_attr_validate(attr, MNL_TYPE_U8) == 0)
			a->operstate = mnl_attr_get_u8(attr);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(struct mac))
			a->mac = mnl_attr_get_payload(attr);
		break;
	case IFLA_MASTER:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			a->master = mnl_attr_get_u32(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(attr, take_info, a);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int take_link(struct tw_links *p, const struct ifinfomsg *ifi, const struct nlmsghdr *h)
{
	struct attributes a = { .operstate = OPER_UNKNOWN, .carrier = !!(ifi->ifi_flags & FLAG_LOWER_UP) };
	struct tw_netdev *l = tw_links_find(p, (uint32_t)ifi->ifi_index);
	bool link;

	if (mnl_attr_parse(h, sizeof(*ifi), take_attribute, &a) < 0)
		return MNL_CB_OK;
	if (!l)
		l = insert(p, (uint32_t)ifi->ifi_index);
	if (!l)
		return MNL_CB_ERROR;
	l->seen = true;
	l->admin_up = ifi->ifi_flags & IFF_UP;
	link = l->admin_up && a.carrier && (a.operstate == OPER_UP || a.operstate == OPER_UNKNOWN);
	if (!link)
		l->speed_asked = false;
	l->link = link;
	if (a.name)
		str_copy(l->name, sizeof(l->name), a.name);
	if (a.mtu)
		l->mtu = a.mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)a.mtu;
	if (a.mac)
		l->mac = *a.mac;
	l->master = a.master; /* left out when there is none */
	if (a.kind)
		str_copy(l->kind, sizeof(l->kind), a.kind);
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct tw_links *p = data;
	size_t i;

	/*
	 * Bridges report their ports with the same message types and another family: not about the link
	 * itself.
	 */
	if (mnl_nlmsg_get_payload_len(h) < sizeof(*ifi) || ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return MNL_CB_OK;
	if (h->nlmsg_type == RTM_NEWLINK)
		return take_link(p, ifi, h);
	if (h->nlmsg_type == RTM_DELLINK) {
		i = position(p, (uint32_t)ifi->ifi_index);
		if (i < p->n_links && p->links[i].if_index == (uint32_t)ifi->ifi_index)
			drop(p, i);
	}
	return MNL_CB_OK;
}

static int request_dump(struct mnl_socket *s, char *buf, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -errno : 0;
}

/* @return 0, -EAGAIN when the kernel's list changed meanwhile, -errno. */
static int dump_once(struct tw_links *p, struct mnl_socket *s, uint32_t seq)
{
	int r = request_dump(s, p->buf, seq);
	ssize_t n;

	for (size_t i = 0; i < p->n_links; i++)
		p->links[i].seen = false;
	while (r == 0) {
		n = mnl_socket_recvfrom(s, p->buf, sizeof(p->buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(p->buf, (size_t)n, seq, mnl_socket_get_portid(s), on_message, p);
		if (r == MNL_CB_STOP)
			break;
		if (r == MNL_CB_ERROR)
			return errno == EINTR ? -EAGAIN : -errno;
		r = 0;
	}
	if (r < 0)
		return r;
	for (size_t i = p->n_links; i-- > 0;)
		if (!p->links[i].seen)
			drop(p, i);
	return 0;
}

static int dump(struct tw_links *p)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r = -EAGAIN;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	for (uint32_t i = 1; r == -EAGAIN && i <= DUMP_TRIES; i++)
		r = dump_once(p, s, i);
	mnl_socket_close(s);
	return r;
}

/*
 * When events were lost, those that are still queued are older than the loss: they are read first, then
 * everything is asked for. The other way round they would overwrite the answer.
 */
int tw_links_handle(struct tw_links *p)
{
	bool lost = false;
	ssize_t n;

	for (;;) {
		n = mnl_socket_recvfrom(p->events, p->buf, sizeof(p->buf));
		if (n > 0)
			mnl_cb_run(p->buf, (size_t)n, 0, 0, on_message, p);
		else if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK)
			return lost ? dump(p) : 0;
		else if (errno == ENOBUFS || errno == ENOSPC)
			lost = true;
		else if (errno != EINTR)
			return -errno;
	}
}

/* ---- interface ---- */

void tw_links_close(struct tw_links *p)
{
	if (!p)
		return;
	if (p->events)
		mnl_socket_close(p->events);
	free(p->links);
	free(p);
}

int tw_links_open(struct tw_links **ret, struct errbuf *err)
{
	struct tw_links *p = calloc(1, sizeof(*p));
	int r = 0, size = RCVBUF;

	if (!p)
		return err_set(err, ENOMEM, "out of memory");
	p->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!p->events || mnl_socket_bind(p->events, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	if (r == 0) {
		/* More than the system's limit where we may; it works with less, by more dumps. */
		if (setsockopt(mnl_socket_get_fd(p->events), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
			(void)setsockopt(mnl_socket_get_fd(p->events), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		r = dump(p);
	}
	if (r < 0) {
		tw_links_close(p);
		return err_set(err, -r, "cannot follow network devices by netlink: %s", strerror(-r));
	}
	*ret = p;
	return 0;
}

int tw_links_fd(const struct tw_links *p)
{
	return mnl_socket_get_fd(p->events);
}

void tw_links_port(struct tw_netdev *l, struct provider_port *ret)
{
	if (l->link && !l->speed_asked) {
		l->speed = tw_ethtool_speed(l->name);
		l->speed_asked = true;
	}
	ret->if_index = l->if_index;
	str_copy(ret->name, sizeof(ret->name), l->name);
	ret->admin_up = l->admin_up;
	ret->link = l->link;
	ret->speed = l->link ? l->speed : 0;
	ret->mtu = l->mtu;
	ret->mac = l->mac;
}
