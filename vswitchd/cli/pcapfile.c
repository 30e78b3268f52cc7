/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cli/pcapfile.h"

#define CLASSIC_US	0xa1b2c3d4u
#define CLASSIC_NS	0xa1b23c4du
#define CLASSIC_HEAD	24
#define CLASSIC_RECORD	16
#define BLOCK_SECTION	0x0a0d0d0au /* the same in both orders */
#define BLOCK_INTERFACE 1u
#define BLOCK_SIMPLE	3u
#define BLOCK_PACKET	6u
#define SECTION_MAGIC	0x1a2b3c4du
#define BLOCK_MIN	12u
#define LINK_ETHERNET	1u
#define INTERFACES	64 /* of a section that are remembered */

struct reader {
	const uint8_t *file;
	size_t n, at; /* of the block, or record */
	bool swapped;
	uint32_t interfaces; /* of the section so far */
	uint64_t ethernet;   /* bit: this interface */
};

static uint32_t u32(const struct reader *r, size_t at)
{
	uint32_t v;

	memcpy(&v, r->file + at, sizeof(v));
	return r->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t u16(const struct reader *r, size_t at)
{
	uint16_t v;

	memcpy(&v, r->file + at, sizeof(v));
	return r->swapped ? __builtin_bswap16(v) : v;
}

static int classic(struct reader *r, const uint8_t **ret_frame, size_t *ret_len)
{
	uint32_t len;

	if (r->n < CLASSIC_HEAD)
		return -EINVAL;
	if ((u32(r, 20) & 0xffff) != LINK_ETHERNET || r->n < CLASSIC_HEAD + CLASSIC_RECORD)
		return -ENODATA;
	len = u32(r, CLASSIC_HEAD + 8);
	if (len > r->n - CLASSIC_HEAD - CLASSIC_RECORD)
		return -EINVAL;
	*ret_frame = r->file + CLASSIC_HEAD + CLASSIC_RECORD;
	*ret_len = len;
	return 0;
}

/* Interfaces are numbered anew in each, which has a byte order of its own. */
static int section(struct reader *r)
{
	if (r->n - r->at < BLOCK_MIN)
		return -EINVAL;
	r->swapped = false;
	if (u32(r, r->at + 8) != SECTION_MAGIC)
		r->swapped = true;
	r->interfaces = 0;
	r->ethernet = 0;
	return u32(r, r->at + 8) == SECTION_MAGIC ? 0 : -EINVAL;
}

static void interface(struct reader *r, size_t body, size_t len)
{
	if (len >= 2 && r->interfaces < INTERFACES && u16(r, body) == LINK_ETHERNET)
		r->ethernet |= 1ull << r->interfaces;
	r->interfaces++;
}

static bool is_ethernet(const struct reader *r, uint32_t number)
{
	return number < INTERFACES && number < r->interfaces && r->ethernet >> number & 1;
}

/* @return 1: it is one; 0: of another kind of link; -EINVAL. */
static int packet(const struct reader *r, uint32_t type, size_t body, size_t len, const uint8_t **ret_frame,
		  size_t *ret_len)
{
	bool simple = type == BLOCK_SIMPLE;
	size_t head = simple ? 4 : 20, n;

	if (len < head)
		return -EINVAL;
	if (!is_ethernet(r, simple ? 0 : u32(r, body)))
		return 0;
	n = u32(r, simple ? body : body + 12);
	if (simple && n > len - head)
		n = len - head; /* cut to the snap length; padding of a frame does no harm */
	if (n > len - head)
		return -EINVAL;
	*ret_frame = r->file + body + head;
	*ret_len = n;
	return 1;
}

/* The block at r->at. @return 1: a frame was found; 0: go on behind it, which is at *ret_next; -EINVAL, -ENODATA. */
static int block(struct reader *r, size_t *ret_next, const uint8_t **ret_frame, size_t *ret_len)
{
	uint32_t type = u32(r, r->at), total;
	int e = type == BLOCK_SECTION ? section(r) : 0;

	if (e < 0)
		return e;
	total = u32(r, r->at + 4);
	if (total < BLOCK_MIN || total % 4)
		return -EINVAL;
	if (total > r->n - r->at)
		return -ENODATA; /* cut off */
	*ret_next = r->at + total;
	if (type == BLOCK_INTERFACE)
		interface(r, r->at + 8, total - BLOCK_MIN);
	if (type == BLOCK_PACKET || type == BLOCK_SIMPLE)
		return packet(r, type, r->at + 8, total - BLOCK_MIN, ret_frame, ret_len);
	return 0;
}

int pcapfile_first_frame(const uint8_t *file, size_t n, const uint8_t **ret_frame, size_t *ret_len)
{
	struct reader r = { .file = file, .n = n };
	size_t next = 0;
	uint32_t magic;
	int e = 0;

	if (n < 4)
		return -EINVAL;
	magic = u32(&r, 0);
	r.swapped = magic == __builtin_bswap32(CLASSIC_US) || magic == __builtin_bswap32(CLASSIC_NS);
	if (r.swapped || magic == CLASSIC_US || magic == CLASSIC_NS)
		return classic(&r, ret_frame, ret_len);
	if (magic != BLOCK_SECTION)
		return -EINVAL;
	for (; e == 0 && n - r.at >= BLOCK_MIN; r.at = next)
		e = block(&r, &next, ret_frame, ret_len);
	return e == 1 ? 0 : e < 0 ? e : -ENODATA;
}
