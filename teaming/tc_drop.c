/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter is cls_bpf with a classic program: it is replaced as a whole without a gap, needs no action module, and is
 * never put into the NIC, which would take the frames away from us as well.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "teaming/tc_drop.h"
#include "teaming/team.h"

#define PER_PA	     12 /* instructions, at most */
#define PROGRAM_MAX  (32 + PER_PA * LOCAL_PAS)
#define BUFFER	     16384
#define INGRESS	     TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define EGRESS	     TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)
#define OTHER	     ((uint32_t)TC_ACT_UNSPEC)

enum { AT_TYPE = 12, AT_IP4_PROTO = 23, AT_IP4_DST = 30, AT_IP6_NEXT = 20, AT_IP6_DST = 38 };

/* ---- program ---- */

struct program {
	struct sock_filter code[PROGRAM_MAX];
	uint16_t n;
};

static void put(struct program *p, uint16_t code, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(code, k);
}

static void unless(struct program *p, uint32_t k, uint8_t skip)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip);
}

/* X = VLAN id, 0 without a tag. The kernel has taken the tag out of the frame. */
static void load_vlan(struct program *p)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0);
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG));
	put(p, BPF_ALU | BPF_AND | BPF_K, 0xfff);
	put(p, BPF_MISC | BPF_TAX, 0);
}

static void drop_if_to(struct program *p, const struct tw_tc_pa *pa)
{
	unsigned int words = pa->address.family == 4 ? 1 : 4, at = pa->address.family == 4 ? AT_IP4_DST : AT_IP6_DST;

	for (unsigned int i = 0; i < words; i++) {
		put(p, BPF_LD | BPF_W | BPF_ABS, at + 4 * i);
		unless(p, load_be32(pa->address.b + 4 * i), (uint8_t)(2 * (words - 1 - i) + 3));
	}
	put(p, BPF_MISC | BPF_TXA, 0);
	unless(p, pa->vlan, 1);
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
}

static void family(struct program *p, const struct tw_tc_drop *d, uint16_t type)
{
	bool v4 = type == ETHERTYPE_IPV4_;
	uint16_t skip;

	put(p, BPF_LD | BPF_H | BPF_ABS, AT_TYPE);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, type, 1, 0);
	skip = p->n;
	put(p, BPF_JMP | BPF_JA, 0);
	put(p, BPF_LD | BPF_B | BPF_ABS, v4 ? AT_IP4_PROTO : AT_IP6_NEXT);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_GRE_, 1, 0);
	put(p, BPF_RET | BPF_K, OTHER);
	for (unsigned int i = 0; i < d->n; i++)
		if (d->pas[i].address.family == (v4 ? 4 : 6))
			drop_if_to(p, &d->pas[i]);
	put(p, BPF_RET | BPF_K, OTHER);
	p->code[skip].k = p->n - skip - 1u;
}

static void write_program(const struct tw_tc_drop *d, struct program *ret)
{
	ret->n = 0;
	load_vlan(ret);
	family(ret, d, ETHERTYPE_IPV4_);
	family(ret, d, ETHERTYPE_IPV6_);
	put(ret, BPF_RET | BPF_K, OTHER);
}

/* ---- netlink ---- */

struct request {
	struct mnl_socket *sock;
	struct nlmsghdr *h;
	struct tcmsg *tc;
	uint32_t seq;
	char buf[BUFFER];
};

static int request_open(struct request *q)
{
	q->seq = 0;
	q->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!q->sock)
		return -errno;
	if (mnl_socket_bind(q->sock, 0, MNL_SOCKET_AUTOPID) == 0)
		return 0;
	mnl_socket_close(q->sock);
	return -errno;
}

static void begin(struct request *q, uint16_t type, uint16_t flags, uint32_t if_index, uint32_t parent)
{
	q->h = mnl_nlmsg_put_header(q->buf);
	q->h->nlmsg_type = type;
	q->h->nlmsg_flags = NLM_F_REQUEST | flags;
	q->h->nlmsg_seq = ++q->seq;
	q->tc = mnl_nlmsg_put_extra_header(q->h, sizeof(*q->tc));
	q->tc->tcm_family = AF_UNSPEC;
	q->tc->tcm_ifindex = (int)if_index;
	q->tc->tcm_parent = parent;
}

static void name_filter(struct request *q)
{
	q->tc->tcm_handle = TW_TC_HANDLE;
	q->tc->tcm_info = TC_H_MAKE(TW_TC_PREF << 16, htobe16(ETH_P_ALL));
	mnl_attr_put_strz(q->h, TCA_KIND, "bpf");
}

/* @return 0 or -errno, the kernel's answer. */
static int finish(struct request *q, mnl_cb_t each, void *arg)
{
	uint32_t seq = q->seq;
	int r = MNL_CB_OK;
	ssize_t n;

	if (mnl_socket_sendto(q->sock, q->h, q->h->nlmsg_len) < 0)
		return -errno;
	while (r == MNL_CB_OK) {
		n = mnl_socket_recvfrom(q->sock, q->buf, sizeof(q->buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(q->buf, (size_t)n, seq, mnl_socket_get_portid(q->sock), each, arg);
	}
	return r == MNL_CB_ERROR ? -errno : 0;
}

static int qdisc(struct request *q, uint16_t type, uint16_t flags, uint32_t if_index)
{
	begin(q, type, NLM_F_ACK | flags, if_index, TC_H_CLSACT);
	q->tc->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(q->h, TCA_KIND, "clsact");
	return finish(q, NULL, NULL);
}

static int put_filter(struct request *q, const struct tw_tc_drop *d)
{
	struct program p;
	struct nlattr *options;

	write_program(d, &p);
	begin(q, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, d->if_index, INGRESS);
	name_filter(q);
	options = mnl_attr_nest_start(q->h, TCA_OPTIONS);
	mnl_attr_put_u32(q->h, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_put_u32(q->h, TCA_BPF_FLAGS_GEN, TCA_CLS_FLAGS_SKIP_HW);
	mnl_attr_put_u16(q->h, TCA_BPF_OPS_LEN, p.n);
	mnl_attr_put(q->h, TCA_BPF_OPS, p.n * sizeof(p.code[0]), p.code);
	mnl_attr_nest_end(q->h, options);
	return finish(q, NULL, NULL);
}

static int delete_filter(struct request *q, uint32_t if_index)
{
	begin(q, RTM_DELTFILTER, NLM_F_ACK, if_index, INGRESS);
	name_filter(q);
	return finish(q, NULL, NULL);
}

static int count_one(const struct nlmsghdr *h, void *arg)
{
	++*(unsigned int *)arg;
	return MNL_CB_OK;
}

/* Does anybody else use the qdisc? */
static bool in_use(struct request *q, uint32_t if_index)
{
	unsigned int n = 0;

	begin(q, RTM_GETTFILTER, NLM_F_DUMP, if_index, INGRESS);
	if (finish(q, count_one, &n) < 0)
		return true;
	begin(q, RTM_GETTFILTER, NLM_F_DUMP, if_index, EGRESS);
	return finish(q, count_one, &n) < 0 || n;
}

/* ---- life ---- */

/* Of a vswitchd that was killed, whose the qdisc was then, too; or nobody's. */
static bool left_over(struct request *q, uint32_t if_index)
{
	unsigned int n = 0;

	begin(q, RTM_GETTFILTER, NLM_F_ACK, if_index, INGRESS);
	name_filter(q);
	return finish(q, count_one, &n) == 0;
}

static int install(struct request *q, struct tw_tc_drop *d)
{
	int r = qdisc(q, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, d->if_index);

	if (r == 0)
		d->made_qdisc = true;
	/* Somebody's clsact, or ingress, which is as good. */
	if (r == 0 || r == -EEXIST)
		r = put_filter(q, d);
	return r;
}

/* Errors are of no use: most often the netdev is gone, and the filter with it. */
static void remove_filter(struct request *q, struct tw_tc_drop *d)
{
	(void)delete_filter(q, d->if_index);
	if (d->made_qdisc && !in_use(q, d->if_index))
		(void)qdisc(q, RTM_DELQDISC, 0, d->if_index);
	d->made_qdisc = false;
}

static int change(struct request *q, struct tw_tc_drop *d, uint32_t if_index, const struct tw_tc_pa *pas,
		  unsigned int n)
{
	bool had = d->n;
	int r = 0;

	if (d->if_index != if_index) {
		if (had)
			remove_filter(q, d);
		*d = (struct tw_tc_drop){ .if_index = if_index };
		had = if_index && left_over(q, if_index);
		d->made_qdisc = had;
	}
	d->n = n;
	memcpy(d->pas, pas, n * sizeof(pas[0]));
	if (n)
		r = install(q, d);
	else if (had)
		remove_filter(q, d);
	if (r < 0 && had)
		remove_filter(q, d);
	return r;
}

int tw_tc_drop_set(struct tw_tc_drop *d, uint32_t if_index, const struct tw_tc_pa *pas, unsigned int n)
{
	struct request q;
	int r;

	if (d->if_index == if_index && d->n == n && memcmp(d->pas, pas, n * sizeof(pas[0])) == 0)
		return 0;
	r = request_open(&q);
	if (r < 0)
		return r;
	r = change(&q, d, if_index, pas, n);
	mnl_socket_close(q.sock);
	return r;
}

/* ---- members ---- */

static unsigned int list_pas(const struct tw_core *c, const struct tw_member *mem, struct tw_tc_pa *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++) {
		const struct tw_pa *pa = &c->pas[i];

		if (!pa->used || !mac_equal(&pa->spec.mac, &mem->port.mac))
			continue;
		ret[n].address = pa->spec.address;
		ret[n++].vlan = pa->spec.vlan;
	}
	return n;
}

void tw_tc_drop_sync(struct teaming *t)
{
	for (unsigned int m = 0; m < TEAM_MEMBERS; m++) {
		const struct tw_member *mem = &t->core.members[m];
		bool copies = mem->used && mem->dev && mem->spec.type == MEMBER_AF_PACKET && mem->info.if_index &&
			      mem->info.if_index == mem->port.if_index;
		struct tw_tc_pa pas[LOCAL_PAS];
		int r;

		memset(pas, 0, sizeof(pas)); /* padding is compared, too */
		r = tw_tc_drop_set(&t->tc_drop[m], copies ? mem->info.if_index : 0, pas,
				   copies ? list_pas(&t->core, mem, pas) : 0);
		if (r < 0)
			tw_event(&t->core, TEAMING_ALARM, m, NULL,
				 "%s: the kernel gets NVGRE to provider addresses with its MAC as well: %s",
				 mem->spec.name, strerror(-r));
	}
}
