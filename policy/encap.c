/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/policy.h"

static const struct encap_ops *encaps[] = {
	[ENCAP_NVGRE] = &nvgre_ops,
	[ENCAP_TEST] = NULL,
};

#define N_ENCAPS (sizeof(encaps) / sizeof(encaps[0]))

const struct encap_ops *policy_encap(uint8_t kind)
{
	return kind < N_ENCAPS ? encaps[kind] : NULL;
}

void policy_encap_register(uint8_t kind, const struct encap_ops *ops)
{
	if (kind < N_ENCAPS)
		encaps[kind] = ops;
}
