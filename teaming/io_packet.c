/* SPDX-License-Identifier: BSD-3-Clause */
/* PF_PACKET socket on the member's netdev. Works beside any data path of the same netdev. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "teaming/io.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct membership {
	uint16_t type; /* PACKET_MR_* */
	struct mac mac;
};

struct packet {
	struct tw_io io;
	int fd;
	int if_index;
	bool bound;
	struct membership *members;
	unsigned int n_members;
};

static struct packet *packet_of(struct tw_io *io)
{
	return (struct packet *)io;
}

static int packet_fd(const struct tw_io *io)
{
	return ((const struct packet *)io)->fd;
}

static int packet_send(struct tw_io *io, const uint8_t *frame, uint32_t len)
{
	if (send(packet_of(io)->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* The tag is put back in, so that everybody above sees the frame as it was on the wire. */
static uint32_t insert_tag(uint8_t *buf, uint32_t len, uint32_t size, const struct tpacket_auxdata *aux)
{
	uint16_t type = aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETHERTYPE_VLAN_;

	if (len < ETH_HLEN_ || len + 4 > size)
		return 0;
	memmove(buf + 16, buf + 12, len - 12);
	store_be16(buf + 12, type);
	store_be16(buf + 14, aux->tp_vlan_tci);
	return len + 4;
}

static const struct tpacket_auxdata *find_aux(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct tpacket_auxdata)))
			return (const void *)CMSG_DATA(c);
	return NULL;
}

static int packet_recv(struct tw_io *io, uint8_t *buf, uint32_t size)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = { buf, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const struct tpacket_auxdata *aux;
	ssize_t n;

	for (;;) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		n = recvmsg(packet_of(io)->fd, &msg, MSG_DONTWAIT);
		/* The device going down is the provider's news; here it is only an error to be read away. */
		if (n < 0 && (errno == ENETDOWN || errno == EINTR || errno == ENXIO))
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		aux = find_aux(&msg);
		if (aux && aux->tp_status & TP_STATUS_VLAN_VALID)
			n = insert_tag(buf, (uint32_t)n, size, aux);
		if (n > 0)
			return (int)n;
	}
}

static int change_membership(const struct packet *p, int action, const struct membership *m)
{
	struct packet_mreq req = { .mr_ifindex = p->if_index, .mr_type = m->type, .mr_alen = 6 };

	memcpy(req.mr_address, &m->mac, 6);
	return setsockopt(p->fd, SOL_PACKET, action, &req, sizeof(req)) < 0 ? -errno : 0;
}

static unsigned int list_memberships(const struct tw_io_filter *f, struct membership *ret)
{
	unsigned int n = 0;
	bool v6 = false;

	for (unsigned int i = 0; i < f->n_pas; i++) {
		const uint8_t *b = f->pas[i].b;

		ret[n++] = (struct membership){ PACKET_MR_UNICAST, f->macs[i] };
		if (f->pas[i].family != 6)
			continue;
		v6 = true; /* solicited-node group, RFC 4291 2.7.1 and RFC 2464 7 */
		ret[n++] = (struct membership){ PACKET_MR_MULTICAST, { { 0x33, 0x33, 0xff, b[13], b[14], b[15] } } };
	}
	if (v6)
		ret[n++] = (struct membership){ PACKET_MR_MULTICAST, { { 0x33, 0x33, 0, 0, 0, 1 } } };
	for (unsigned int i = 0; i < f->n_groups; i++)
		ret[n++] = (struct membership){ PACKET_MR_MULTICAST, f->groups[i] };
	for (unsigned int i = 0; i < f->n_plain; i++)
		ret[n++] = (struct membership){ PACKET_MR_UNICAST, f->plain[i] };
	return n;
}

/* The new ones first, so that what stays is not dropped for a moment: the kernel counts. */
static int set_memberships(struct packet *p, const struct tw_io_filter *f)
{
	struct membership *list = calloc(2 * f->n_pas + 1 + f->n_plain + f->n_groups, sizeof(*list));
	unsigned int n;
	int r = 0, e;

	if (!list)
		return -ENOMEM;
	n = list_memberships(f, list);
	for (unsigned int i = 0; i < n; i++) {
		e = change_membership(p, PACKET_ADD_MEMBERSHIP, &list[i]);
		r = e < 0 ? e : r;
	}
	for (unsigned int i = 0; i < p->n_members; i++)
		change_membership(p, PACKET_DROP_MEMBERSHIP, &p->members[i]);
	free(p->members);
	p->members = list;
	p->n_members = n;
	return r;
}

static int packet_filter(struct tw_io *io, const struct tw_io_filter *f)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct packet *p = packet_of(io);
	struct sock_filter code[TW_FILTER_MAX];
	struct sock_fprog prog = { .filter = code };

	prog.len = (unsigned short)tw_io_program(f, code);
	if (setsockopt(p->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return -errno;
	/* Bound only now: nothing unfiltered ever gets in. */
	address.sll_ifindex = p->if_index;
	if (!p->bound && bind(p->fd, (void *)&address, sizeof(address)) < 0)
		return -errno;
	p->bound = true;
	return set_memberships(p, f);
}

static void packet_close(struct tw_io *io)
{
	struct packet *p = packet_of(io);

	close(p->fd);
	free(p->members);
	free(p);
}

static const struct tw_io_ops packet_ops = {
	.name = "packet-socket",
	.fd = packet_fd,
	.send = packet_send,
	.recv = packet_recv,
	.filter = packet_filter,
	.close = packet_close,
};

int tw_io_packet_open(uint32_t if_index, struct tw_io **ret)
{
	struct packet *p = calloc(1, sizeof(*p));
	int one = 1, r;

	if (!p)
		return -ENOMEM;
	p->io.ops = &packet_ops;
	p->if_index = (int)if_index;
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || setsockopt(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(p->fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0) {
		r = -errno;
		if (p->fd >= 0)
			close(p->fd);
		free(p);
		return r;
	}
	*ret = &p->io;
	return 0;
}
