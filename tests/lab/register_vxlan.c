/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes `encapsulation = "vxlan"` a choice per host in the daemon that this is linked to. */
#include "policy/policy.h"
#include "vxlan_ops.h"

__attribute__((constructor)) static void register_vxlan(void)
{
	encap_names[ENCAP_TEST] = vxlan_ops.name;
	policy_encap_register(ENCAP_TEST, &vxlan_ops);
}
