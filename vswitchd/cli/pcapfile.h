/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of packet files: classic pcap, and pcapng (draft-ietf-opsawg-pcapng) as `capture` and Wireshark write it. */
#ifndef CLI_PCAPFILE_H
#define CLI_PCAPFILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The first Ethernet frame in a file's first bytes, of either byte order. @param ret_frame into `file`.
 * @return 0; -ENODATA (no Ethernet frame in it); -EINVAL (no such file, or it contradicts itself).
 */
int pcapfile_first_frame(const uint8_t *file, size_t n, const uint8_t **ret_frame, size_t *ret_len);

#endif
