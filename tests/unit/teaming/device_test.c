/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole of teaming with its thread: real devices on cables, DPDK devices without netdev, workers that
 * look on.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/meta.h"
#include "base/rcu.h"
#include "base/str.h"
#include "base/tick.h"
#include "eal.h"
#include "frame.h"
#include "netns.h"
#include "teaming/teaming.h"
#include "teaming/xdp.h"

#define WAIT_S 10

static struct rte_mempool *pool;
static struct teaming *team;
static struct member_spec members[2];
static struct pa_spec pas[2];
static struct teaming_config config;
static const char *team_device;
static char state_dir[] = "/tmp/team-test-XXXXXX";

/* ---- events, as the daemon would take them ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned int seen[TEAMING_ALARM + 1];

static void on_event(const struct teaming_event *ev, void *arg)
{
	pthread_mutex_lock(&lock);
	seen[ev->type]++;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
}

/* Until `probe` says yes; looked at after each event. */
static void await(bool (*probe)(void), const char *what)
{
	struct timespec end;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_S;
	pthread_mutex_lock(&lock);
	while (!probe() && r == 0)
		r = pthread_cond_timedwait(&cond, &lock, &end);
	pthread_mutex_unlock(&lock);
	if (r)
		fail_msg("not within %u s: %s", WAIT_S, what);
}

#define AWAIT(probe) await(probe, #probe)

static bool both_usable(void)
{
	return teaming_view(team)->n_usable == 2;
}

static bool first_unusable(void)
{
	return !teaming_view(team)->members[0].usable;
}

static bool first_preferred(void)
{
	return teaming_view(team)->pas[0].state == PA_PREFERRED;
}

static bool both_preferred(void)
{
	const struct team_view *v = teaming_view(team);

	return v->pas[0].state == PA_PREFERRED && v->pas[1].state == PA_PREFERRED;
}

static bool netdev_told(void)
{
	return seen[TEAMING_NETDEV] > 0;
}

static void forget_netdev(void)
{
	pthread_mutex_lock(&lock);
	seen[TEAMING_NETDEV] = 0;
	pthread_mutex_unlock(&lock);
}

static bool second_carries_all(void)
{
	const struct team_view *v = teaming_view(team);

	for (unsigned int b = 0; b < TEAM_BUCKETS; b++)
		if (v->bucket[b] != 1)
			return false;
	return true;
}

/* ---- set-up ---- */

static void create(uint8_t type, const char *devargs0, const char *devargs1)
{
	struct errbuf err = { "" };

	memset(seen, 0, sizeof(seen));
	memset(members, 0, sizeof(members));
	memset(pas, 0, sizeof(pas));
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(members[i].name, sizeof(members[i].name), "a%u", i);
		members[i].type = type;
		pas[i].address = (struct ip_addr){ 4, { 10, 0, 0, (uint8_t)(i + 1) } };
		pas[i].prefix_len = 24;
	}
	if (devargs0)
		str_copy(members[0].devargs, sizeof(members[0].devargs), devargs0);
	if (devargs1)
		str_copy(members[1].devargs, sizeof(members[1].devargs), devargs1);
	config = (struct teaming_config){ .host_id = "h1",
					 .hold_down_ms = 100,
					 .n_members = 2,
					 .n_pas = 2,
					 .members = members,
					 .pas = pas,
					 .state_dir = state_dir,
					 .event = on_event,
					 .device = team_device };
	if (teaming_create(&config, &team, &err) < 0)
		fail_msg("%s", err.text);
}

static int open_member(unsigned int m, struct errbuf *err)
{
	struct member_config c = { .rxq = 1, .txq = 1, .mtu = 1600, .pool = pool, .tx_offloads = UINT64_MAX,
				   .rx_offloads = 0 };

	return teaming_member_open(team, m, &c, err);
}

static void open_all(void)
{
	struct errbuf err = { "" };

	for (unsigned int m = 0; m < 2; m++)
		if (open_member(m, &err) < 0)
			fail_msg("member %u: %s", m, err.text);
}

static int teardown(void **state)
{
	char path[64];

	teaming_free(team);
	team = NULL;
	(void)!system("for d in a0 a1; do ip link del $d 2>/dev/null; done");
	snprintf(path, sizeof(path), "%s/provider-addresses", state_dir);
	unlink(path);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

static size_t nvgre(uint8_t *buf, size_t size)
{
	static const uint8_t peer[6] = { 2, 0xee, 0, 0, 0, 1 };
	struct teaming_pa_status pa[2];
	struct frame f;

	teaming_pas(team, pa, 2);
	frame_init(&f, buf, size);
	frame_eth(&f, &pa[0].spec.mac, peer, FRAME_AUTO);
	frame_ip4(&f, FRAME_IPV4(10, 0, 0, 9), FRAME_IPV4(10, 0, 0, 1), FRAME_AUTO);
	frame_nvgre(&f, 5001, 1);
	frame_eth(&f, peer, peer, 0x88b5);
	frame_fill(&f, 50, 0);
	return (size_t)frame_finish(&f);
}

/* Frames with NVGRE that the device gives within 2 s. */
static unsigned int receive_nvgre(unsigned int m, unsigned int want, unsigned int *ret_others)
{
	const struct member_dev *dev = teaming_view(team)->members[m].dev;
	uint64_t end = tick_ms() + 2000;
	struct rte_mbuf *pkts[32];
	unsigned int got = 0;

	for (*ret_others = 0; got < want && tick_ms() < end;) {
		uint16_t n = dev->ops->rx(dev, 0, pkts, 32);

		for (uint16_t i = 0; i < n; i++) {
			const uint8_t *d = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

			if (d[12] == 8 && d[13] == 0 && d[23] == IPPROTO_GRE_)
				got++;
			else
				++*ret_others;
			rte_pktmbuf_free(pkts[i]);
		}
	}
	return got;
}

/* An ARP question on the wire, and the answer. */
static void expect_arp_answer(int wire)
{
	static const uint8_t peer[6] = { 2, 0xee, 0, 0, 0, 1 }, all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint64_t end = tick_ms() + 2000;
	uint8_t buf[2048];
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, all, peer, FRAME_AUTO);
	frame_arp(&f, 1, peer, FRAME_IPV4(10, 0, 0, 9), all, FRAME_IPV4(10, 0, 0, 1));
	frame_pad(&f, 60);
	len = frame_finish(&f);
	assert_int_equal(write(wire, buf, (size_t)len), len);
	while (tick_ms() < end)
		if (raw_recv(wire, buf, sizeof(buf), 100) >= 42 && buf[12] == 8 && buf[13] == 6 && buf[21] == 2 &&
		    !memcmp(buf, peer, 6))
			return;
	fail_msg("nobody answers");
}

/* ---- devices on netdevs ---- */

static void cables(void)
{
	netns_need();
	cable("a0", "s0");
	cable("a1", "s1");
}

static void af_packet_members(void **state)
{
	struct teaming_member_status st[2];
	uint8_t buf[256];
	unsigned int others;
	size_t len;
	int wire;

	cables();
	create(MEMBER_AF_PACKET, NULL, NULL);
	assert_int_equal(teaming_view(team)->n_usable, 0);
	assert_int_equal(teaming_members(team, st, 2), 2);
	assert_true(st[0].present && !st[0].open && st[0].link);
	open_all();
	AWAIT(both_usable);
	AWAIT(both_preferred);
	teaming_members(team, st, 2);
	assert_true(st[0].open && st[0].usable && st[0].info.all_frames);
	assert_int_equal(st[0].info.if_index, if_nametoindex("a0"));
	assert_int_equal(st[0].buckets, 128);
	assert_int_equal(st[0].pas, 1);
	wire = raw_open("s0");
	expect_arp_answer(wire);
	len = nvgre(buf, sizeof(buf));
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(write(wire, buf, len), len);
	assert_int_equal(receive_nvgre(0, 10, &others), 10);
	close(wire);
}

/* A build without clang has no program. */
static void need_xdp(void)
{
	const char *path;

	if (tw_xdp_path(&path, NULL) < 0)
		skip();
}

static void sends_what_it_is_given(void **state)
{
	const struct member_dev *dev;
	struct rte_mbuf *m[2];
	uint8_t buf[256], back[2048];
	size_t len;
	int wire, n;

	if (*(const uint8_t *)*state == MEMBER_AF_XDP)
		need_xdp();
	cables();
	create(*(const uint8_t *)*state, NULL, NULL);
	open_all();
	AWAIT(both_usable);
	wire = raw_open("s0");
	dev = teaming_view(team)->members[0].dev;
	len = nvgre(buf, sizeof(buf));
	/*
	 * one whole, one in a chain where the device can (datapath/ makes others whole), with a clone of it
	 * alive
	 */
	m[0] = rte_pktmbuf_alloc(pool);
	memcpy(rte_pktmbuf_append(m[0], (uint16_t)len), buf, len);
	m[1] = rte_pktmbuf_clone(m[0], pool);
	assert_true(m[0] && m[1]);
	assert_int_equal(dev->ops->tx(dev, 0, m, 2), 2);
	for (unsigned int got = 0; got < 2;) {
		n = raw_recv(wire, back, sizeof(back), 2000);
		assert_true(n > 0);
		if (n != (int)len || back[23] != IPPROTO_GRE_)
			continue;
		assert_memory_equal(back, buf, len);
		got++;
	}
	close(wire);
}

static void af_xdp_members(void **state)
{
	uint8_t buf[256];
	unsigned int others;
	size_t len;
	int wire;

	need_xdp();
	cables();
	create(MEMBER_AF_XDP, NULL, NULL);
	open_all();
	AWAIT(first_preferred);
	assert_false(teaming_view(team)->members[0].all_frames);
	wire = raw_open("s0");
	expect_arp_answer(wire); /* goes to the kernel, and from there to teamwatch */
	len = nvgre(buf, sizeof(buf));
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(write(wire, buf, len), len);
	assert_int_equal(receive_nvgre(0, 10, &others), 10);
	assert_int_equal(others, 0);
	close(wire);
	teaming_member_close(team, 0);
	assert_int_not_equal(system("ip -d link show a0 | grep -q xdp"), 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct errbuf err = { "" };
		unsigned int fds = unit_fds();

		if (open_member(0, &err) < 0)
			fail_msg("%s", err.text);
		assert_true(unit_fds() > fds);
		teaming_member_close(team, 0);
		assert_int_equal(unit_fds(), fds);
	}
}

static uint32_t attached(const char *device)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(device), 0, &id), 0);
	return id;
}

/* A process that is killed leaves its program: the next one removes it. One that lives keeps it. */
static void a_left_over_program_is_removed(void **state)
{
	struct errbuf err = { "" };
	char ready;
	int fds[2], status;
	pid_t child;

	need_xdp();
	cables();
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) { /* what matters of DPDK's driver: attach, and die without detaching */
		const char *path;
		struct bpf_object *o;
		int claim;

		if (tw_xdp_claim("a0", if_nametoindex("a0"), NULL, &claim, &err) < 0 || tw_xdp_path(&path, &err) < 0)
			_exit(1);
		o = bpf_object__open_file(path, NULL);
		if (!o || bpf_object__load(o) < 0)
			_exit(2);
		if (bpf_xdp_attach((int)if_nametoindex("a0"),
				   bpf_program__fd(bpf_object__find_program_by_name(o, "vswitchd_nvgre")), 0, NULL) < 0)
			_exit(3);
		if (write(fds[1], "x", 1) != 1)
			_exit(4);
		pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &ready, 1), 1);
	assert_int_not_equal(attached("a0"), 0);
	create(MEMBER_AF_XDP, NULL, NULL);
	assert_int_equal(open_member(0, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another vswitchd"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_not_equal(attached("a0"), 0);
	open_all();
	AWAIT(both_usable);
	close(fds[0]);
}

/* A program that does not have our name. @return its id. */
static uint32_t attach_somebody(void)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody", "BSD", pass, 2, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex("a0"), fd, 0, NULL), 0);
	close(fd);
	return attached("a0");
}

static void a_program_of_somebody_else_stays(void **state)
{
	struct errbuf err = { "" };
	uint32_t id;

	cables();
	id = attach_somebody();
	create(MEMBER_AF_XDP, NULL, NULL);
	assert_int_equal(open_member(0, &err), -EEXIST);
	assert_non_null(strstr(err.text, "ip link set dev a0 xdp off"));
	assert_int_equal(attached("a0"), id);
	bpf_xdp_detach((int)if_nametoindex("a0"), 0, NULL);
}

static void drop_sys_admin(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		_exit(10);
	d[CAP_SYS_ADMIN / 32].effective &= ~(1u << CAP_SYS_ADMIN % 32);
	if (syscall(SYS_capset, &h, d) < 0)
		_exit(11);
}

/* Without CAP_SYS_ADMIN nobody may ask for a program's name: what was noted is ours. */
static void a_noted_program_is_removed_without_looking(void **state)
{
	struct errbuf err = { "" };
	int status, claim;
	pid_t child;

	cables();
	attach_somebody();
	child = fork();
	if (child == 0) {
		uint32_t index = if_nametoindex("a0"), id;

		drop_sys_admin();
		if (tw_xdp_claim("a0", index, state_dir, &claim, &err) != -EEXIST)
			_exit(1);
		tw_xdp_note("a0", index, state_dir);
		if (tw_xdp_claim("a0", index, state_dir, &claim, &err) != 0)
			_exit(2);
		_exit(bpf_xdp_query_id((int)index, 0, &id) == 0 && id == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void deleted_and_made_again(void **state)
{
	struct teaming_member_status st[2];
	struct errbuf err;

	cables();
	create(MEMBER_AF_PACKET, NULL, NULL);
	open_all();
	AWAIT(both_usable);
	assert_int_equal(seen[TEAMING_NETDEV], 0);
	ip_run("link del a0");
	AWAIT(netdev_told);
	AWAIT(second_carries_all);
	teaming_members(team, st, 2);
	assert_true(!st[0].present && st[0].open);
	teaming_member_close(team, 0);
	assert_null(teaming_view(team)->members[0].dev);
	assert_true(open_member(0, &err) < 0);
	assert_non_null(strstr(err.text, "a0"));
	forget_netdev();
	cable("a0", "s0");
	AWAIT(netdev_told);
	assert_int_equal(open_member(0, &err), 0);
	assert_int_equal(open_member(0, &err), -EALREADY);
	AWAIT(both_usable);
}

static void bad_devices_are_refused_by_name(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	create(MEMBER_DPDK, "net_nonsense0", "net_null_t,size=64");
	assert_true(open_member(0, &err) < 0);
	assert_non_null(strstr(err.text, "net_nonsense0"));
	assert_int_equal(open_member(7, &err), -ENOENT);
	assert_int_equal(open_member(1, &err), 0);
}

/* Interface down while sending as fast as possible: the driver must not wait for it. */
static void sending_into_a_dead_device_does_not_block(void **state)
{
	const struct member_dev *dev;
	uint8_t buf[256];
	size_t len;

	cables();
	create(MEMBER_AF_PACKET, NULL, NULL);
	open_all();
	AWAIT(both_usable);
	dev = teaming_view(team)->members[0].dev;
	len = nvgre(buf, sizeof(buf));
	for (unsigned int i = 0; i < 20000; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, len);
		if (dev->ops->tx(dev, 0, &m, 1) != 1)
			rte_pktmbuf_free(m);
		if (i == 1000)
			ip_run("link set a0 down");
	}
	AWAIT(first_unusable);
	ip_run("link set a0 up");
	AWAIT(both_usable);
}

/* ---- devices without netdev ---- */

#define RING 64
static struct rte_mbuf *to_device[RING], *from_device[RING];
static atomic_uint to_head, to_tail, from_head, from_tail;
static atomic_bool carrier;

static int memory_open(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err);

static int memory_info(const struct member_dev *d, struct member_info *ret)
{
	*ret = (struct member_info){ .max_rxq = 1, .max_txq = 1 };
	return 0;
}

static int memory_configure(struct member_dev *d, const struct member_config *c, struct errbuf *err)
{
	d->rxq = d->txq = 1;
	return 0;
}

static void memory_close(struct member_dev *d)
{
	free(d->priv);
}

static uint16_t memory_rx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	*(volatile char *)d->priv = 1; /* a device that is closed is memory that is freed */
	for (i = 0; i < n && from_tail != from_head; i++)
		pkts[i] = from_device[from_tail++ % RING];
	return i;
}

static uint16_t memory_tx(const struct member_dev *d, uint16_t q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n && to_head - to_tail < RING; i++) {
		to_device[to_head % RING] = pkts[i];
		to_head++; /* only now: the test looks at the same time */
	}
	return i;
}

static int memory_link(const struct member_dev *d, bool *ret_up, uint32_t *ret_speed)
{
	*ret_up = carrier;
	*ret_speed = 25000;
	return 0;
}

static const struct member_ops memory_ops = {
	.name = "memory", .open = memory_open, .info = memory_info, .configure = memory_configure,
	.close = memory_close, .rx = memory_rx, .tx = memory_tx, .link = memory_link,
};

static int memory_open(const struct member_spec *spec, struct member_dev *ret, struct errbuf *err)
{
	*ret = (struct member_dev){ .ops = &memory_ops, .priv = calloc(1, 16) };
	return 0;
}

/* What a worker does with members: what concerns teamwatch goes there, what it sends goes out. */
static atomic_bool worker_stop;
static atomic_ulong worker_turns;

static void *worker(void *arg)
{
	struct rte_mbuf *pkts[32];

	rcu_register(1);
	while (!worker_stop) {
		const struct team_view *v = teaming_view(team);

		for (unsigned int m = 0; m < v->n_members; m++) {
			const struct member_dev *dev = v->members[m].dev;
			uint16_t n;

			if (!dev || !v->members[m].punt || dev->ops != &memory_ops)
				continue;
			n = dev->ops->rx(dev, 0, pkts, 32);
			for (uint16_t i = 0; i < n; i++)
				if (!teaming_punt_rx(team, m, &pkts[i], 1))
					rte_pktmbuf_free(pkts[i]);
			n = teaming_punt_tx(team, m, pkts, 32);
			for (uint16_t i = dev->ops->tx(dev, 0, pkts, n); i < n; i++)
				rte_pktmbuf_free(pkts[i]);
		}
		worker_turns++;
		rcu_quiescent(1);
	}
	rcu_unregister(1);
	return NULL;
}

static void drain_to_device(void)
{
	while (to_tail != to_head)
		rte_pktmbuf_free(to_device[to_tail++ % RING]);
}

static void memory_members(void)
{
	create(MEMBER_DPDK, "unused0", "unused1");
	to_head = to_tail = from_head = from_tail = 0;
	carrier = true;
	teaming_member_ops(team, 0, &memory_ops);
	teaming_member_ops(team, 1, &memory_ops);
	open_all();
}

static void neighbours_by_rings(void **state)
{
	static const uint8_t peer[6] = { 2, 0xee, 0, 0, 0, 1 }, all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct teaming_member_status st[2];
	uint64_t end = tick_ms() + 5000;
	bool answered = false;
	struct rte_mbuf *m;
	uint8_t buf[64];
	pthread_t thread;
	struct frame f;
	ssize_t len;

	memory_members();
	AWAIT(both_usable);
	assert_true(teaming_view(team)->members[0].punt);
	teaming_members(team, st, 2);
	assert_int_equal(st[0].speed, 25000);
	assert_int_equal(st[0].mtu, 1600);
	teaming_member_close(team, 1); /* one suffices, and shares no memory with the other */
	worker_stop = false;
	assert_int_equal(pthread_create(&thread, NULL, worker, NULL), 0);
	AWAIT(first_preferred);
	frame_init(&f, buf, sizeof(buf));
	frame_eth(&f, all, peer, FRAME_AUTO);
	frame_arp(&f, 1, peer, FRAME_IPV4(10, 0, 0, 9), all, FRAME_IPV4(10, 0, 0, 1));
	frame_pad(&f, 60);
	len = frame_finish(&f);
	m = rte_pktmbuf_alloc(pool);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), buf, (size_t)len);
	from_device[from_head % RING] = m;
	from_head++;
	while (!answered && tick_ms() < end) {
		for (; to_tail != to_head; to_tail++) {
			const uint8_t *d = rte_pktmbuf_mtod(to_device[to_tail % RING], const uint8_t *);

			answered |= d[21] == 2 && !memcmp(d, peer, 6);
			rte_pktmbuf_free(to_device[to_tail % RING]);
		}
	}
	assert_true(answered);
	carrier = false; /* asked for now and then */
	AWAIT(first_unusable);
	worker_stop = true;
	pthread_join(thread, NULL);
	teaming_member_close(team, 0);
	drain_to_device();
}

/* While it was not in use its addresses were elsewhere, where the same frames came as well. */
static void what_came_before_it_was_open_is_forgotten(void **state)
{
	unsigned int before = rte_mempool_avail_count(pool);
	struct errbuf err = { "" };

	memory_members();
	teaming_member_close(team, 0);
	for (unsigned int i = 0; i < 40; i++)
		from_device[from_head++ % RING] = rte_pktmbuf_alloc(pool);
	assert_int_equal(open_member(0, &err), 0);
	assert_int_equal(from_tail, from_head);
	assert_int_equal(rte_mempool_avail_count(pool), before);
}

/* Open, close, configure as fast as possible under workers: AddressSanitizer sees who uses what is gone. */
static void workers_never_see_what_is_gone(void **state)
{
	struct errbuf err = { "" };
	pthread_t thread;

	memory_members();
	worker_stop = false;
	assert_int_equal(pthread_create(&thread, NULL, worker, NULL), 0);
	for (unsigned int i = 0; i < 200; i++) {
		unsigned long turn = worker_turns;

		teaming_member_close(team, i & 1);
		config.hold_down_ms = i;
		assert_int_equal(teaming_configure(team, &config, &err), 0);
		assert_int_equal(open_member(i & 1, &err), 0);
		while (worker_turns == turn)
			sched_yield();
	}
	worker_stop = true;
	pthread_join(thread, NULL);
	teaming_member_close(team, 0);
	teaming_member_close(team, 1);
	drain_to_device();
}

static void any_dpdk_device(void **state)
{
	create(MEMBER_DPDK, "net_null_a", "net_ring_b");
	open_all();
	AWAIT(both_usable);
	assert_true(teaming_view(team)->members[0].punt);
	assert_int_equal(teaming_view(team)->members[1].dev->rxq, 1);
}

/* Preferred before: preferred again at once. */
static void a_restart_uses_the_state_file(void **state)
{
	create(MEMBER_DPDK, "net_null_a", "net_null_b");
	open_all();
	AWAIT(first_preferred);
	teaming_free(team);
	create(MEMBER_DPDK, "net_null_a", "net_null_b");
	assert_int_equal(teaming_view(team)->pas[0].state, PA_PREFERRED);
}

static const uint8_t packet = MEMBER_AF_PACKET, xdp = MEMBER_AF_XDP;

static int group_setup(void **state)
{
	setenv("VSWITCHD_XDP_PROG", XDP_OBJECT, 0);
	if (test_eal_init_args(192, NULL) < 0 || rcu_init() < 0 || !mkdtemp(state_dir))
		return -1;
	pool = meta_pool_create("test", 16383, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return pool ? netns_setup(state) : -1;
}

static int group_teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", state_dir);
	(void)!system(command);
	rcu_fini();
	return 0;
}

static bool alarmed(void)
{
	return seen[TEAMING_ALARM] > 0;
}

static bool second_alarm(void)
{
	return seen[TEAMING_ALARM] == 2;
}

static bool second_has_its_own(void)
{
	return teaming_view(team)->members[1].mac.b[5] == 0x78;
}

static void one_mac_of_two_members_is_told_once(void **state)
{
	struct errbuf err = { "" };

	netns_need();
	cable("a0", "s0");
	cable("a1", "s1");
	ip_run("link set a0 address 02:00:00:00:00:77");
	ip_run("link set a1 address 02:00:00:00:00:77");
	create(MEMBER_AF_PACKET, NULL, NULL);
	AWAIT(alarmed);
	assert_int_equal(open_member(0, &err), 0);
	assert_int_equal(open_member(1, &err), 0);
	AWAIT(both_usable);
	assert_int_equal(seen[TEAMING_ALARM], 1);
	/* another MAC, and the same again: news */
	ip_run("link set a1 address 02:00:00:00:00:78");
	AWAIT(second_has_its_own);
	ip_run("link set a1 address 02:00:00:00:00:77");
	AWAIT(second_alarm);
}

/* The members are its ports: none until it comes. What the configuration says of them waits. */
static void a_team_device_that_is_not_there(void **state)
{
	struct teaming_member_status st[TEAM_MEMBERS];
	struct teaming_status status;
	struct errbuf err = { "" };

	netns_need();
	cable("a0", "s0");
	team_device = "team0";
	create(MEMBER_AF_PACKET, NULL, NULL);
	team_device = NULL;
	AWAIT(alarmed);
	teaming_status(team, &status);
	assert_string_equal(status.provider, "libteam");
	assert_string_equal(status.device, "team0");
	assert_string_equal(status.problem, "there is no team0: waiting for it");
	assert_int_equal(status.mode, TEAM_INDEPENDENT);
	assert_int_equal(teaming_members(team, st, TEAM_MEMBERS), 0);
	assert_int_equal(teaming_view(team)->n_members, 0);
	assert_int_equal(teaming_view(team)->bucket[7], TEAM_NO_MEMBER);
	config.device = "team0";
	config.n_pas = 1;
	assert_int_equal(teaming_configure(team, &config, &err), 0);
	assert_int_equal(teaming_members(team, st, TEAM_MEMBERS), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

/* device_test [PATTERN] */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(any_dpdk_device),
		TEST(a_restart_uses_the_state_file),
		TEST(neighbours_by_rings),
		TEST(what_came_before_it_was_open_is_forgotten),
		TEST(workers_never_see_what_is_gone),
		TEST(bad_devices_are_refused_by_name),
		TEST(af_packet_members),
		TEST(one_mac_of_two_members_is_told_once),
		TEST(a_team_device_that_is_not_there),
		{"sends_what_it_is_given (af-packet)", sends_what_it_is_given, NULL, teardown,
		 (void *)(uintptr_t)&packet },
		{"sends_what_it_is_given (af-xdp)", sends_what_it_is_given, NULL, teardown, (void *)(uintptr_t)&xdp},
		TEST(sending_into_a_dead_device_does_not_block),
		TEST(deleted_and_made_again),
		TEST(af_xdp_members),
		TEST(a_left_over_program_is_removed),
		TEST(a_program_of_somebody_else_stays),
		TEST(a_noted_program_is_removed_without_looking),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
