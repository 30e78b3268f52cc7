/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second encapsulation for tests: VXLAN (RFC 7348), written against base/encap_ops.h alone. It proves that
 * nothing outside an encapsulation's own file depends on NVGRE; it is no product (no ageing, no learning, VNI
 * = VSID). Install: policy_encap_register(ENCAP_TEST, &vxlan_ops).
 */
#ifndef TESTS_LIB_VXLAN_OPS_H
#define TESTS_LIB_VXLAN_OPS_H

#include "base/encap_ops.h"

extern const struct encap_ops vxlan_ops;

#endif
