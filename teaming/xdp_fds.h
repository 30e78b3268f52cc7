/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file descriptors of one AF_XDP device. DPDK 22.11's driver leaves them open when it is closed: its count of
 * a UMEM's users never gets to zero, and the program it loaded is not released. The UMEM's socket keeps the NIC's
 * queue bound (the next open would find it busy) and all its buffers pinned. portctl thread, which is the only one
 * that opens descriptors of these kinds.
 */
#ifndef TEAMING_XDP_FDS_H
#define TEAMING_XDP_FDS_H

enum { TW_XDP_FDS = 256 };

struct tw_xdp_fds {
	int fd[TW_XDP_FDS];
	unsigned int n;
};

/* All of this process: AF_XDP sockets, BPF programs, maps and types. */
void tw_xdp_fds_list(struct tw_xdp_fds *ret);

/* Of `after` keep only what is not in `before`. */
void tw_xdp_fds_new(struct tw_xdp_fds *after, const struct tw_xdp_fds *before);

/* Close those that are still what they were. */
void tw_xdp_fds_close(const struct tw_xdp_fds *fds);

#endif
