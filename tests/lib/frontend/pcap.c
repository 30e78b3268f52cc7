/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcap.h"

#include <byteswap.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAGIC_US = 0xa1b2c3d4, MAGIC_NS = 0xa1b23c4d, LINK_ETHERNET = 1, MAX_FRAME = 65535 + 14 };

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs;
	uint32_t snaplen;
	uint32_t link;
};

struct record {
	uint32_t sec, frac;
	uint32_t len;
	uint32_t orig_len;
};

static uint32_t host32(uint32_t v, bool swapped)
{
	return swapped ? bswap_32(v) : v;
}

static int read_header(FILE *file, bool *ret_swapped)
{
	struct file_header h;
	bool swapped;

	if (fread(&h, sizeof(h), 1, file) != 1)
		return -EINVAL;
	swapped = h.magic == bswap_32(MAGIC_US) || h.magic == bswap_32(MAGIC_NS);
	if (!swapped && h.magic != MAGIC_US && h.magic != MAGIC_NS)
		return -EINVAL;
	/* the upper bits of the link type may say something about an FCS */
	if ((host32(h.link, swapped) & 0xffff) != LINK_ETHERNET)
		return -EINVAL;
	*ret_swapped = swapped;
	return 0;
}

/* Next record's length; 0 at the end of the file, -EINVAL for a broken one. */
static int next_record(FILE *file, bool swapped, uint32_t *ret_len)
{
	struct record r;
	size_t n = fread(&r, 1, sizeof(r), file);

	if (n == 0) {
		*ret_len = 0;
		return 0;
	}
	if (n != sizeof(r) || !r.len || host32(r.len, swapped) > MAX_FRAME)
		return -EINVAL;
	*ret_len = host32(r.len, swapped);
	return 0;
}

/* Number of frames and bytes of memory for them. */
static int measure(FILE *file, bool swapped, struct pcap_frames *f)
{
	for (;;) {
		uint32_t len;
		int err = next_record(file, swapped, &len);

		if (err)
			return err;
		if (!len)
			return f->n ? 0 : -ENODATA;
		f->n++;
		f->data_len += (len + 63u) & ~63u;
		if (fseek(file, (long)len, SEEK_CUR) < 0)
			return -EINVAL;
	}
}

static int load(FILE *file, bool swapped, struct pcap_frames *f)
{
	uint8_t *p = f->data;

	for (unsigned int i = 0; i < f->n; i++) {
		uint32_t len;

		if (next_record(file, swapped, &len) || fread(p, 1, len, file) != len)
			return -EINVAL;
		f->frame[i] = (struct vhu_frame){ .data = p, .len = len };
		p += (len + 63u) & ~63u;
	}
	return 0;
}

/* 2 MiB pages where the kernel has them: a generator runs through all of it again and again. */
static int alloc_frames(struct pcap_frames *f)
{
	const size_t huge = 2u << 20;

	f->data_len = (f->data_len + huge - 1) & ~(huge - 1);
	f->data = aligned_alloc(huge, f->data_len);
	f->frame = calloc(f->n, sizeof(*f->frame));
	if (!f->data || !f->frame)
		return -ENOMEM;
	madvise(f->data, f->data_len, MADV_HUGEPAGE);
	memset(f->data, 0, f->data_len);
	return 0;
}

int pcap_read(const char *path, struct pcap_frames *ret_frames)
{
	struct pcap_frames f = { 0 };
	FILE *file = fopen(path, "re");
	bool swapped = false;
	int err;

	if (!file)
		return -errno;
	err = read_header(file, &swapped);
	if (!err)
		err = measure(file, swapped, &f);
	if (!err)
		err = alloc_frames(&f);
	if (!err && fseek(file, sizeof(struct file_header), SEEK_SET) < 0)
		err = -EIO;
	if (!err)
		err = load(file, swapped, &f);
	fclose(file);
	if (err) {
		pcap_frames_free(&f);
		return err;
	}
	*ret_frames = f;
	return 0;
}

void pcap_frames_free(struct pcap_frames *f)
{
	free(f->frame);
	free(f->data);
	*f = (struct pcap_frames){ 0 };
}

int pcap_create(const char *path, uint64_t max, struct pcap_writer *ret_writer)
{
	struct file_header h = {
		.magic = MAGIC_NS, .major = 2, .minor = 4, .snaplen = MAX_FRAME, .link = LINK_ETHERNET
	};
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	if (fwrite(&h, sizeof(h), 1, file) != 1) {
		fclose(file);
		return -EIO;
	}
	*ret_writer = (struct pcap_writer){ .file = file, .left = max };
	return 0;
}

void pcap_write(struct pcap_writer *w, uint64_t now_ns, const struct vhu_pkt *pkt)
{
	struct record r = { (uint32_t)(now_ns / 1000000000u), (uint32_t)(now_ns % 1000000000u), pkt->len,
			    pkt->len };

	if (!w->left || !pkt->len)
		return;
	w->left--;
	fwrite(&r, sizeof(r), 1, w->file);
	for (unsigned int i = 1; i < pkt->n_iov; i++)
		fwrite(pkt->iov[i].iov_base, 1, pkt->iov[i].iov_len, w->file);
}

int pcap_flush(struct pcap_writer *w)
{
	return fflush(w->file) || ferror(w->file) ? -EIO : 0;
}

int pcap_close(struct pcap_writer *w)
{
	int err = pcap_flush(w);

	if (fclose(w->file))
		err = -EIO;
	w->file = NULL;
	return err;
}
