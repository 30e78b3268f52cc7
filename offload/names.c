/* SPDX-License-Identifier: BSD-3-Clause */
/* A library of its own: who reads the configuration need not be a switch. */
#include "offload/offload.h"

const char *const offload_trust_names[] = { "accepted", "proven", "none", "granted", NULL };
const char *const offload_rss_names[] = { "auto", "off", "always", NULL };
