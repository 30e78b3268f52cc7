/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The XDP program of AF_XDP members. The driver loads and attaches it (not by a BPF link), so a process that
 * is killed leaves it behind; with its sockets gone it passes everything to the kernel, but a new one cannot
 * be attached.
 */
#ifndef TEAMING_XDP_H
#define TEAMING_XDP_H

#include <stdint.h>

#include "base/errs.h"

/*
 * Path of the object file: VSWITCHD_XDP_PROG in the environment, else where it is installed. @return 0,
 * -ENOENT, -ENOTSUP.
 */
int tw_xdp_path(const char **ret, struct errbuf *err);

/*
 * Claim a netdev for AF_XDP and make room on it: a program that an earlier process of ours has left is
 * removed. Ours is one of our name, or the one noted in state_dir (may be NULL), for processes that may not
 * look at programs (CAP_SYS_ADMIN).
 * @param ret_claim held as long as the netdev is in use, given back by close(2); it ends with the process.
 * @return 0; -EBUSY: a live process of ours has it; -EEXIST: somebody else's program is attached; -errno.
 * portctl thread.
 */
int tw_xdp_claim(const char *netdev, uint32_t if_index, const char *state_dir, int *ret_claim, struct errbuf *err);

/* Note the program that is attached now as ours. Best effort. portctl thread. */
void tw_xdp_note(const char *netdev, uint32_t if_index, const char *state_dir);

#endif
