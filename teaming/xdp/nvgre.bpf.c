/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * NVGRE (RFC 7637: GRE with protocol type 0x6558 over IPv4 or IPv6, 802.1Q or not) goes to the AF_XDP socket
 * of its queue, all else to the kernel: ARP, neighbour discovery, LACP, whatever the host does. Where no
 * socket is, the kernel gets NVGRE too. GRE flags are not looked at: a packet with wrong ones is dropped,
 * and counted, by the switch. First fragments come to us for the same reason; later ones do not carry the
 * protocol type.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP4_OFFSET 0x1fff

/* The driver looks for this name. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct gre {
	__be16 flags, protocol;
};

static __always_inline int is_nvgre(const void *l4, const void *end)
{
	const struct gre *gre = l4;

	return (const void *)(gre + 1) <= end && gre->protocol == bpf_htons(ETH_P_TEB);
}

static __always_inline int ip4_nvgre(const void *l3, const void *end)
{
	const struct iphdr *ip = l3;

	if ((const void *)(ip + 1) > end || ip->protocol != IPPROTO_GRE || ip->ihl < 5)
		return 0;
	if (ip->frag_off & bpf_htons(IP4_OFFSET))
		return 0;
	return is_nvgre(l3 + ip->ihl * 4, end);
}

static __always_inline int ip6_nvgre(const void *l3, const void *end)
{
	const struct ipv6hdr *ip = l3;

	return (const void *)(ip + 1) <= end && ip->nexthdr == IPPROTO_GRE && is_nvgre(ip + 1, end);
}

SEC("xdp")
int vswitchd_nvgre(struct xdp_md *ctx)
{
	const void *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = data;
	const void *l3 = eth + 1;
	__be16 type;
	int ours;

	if (l3 > end)
		return XDP_PASS;
	type = eth->h_proto;
	if (type == bpf_htons(ETH_P_8021Q)) {
		const __be16 *tag = l3;

		if ((const void *)(tag + 2) > end)
			return XDP_PASS;
		type = tag[1];
		l3 = tag + 2;
	}
	if (type == bpf_htons(ETH_P_IP))
		ours = ip4_nvgre(l3, end);
	else if (type == bpf_htons(ETH_P_IPV6))
		ours = ip6_nvgre(l3, end);
	else
		ours = 0;
	return ours ? bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS) : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
