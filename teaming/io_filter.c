/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket filter: ARP questions about our addresses, claims of them, announcements and answers;
 * advertisements and solicitations for our addresses; echo requests to them, answers to theirs, and errors about
 * those; with groups queries for members. Offsets are of untagged frames: the kernel has taken an 802.1Q tag away
 * before sockets see a frame.
 */
#include <linux/filter.h>

#include "teaming/io.h"

#define ACCEPT 0xffff

enum {
	AT_TYPE = 12,
	AT_ARP_SPA = 28,
	AT_ARP_TPA = 38,
	AT_IP4_FRAG = 20,
	AT_IP4_PROTO = 23,
	AT_IP4_DST = 30,
	AT_IP4 = 14,
	AT_IP6_NEXT = 20,
	AT_IP6_DST_LOW = 50, /* last four bytes */
	AT_ICMP6 = 54,
	AT_ND_TARGET_LOW = 74,
};

struct program {
	struct sock_filter *code;
	unsigned int n;
};

static void put(struct program *p, uint16_t code, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(code, k);
}

static void ret(struct program *p, uint32_t k)
{
	put(p, BPF_RET | BPF_K, k);
}

/* Accept when the accumulator is k. */
static void accept_if(struct program *p, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
	ret(p, ACCEPT);
}

/* Accept when the accumulator is the low word of one of our addresses. */
static void accept_if_ours(struct program *p, const struct tw_io_filter *f, uint8_t family)
{
	for (unsigned int i = 0; i < f->n_pas; i++)
		if (f->pas[i].family == family)
			accept_if(p, load_be32(f->pas[i].b + (family == 4 ? 0 : 12)));
}

/* Skip to where end() is called unless the accumulator is k. @return what end() needs. */
static unsigned int begin_if(struct program *p, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
	put(p, BPF_JMP | BPF_JA, 0);
	return p->n;
}

/* The same for any of some. */
static unsigned int begin_if_any(struct program *p, const uint8_t *list, uint8_t n)
{
	for (uint8_t i = 0; i < n; i++)
		p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, list[i], n - i, 0);
	put(p, BPF_JMP | BPF_JA, 0);
	return p->n;
}

static void end(struct program *p, unsigned int begin)
{
	p->code[begin - 1].k = p->n - begin;
}

static void arp(struct program *p, const struct tw_io_filter *f)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, AT_ARP_TPA);
	accept_if_ours(p, f, 4);
	put(p, BPF_LD | BPF_W | BPF_ABS, AT_ARP_SPA);
	accept_if_ours(p, f, 4);
	/* announcement: sender = target */
	put(p, BPF_MISC | BPF_TAX, 0);
	put(p, BPF_LD | BPF_W | BPF_ABS, AT_ARP_TPA);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1);
	ret(p, ACCEPT);
	ret(p, 0);
}

static void ip4(struct program *p, const struct tw_io_filter *f)
{
	static const uint8_t types[] = { 8, 0, 3 }; /* echo, its answer, destination unreachable */
	unsigned int icmp, whole, echo;

	put(p, BPF_LD | BPF_B | BPF_ABS, AT_IP4_PROTO);
	if (f->n_groups)
		accept_if(p, IPPROTO_IGMP_);
	icmp = begin_if(p, IPPROTO_ICMP_);
	put(p, BPF_LD | BPF_H | BPF_ABS, AT_IP4_FRAG);
	put(p, BPF_ALU | BPF_AND | BPF_K, 0x3fff);
	whole = begin_if(p, 0);
	put(p, BPF_LDX | BPF_B | BPF_MSH, AT_IP4);
	put(p, BPF_LD | BPF_B | BPF_IND, AT_IP4);
	echo = begin_if_any(p, types, sizeof(types));
	put(p, BPF_LD | BPF_W | BPF_ABS, AT_IP4_DST);
	accept_if_ours(p, f, 4);
	end(p, icmp);
	end(p, whole);
	end(p, echo);
	ret(p, 0);
}

static void ip6(struct program *p, const struct tw_io_filter *f)
{
	static const uint8_t types[] = { 128, 129, 1, 2 }; /* echo, its answer, unreachable, too big */
	unsigned int icmp, ns, echo;

	put(p, BPF_LD | BPF_B | BPF_ABS, AT_IP6_NEXT);
	if (f->n_groups)
		accept_if(p, 0); /* hop-by-hop options: every MLD message has a router alert */
	icmp = begin_if(p, IPPROTO_ICMP6_);
	put(p, BPF_LD | BPF_B | BPF_ABS, AT_ICMP6);
	accept_if(p, 136);
	ns = begin_if(p, 135);
	put(p, BPF_LD | BPF_W | BPF_ABS, AT_ND_TARGET_LOW);
	accept_if_ours(p, f, 6);
	ret(p, 0);
	end(p, ns);
	echo = begin_if_any(p, types, sizeof(types));
	put(p, BPF_LD | BPF_W | BPF_ABS, AT_IP6_DST_LOW);
	accept_if_ours(p, f, 6);
	end(p, icmp);
	end(p, echo);
	ret(p, 0);
}

unsigned int tw_io_program(const struct tw_io_filter *f, struct sock_filter *code)
{
	struct program p = { code, 0 };
	unsigned int skip;

	put(&p, BPF_LD | BPF_H | BPF_ABS, AT_TYPE);
	skip = begin_if(&p, ETHERTYPE_ARP_);
	arp(&p, f);
	end(&p, skip);
	skip = begin_if(&p, ETHERTYPE_IPV4_);
	ip4(&p, f);
	end(&p, skip);
	skip = begin_if(&p, ETHERTYPE_IPV6_);
	ip6(&p, f);
	end(&p, skip);
	ret(&p, 0);
	return p.n;
}
