/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include "base/str.h"
#include "eal.h"

struct world world;
unsigned int world_workers, world_mbufs, world_cache;

const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb }, mac_c[6] = { 2, 0, 0, 0, 0, 0xc };
const uint8_t mac_far[6] = { 2, 0, 0, 0, 9, 1 }, mac_far_c[6] = { 2, 0, 0, 0, 9, 2 };
const uint8_t mac_pa[2][6] = { { 2, 0xfa, 0, 0, 0, 1 }, { 2, 0xfa, 0, 0, 0, 2 } };
const uint8_t mac_next[6] = { 2, 0xfb, 0, 0, 0, 1 };

/* ---- the team ---- */

const struct team_view *teaming_view(const struct teaming *t)
{
	return &world.view;
}

int teaming_path(struct teaming *t, const struct ip_addr *remote, unsigned int member, struct encap_path *ret,
		 uint16_t *ret_mtu, uint8_t *ret_local_pa)
{
	memcpy(&ret->src_mac, mac_pa[member], 6);
	memcpy(&ret->dst_mac, mac_next, 6);
	ret->vlan = 0;
	ret->src = world.view.pas[member].local.address;
	ret->dst = *remote;
	*ret_mtu = world.mtu;
	*ret_local_pa = (uint8_t)member;
	return world.resolved ? 0 : -EAGAIN;
}

uint16_t teaming_punt_rx(struct teaming *t, unsigned int member, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

uint16_t teaming_punt_tx(struct teaming *t, unsigned int member, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static uint16_t member_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_member *m = d->priv;
	uint16_t k = 0;

	while (k < m->n_rx && k < n) {
		pkts[k] = m->rx[k];
		k++;
	}
	m->n_rx -= k;
	memmove(m->rx, m->rx + k, m->n_rx * sizeof(m->rx[0]));
	return k;
}

static uint16_t member_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_member *m = d->priv;
	uint16_t i;

	for (i = 0; i < n && m->n_sent < m->room; i++) {
		uint16_t len = rte_pktmbuf_data_len(pkts[i]);

		memcpy(m->sent[m->n_sent], rte_pktmbuf_mtod(pkts[i], void *), len);
		m->sent_flags[m->n_sent] = pkts[i]->ol_flags;
		m->sent_len[m->n_sent++] = len;
		rte_pktmbuf_free(pkts[i]);
	}
	return i;
}

static uint16_t member_prepare(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_member *m = d->priv;

	m->looks++;
	for (uint16_t i = 0; i < n; i++)
		if (++m->looked_at == m->refuse)
			return i;
	return n;
}

static const struct member_ops fake_member_ops = { .name = "memory", .rx = member_rx, .tx = member_tx,
						   .prepare = member_prepare };
static struct member_dev devs[2];

static void view_init(void)
{
	struct team_view *v = &world.view;

	memset(v, 0, sizeof(*v));
	v->gen = 1;
	v->mode = TEAM_INDEPENDENT;
	v->n_members = v->n_pas = v->n_local = v->n_usable = 2;
	for (unsigned int i = 0; i < TEAM_BUCKETS; i++)
		v->bucket[i] = i % 2;
	for (unsigned int i = 0; i < 2; i++) {
		devs[i] = (struct member_dev){ .ops = &fake_member_ops, .rxq = 1, .txq = 1, .priv = &world.members[i] };
		v->members[i] = (struct team_member_view){ .dev = &devs[i], .present = true, .usable = true };
		v->pas[i] = (struct team_pa_view){ .home = (uint8_t)i, .now = (uint8_t)i, .prev = TEAM_NO_MEMBER,
						   .state = PA_PREFERRED };
		v->pas[i].local.address = ip4_from((uint8_t[]){ 192, 0, 2, (uint8_t)(11 + i) });
		memcpy(&v->pas[i].local.mac, mac_pa[i], 6);
		v->pas[i].local.pa = (uint8_t)i;
		v->local[i] = v->pas[i].local;
		v->members[i].pa4 = (uint8_t)i;
		v->members[i].pa6 = TEAM_NO_MEMBER;
		world.members[i].room = Q_MAX;
	}
}

/* ---- ports ---- */

static uint16_t queue_rx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *f = (struct fake_queue *)q;
	uint16_t k = 0;

	while (k < f->n_rx && k < n) {
		pkts[k] = f->rx[k];
		k++;
	}
	f->n_rx -= k;
	memmove(f->rx, f->rx + k, f->n_rx * sizeof(f->rx[0]));
	return k;
}

static uint16_t queue_tx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *f = (struct fake_queue *)q;
	uint16_t i;

	for (i = 0; i < n && f->n_got < f->room; i++) {
		uint16_t len = rte_pktmbuf_data_len(pkts[i]);

		if (f->longest && pkts[i]->pkt_len > f->longest)
			break;
		memcpy(f->got[f->n_got], rte_pktmbuf_mtod(pkts[i], void *), len);
		f->got_whole[f->n_got] = pkts[i]->pkt_len;
		f->got_flags[f->n_got] = pkts[i]->ol_flags;
		f->got_mss[f->n_got] = pkts[i]->tso_segsz;
		f->got_len[f->n_got++] = len;
	}
	return i;
}

static const struct port_ops fake_port_ops = { .name = "memory", .rx = queue_rx, .tx = queue_tx };

/* ---- the rest ---- */

void world_set(enum object_kind kind, const char *line)
{
	union object_spec spec;
	struct errbuf err = { "" };

	field_defaults(object_types[kind].fields, &spec, object_types[kind].size);
	if (field_read(object_types[kind].fields, &spec, line, &err) < 0)
		fail_msg("%s: %s", line, err.text);
	if (policy_set(world.policy, kind, &spec, ORIGIN_CONFIG, &err) < 0)
		fail_msg("%s: %s", line, err.text);
}

static void policy_fill(void)
{
	static const char *const records[] = {
		"vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:0a host=self",
		"vsid=5001 ca=10.0.0.3 mac=02:00:00:00:00:0b host=self",
		"vsid=5002 ca=10.0.1.2 mac=02:00:00:00:00:0c host=self",
		"vsid=6001 ca=10.0.0.2 mac=02:00:00:00:00:0a host=self",
		"vsid=5001 ca=10.0.0.9 mac=02:00:00:00:09:01 host=far",
		"vsid=5002 ca=10.0.1.9 mac=02:00:00:00:09:02 host=far",
	};

	world_set(OBJECT_HOST, "id=far pas=[{address=192.0.2.21},{address=192.0.2.22}]");
	world_set(OBJECT_SUBNET, "vsid=5001 rdid=t gateways=[10.0.0.1/24] learning=true");
	world_set(OBJECT_SUBNET, "vsid=5002 rdid=t gateways=[10.0.1.1/24] learning=false");
	world_set(OBJECT_SUBNET, "vsid=6001 rdid=u gateways=[10.0.0.1/24] learning=false");
	world_set(OBJECT_ROUTE, "rdid=t vsid=5001 prefix=10.0.0.0/24");
	world_set(OBJECT_ROUTE, "rdid=t vsid=5002 prefix=10.0.1.0/24");
	world_set(OBJECT_ROUTE, "rdid=u vsid=6001 prefix=10.0.0.0/24");
	world_set(OBJECT_PORT, "id=a vsid=5001 macs=[02:00:00:00:00:0a]");
	world_set(OBJECT_PORT, "id=b vsid=5001 macs=[02:00:00:00:00:0b]");
	world_set(OBJECT_PORT, "id=c vsid=5002 macs=[02:00:00:00:00:0c]");
	world_set(OBJECT_PORT, "id=x vsid=6001 macs=[02:00:00:00:00:0a]");
	for (unsigned int i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		world_set(OBJECT_RECORD, records[i]);
}

static void ports_attach(void)
{
	static const char *const ids[] = { "a", "b", "c", "x" };

	for (unsigned int i = 0; i < N_PORTS; i++) {
		struct fake_queue *f = &world.ports[i];
		uint16_t index = policy_port_index(world.policy, ids[i]);
		struct port_queue *q = &f->q;

		assert_int_not_equal(index, PORT_NONE);
		f->room = Q_MAX;
		f->q = (struct port_queue){ .ops = &fake_port_ops, .rx_ready = 1, .tx_ready = 1, .fits = UINT32_MAX,
					    .port = index,
					    .socket = SOCKET_ID_ANY };
		assert_int_equal(datapath_port_attach(world.dp, index, &q, 1), 0);
	}
}

int world_setup(void **state)
{
	struct policy_params pp = {.host_id = "self", .max_records = 1024, .routed_ttl = true, .socket = SOCKET_ID_ANY};
	struct datapath_params dp = { .n_workers = world_workers ? world_workers : 1, .salt = 12345, .flow_id = true,
				     .mss_clamp = true, .provider_mtu = 1500 };
	struct errbuf err = { "" };

	memset(&world, 0, sizeof(world));
	world.mtu = 1500;
	assert_int_equal(test_eal_init(), 0);
	if (!rcu_qsbr)
		assert_int_equal(rcu_init(), 0);
	world.resolved = true;
	view_init();
	world.pool = meta_pool_create("world", world_mbufs ? world_mbufs : 2047, world_cache, RTE_MBUF_DEFAULT_BUF_SIZE,
				      SOCKET_ID_ANY);
	assert_non_null(world.pool);
	if (policy_create(&pp, &world.policy, &err) < 0)
		fail_msg("%s", err.text);
	dp.policy = world.policy;
	dp.pool = world.pool;
	if (datapath_create(&dp, &world.dp, &err) < 0)
		fail_msg("%s", err.text);
	policy_fill();
	assert_int_equal(datapath_host_update(world.dp, HOST_NONE), 0);
	ports_attach();
	world.avail = rte_mempool_avail_count(world.pool);
	return 0;
}

int world_teardown(void **state)
{
	unsigned int left = rte_mempool_avail_count(world.pool);

	datapath_free(world.dp);
	rcu_reclaim(1);
	policy_free(world.policy);
	rcu_reclaim(1);
	rte_mempool_free(world.pool);
	if (left != world.avail)
		fail_msg("%u of %u packet buffers are back", left, world.avail);
	return 0;
}

static struct rte_mbuf *to_mbuf(struct frame *f)
{
	ssize_t n = frame_finish(f);
	struct rte_mbuf *m = rte_pktmbuf_alloc(world.pool), *last = m;

	assert_true(n > 0);
	assert_non_null(m);
	for (size_t at = 0, part; at < (size_t)n; at += part) {
		if (at) {
			last->next = rte_pktmbuf_alloc(world.pool);
			last = last->next;
			assert_non_null(last);
			m->nb_segs++;
		}
		part = RTE_MIN((size_t)n - at, (size_t)rte_pktmbuf_tailroom(last));
		memcpy(rte_pktmbuf_mtod(last, char *), f->data + at, part);
		last->data_len = (uint16_t)part;
	}
	m->pkt_len = (uint32_t)n;
	return m;
}

struct frame *udp(uint8_t *buf, const void *dst, const void *src, uint32_t from, uint32_t to, size_t payload)
{
	static struct frame f;

	frame_init(&f, buf, SIZE);
	frame_eth(&f, dst, src, FRAME_AUTO);
	frame_ip4_full(&f, &(struct frame_ip4){ .src = from, .dst = to, .frag = 0x4000 });
	frame_udp(&f, 1000, 2000);
	frame_fill(&f, payload, 1);
	return &f;
}

void guest_sends(unsigned int port, struct frame *f)
{
	world.ports[port].rx[world.ports[port].n_rx++] = to_mbuf(f);
}

void guest_sends_flagged(unsigned int port, struct frame *f, uint64_t ol_flags, uint16_t mss)
{
	struct rte_mbuf *m = to_mbuf(f);

	m->ol_flags |= ol_flags;
	m->tso_segsz = mss;
	world.ports[port].rx[world.ports[port].n_rx++] = m;
}

void wire_brings(unsigned int member, struct frame *f)
{
	struct fake_member *m = &world.members[member];

	m->rx[m->n_rx++] = to_mbuf(f);
}

void world_forget(void)
{
	for (unsigned int i = 0; i < N_PORTS; i++)
		world.ports[i].n_got = 0;
	for (unsigned int i = 0; i < 2; i++)
		world.members[i].n_sent = world.members[i].looks = world.members[i].looked_at = 0;
}

void world_turn_of(unsigned int worker)
{
	struct worker *w = world.dp->workers[worker];

	w->now += world.dp->tsc_hz / 1000; /* past the gap after a short burst */
	worker_turn(w);
}

void world_turn(void)
{
	world_forget();
	world_turn_of(0);
}

uint64_t drops_of(enum drop_reason why)
{
	uint64_t n[DROP_COUNT];

	datapath_drops(world.dp, n);
	return n[why];
}

struct mac gateway_mac(uint32_t vsid)
{
	return policy_gateway_mac(vsid);
}
