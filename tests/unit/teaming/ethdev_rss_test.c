/* SPDX-License-Identifier: BSD-3-Clause */
/* By which headers does a card choose receive queues? The null device, made to offer and refuse levels of RSS. */
#include <rte_ethdev.h>

#include "unit.h"

#include "base/meta.h"
#include "eal.h"
#include "teaming/ethdev.h"

static bool offers, refuses;
static unsigned int asked_inner, asked_outer;

int __real_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_configure(uint16_t port, uint16_t rxq, uint16_t txq, const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_configure(uint16_t port, uint16_t rxq, uint16_t txq, const struct rte_eth_conf *conf);

int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	int r = __real_rte_eth_dev_info_get(port, info);

	if (r == 0 && offers)
		info->flow_type_rss_offloads |= RTE_ETH_RSS_LEVEL_MASK;
	return r;
}

int __wrap_rte_eth_dev_configure(uint16_t port, uint16_t rxq, uint16_t txq, const struct rte_eth_conf *conf)
{
	struct rte_eth_conf real = *conf;
	uint64_t level = conf->rx_adv_conf.rss_conf.rss_hf & RTE_ETH_RSS_LEVEL_MASK;

	assert_int_equal(conf->rxmode.mq_mode, rxq > 1 ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE);
	asked_inner += level == RTE_ETH_RSS_LEVEL_INNERMOST;
	asked_outer += !level;
	if (level && refuses)
		return -EINVAL;
	real.rx_adv_conf.rss_conf.rss_hf &= ~RTE_ETH_RSS_LEVEL_MASK;
	return __real_rte_eth_dev_configure(port, rxq, txq, &real);
}

static void open_with(uint16_t rxq, bool wanted, bool expected)
{
	struct member_spec spec = { .name = "null", .type = MEMBER_DPDK, .devargs = "net_null0" };
	struct member_config c = { .rxq = rxq, .txq = 1, .inner_rss = wanted };
	struct member_info info;
	struct member_dev dev;
	struct errbuf err = { "" };

	asked_inner = asked_outer = 0;
	c.pool = meta_pool_create("null", 4095, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(c.pool);
	if (tw_ethdev_ops.open(&spec, &dev, &err) < 0 || dev.ops->configure(&dev, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(dev.ops->info(&dev, &info), 0);
	assert_int_equal(info.inner_rss, offers);
	assert_int_equal(dev.inner_rss, expected);
	dev.ops->close(&dev);
	rte_mempool_free(c.pool);
}

static void test_asked_for(void **state)
{
	offers = true;
	refuses = false;
	open_with(2, true, true);
	assert_int_equal(asked_inner, 1);
	assert_int_equal(asked_outer, 0);
}

static void test_refused(void **state)
{
	offers = refuses = true;
	open_with(2, true, false);
	assert_int_equal(asked_inner, 1);
	assert_int_equal(asked_outer, 1);
}

static void test_not_asked_for(void **state)
{
	refuses = false;
	for (unsigned int i = 0; i < 3; i++) {
		offers = i > 0;
		open_with(i == 1 ? 1 : 2, i != 2, false); /* not offered, one queue, not wanted */
		assert_int_equal(asked_inner, 0);
	}
}

static int setup(void **state)
{
	return test_eal_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked_for),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_asked_for),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
