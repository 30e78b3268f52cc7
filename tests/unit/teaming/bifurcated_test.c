/* SPDX-License-Identifier: BSD-3-Clause */
/* Cards that the kernel keeps: flow rules on a card of the test's own, and what sysfs tells of RDMA devices. */
#include <rte_flow.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "base/str.h"
#include "teaming/ethdev_bifurcated.h"

/* ---- a card that keeps books ---- */

struct kept {
	bool used, nvgre, vlan;
	uint8_t mac[6], proto, family;
	uint8_t dst[16];
	uint16_t vid, queues; /* queues: 0: a queue action */
	uint32_t level;
};

static struct kept card[LOCAL_PAS + 1];
static unsigned int created, destroyed;
static bool no_inner, no_nvgre, no_rss, no_rules;

static bool all_ones(const void *mask, size_t n)
{
	const uint8_t *b = mask;

	while (n--)
		if (*b++ != 0xff)
			return false;
	return true;
}

static void keep_item(const struct rte_flow_item *item, struct kept *k)
{
	if (item->type == RTE_FLOW_ITEM_TYPE_ETH) {
		assert_true(all_ones(((const struct rte_flow_item_eth *)item->mask)->dst.addr_bytes, 6));
		memcpy(k->mac, ((const struct rte_flow_item_eth *)item->spec)->dst.addr_bytes, 6);
	} else if (item->type == RTE_FLOW_ITEM_TYPE_VLAN) {
		k->vlan = true;
		k->vid = be16toh(((const struct rte_flow_item_vlan *)item->spec)->tci);
		assert_int_equal(be16toh(((const struct rte_flow_item_vlan *)item->mask)->tci), 0xfff);
	} else if (item->type == RTE_FLOW_ITEM_TYPE_IPV4) {
		const struct rte_flow_item_ipv4 *ip = item->spec, *mask = item->mask;

		k->family = 4;
		k->proto = ip->hdr.next_proto_id;
		memcpy(k->dst, &ip->hdr.dst_addr, 4);
		assert_true(all_ones(&mask->hdr.dst_addr, 4) && mask->hdr.next_proto_id == 0xff);
		assert_int_equal(mask->hdr.src_addr, 0);
	} else if (item->type == RTE_FLOW_ITEM_TYPE_IPV6) {
		const struct rte_flow_item_ipv6 *ip = item->spec, *mask = item->mask;

		k->family = 6;
		k->proto = ip->hdr.proto;
		memcpy(k->dst, ip->hdr.dst_addr, 16);
		assert_true(all_ones(mask->hdr.dst_addr, 16) && mask->hdr.proto == 0xff);
	} else {
		assert_int_equal(item->type, RTE_FLOW_ITEM_TYPE_NVGRE);
		assert_int_equal(be16toh(((const struct rte_flow_item_nvgre *)item->spec)->protocol), 0x6558);
		k->nvgre = true;
	}
}

static struct rte_flow *card_create(const struct member_dev *d, const struct rte_flow_item *pattern,
				    const struct rte_flow_action *actions, struct errbuf *err)
{
	const struct rte_flow_action_rss *rss = actions[0].conf;
	struct kept k = { .used = true };
	unsigned int i;

	for (; pattern->type != RTE_FLOW_ITEM_TYPE_END; pattern++)
		keep_item(pattern, &k);
	assert_int_equal(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	if (actions[0].type == RTE_FLOW_ACTION_TYPE_RSS) {
		k.level = rss->level;
		k.queues = (uint16_t)rss->queue_num;
		assert_int_equal(rss->queue[k.queues - 1], k.queues - 1);
	}
	if (no_rules || (no_inner && k.level == 2) || (no_nvgre && k.nvgre) || (no_rss && k.queues)) {
		err_set(err, ENOTSUP, "the card cannot");
		return NULL;
	}
	for (i = 0; card[i].used; i++)
		;
	card[i] = k;
	created++;
	return (struct rte_flow *)&card[i];
}

static int card_destroy(const struct member_dev *d, struct rte_flow *flow)
{
	struct kept *k = (struct kept *)flow;

	assert_true(k->used);
	k->used = false;
	destroyed++;
	return 0;
}

static const struct member_ops card_ops = { .name = "card", .flow_create = card_create, .flow_destroy = card_destroy };
static const struct member_ops plain_ops = { .name = "plain" };
static const struct member_dev dev = { .ops = &card_ops, .rxq = 4 }, dev2 = { .ops = &card_ops, .rxq = 1 };
static struct tw_steer steer;
static struct errbuf err;

static int setup(void **state)
{
	memset(card, 0, sizeof(card));
	created = destroyed = 0;
	no_inner = no_nvgre = no_rss = no_rules = false;
	steer = (struct tw_steer){ 0 };
	return 0;
}

static struct tw_steer_pa pa(const char *address, uint16_t vlan)
{
	struct tw_steer_pa p = { .vlan = vlan, .mac = { { 2, 0xaa, 0, 0, 0, 1 } } };

	assert_int_equal(parse_ip(address, &p.address), 0);
	return p;
}

static void a_rule_names_nvgre_to_the_address(void **state)
{
	struct tw_steer_pa pas[2] = { pa("192.0.2.11", 0), pa("2001:db8::11", 7) };

	assert_int_equal(tw_steer_set(&steer, &dev, pas, 2, &err), 0);
	assert_true(card[0].family == 4 && card[0].proto == 47 && card[0].nvgre && !card[0].vlan);
	assert_memory_equal(card[0].mac, &pas[0].mac, 6);
	assert_memory_equal(card[0].dst, pas[0].address.b, 4);
	assert_true(card[0].queues == 4 && card[0].level == 2);
	assert_true(card[1].family == 6 && card[1].proto == 47 && card[1].nvgre && card[1].vlan && card[1].vid == 7);
	assert_memory_equal(card[1].dst, pas[1].address.b, 16);
	assert_int_equal(created, 2);
}

static void only_differences_reach_the_card(void **state)
{
	struct tw_steer_pa pas[3] = { pa("192.0.2.11", 0), pa("192.0.2.12", 0), pa("192.0.2.13", 0) };

	assert_int_equal(tw_steer_set(&steer, &dev, pas, 2, &err), 0);
	assert_int_equal(tw_steer_set(&steer, &dev, pas, 2, &err), 0);
	assert_int_equal(created, 2);
	assert_int_equal(tw_steer_set(&steer, &dev, pas + 1, 2, &err), 0);
	assert_true(created == 3 && destroyed == 1 && card[1].used && card[1].dst[3] == 12);
	pas[1].mac.b[5] = 9; /* another MAC is another rule */
	assert_int_equal(tw_steer_set(&steer, &dev, pas + 1, 2, &err), 0);
	assert_true(created == 4 && destroyed == 2);
	/* another device: the old one's rules go first */
	assert_int_equal(tw_steer_set(&steer, &dev2, pas + 1, 1, &err), 0);
	assert_true(created == 5 && destroyed == 4);
	assert_int_equal(tw_steer_set(&steer, NULL, NULL, 0, &err), 0);
	assert_true(destroyed == 5 && !steer.dev && !steer.n);
}

static void cards_that_can_less(void **state)
{
	struct tw_steer_pa pas[2] = { pa("192.0.2.11", 0), pa("192.0.2.12", 0) };

	no_inner = true;
	assert_int_equal(tw_steer_set(&steer, &dev, pas, 1, &err), 0);
	assert_true(card[0].level == 0 && card[0].queues == 4 && card[0].nvgre);
	assert_string_equal(tw_steer_way_names[steer.way], "by outer headers");
	tw_steer_set(&steer, NULL, NULL, 0, &err);
	no_nvgre = true;
	assert_int_equal(tw_steer_set(&steer, &dev, pas, 1, &err), 0);
	assert_true(card[0].queues == 4 && !card[0].nvgre && card[0].proto == 47);
	tw_steer_set(&steer, NULL, NULL, 0, &err);
	no_rss = true;
	assert_int_equal(tw_steer_set(&steer, &dev, pas, 1, &err), 0);
	assert_true(card[0].queues == 0 && card[0].proto == 47);
	assert_string_equal(tw_steer_way_names[steer.way], "not at all");
	/* the next rule is written that way at once */
	no_inner = no_nvgre = no_rss = false;
	assert_int_equal(tw_steer_set(&steer, &dev, pas, 2, &err), 0);
	assert_true(card[1].queues == 0 && !card[1].nvgre);
	tw_steer_set(&steer, NULL, NULL, 0, &err);
	assert_int_equal(created, destroyed);
}

static void a_refusal_is_told_once(void **state)
{
	struct tw_steer_pa one = pa("192.0.2.11", 0);
	struct member_dev plain = { .ops = &plain_ops, .rxq = 1 };

	no_rules = true;
	assert_int_equal(tw_steer_set(&steer, &dev, &one, 1, &err), -EIO);
	assert_string_equal(err.text, "the card cannot");
	assert_int_equal(tw_steer_set(&steer, &dev, &one, 1, &err), 0);
	assert_int_equal(tw_steer_set(&steer, NULL, NULL, 0, &err), 0);
	assert_int_equal(tw_steer_set(&steer, &plain, &one, 1, &err), -EIO);
	assert_string_equal(err.text, "its driver knows no flow rules");
	assert_int_equal(tw_steer_set(&steer, NULL, NULL, 0, &err), 0);
	assert_true(!created && !destroyed);
}

static void drivers(void **state)
{
	assert_true(tw_bifurcated("mlx5_pci") && tw_bifurcated("mlx5_auxiliary"));
	assert_false(tw_bifurcated("net_mlx4") || tw_bifurcated("net_ice") || tw_bifurcated("net_af_packet"));
}

/* ---- RDMA devices ---- */

static char root[] = "/tmp/bifurcated-test-XXXXXX";

static void tree(const char *what)
{
	char command[512];

	snprintf(command, sizeof(command), "cd %s/bus/pci/devices && %s", root, what);
	assert_int_equal(system(command), 0);
}

static int group_setup(void **state)
{
	char command[128];

	if (!mkdtemp(root))
		return -1;
	tw_sysfs = root;
	snprintf(command, sizeof(command), "mkdir -p %s/bus/pci/devices", root);
	return system(command);
}

static int group_teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void one_rdma_device_for_two_ports(void **state)
{
	tree("mkdir -p 0000:3b:00.0/infiniband/mlx5_bond_0 0000:3b:00.1 && for f in 0 1; do "
	     "ln -s ../../drivers/mlx5_core 0000:3b:00.$f/driver; done");
	assert_int_equal(tw_bifurcated_check("0000:3b:00.0", false, &err), -EBUSY);
	assert_non_null(strstr(err.text, "mlx5_bond_0"));
	assert_non_null(strstr(err.text, "devlink dev param set pci/0000:3b:00.0 name enable_roce value false"));
	assert_non_null(strstr(err.text, "different cards"));
	assert_int_equal(tw_bifurcated_check("3b:00.0,dv_flow_en=1", false, &err), -EBUSY);
	/* the second port is known by its failure */
	assert_int_equal(tw_bifurcated_check("pci:0000:3b:00.1", false, &err), 0);
	assert_int_equal(tw_bifurcated_check("pci:0000:3b:00.1", true, &err), -EBUSY);
	assert_non_null(strstr(err.text, "pci/0000:3b:00.1"));
	tree("rm -r 0000:3b:00.0 0000:3b:00.1");
}

static void ports_that_are_fine(void **state)
{
	tree("mkdir -p 0000:3b:00.0/infiniband/mlx5_0 0000:5e:00.0/infiniband/bond && "
	     "ln -s ../../drivers/mlx5_core 0000:3b:00.0/driver && ln -s ../../drivers/ice 0000:5e:00.0/driver");
	assert_int_equal(tw_bifurcated_check("0000:3b:00.0", false, &err), 0);
	assert_int_equal(tw_bifurcated_check("0000:3b:00.0", true, &err), 0); /* other reasons are DPDK's to tell */
	assert_int_equal(tw_bifurcated_check("0000:5e:00.0", true, &err), 0);
	assert_int_equal(tw_bifurcated_check("net_af_packet0,iface=eth0", true, &err), 0);
	assert_int_equal(tw_bifurcated_check("", true, &err), 0);
	tree("rm -r 0000:3b:00.0/infiniband");
	assert_int_equal(tw_bifurcated_check("0000:3b:00.0", true, &err), -ENODEV);
	assert_non_null(strstr(err.text, "mlx5_ib"));
	tree("rm -r 0000:3b:00.0 0000:5e:00.0");
}

#define RULES(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULES(a_rule_names_nvgre_to_the_address),
		RULES(only_differences_reach_the_card),
		RULES(cards_that_can_less),
		RULES(a_refusal_is_told_once),
		cmocka_unit_test(drivers),
		cmocka_unit_test(one_rdma_device_for_two_ports),
		cmocka_unit_test(ports_that_are_fine),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
