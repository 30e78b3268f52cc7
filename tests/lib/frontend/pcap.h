/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files of the classic kind (draft-ietf-opsawg-pcap), Ethernet only. Single threaded per object. */
#ifndef TESTS_LIB_FRONTEND_PCAP_H
#define TESTS_LIB_FRONTEND_PCAP_H

#include "queue.h"

#include <stdio.h>

/* All frames of a file in memory: data on cache lines, one behind the other. */
struct pcap_frames {
	struct vhu_frame *frame; /* hdr all zero */
	unsigned int n;
	uint8_t *data;
	size_t data_len;
};

/* Read a file. Returns 0 or -errno: -EINVAL for no pcap file, no Ethernet or a broken record, -ENODATA for
 * an empty one. */
int pcap_read(const char *path, struct pcap_frames *ret_frames);
void pcap_frames_free(struct pcap_frames *f);

struct pcap_writer {
	FILE *file;
	uint64_t left; /* frames still to be written */
};

/* Begin a file for at most max frames. 0 or -errno. */
int pcap_create(const char *path, uint64_t max, struct pcap_writer *ret_writer);
/* One packet with a time in nanoseconds; dropped silently beyond max. */
void pcap_write(struct pcap_writer *w, uint64_t now_ns, const struct vhu_pkt *pkt);
/* 0 or -EIO when something did not reach the file. */
int pcap_flush(struct pcap_writer *w);
int pcap_close(struct pcap_writer *w);

#endif
