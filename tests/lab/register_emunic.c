/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every member of the daemon that this is linked to gets an emulated offloading NIC in front of its device:
 * EMUNIC_CLAIMS, EMUNIC_LIES (words of emunic_parse()), EMUNIC_QUEUES in the environment.
 */
#include <stdlib.h>

#include "emunic.h"
#include "teaming/ethdev.h"
#include "teaming/teaming.h"

static const struct member_ops *ops_for(const struct member_spec *spec)
{
	return &emunic_ops;
}

static unsigned int words(const char *name)
{
	const char *value = getenv(name);
	unsigned int bits = 0;

	if (value && emunic_parse(value, &bits) < 0) {
		fprintf(stderr, "%s=%s: unknown word\n", name, value);
		exit(2);
	}
	return bits;
}

__attribute__((constructor)) static void register_emunic(void)
{
	const char *queues = getenv("EMUNIC_QUEUES");

	emunic_config.claims = words("EMUNIC_CLAIMS");
	emunic_config.lies = words("EMUNIC_LIES");
	emunic_config.rxq = (uint16_t)(queues ? atoi(queues) : 1);
	emunic_config.talk = true;
	emunic_config.below = &tw_ethdev_ops;
	teaming_ops_for = ops_for;
}
