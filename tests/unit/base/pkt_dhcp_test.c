/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP and reverse ARP: what is read of sound messages, and that cut or wrong ones say nothing (HNV row 46). */
#include "base/pkt_dhcp.h"
#include "unit.h"

#define MAC 0x02, 0, 0, 0, 0, 0x11

struct message {
	uint8_t bytes[600];
	uint32_t len, l4; /* of the frame; UDP header */
	struct pkt_info info;
};

static void put(struct message *m, const void *bytes, uint32_t n)
{
	memcpy(m->bytes + m->len, bytes, n);
	m->len += n;
}

/* Ethernet, IP, UDP; lengths come with done(). */
static void start(struct message *m, bool v6, uint16_t port)
{
	static const uint8_t eth[12] = { MAC, 0x02, 0, 0, 0, 0, 0x99 };

	memset(m, 0, sizeof(*m));
	put(m, eth, 12);
	store_be16(m->bytes + 12, v6 ? ETHERTYPE_IPV6_ : ETHERTYPE_IPV4_);
	m->l4 = v6 ? 54 : 34;
	m->len = m->l4 + 8;
	m->bytes[14] = v6 ? 0x60 : 0x45;
	m->bytes[v6 ? 20 : 23] = IPPROTO_UDP_;
	store_be16(m->bytes + m->l4 + 2, port);
}

static bool done(struct message *m, uint32_t len, struct dhcp_msg *ret)
{
	uint8_t *exact = malloc(len); /* a read beyond the end is found */
	bool v6 = m->l4 == 54, r;

	store_be16(m->bytes + (v6 ? 18 : 16), (uint16_t)(len - (v6 ? 54 : 14)));
	store_be16(m->bytes + m->l4 + 4, (uint16_t)(len - m->l4));
	assert_non_null(exact);
	memcpy(exact, m->bytes, len);
	assert_int_equal(pkt_parse(exact, len, len, &m->info), DROP_NONE);
	r = pkt_dhcp(exact, len, &m->info, ret);
	free(exact);
	return r;
}

static void bootp(struct message *m, uint8_t op, uint8_t type, uint32_t yiaddr)
{
	uint8_t *msg = m->bytes + m->len;
	static const uint8_t mac[6] = { MAC };
	const uint8_t tail[] = { 0, 53, 1, type, 51, 4, 0, 0, 1, 0, 255 };

	msg[0] = op;
	msg[1] = 1;
	msg[2] = 6;
	store_be32(msg + 4, 0xabcdef01);
	store_be32(msg + 16, yiaddr);
	memcpy(msg + 28, mac, 6);
	store_be32(msg + 236, 0x63825363);
	m->len += 240;
	put(m, tail, sizeof(tail));
}

static void test_v4(void **state)
{
	struct dhcp_msg d;
	struct message m;

	start(&m, false, 68);
	bootp(&m, 2, 5, 0x0a000011);
	assert_true(done(&m, m.len, &d));
	assert_int_equal(d.what, DHCP_GIVES);
	assert_int_equal(d.xid, 0xabcdef01);
	assert_int_equal(d.n, 1);
	assert_memory_equal(d.addresses[0].b, "\x0a\0\0\x11", 4);
	assert_memory_equal(&d.client, "\2\0\0\0\0\x11", 6);
	assert_true(pkt_is_dhcp_answer(m.bytes, &m.info));
	for (uint8_t type = 0; type < 10; type++) {
		start(&m, false, 68);
		bootp(&m, 2, type, 0x0a000011);
		assert_int_equal(done(&m, m.len, &d), type == 5);
		start(&m, false, 67);
		bootp(&m, 1, type, 0);
		assert_int_equal(done(&m, m.len, &d), type == 1 || type == 3);
		assert_false(pkt_is_dhcp_answer(m.bytes, &m.info));
	}
	start(&m, false, 68); /* an answer to DHCPINFORM */
	bootp(&m, 2, 5, 0);
	assert_false(done(&m, m.len, &d));
	start(&m, false, 69);
	bootp(&m, 2, 5, 0x0a000011);
	assert_false(done(&m, m.len, &d));
	start(&m, false, 68); /* other hardware */
	bootp(&m, 2, 5, 0x0a000011);
	m.bytes[m.l4 + 8 + 2] = 8;
	assert_false(done(&m, m.len, &d));
}

/* Whatever is cut off behind the type option changes nothing, anything before it says nothing. */
static void test_v4_cut(void **state)
{
	struct dhcp_msg d;
	struct message m;

	start(&m, false, 68);
	bootp(&m, 2, 5, 0x0a000011);
	for (uint32_t len = m.l4 + 8; len <= m.len; len++)
		assert_int_equal(done(&m, len, &d), len >= m.l4 + 8 + 240 + 4);
}

static void option6(struct message *m, uint16_t code, uint16_t len)
{
	uint8_t h[4];

	store_be16(h, code);
	store_be16(h + 2, len);
	put(m, h, 4);
}

static void reply6(struct message *m, uint8_t type, uint32_t lifetime)
{
	const uint8_t head[4] = { type, 0xab, 0xcd, 0xef };
	uint8_t ia[12] = { 0 }, addr[24] = { 0xfd, [15] = 0x11 };

	start(m, true, 546);
	put(m, head, 4);
	option6(m, 1, 2);
	put(m, "\0\3", 2);
	option6(m, 3, 12 + 28);
	put(m, ia, 12);
	option6(m, 5, 24);
	store_be32(addr + 20, lifetime);
	put(m, addr, 24);
}

static void test_v6(void **state)
{
	struct dhcp_msg d;
	struct message m;

	reply6(&m, 7, 100);
	assert_true(done(&m, m.len, &d));
	assert_int_equal(d.what, DHCP_GIVES);
	assert_int_equal(d.xid, 0xabcdef);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.addresses[0].b[15], 0x11);
	assert_true(pkt_is_dhcp_answer(m.bytes, &m.info));
	for (uint32_t len = m.l4 + 8; len < m.len; len++)
		assert_false(done(&m, len, &d));
	reply6(&m, 7, 0); /* taken away */
	assert_false(done(&m, m.len, &d));
	reply6(&m, 2, 100); /* Advertise */
	assert_false(done(&m, m.len, &d));
	reply6(&m, 3, 100);
	store_be16(m.bytes + m.l4 + 2, 547);
	assert_true(done(&m, m.len, &d));
	assert_int_equal(d.what, DHCP_ASKS);
	assert_int_equal(d.n, 0);
}

static void test_rarp(void **state)
{
	uint8_t f[42] = { 255, 255, 255, 255, 255, 255, MAC, 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3, MAC, 0, 0, 0, 0, MAC };
	struct pkt_info info;

	assert_int_equal(pkt_parse(f, sizeof(f), sizeof(f), &info), DROP_NONE);
	assert_int_equal(pkt_rarp_mac(f, sizeof(f), &info), mac_load(f + 6));
	assert_int_equal(pkt_rarp_mac(f, sizeof(f) - 1, &info), 0);
	f[21] = 4; /* a reply */
	assert_int_equal(pkt_rarp_mac(f, sizeof(f), &info), 0);
	f[21] = 3;
	f[37]++; /* for somebody else */
	assert_int_equal(pkt_rarp_mac(f, sizeof(f), &info), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4), cmocka_unit_test(test_v4_cut), cmocka_unit_test(test_v6),
		cmocka_unit_test(test_rarp),
	};

	return cmocka_run_group_tests_name("base-pkt-dhcp", tests, NULL, NULL);
}
