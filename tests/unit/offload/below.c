/* SPDX-License-Identifier: BSD-3-Clause */
#include "below.h"

#include "emunic.h"
#include "unit.h"

struct below below;

static int open_(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err)
{
	*ret = (struct member_dev){ .ops = &below_ops };
	return 0;
}

static int info(const struct member_dev *d, struct member_info *ret)
{
	*ret = (struct member_info){ .max_rxq = 1, .max_txq = 1, .socket = SOCKET_ID_ANY, .mac = below.mac };
	return 0;
}

static int configure(struct member_dev *d, const struct member_config *c, struct errbuf *err)
{
	d->rxq = d->txq = 1;
	return 0;
}

static void close_(struct member_dev *d)
{
}

static uint16_t rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t k = 0;

	while (k < n && k < below.n_coming) {
		pkts[k] = below.coming[k];
		k++;
	}
	below.n_coming -= k;
	memmove(below.coming, below.coming + k, below.n_coming * sizeof(below.coming[0]));
	return k;
}

static uint16_t tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		assert_true(below.n_sent < BELOW_MAX);
		below.sent[below.n_sent++] = pkts[i];
	}
	return n;
}

const struct member_ops below_ops = {
	.name = "below", .open = open_, .info = info, .configure = configure, .close = close_, .rx = rx, .tx = tx,
};

void below_clear(void)
{
	rte_pktmbuf_free_bulk(below.sent, below.n_sent);
	below.n_sent = 0;
}

void below_nic(struct rte_mempool *pool, uint16_t rxq, struct member_dev *ret)
{
	struct member_config c = { .rxq = rxq, .txq = 1, .pool = pool, .tx_offloads = UINT64_MAX,
				   .rx_offloads = UINT64_MAX };
	struct member_spec spec = { .name = "nic" };
	struct errbuf err = { "" };

	emunic_config.below = &below_ops;
	emunic_config.rxq = rxq;
	assert_int_equal(emunic_ops.open(&spec, ret, &err), 0);
	assert_int_equal(ret->ops->configure(ret, &c, &err), 0);
}
