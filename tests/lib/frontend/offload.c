/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload.h"

void offload_checksum(struct vhu_frame *f)
{
	uint8_t *p = (uint8_t *)(uintptr_t)f->data;
	size_t l3 = 14, l4, field;
	uint32_t sum = 0;
	uint8_t proto;

	if (f->len < 54)
		return;
	if (p[12] == 0x08 && p[13] == 0x00 && !(p[l3 + 6] & 0x3f) && !p[l3 + 7]) {
		l4 = l3 + (p[l3] & 15u) * 4;
		proto = p[l3 + 9];
		for (unsigned int i = 12; i < 20; i += 2)
			sum += (uint32_t)(p[l3 + i] << 8 | p[l3 + i + 1]);
		sum += (uint32_t)(p[l3 + 2] << 8 | p[l3 + 3]) - (uint32_t)(l4 - l3);
	} else if (p[12] == 0x86 && p[13] == 0xdd) {
		l4 = l3 + 40;
		proto = p[l3 + 6];
		for (unsigned int i = 8; i < 40; i += 2)
			sum += (uint32_t)(p[l3 + i] << 8 | p[l3 + i + 1]);
		sum += (uint32_t)(p[l3 + 4] << 8 | p[l3 + 5]);
	} else {
		return;
	}
	if (proto != 6 && proto != 17)
		return;
	field = proto == 6 ? 16 : 6;
	if (l4 + field + 2 > f->len)
		return;
	sum += proto;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	p[l4 + field] = (uint8_t)(sum >> 8);
	p[l4 + field + 1] = (uint8_t)sum;
	f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->hdr.csum_start = (uint16_t)l4;
	f->hdr.csum_offset = (uint16_t)field;
}

void offload_segment(struct vhu_frame *f, uint16_t mss)
{
	const uint8_t *p = f->data;
	uint32_t tcp = f->hdr.csum_start, len;

	if (f->hdr.flags != VIRTIO_NET_HDR_F_NEEDS_CSUM || f->hdr.csum_offset != 16 || tcp + 20 > f->len)
		return;
	len = tcp + (p[tcp + 12] >> 4) * 4u;
	if (f->len <= len + mss)
		return;
	f->hdr.gso_type = p[12] == 0x08 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	f->hdr.gso_size = mss;
	f->hdr.hdr_len = (uint16_t)len;
}
