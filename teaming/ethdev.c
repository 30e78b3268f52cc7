/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include "base/drivers.h"
#include "base/log.h"
#include "base/str.h"
#include "teaming/ethdev.h"
#include "teaming/ethdev_bifurcated.h"
#include "teaming/ethtool.h"
#include "teaming/packet_filter.h"
#include "teaming/xdp.h"
#include "teaming/xdp_fds.h"
#include "teaming/xdp_pool.h"

#define RING_FRAMES   2048 /* of an AF_PACKET ring: 2 ms at 1 Mpps */
#define RING_HEADER   32   /* TPACKET2_HDRLEN without the address: what the driver leaves of a frame for data */
#define LINK_OVERHEAD 18  /* Ethernet header and one tag */

struct device {
	struct member_spec spec;
	bool probed, started, bifurcated;
	struct rte_device *dev;
	uint16_t port;
	uint16_t max_len; /* AF_XDP: longest frame */
	uint32_t netdev;  /* if_index of the netdev below, 0: none */
	struct rte_mempool *pool; /* AF_XDP: its own */
	struct tw_xdp_fds fds;	  /* AF_XDP: what the driver opened */
};

/* Ports that are members: one cannot be two. portctl thread. */
static bool taken[RTE_MAX_ETHPORTS];

extern const struct member_ops tw_ethdev_xdp_ops;

static struct device *device_of(const struct member_dev *d)
{
	return d->priv;
}

/* ---- probing ---- */

static int find_port(const char *devargs, uint16_t *ret)
{
	struct rte_dev_iterator it;
	uint16_t id;

	RTE_ETH_FOREACH_MATCHING_DEV(id, devargs, &it) {
		rte_eth_iterator_cleanup(&it);
		*ret = id;
		return 0;
	}
	return -ENODEV;
}

static int probe(struct device *dev, const char *devargs, struct errbuf *err)
{
	struct rte_eth_dev_info info;
	int r = drivers_for_device(devargs, err);

	if (r == 0)
		r = tw_bifurcated_check(devargs, false, err);
	if (r < 0)
		return r;
	r = rte_dev_probe(devargs);
	/* PCI devices of the configuration may have been opened when DPDK was started. */
	if (r < 0 && r != -EEXIST && tw_bifurcated_check(devargs, true, err) < 0)
		return r;
	if (r < 0 && r != -EEXIST)
		return err_set(err, r == -1 ? ENODEV : -r, "DPDK cannot open '%s'", devargs);
	r = find_port(devargs, &dev->port);
	if (r == 0)
		r = rte_eth_dev_info_get(dev->port, &info);
	if (r < 0)
		return err_set(err, -r, "'%s' is not an Ethernet device", devargs);
	if (taken[dev->port])
		return err_set(err, EBUSY, "'%s' is a member already", devargs);
	taken[dev->port] = true;
	dev->dev = info.device;
	dev->probed = true;
	return 0;
}

/*
 * Frame size of the AF_PACKET rings: the driver wants frames to fill blocks, blocks to be pages, data to fit
 * a buffer.
 */
static int ring_frame(const struct device *dev, const struct member_config *c, unsigned int *ret, struct errbuf *err)
{
	static const unsigned int sizes[] = { 2048, 4096, 8192, 12288, 16384, 65536 };
	unsigned int room = rte_pktmbuf_data_room_size(c->pool) - RTE_PKTMBUF_HEADROOM, need;
	int mtu = c->mtu ? c->mtu : tw_netdev_mtu(dev->spec.name);

	if (mtu < 0)
		return err_set(err, -mtu, "no network device '%s'", dev->spec.name);
	need = (unsigned int)mtu + LINK_OVERHEAD;
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		if (sizes[i] - RING_HEADER < need)
			continue;
		if (sizes[i] - RING_HEADER > room)
			return err_set(err, EMSGSIZE,
				       "an MTU of %d needs packet buffers (memory.mbuf-size) of %u bytes, they have %u",
				       mtu, sizes[i] - RING_HEADER, room);
		*ret = sizes[i];
		return 0;
	}
	return err_set(err, EMSGSIZE, "an MTU of %d is too large", mtu);
}

static unsigned int next_number(void)
{
	static unsigned int number;

	return __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED);
}

/*
 * Each queue pair is a socket of one fan-out group: all of them have to be polled, so there are as many of
 * both.
 */
static int probe_packet(struct device *dev, const struct member_config *c, uint16_t *ret_queues, struct errbuf *err)
{
	uint16_t queues = RTE_MAX(dev->spec.queues, RTE_MAX(c->rxq, c->txq));
	char devargs[160];
	unsigned int frame = 0;
	int r = ring_frame(dev, c, &frame, err);

	if (r < 0)
		return r;
	r = tw_ethtool_no_merging(dev->spec.name);
	if (r < 0 && r != -EOPNOTSUPP)
		return err_set(err, -r, "%s: cannot turn off GRO and LRO: %s", dev->spec.name, strerror(-r));
	snprintf(devargs, sizeof(devargs), "net_af_packet_vsw%u,iface=%s,qpairs=%u,framesz=%u,blocksz=%u,framecnt=%u",
		 next_number(), dev->spec.name, queues, frame, RTE_MAX(frame, 4096u), RING_FRAMES);
	*ret_queues = queues;
	r = probe(dev, devargs, err);
	if (r == 0 && tw_packet_refuse_outgoing(if_nametoindex(dev->spec.name)) < 0)
		log_debug("%s: what the host sends by it counts as received", dev->spec.name);
	return r;
}

/* All receive queues of the NIC, or NVGRE that it puts into others would go to the kernel. */
static int probe_xdp(struct device *dev, const struct member_config *c, uint16_t *ret_queues, struct errbuf *err)
{
	uint16_t queues = dev->spec.queues ? dev->spec.queues : (uint16_t)tw_ethtool_rx_queues(dev->spec.name);
	const char *program;
	char devargs[512];
	int r = tw_xdp_path(&program, err);

	if (r < 0)
		return r;
	if (strpbrk(program, ",="))
		return err_set(err, EINVAL, "XDP program %s: comma and equals sign are not allowed in its path",
			       program);
	dev->pool = tw_xdp_pool_new(c->pool, queues, SOCKET_ID_ANY);
	if (!dev->pool)
		return err_set(err, ENOMEM, "no memory for the packet buffers of %u AF_XDP queues", queues);
	if (snprintf(devargs, sizeof(devargs), "net_af_xdp_vsw%u,iface=%s,queue_count=%u,xdp_prog=%s", next_number(),
		     dev->spec.name, queues, program) >= (int)sizeof(devargs))
		return err_set(err, ENAMETOOLONG, "XDP program %s: path is too long", program);
	dev->max_len = (uint16_t)(rte_pktmbuf_data_room_size(c->pool) - RTE_PKTMBUF_HEADROOM);
	*ret_queues = queues;
	return probe(dev, devargs, err);
}

static int ethdev_open(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err)
{
	struct device *dev;
	int r = 0;

	if (spec->type != MEMBER_DPDK && !if_nametoindex(spec->name))
		return err_set(err, ENODEV, "no network device '%s'", spec->name);
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return err_set(err, ENOMEM, "out of memory");
	dev->spec = *spec;
	if (spec->type == MEMBER_DPDK)
		r = probe(dev, spec->devargs, err);
	if (r < 0) {
		free(dev);
		return r;
	}
	*ret = (struct member_dev){ .ops = spec->type == MEMBER_AF_XDP ? &tw_ethdev_xdp_ops : &tw_ethdev_ops,
				    .port_id = dev->port, .priv = dev };
	return 0;
}

/* ---- configuration ---- */

static int setup_queues(struct member_dev *d, const struct member_config *c, const struct rte_eth_dev_info *info,
			const struct rte_eth_conf *conf)
{
	struct rte_mempool *pool = device_of(d)->pool ? device_of(d)->pool : c->pool;
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int socket = rte_eth_dev_socket_id(d->port_id), r = 0;
	uint16_t rx_desc = c->rx_desc, tx_desc = c->tx_desc;

	if (!rx_desc)
		rx_desc = info->default_rxportconf.ring_size ? info->default_rxportconf.ring_size : 1024;
	if (!tx_desc)
		tx_desc = info->default_txportconf.ring_size ? info->default_txportconf.ring_size : 1024;
	r = rte_eth_dev_adjust_nb_rx_tx_desc(d->port_id, &rx_desc, &tx_desc);
	rx.offloads = conf->rxmode.offloads;
	tx.offloads = conf->txmode.offloads;
	for (uint16_t q = 0; r == 0 && q < d->rxq; q++)
		r = rte_eth_rx_queue_setup(d->port_id, q, rx_desc, (unsigned int)socket, &rx, pool);
	for (uint16_t q = 0; r == 0 && q < d->txq; q++)
		r = rte_eth_tx_queue_setup(d->port_id, q, tx_desc, (unsigned int)socket, &tx);
	return r;
}

static bool has_inner_rss(const struct rte_eth_dev_info *info)
{
	return info->flow_type_rss_offloads & RTE_ETH_RSS_LEVEL_INNERMOST;
}

static void fill_conf(const struct member_dev *d, const struct member_config *c, const struct rte_eth_dev_info *info,
		      bool inner, struct rte_eth_conf *ret)
{
	uint64_t rss = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);

	*ret = (struct rte_eth_conf){ 0 };
	ret->rxmode.offloads = c->rx_offloads & info->rx_offload_capa;
	ret->txmode.offloads = c->tx_offloads & info->tx_offload_capa;
	if (d->rxq > 1 && rss) {
		ret->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		ret->rx_adv_conf.rss_conf.rss_hf = rss | (inner ? RTE_ETH_RSS_LEVEL_INNERMOST : 0);
	}
	/* A netdev's MTU is the administrator's, and some drivers would set it. */
	if (!info->if_index && c->mtu >= info->min_mtu && c->mtu <= info->max_mtu)
		ret->rxmode.mtu = c->mtu;
}

static int start_with(struct member_dev *d, const struct member_config *c, const struct rte_eth_dev_info *info,
		      bool inner, struct rte_eth_conf *conf)
{
	int r;

	fill_conf(d, c, info, inner, conf);
	r = rte_eth_dev_configure(d->port_id, d->rxq, d->txq, conf);
	if (r == 0)
		r = setup_queues(d, c, info, conf);
	if (r == 0)
		r = rte_eth_dev_start(d->port_id);
	return r;
}

static int start(struct member_dev *d, const struct member_config *c, const struct rte_eth_dev_info *info,
		 struct errbuf *err)
{
	bool inner = c->inner_rss && d->rxq > 1 && has_inner_rss(info);
	struct device *dev = device_of(d);
	struct rte_eth_conf conf;
	int r;

	r = start_with(d, c, info, inner, &conf);
	if (inner && (r == -EINVAL || r == -ENOTSUP)) { /* some drivers name levels that they do not take */
		inner = false;
		r = start_with(d, c, info, inner, &conf);
	}
	if (r < 0)
		return err_set(err, -r, "cannot configure %s: %s", dev->spec.name, rte_strerror(-r));
	dev->started = true;
	d->tx_offloads = conf.txmode.offloads;
	d->rx_offloads = conf.rxmode.offloads;
	d->inner_rss = inner;
	/* PAs have MACs of their own; on a netdev the neighbour socket puts them into the filter. */
	if (!info->if_index || *dev->spec.relay) {
		(void)rte_eth_promiscuous_enable(d->port_id);
		(void)rte_eth_allmulticast_enable(d->port_id);
	}
	return 0;
}

/* Without it the driver would take everything away from the kernel, LACPDUs too. Has to come before configuration. */
static int isolate(struct device *dev, const struct rte_eth_dev_info *info, struct errbuf *err)
{
	struct rte_flow_error e = { 0 };

	if (!info->if_index || !tw_bifurcated(info->driver_name))
		return 0;
	if (rte_flow_isolate(dev->port, 1, &e) < 0)
		return err_set(err, ENOTSUP, "%s cannot be shared with the kernel (isolated mode: %s): use type af-xdp",
			       dev->spec.name, e.message ? e.message : rte_strerror(rte_errno));
	dev->bifurcated = true;
	return 0;
}

static int configure(struct member_dev *d, const struct member_config *c, struct errbuf *err)
{
	struct device *dev = device_of(d);
	struct member_config chosen = *c;
	struct rte_eth_dev_info info;
	struct member_info claims;
	uint16_t queues = 0;
	int r = 0;

	if (dev->spec.type == MEMBER_AF_PACKET)
		r = probe_packet(dev, c, &queues, err);
	else if (dev->spec.type == MEMBER_AF_XDP)
		r = probe_xdp(dev, c, &queues, err);
	if (r < 0)
		return r;
	d->port_id = dev->port;
	r = rte_eth_dev_info_get(d->port_id, &info);
	if (r < 0)
		return err_set(err, -r, "no information about %s: %s", dev->spec.name, rte_strerror(-r));
	dev->netdev = info.if_index;
	r = isolate(dev, &info, err);
	if (r < 0)
		return r;
	if (queues) {
		d->rxq = d->txq = queues;
	} else {
		d->rxq = RTE_MIN(c->rxq, info.max_rx_queues);
		d->txq = RTE_MIN(c->txq, info.max_tx_queues);
	}
	if (!d->rxq || !d->txq)
		return err_set(err, ENOTSUP, "%s has no queue to receive or to send", dev->spec.name);
	claims = (struct member_info){ .tx_capa = info.tx_offload_capa, .rx_capa = info.rx_offload_capa };
	if (c->choose)
		c->choose(&claims, &chosen);
	return start(d, &chosen, &info, err);
}

static int ethdev_configure(struct member_dev *d, const struct member_config *c, struct errbuf *err)
{
	struct device *dev = device_of(d);
	struct tw_xdp_fds before;
	int r;

	if (dev->spec.type != MEMBER_AF_XDP)
		return configure(d, c, err);
	tw_xdp_fds_list(&before);
	r = configure(d, c, err);
	tw_xdp_fds_list(&dev->fds);
	tw_xdp_fds_new(&dev->fds, &before);
	return r;
}

static bool shows_all(const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_af_packet") == 0 || strcmp(info->driver_name, "net_pcap") == 0;
}

static int ethdev_info(const struct member_dev *d, struct member_info *ret)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int r;

	if (!device_of(d)->probed)
		return -EAGAIN;
	r = rte_eth_dev_info_get(d->port_id, &info);
	if (r < 0)
		return r;
	*ret = (struct member_info){
		.max_rxq = info.max_rx_queues, .max_txq = info.max_tx_queues,
		/* What has a relay is used like a device without netdev, even if it sits on one. */
		.if_index = *device_of(d)->spec.relay ? 0 : info.if_index,
		.tx_capa = info.tx_offload_capa, .rx_capa = info.rx_offload_capa,
		.socket = rte_eth_dev_socket_id(d->port_id), .all_frames = shows_all(&info),
		.bifurcated = device_of(d)->bifurcated, .inner_rss = has_inner_rss(&info),
	};
	if (rte_eth_macaddr_get(d->port_id, &mac) == 0)
		memcpy(&ret->mac, &mac, sizeof(ret->mac));
	return 0;
}

/* Drivers on a netdev may call their link up whatever happens to it (AF_PACKET, AF_XDP): the netdev is asked. */
static int netdev_link(uint32_t if_index, bool *ret_up, uint32_t *ret_speed)
{
	char name[IF_NAMESIZE];
	int r = if_indextoname(if_index, name) ? tw_netdev_running(name) : 0;

	if (r < 0)
		return r;
	*ret_up = r;
	*ret_speed = r ? tw_ethtool_speed(name) : 0;
	return 0;
}

static int ethdev_link(const struct member_dev *d, bool *ret_up, uint32_t *ret_speed)
{
	const struct device *dev = device_of(d);
	struct rte_eth_link link;
	int r;

	if (dev->netdev)
		return netdev_link(dev->netdev, ret_up, ret_speed);
	r = rte_eth_link_get_nowait(d->port_id, &link);
	if (r < 0)
		return r;
	*ret_up = link.link_status == RTE_ETH_LINK_UP;
	*ret_speed = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	return 0;
}

static bool shared(const struct device *dev)
{
	struct rte_eth_dev_info info;
	uint16_t id;

	RTE_ETH_FOREACH_DEV(id)
		if (id != dev->port && rte_eth_dev_info_get(id, &info) == 0 && info.device == dev->dev)
			return true;
	return false;
}

static void ethdev_close(struct member_dev *d)
{
	struct device *dev = device_of(d);

	if (dev->started)
		(void)rte_eth_dev_stop(dev->port);
	if (dev->probed) {
		/* A card's other port may be another member. */
		bool keep = shared(dev);

		taken[dev->port] = false;
		(void)rte_eth_dev_close(dev->port);
		if (!keep)
			(void)rte_dev_remove(dev->dev);
	}
	tw_xdp_fds_close(&dev->fds);
	if (dev->pool)
		tw_xdp_pool_retire(dev->pool);
	free(dev);
	d->priv = NULL;
}

/* ---- packet path ---- */

static uint16_t ethdev_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_rx_burst(d->port_id, q, pkts, n);
}

static uint16_t ethdev_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_burst(d->port_id, q, pkts, n);
}

static uint16_t ethdev_prepare(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_prepare(d->port_id, q, pkts, n);
}

/*
 * The AF_XDP driver computes with the mbuf's address and reads pkt_len bytes from the first segment: chains,
 * clones and external buffers would send memory that is not theirs. Those are copied first.
 */
static bool plain_mbuf(const struct rte_mbuf *m, uint16_t max_len)
{
	return m->nb_segs == 1 && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 && m->pkt_len <= max_len;
}

static bool make_plain(const struct device *dev, struct rte_mbuf **m)
{
	struct rte_mbuf *copy;

	if (plain_mbuf(*m, dev->max_len))
		return true;
	if ((*m)->pkt_len > dev->max_len)
		return false;
	copy = rte_pktmbuf_copy(*m, dev->pool, 0, UINT32_MAX);
	if (!copy || copy->nb_segs != 1) {
		rte_pktmbuf_free(copy);
		return false;
	}
	rte_pktmbuf_free(*m);
	*m = copy;
	return true;
}

/* What cannot be sent goes behind the rest, or it would take everybody's frames behind it along. */
static uint16_t xdp_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t good = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m;

		if (unlikely(!make_plain(d->priv, &pkts[i])))
			continue;
		m = pkts[i];
		pkts[i] = pkts[good];
		pkts[good++] = m;
	}
	return good ? rte_eth_tx_burst(d->port_id, q, pkts, good) : 0;
}

/* ---- flow rules ---- */

static struct rte_flow *ethdev_flow_create(const struct member_dev *d, const struct rte_flow_item *pattern,
					   const struct rte_flow_action *actions, struct errbuf *err)
{
	struct rte_flow_attr attr = { .ingress = 1 };
	struct rte_flow_error e = { 0 };
	struct rte_flow *flow = NULL;
	int r = rte_flow_validate(d->port_id, &attr, pattern, actions, &e);

	/* Some drivers have no such check. */
	if (r == 0 || r == -ENOSYS)
		flow = rte_flow_create(d->port_id, &attr, pattern, actions, &e);
	if (!flow)
		err_set(err, rte_errno, "%s", e.message ? e.message : rte_strerror(rte_errno));
	return flow;
}

static int ethdev_flow_destroy(const struct member_dev *d, struct rte_flow *flow)
{
	struct rte_flow_error e;

	return rte_flow_destroy(d->port_id, flow, &e);
}

#define OPS(ops_name, tx_fn)                      \
	{                                         \
		.name = ops_name,                 \
		.open = ethdev_open,              \
		.info = ethdev_info,              \
		.configure = ethdev_configure,    \
		.close = ethdev_close,            \
		.rx = ethdev_rx,                  \
		.tx = tx_fn,                      \
		.prepare = ethdev_prepare,        \
		.flow_create = ethdev_flow_create, \
		.flow_destroy = ethdev_flow_destroy, \
		.link = ethdev_link,              \
	}

const struct member_ops tw_ethdev_ops = OPS("ethdev", ethdev_tx);
const struct member_ops tw_ethdev_xdp_ops = OPS("af-xdp", xdp_tx);
