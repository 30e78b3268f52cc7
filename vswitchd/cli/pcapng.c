/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "cli/pcapng.h"

#define BLOCK_SECTION	0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET	6u
#define MAGIC		0x1a2b3c4du
#define LINK_ETHERNET	1u
#define OPTION_COMMENT	1
#define SHB_USERAPPL	4
#define IF_NAME		2
#define IF_DESCRIPTION	3
#define IF_TSRESOL	9
#define EPB_FLAGS	2
#define EPB_DROPCOUNT	4

/* Options of one block, gathered: the block's length comes first. */
struct options {
	uint8_t data[1024];
	uint32_t len;
};

static void add_option(struct options *o, uint16_t code, const void *value, size_t len)
{
	uint16_t n = (uint16_t)(len < 255 ? len : 255), head[2] = { code, n };
	uint32_t padded = (n + 3u) & ~3u;

	if (o->len + 4 + padded > sizeof(o->data) - 4)
		return;
	memcpy(o->data + o->len, head, 4);
	memset(o->data + o->len + 4, 0, padded);
	memcpy(o->data + o->len + 4, value, n);
	o->len += 4 + padded;
}

static void add_text(struct options *o, uint16_t code, const char *text)
{
	if (text)
		add_option(o, code, text, strlen(text));
}

/* Host byte order, as the magic of the section tells. */
static int put_block(FILE *f, uint32_t type, const void *fixed, uint32_t fixed_len, const uint8_t *data, uint32_t len,
		     struct options *o)
{
	static const uint8_t zero[4];
	uint32_t padded = (len + 3) & ~3u, total, head[2];

	if (o->len) {
		memset(o->data + o->len, 0, 4); /* OPTION_END */
		o->len += 4;
	}
	total = 12 + fixed_len + padded + o->len;
	head[0] = type;
	head[1] = total;
	fwrite(head, 8, 1, f);
	fwrite(fixed, fixed_len, 1, f);
	if (len)
		fwrite(data, len, 1, f);
	if (padded > len)
		fwrite(zero, padded - len, 1, f);
	if (o->len)
		fwrite(o->data, o->len, 1, f);
	fwrite(&total, 4, 1, f);
	return ferror(f) ? (errno ? -errno : -EIO) : 0;
}

int pcapng_section(FILE *f, const char *application)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		int64_t length;
	} __attribute__((packed)) fixed = { MAGIC, 1, 0, -1 };
	struct options o = { .len = 0 };

	add_text(&o, SHB_USERAPPL, application);
	return put_block(f, BLOCK_SECTION, &fixed, sizeof(fixed), NULL, 0, &o);
}

int pcapng_interface(FILE *f, const char *name, const char *description, uint32_t snap)
{
	struct {
		uint16_t link, reserved;
		uint32_t snap;
	} fixed = { LINK_ETHERNET, 0, snap };
	struct options o = { .len = 0 };
	uint8_t resolution = 9; /* ns */

	add_text(&o, IF_NAME, name);
	add_text(&o, IF_DESCRIPTION, description);
	add_option(&o, IF_TSRESOL, &resolution, 1);
	return put_block(f, BLOCK_INTERFACE, &fixed, sizeof(fixed), NULL, 0, &o);
}

int pcapng_packet(FILE *f, const struct pcapng_packet *p)
{
	uint32_t fixed[5] = { p->interface, (uint32_t)(p->time_ns >> 32), (uint32_t)p->time_ns, p->captured, p->len };
	struct options o = { .len = 0 };

	add_text(&o, OPTION_COMMENT, p->comment);
	if (p->direction)
		add_option(&o, EPB_FLAGS, &p->direction, 4);
	if (p->lost)
		add_option(&o, EPB_DROPCOUNT, &p->lost, 8);
	return put_block(f, BLOCK_PACKET, fixed, sizeof(fixed), p->data, p->captured, &o);
}
