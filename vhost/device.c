/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: made and removed by portctl, found by the library's callbacks by socket path or device number.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <rte_log.h>

#include "base/log.h"
#include "base/rcu.h"
#include "base/str.h"
#include "vhost_private.h"

#define LETTING_GO_US 1000000

struct vhu_config vhu_config;

/* portctl changes the list, callbacks search it; never held across a call of the library. */
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vhu_port *ports;

static struct vhu_port *by_vid[RTE_MAX_VHOST_DEVICE];

struct vhu_port *port_of_vid(int vid)
{
	if (vid < 0 || vid >= RTE_MAX_VHOST_DEVICE)
		return NULL;
	return __atomic_load_n(&by_vid[vid], __ATOMIC_ACQUIRE);
}

void port_bind_vid(struct vhu_port *p, int vid)
{
	__atomic_store_n(&p->vid, vid, __ATOMIC_RELAXED);
	__atomic_store_n(&by_vid[vid], p, __ATOMIC_RELEASE);
}

void port_unbind_vid(struct vhu_port *p)
{
	if (p->vid < 0)
		return;
	__atomic_store_n(&by_vid[p->vid], NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&p->vid, -1, __ATOMIC_RELAXED);
}

struct vhu_port *port_find(const char *socket)
{
	struct vhu_port *p;

	pthread_mutex_lock(&ports_lock);
	for (p = ports; p && strcmp(p->spec.socket, socket) != 0; p = p->next)
		;
	pthread_mutex_unlock(&ports_lock);
	return p;
}

static int port_enlist(struct vhu_port *p)
{
	struct vhu_port *o;

	pthread_mutex_lock(&ports_lock);
	for (o = ports; o; o = o->next)
		if (strcmp(o->spec.socket, p->spec.socket) == 0 || strcmp(o->spec.id, p->spec.id) == 0)
			break;
	if (!o) {
		p->next = ports;
		ports = p;
	}
	pthread_mutex_unlock(&ports_lock);
	return o ? -EADDRINUSE : 0;
}

static void port_delist(struct vhu_port *p)
{
	struct vhu_port **pp;

	pthread_mutex_lock(&ports_lock);
	for (pp = &ports; *pp; pp = &(*pp)->next) {
		if (*pp == p) {
			*pp = p->next;
			break;
		}
	}
	pthread_mutex_unlock(&ports_lock);
}

void port_show(struct vhu_port *p)
{
	uint64_t words[RTE_DIM(p->shown)];
	unsigned int i;

	memcpy(words, &p->facts, sizeof(words));
	__atomic_store_n(&p->seq, p->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (i = 0; i < RTE_DIM(words); i++)
		__atomic_store_n(&p->shown[i], words[i], __ATOMIC_RELAXED);
	__atomic_store_n(&p->seq, p->seq + 1, __ATOMIC_RELEASE);
}

static struct port_facts port_facts(const struct vhu_port *p)
{
	uint64_t words[RTE_DIM(p->shown)];
	struct port_facts facts;
	uint32_t seq;
	unsigned int i;

	do {
		seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE);
		for (i = 0; i < RTE_DIM(words); i++)
			words[i] = __atomic_load_n(&p->shown[i], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&p->seq, __ATOMIC_RELAXED));
	memcpy(&facts, words, sizeof(facts));
	return facts;
}

void port_event(struct vhu_port *p, struct vhu_event ev)
{
	ev.port = p->index;
	if (vhu_config.event)
		vhu_config.event(&ev, vhu_config.arg);
}

int port_offer(struct vhu_port *p, uint64_t features)
{
	const char *path = p->spec.socket;

	/* Bit by bit: setting the list as a whole would switch the library's net device off. */
	if (rte_vhost_driver_disable_features(path, ~features) < 0 ||
	    rte_vhost_driver_enable_features(path, features) < 0)
		return -EIO;
	return 0;
}

void port_unpublish(struct vhu_port *p)
{
	unsigned int i;

	for (i = 0; i < p->spec.queues; i++) {
		__atomic_store_n(&p->queues[i].q.rx_ready, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&p->queues[i].q.tx_ready, 0, __ATOMIC_RELEASE);
	}
	/* The library unmaps the guest when we return: a worker still at it would be worse than to wait. */
	while (rcu_synchronize_timeout(LETTING_GO_US) == -ETIMEDOUT)
		log_error("port %s: a worker has not let go of it for a second, still waiting", p->spec.id);
}

int vhu_init(const struct vhu_config *config, struct errbuf *err)
{
	int level = log_level() >= LOG_DEBUG ? RTE_LOG_INFO : RTE_LOG_ERR;

	if (mkdir(config->state_dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, errno, "state directory %s: %m", config->state_dir);
	vhu_config = *config;
	vhu_config.state_dir = strdup(config->state_dir);
	if (!vhu_config.state_dir)
		return err_set(err, ENOMEM, "out of memory");
	/* A hundred lines per connection otherwise. */
	rte_log_set_level_pattern("lib.vhost.config", level);
	return threads_start(config, err);
}

void vhu_fini(void)
{
	free((void *)(uintptr_t)vhu_config.state_dir);
	memset(&vhu_config, 0, sizeof(vhu_config));
}

static int check_spec(const struct port_spec *spec, struct errbuf *err)
{
	if (!str_is_id(spec->id))
		return err_set(err, EINVAL, "port id '%.*s': 1..63 of A-Z a-z 0-9 . _ : -", ID_SIZE,
			       spec->id);
	if (strnlen(spec->socket, sizeof(spec->socket)) == sizeof(spec->socket))
		return err_set(err, ENAMETOOLONG, "socket path is longer than %d bytes", PATH_SIZE - 1);
	if (spec->socket[0] != '/')
		return err_set(err, EINVAL, "socket path '%s' is not absolute", spec->socket);
	if (!spec->queues || spec->queues > VHU_MAX_QUEUES)
		return err_set(err, EINVAL, "%u queues: 1..%d", spec->queues, VHU_MAX_QUEUES);
	return 0;
}

/* What was offered before a restart is offered again, so that a running guest finds what it negotiated. */
static uint64_t choose_features(struct vhu_port *p)
{
	struct saved_features f;
	int r = state_load(vhu_config.state_dir, &p->spec, &f);

	if (r == -ENOENT)
		return features_offer(&p->spec);
	if (r < 0) {
		log_notice("port %s: its remembered features are damaged or another socket's, ignored",
			   p->spec.id);
		return features_offer(&p->spec);
	}
	if (f.negotiated & ~features_known())
		log_warning("port %s: the guest uses features 0x%llx, no longer supported: restart the guest",
			    p->spec.id, (unsigned long long)(f.negotiated & ~features_known()));
	p->recalled = true;
	return f.offered & features_known();
}

static int queues_alloc(struct vhu_port *p)
{
	unsigned int i;

	p->queues = aligned_alloc(RTE_CACHE_LINE_SIZE, p->spec.queues * sizeof(*p->queues));
	if (!p->queues)
		return -ENOMEM;
	memset(p->queues, 0, p->spec.queues * sizeof(*p->queues));
	for (i = 0; i < p->spec.queues; i++) {
		struct vhu_queue *q = &p->queues[i];

		q->q = (struct port_queue){
			.ops = &vhu_port_ops,
			.index = (uint16_t)i,
			.port = p->index,
			.socket = SOCKET_ID_ANY,
		};
		q->vid = -1;
		q->tx_vring = (uint16_t)(2 * i);
		q->rx_vring = (uint16_t)(2 * i + 1);
		q->pool = vhu_config.pool;
		rte_spinlock_init(&q->tx_lock);
	}
	return 0;
}

static void port_free(struct vhu_port *p)
{
	rings_close(p->rings);
	free(p->queues);
	free(p);
}

static struct vhu_port *port_alloc(const struct port_spec *spec, uint16_t index, uint16_t mtu)
{
	struct vhu_port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->spec = *spec;
	p->index = index;
	p->mtu = mtu;
	p->offer = features_offer(spec);
	p->vid = -1;
	p->facts.socket = SOCKET_ID_ANY;
	port_show(p);
	if (queues_alloc(p) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

static int open_rings(struct vhu_port *p, struct errbuf *err)
{
	int r = rings_open(vhu_config.state_dir, &p->spec, &p->rings);

	if (r < 0) {
		errno = -r;
		return err_set(err, -r, "positions of packed rings in %s: %m", vhu_config.state_dir);
	}
	if (r > 0)
		log_notice("port %s: positions of its packed rings are damaged or another socket's, ignored",
			   p->spec.id);
	return 0;
}

/* Everything between the library's register and start. */
static int configure(struct vhu_port *p, uint64_t features, struct errbuf *err)
{
	const char *path = p->spec.socket;

	if (port_offer(p, features) < 0 ||
	    rte_vhost_driver_set_protocol_features(path, features_protocol()) < 0 ||
	    rte_vhost_driver_callback_register(path, &vhu_device_ops) < 0)
		return err_set(err, EIO, "vhost library refuses features 0x%llx",
			       (unsigned long long)features);
	if (p->spec.mode == PORT_SERVER)
		return socket_listen(p, err);
	if (rte_vhost_driver_start(path) < 0)
		return err_set(err, EIO, "vhost library cannot start a client on %s", path);
	return 0;
}

static int port_register(struct vhu_port *p, struct errbuf *err)
{
	uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS;
	uint64_t features = choose_features(p);
	int r;

	if (features & F_BIT(VIRTIO_F_RING_PACKED)) {
		r = open_rings(p, err);
		if (r < 0)
			return r;
	}
	if (p->spec.mode == PORT_SERVER) {
		r = socket_prepare(&p->spec, err);
		if (r < 0)
			return r;
	} else {
		flags |= RTE_VHOST_USER_CLIENT;
		if (access(p->spec.socket, W_OK) < 0 && errno == EACCES)
			log_warning("port %s: no permission to connect to %s; trying on", p->spec.id,
				    p->spec.socket);
	}
	if (rte_vhost_driver_register(p->spec.socket, flags) < 0)
		return err_set(err, ENOMEM, "vhost library takes no more sockets (limit %d)",
			       RTE_MAX_VHOST_DEVICE);
	r = configure(p, features, err);
	if (r < 0)
		socket_unregister(p);
	return r;
}

int vhu_port_create(const struct port_spec *spec, uint16_t index, uint16_t mtu, struct vhu_port **ret,
		    struct errbuf *err)
{
	struct vhu_port *p;
	int r = check_spec(spec, err);

	if (r < 0)
		return r;
	p = port_alloc(spec, index, mtu);
	if (!p)
		return err_set(err, ENOMEM, "out of memory");
	r = port_enlist(p);
	if (r < 0) {
		port_free(p);
		return err_set(err, -r, "socket %s or port id %s is another port's", spec->socket, spec->id);
	}
	r = port_register(p, err);
	if (r < 0) {
		port_delist(p);
		port_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void vhu_port_destroy(struct vhu_port *p)
{
	bool connected;

	if (!p)
		return;
	__atomic_store_n(&p->leaving, true, __ATOMIC_RELAXED);
	/* First, so that a front-end that comes now is sent away. */
	port_delist(p);
	socket_unregister(p);
	connected = p->vid >= 0;
	port_unbind_vid(p);
	if (connected)
		port_event(p, (struct vhu_event){ .type = VHU_DISCONNECTED });
	/* Also when no device ran: the plan is without the queues now, but a worker may hold the old one. */
	port_unpublish(p);
	port_free(p);
}

void vhu_port_offer(struct vhu_port *p, const struct port_spec *spec)
{
	struct port_facts f = port_facts(p);

	__atomic_store_n(&p->offer, features_offer(spec), __ATOMIC_RELAXED);
	/*
	 * A guest that is there may reset its device and negotiate again what it was offered. If a front-end comes or
	 * goes just now, this one or the next gets the old offer: neither is wrong.
	 */
	if (f.connected || (p->recalled && !f.connections))
		return;
	if (port_offer(p, features_offer(spec)) < 0)
		log_debug("port %s: features not changed", p->spec.id);
}

struct port_queue *vhu_port_queue(struct vhu_port *p, unsigned int i)
{
	return i < p->spec.queues ? &p->queues[i].q : NULL;
}

static enum port_state state_of(const struct vhu_port *p, const struct port_facts *f)
{
	if (__atomic_load_n(&p->leaving, __ATOMIC_RELAXED))
		return PORT_LEAVING;
	if (!f->connected)
		return PORT_ABSENT;
	if (f->unproven)
		return PORT_NEEDS_GUEST_RESET;
	return f->running ? PORT_ACTIVE : PORT_ATTACHED;
}

void vhu_port_status(const struct vhu_port *p, struct vhu_status *ret)
{
	struct port_facts f = port_facts(p);
	unsigned int i;

	*ret = (struct vhu_status){
		.state = state_of(p, &f),
		.connected = f.connected,
		.packed = f.features & F_BIT(VIRTIO_F_RING_PACKED),
		.mergeable = f.features & F_BIT(VIRTIO_NET_F_MRG_RXBUF),
		.features = f.features,
		.offloads = features_offloads(f.features),
		.mtu = f.mtu,
		.queues_enabled = f.pairs,
		.reconnects = f.connections ? f.connections - 1 : 0,
		.vring_size = f.vring_size,
		.socket = f.socket,
	};
	for (i = 0; i < p->spec.queues; i++)
		ret->bad_chains += stat_read(&p->queues[i].bad_chains);
}

int vhu_port_announce(struct vhu_port *p)
{
	/* The library of DPDK 22.11 has no message that makes a network front-end announce itself. */
	return port_facts(p).running ? -ENOTSUP : -ENODEV;
}
