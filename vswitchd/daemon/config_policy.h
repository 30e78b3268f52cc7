/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration against policy's own rules, in a policy that nobody uses. Main thread; DPDK need not run. */
#ifndef DAEMON_CONFIG_POLICY_H
#define DAEMON_CONFIG_POLICY_H

#include "daemon/config.h"
#include "daemon/objects.h"

/*
 * @param others  lists of objects that were made at run time, one per kind, or NULL: they stay beside the configuration
 *		  and must not have the keys of its objects (origin admin) nor contradict them.
 * @return 0; -EINVAL with the reasons in errors; -ENOMEM.
 */
int config_check_policy(const struct config *c, const struct object_list *others, struct config_errors *errors);

#endif
