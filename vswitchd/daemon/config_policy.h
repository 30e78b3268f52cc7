/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration against policy's own rules, in a policy that nobody uses. Main thread; DPDK need not run. */
#ifndef DAEMON_CONFIG_POLICY_H
#define DAEMON_CONFIG_POLICY_H

#include "daemon/config.h"
#include "daemon/objects.h"

/*
 * Objects of the configuration that the lists (one per kind) have, too. Within a list the last comes first, so that
 * fn may remove it. @param text "FILE:LINE: KIND KEY was also made at run time". @return 0 or -ENOMEM.
 */
typedef void (*config_twin_fn)(enum object_kind kind, size_t i, const char *text, void *arg);
int config_twins(const struct config *c, const struct object_list *others, config_twin_fn fn, void *arg);

/*
 * @param others  lists of objects that were made at run time, one per kind, or NULL: they stay beside the configuration
 *		  and must not have the keys of its objects (origin admin) nor contradict them.
 * @return 0; -EINVAL with the reasons in errors; -ENOMEM.
 */
int config_check_policy(const struct config *c, const struct object_list *others, struct config_errors *errors);

#endif
