/* SPDX-License-Identifier: BSD-3-Clause */
/* What is offered: nothing that the path does not honour, and what depends on the port's specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "vhost/vhost_private.h"

static struct port_spec spec(uint16_t queues, bool packed)
{
	return (struct port_spec){ .id = "p", .socket = "/s", .queues = queues, .packed = packed,
				    .mergeable = true, .tx_checksum = true, .tso = true, .ecn = true,
				    .rx_checksum = true, .rx_tso = true };
}

static void test_plain(void **state)
{
	struct port_spec s = spec(1, false);
	uint64_t f = features_offer(&s);

	assert_true(f & F_BIT(VIRTIO_F_VERSION_1));
	assert_true(f & F_BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_true(f & F_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	assert_true(f & F_BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_true(f & F_BIT(VIRTIO_NET_F_MTU));
	assert_true(f & F_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE));
	assert_true(f & F_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	assert_false(f & F_BIT(VIRTIO_F_RING_PACKED));
	assert_false(f & F_BIT(VIRTIO_NET_F_MQ));
}

static void test_conditions(void **state)
{
	struct port_spec plain = spec(1, false), packed = spec(1, true), many = spec(4, false);

	assert_int_equal(features_offer(&packed) ^ features_offer(&plain), F_BIT(VIRTIO_F_RING_PACKED));
	assert_int_equal(features_offer(&many) ^ features_offer(&plain), F_BIT(VIRTIO_NET_F_MQ));
}

#define HOST_TSO  (F_BIT(VIRTIO_NET_F_HOST_TSO4) | F_BIT(VIRTIO_NET_F_HOST_TSO6))
#define GUEST_TSO (F_BIT(VIRTIO_NET_F_GUEST_TSO4) | F_BIT(VIRTIO_NET_F_GUEST_TSO6))
#define HOST_ECN  F_BIT(VIRTIO_NET_F_HOST_ECN)
#define GUEST_ECN F_BIT(VIRTIO_NET_F_GUEST_ECN)

/* Each knob takes away its bits and those that rest on them (virtio 1.1, 5.1.3.1). */
static void test_offloads(void **state)
{
	const struct port_spec all = spec(1, false);
	uint64_t offered = features_offer(&all);
	struct port_spec s;

	assert_int_equal(offered & (HOST_TSO | GUEST_TSO | HOST_ECN | GUEST_ECN),
			 HOST_TSO | GUEST_TSO | HOST_ECN | GUEST_ECN);
#define WITHOUT(knob, bits)                                                                        \
	do {                                                                                       \
		s = all;                                                                           \
		s.knob = false;                                                                    \
		assert_int_equal(offered ^ features_offer(&s), bits);                              \
	} while (0)
	WITHOUT(mergeable, F_BIT(VIRTIO_NET_F_MRG_RXBUF));
	WITHOUT(tx_checksum, F_BIT(VIRTIO_NET_F_CSUM) | HOST_TSO | HOST_ECN);
	WITHOUT(tso, HOST_TSO | HOST_ECN);
	WITHOUT(ecn, HOST_ECN | GUEST_ECN);
	WITHOUT(rx_checksum, F_BIT(VIRTIO_NET_F_GUEST_CSUM) | GUEST_TSO | GUEST_ECN);
	WITHOUT(rx_tso, GUEST_TSO | GUEST_ECN);
#undef WITHOUT
}

static void test_offloads_of_features(void **state)
{
	assert_int_equal(features_offloads(0), 0);
	assert_int_equal(features_offloads(F_BIT(VIRTIO_NET_F_CSUM) | HOST_TSO | HOST_ECN),
			 PORT_CSUM | PORT_TSO4 | PORT_TSO6 | PORT_ECN);
	assert_int_equal(features_offloads(F_BIT(VIRTIO_NET_F_GUEST_CSUM) | GUEST_TSO | GUEST_ECN),
			 PORT_RX_CSUM | PORT_RX_TSO4 | PORT_RX_TSO6 | PORT_RX_ECN);
	assert_int_equal(features_offloads(F_BIT(VIRTIO_NET_F_HOST_TSO6)), PORT_TSO6);
}

/* UDP fragmentation, IN_ORDER (breaks the proof of packed rings) and IOMMU are not there by any specification. */
static void test_never(void **state)
{
	static const uint8_t bits[] = {
		VIRTIO_NET_F_GSO,  VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_HOST_UFO,
		VIRTIO_F_IN_ORDER, VIRTIO_F_IOMMU_PLATFORM,
	};
	unsigned int i;

	for (i = 0; i < RTE_DIM(bits); i++)
		assert_false(features_known() & F_BIT(bits[i]));
}

static void test_known_is_all(void **state)
{
	struct port_spec all = spec(2, true);

	assert_int_equal(features_known(), features_offer(&all));
}

static void test_protocol(void **state)
{
	uint64_t f = features_protocol();

	assert_true(f & F_BIT(VHOST_USER_PROTOCOL_F_MQ));
	assert_true(f & F_BIT(VHOST_USER_PROTOCOL_F_NET_MTU));
	assert_true(f & F_BIT(VHOST_USER_PROTOCOL_F_RARP));
	assert_true(f & F_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD));
	assert_false(f & F_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT));
	assert_false(f & F_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ));
	assert_false(f & F_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	 cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_never),	 cmocka_unit_test(test_known_is_all),
		cmocka_unit_test(test_protocol), cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_offloads_of_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
