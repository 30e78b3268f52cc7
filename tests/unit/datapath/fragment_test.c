/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4 without DF that does not fit is cut inside the tunnel and arrives whole. HNV row 27. */
#include "world.h"

#define OUTER (ETH_HLEN_ + 20 + 8)

static const uint8_t *options;
static uint8_t options_len;

/* An IPv4 packet of `len` bytes behind its header, numbered by position; a fragment itself if frag says so. */
static struct frame *packet(uint8_t *buf, uint16_t len, uint16_t frag)
{
	static struct frame f;
	uint8_t data[SIZE];

	for (unsigned int i = 0; i < len; i++)
		data[i] = (uint8_t)(i / 8 * 31 + i);
	frame_init(&f, buf, SIZE);
	frame_eth(&f, mac_far, mac_a, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = IP_A, .dst = IP_FAR, .frag = frag, .id = 0x4711, .proto = 17,
						.opts = options, .opts_len = options_len });
	frame_payload(&f, data, len);
	return &f;
}

struct piece {
	const uint8_t *ip;
	unsigned int header, len, at; /* payload, its place */
	bool more;
};

static struct piece read_piece(const uint8_t *frame, unsigned int frame_len, uint16_t mtu)
{
	const uint8_t *ip = frame + OUTER + ETH_HLEN_;
	unsigned int total = load_be16(ip + 2), flags = load_be16(ip + 6);
	struct piece p = { .ip = ip, .header = (ip[0] & 0xfu) * 4, .at = (flags & 0x1fff) * 8, .more = flags & 0x2000 };

	assert_int_equal(load_be16(frame + ETH_HLEN_ + 6) & 0x3fff, 0); /* the outer one is whole */
	assert_memory_equal(frame + OUTER, mac_far, 6);
	assert_int_equal(frame_len, OUTER + ETH_HLEN_ + total);
	assert_true(total <= mtu - 42u);
	assert_int_equal(csum_fold(csum_partial(ip, p.header, 0)), 0);
	assert_int_equal(load_be16(ip + 4), 0x4711);
	p.len = total - p.header;
	return p;
}

/* Send one and put its pieces together. */
static void check(uint16_t len, uint16_t frag, uint16_t mtu)
{
	unsigned int member = world.members[0].n_sent ? 0 : 1, from = (frag & 0x1fffu) * 8, got = 0;
	uint8_t buf[SIZE], whole[SIZE] = { 0 };
	bool last = false;

	world.mtu = mtu;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	guest_sends(A, packet(buf, len, frag));
	world_turn();
	member = world.members[0].n_sent ? 0 : 1;
	assert_int_equal(world.members[!member].n_sent, 0);
	for (unsigned int i = 0; i < world.members[member].n_sent; i++) {
		struct piece p = read_piece(world.members[member].sent[i], world.members[member].sent_len[i], mtu);

		assert_true(p.at >= from && p.at - from + p.len <= len);
		assert_true(!p.more || p.len % 8 == 0);
		assert_int_equal(p.more, (frag & 0x2000) || p.at - from + p.len < len);
		last |= p.at - from + p.len == len;
		memcpy(whole + p.at - from, p.ip + p.header, p.len);
		got += p.len;
	}
	assert_true(last);
	assert_int_equal(got, len);
	for (unsigned int i = 0; i < len; i++)
		assert_int_equal(whole[i], (uint8_t)(i / 8 * 31 + i));
	assert_int_equal(drops_of(DROP_TOO_BIG), 0);
}

static void pieces_make_the_whole(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned int i = 0; i < 400; i++) {
		uint16_t mtu = (uint16_t)(576 + unit_below(&seed, 900)), len = (uint16_t)(8 + unit_below(&seed, 1700));

		check(len, 0, mtu);
		check(len & 0xfff8, 0x2000 | 5, mtu); /* cut by the guest before */
		check(len, 100, mtu);
	}
}

/* Copied ones in every piece, others in the first alone (RFC 791). */
static void options_are_kept(void **state)
{
	static const uint8_t both[] = { 0x94, 4, 0, 0, /* router alert */ 7, 7, 4, 0, 0, 0, 0, 0 /* record route */ };
	const uint8_t *first, *second;

	options = both;
	options_len = sizeof(both);
	check(1600, 0, 1000);
	options = NULL;
	options_len = 0;
	first = world.members[world.members[0].n_sent ? 0 : 1].sent[0] + OUTER + ETH_HLEN_;
	second = world.members[world.members[0].n_sent ? 0 : 1].sent[1] + OUTER + ETH_HLEN_;
	assert_memory_equal(first + 20, both, sizeof(both));
	assert_int_equal(second[20], 0x94);
	for (unsigned int i = 24; i < (second[0] & 0xfu) * 4; i++)
		assert_int_not_equal(second[i], 7);
}

/* Lengths that lie, and all the room that there is: the guest writes them. */
static void hostile_options_do_no_harm(void **state)
{
	static const uint8_t hostile[][40] = {
		{ 0x94, 0 }, { 0x94, 1 }, { 0x94, 41 }, { 0x94, 255 }, { 0x94, 40 }, { 0x94, 39 }, { 7, 0 }, { 7, 255 },
		{ 0x94, 38, [38] = 0x94, [39] = 2 }, { 0x94, 39, [39] = 0x94 }, { [39] = 0x94 },
	};
	uint8_t nops[40];

	for (unsigned int i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		memset(nops, 1, sizeof(nops));
		options = hostile[i];
		options_len = 40;
		check(1600, 0, 700);
		options = nops;
		memcpy(nops + 36, hostile[i], 4);
		check(1600, 0, 700);
	}
	options = NULL;
	options_len = 0;
}

static void order_is_kept(void **state)
{
	uint8_t buf[SIZE];
	unsigned int member;

	world.mtu = 1000;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	guest_sends(A, packet(buf, 400, 0x2000)); /* a fragment has the hash of a fragment */
	guest_sends(A, packet(buf, 1600, 0));
	guest_sends(A, packet(buf, 408, 0x2000));
	world_turn();
	member = world.members[0].n_sent ? 0 : 1;
	assert_int_equal(world.members[member].n_sent, 4);
	assert_int_equal(load_be16(world.members[member].sent[0] + OUTER + ETH_HLEN_ + 2), 420);
	assert_int_equal(load_be16(world.members[member].sent[3] + OUTER + ETH_HLEN_ + 2), 428);
}

static void without_buffers_it_is_a_named_drop(void **state)
{
	unsigned int n = rte_mempool_avail_count(world.pool) - 3;
	struct rte_mbuf **all = calloc(n, sizeof(*all));
	uint8_t buf[SIZE];

	world.mtu = 1000;
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	assert_int_equal(rte_pktmbuf_alloc_bulk(world.pool, all, n), 0);
	guest_sends(A, packet(buf, 1600, 0));
	world_turn();
	assert_int_equal(drops_of(DROP_NO_MBUF), 1);
	rte_pktmbuf_free_bulk(all, n);
	free(all);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(pieces_make_the_whole),
		T(options_are_kept),
		T(hostile_options_do_no_harm),
		T(order_is_kept),
		T(without_buffers_it_is_a_named_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
