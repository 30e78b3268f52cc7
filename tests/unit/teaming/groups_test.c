/* SPDX-License-Identifier: BSD-3-Clause */
/* Membership of multicast groups: who reports, when, in which version; what is received (HNV row 57). */
#include "world.h"

static struct world w;

static int setup(void **state)
{
	world_init(&w, 2);
	return 0;
}

static int setup6(void **state)
{
	world_init(&w, 2);
	w.pas[0].address = ip("2001:db8::1");
	w.pas[1].address = ip("2001:db8::2");
	w.pas[0].prefix_len = w.pas[1].prefix_len = 64;
	return 0;
}

static int teardown(void **state)
{
	world_free(&w);
	return 0;
}

static void set(const char *group)
{
	struct ip_addr a = ip(group ? group : "0.0.0.0");

	assert_int_equal(tw_groups_set(&w.core, &a, group ? 1 : 0), 0);
	tw_settle(&w.core);
	world_run(&w, MS_NS);
}

/* Frames to this MAC by a member (TEAM_NO_MEMBER: any). */
static unsigned int sent_to(unsigned int member, const char *mac)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w.n_sent; i++)
		n += (member == TEAM_NO_MEMBER || w.sent[i].member == member) && !memcmp(w.sent[i].data, mac, 6);
	return n;
}

#define IGMP3 "\x01\0\x5e\0\0\x16"
#define MLD2  "\x33\x33\0\0\0\x16"

/* The group's MACs: 239.1.2.3, ff15::7 */
#define GROUP4 "\x01\0\x5e\x01\x02\x03"
#define GROUP6 "\x33\x33\0\0\0\x07"

static void checksums_good(const struct sent *s)
{
	struct pkt_info info;

	assert_int_equal(pkt_parse(s->data, s->len, s->len, &info), DROP_NONE);
	assert_int_equal(csum_fold(csum_partial(s->data + 14, 24, 0)), 0);
	assert_int_equal(csum_fold(csum_partial(s->data + 38, info.l3_end - 38, 0)), 0);
}

static void query4(unsigned int member, uint8_t code, uint32_t group, bool v3)
{
	uint8_t f[60] = { 0x01, 0, 0x5e, 0, 0, 1, 2, 0xee, 0, 0, 0, 9, 8, 0, 0x46, 0xc0 }, *igmp = f + 38;
	uint32_t len = v3 ? 12 : 8;
	uint16_t sum;

	store_be16(f + 16, (uint16_t)(24 + len));
	f[22] = 1;
	f[23] = 2;
	memcpy(f + 26, "\x0a\0\0\x09\xe0\0\0\x01\x94\x04", 10);
	sum = csum_fold(csum_partial(f + 14, 24, 0));
	memcpy(f + 24, &sum, 2);
	igmp[0] = 0x11;
	igmp[1] = code;
	store_be32(igmp + 4, group);
	sum = csum_fold(csum_partial(igmp, len, 0));
	memcpy(igmp + 2, &sum, 2);
	world_input(&w, member, f, sizeof(f));
}

static void one_member_joins_and_takes(void **state)
{
	const struct sent *s;

	world_ready(&w);
	assert_int_equal(w.view->n_local, w.view->n_pas);
	set("239.1.2.3");
	assert_int_equal(sent_to(0, IGMP3), 1);
	s = world_last(&w);
	checksums_good(s);
	assert_int_equal(s->data[38], 0x22);
	assert_int_equal(s->data[46], 4); /* change to exclude */
	assert_memory_equal(s->data + 50, "\xef\x01\x02\x03", 4);
	assert_memory_equal(s->data + 26, "\x0a\0\0\x01", 4); /* its own address */
	world_run(&w, 5 * S_NS);
	assert_int_equal(sent_to(TEAM_NO_MEMBER, IGMP3), 2);
	assert_int_equal(w.view->n_local, w.view->n_pas + 1);
	assert_memory_equal(&w.view->local[w.view->n_pas].mac, GROUP4, 6);
	assert_int_equal(w.view->pas[w.view->n_pas].now, 0);
	world_forget(&w);
	set(NULL);
	assert_int_equal(sent_to(0, IGMP3), 1);
	assert_int_equal(world_last(&w)->data[46], 3); /* change to include nobody */
	assert_int_equal(w.view->n_local, w.view->n_pas);
}

static void queries_are_answered_in_their_version(void **state)
{
	world_ready(&w);
	set("239.1.2.3");
	world_run(&w, 5 * S_NS);
	world_forget(&w);
	query4(0, 100, 0, true);
	world_run(&w, 10 * S_NS);
	assert_int_equal(sent_to(0, IGMP3), 1);
	assert_int_equal(world_last(&w)->data[46], 2); /* is exclude */
	world_forget(&w);
	query4(1, 100, 0, true);		/* on a member that does not report */
	query4(0, 100, 0xef010204, true);	/* about another group */
	world_run(&w, 10 * S_NS);
	assert_int_equal(sent_to(TEAM_NO_MEMBER, IGMP3), 0);
	query4(0, 10, 0xef010203, false);
	world_run(&w, S_NS);
	assert_int_equal(sent_to(0, GROUP4), 1);
	assert_int_equal(world_last(&w)->data[38], 0x16);
	checksums_good(world_last(&w));
	world_run(&w, 300 * S_NS); /* the old querier is forgotten */
	world_forget(&w);
	query4(0, 10, 0, true);
	world_run(&w, S_NS);
	assert_int_equal(sent_to(0, IGMP3), 1);
}

static void failover_moves_the_membership(void **state)
{
	world_ready(&w);
	set("239.1.2.3");
	world_run(&w, 5 * S_NS);
	world_forget(&w);
	world_link(&w, 0, false);
	world_run(&w, 5 * S_NS);
	assert_int_equal(sent_to(1, IGMP3), 2);
	assert_int_equal(sent_to(0, IGMP3), 0);
	assert_int_equal(w.view->pas[w.view->n_pas].now, 1);
}

static void mld(void **state)
{
	const struct sent *s;
	struct pkt_info info;

	world_ready(&w);
	set("ff15::7");
	world_run(&w, 5 * S_NS);
	assert_int_equal(sent_to(0, MLD2), 2);
	s = world_last(&w);
	assert_int_equal(pkt_parse(s->data, s->len, s->len, &info), DROP_NONE);
	assert_int_equal(info.proto, IPPROTO_ICMP6_);
	assert_int_equal(s->data[info.l4_off], 143);
	assert_int_equal(s->data[21], 1); /* hop limit */
	assert_int_equal(s->data[22], 0xfe);
	assert_memory_equal(&w.view->local[w.view->n_pas].mac, GROUP6, 6);
}

/* As many as there is room for, and no memory is lost with wrong ones. */
static void too_many_and_malformed(void **state)
{
	struct ip_addr groups[TEAM_GROUPS + 1];
	uint8_t f[38] = { 0x01, 0, 0x5e, 0, 0, 1, 2, 0xee, 0, 0, 0, 9, 8, 0, 0x46, 0, 0, 24, [22] = 1, 2 };

	world_ready(&w);
	for (unsigned int i = 0; i <= TEAM_GROUPS; i++) {
		groups[i] = ip("239.0.0.1");
		groups[i].b[3] = (uint8_t)(i + 1);
	}
	assert_int_equal(tw_groups_set(&w.core, groups, TEAM_GROUPS), 0);
	assert_int_equal(tw_groups_set(&w.core, groups, TEAM_GROUPS + 1), -ENOSPC);
	world_input(&w, 0, f, sizeof(f));
	for (uint32_t len = 0; len < 8; len++)
		tw_groups_igmp(&w.core, 0, f, len);
}

int main(void)
{
#define T(fn, set_up) cmocka_unit_test_setup_teardown(fn, set_up, teardown)
	const struct CMUnitTest tests[] = {
		T(one_member_joins_and_takes, setup), T(queries_are_answered_in_their_version, setup),
		T(failover_moves_the_membership, setup), T(mld, setup6), T(too_many_and_malformed, setup),
	};

	return cmocka_run_group_tests_name("teaming-groups", tests, NULL, NULL);
}
