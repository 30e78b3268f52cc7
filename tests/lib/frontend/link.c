/* SPDX-License-Identifier: BSD-3-Clause */
/* The ports' connections: taken, started, lost, taken again. */
#include "link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_net.h>

static unsigned int index_of(const struct peer *peer, const struct peer_port *p)
{
	return (unsigned int)(p - peer->port);
}

static void set_listening(struct peer *peer, struct peer_port *p, bool on)
{
	if (!p->opt.server || p->listening == on)
		return;
	if (on)
		control_watch(peer, p->vhu->listen_fd, WATCH_LISTEN, index_of(peer, p));
	else
		control_unwatch(peer, p->vhu->listen_fd);
	p->listening = on;
}

static void quiesce(struct peer_port *p)
{
	worker_pause(p->worker);
	p->ready = false;
	worker_resume(p->worker);
}

static void event_ready(struct peer_port *p)
{
	const struct vhu_port *v = p->vhu;
	struct json j;

	event_begin(&j, "ready", p);
	json_u64(&j, "starts", p->starts);
	json_hex(&j, "features", v->acked);
	json_hex(&j, "offered", v->offered);
	json_hex(&j, "protocol_features", v->protocol_acked);
	json_str(&j, "ring", v->queue[0].ops->name);
	json_u64(&j, "queues", v->enabled);
	json_u64(&j, "backend_queues", v->backend_pairs);
	json_u64(&j, "mtu", vhu_port_has(v, VIRTIO_NET_F_MTU) ? v->cfg.mtu : 0);
	event_end(&j);
}

static void event_failed(struct peer_port *p, int err)
{
	struct json j;

	/* a client retries many times a second */
	if (p->last_failure == p->vhu->step && p->last_errno == err)
		return;
	p->last_failure = p->vhu->step;
	p->last_errno = err;
	event_begin(&j, "failed", p);
	json_str(&j, "step", p->vhu->step);
	json_str(&j, "error", strerror(-err));
	event_end(&j);
}

static void drop_connection(struct peer *peer, struct peer_port *p)
{
	if (p->vhu->fd >= 0)
		control_unwatch(peer, p->vhu->fd);
	if (p->vhu->backend_fd >= 0)
		control_unwatch(peer, p->vhu->backend_fd);
	vhu_port_disconnect(p->vhu);
	set_listening(peer, p, !p->held);
}

static const struct mode *owner(struct peer_port *p)
{
	for (unsigned int i = 0; i < p->n_modes; i++)
		if (p->mode[i].ops->owns_connection && p->mode[i].ops->owns_connection(p->mode[i].priv))
			return &p->mode[i];
	return NULL;
}

static void go_ready(struct peer_port *p)
{
	p->starts++;
	p->last_failure = NULL;
	event_ready(p);
	worker_pause(p->worker);
	for (unsigned int i = 0; i < p->n_modes; i++)
		if (p->mode[i].ops->ready)
			p->mode[i].ops->ready(p->mode[i].priv);
	p->ready = true;
	p->hot = true;
	worker_resume(p->worker);
}

/* A connection is there: shake hands, or leave it to a hostile script. */
static void link_up(struct peer *peer, struct peer_port *p)
{
	const struct mode *m = owner(p);
	int err;

	set_listening(peer, p, false);
	if (m) {
		m->ops->connected(m->priv);
		vhu_port_disconnect(p->vhu);
		set_listening(peer, p, !p->held);
		return;
	}
	control_watch(peer, p->vhu->fd, WATCH_LINK, index_of(peer, p));
	err = vhu_port_start(p->vhu);
	if (err) {
		event_failed(p, err);
		drop_connection(peer, p);
		return;
	}
	if (p->vhu->backend_fd >= 0)
		control_watch(peer, p->vhu->backend_fd, WATCH_BACKEND, index_of(peer, p));
	go_ready(p);
}

void link_listen_event(struct peer *peer, struct peer_port *p)
{
	if (vhu_port_accept(p->vhu) == 0)
		link_up(peer, p);
}

void link_down(struct peer *peer, struct peer_port *p, const char *why)
{
	struct json j;
	bool was = p->vhu->backend_ready;

	quiesce(p);
	drop_connection(peer, p);
	if (!was)
		return;
	event_begin(&j, "disconnected", p);
	json_str(&j, "why", why);
	event_end(&j);
}

void link_event(struct peer *peer, struct peer_port *p)
{
	int err = vhu_port_event(p->vhu);

	if (err)
		link_down(peer, p, err == -ECONNRESET ? "closed" : strerror(-err));
}

void link_backend_event(struct peer *peer, struct peer_port *p)
{
	if (vhu_port_backend_event(p->vhu) == 0)
		return;
	control_unwatch(peer, p->vhu->backend_fd);
	close(p->vhu->backend_fd);
	p->vhu->backend_fd = -1;
}

void link_restart_guest(struct peer *peer, struct peer_port *p, const char *why)
{
	link_down(peer, p, why);
	vhu_port_reset(p->vhu);
}

int link_stop_rings(struct peer_port *p)
{
	if (!p->ready)
		return -ENOTCONN;
	quiesce(p);
	return vhu_port_stop(p->vhu);
}

int link_start_rings(struct peer_port *p)
{
	int err;

	if (p->ready)
		return -EALREADY;
	if (p->vhu->fd < 0)
		return -ENOTCONN;
	err = vhu_port_start(p->vhu);
	if (!err)
		go_ready(p);
	return err;
}

int link_reboot(struct peer_port *p)
{
	int err = link_stop_rings(p);

	if (err)
		return err;
	vhu_port_reset(p->vhu);
	return link_start_rings(p);
}

int link_migrate(struct peer *peer, struct peer_port *p, const char *path)
{
	int err = link_stop_rings(p);

	if (err)
		return err;
	set_listening(peer, p, false);
	p->held = true;
	drop_connection(peer, p);
	err = vhu_port_set_path(p->vhu, path);
	p->held = false;
	set_listening(peer, p, true);
	return err;
}

void link_begin(struct peer *peer, struct peer_port *p)
{
	set_listening(peer, p, true);
}

int link_retry(struct peer *peer, int pause_ms)
{
	int wait = -1;

	for (unsigned int i = 0; i < peer->n_ports; i++) {
		struct peer_port *p = &peer->port[i];
		bool used_up = false;

		if (p->opt.server || p->held || p->vhu->fd >= 0)
			continue;
		if (vhu_port_connect(p->vhu) == 0) {
			used_up = owner(p);
			link_up(peer, p);
		}
		if (used_up)
			wait = 0;
		else if (p->vhu->fd < 0 && wait < 0)
			wait = pause_ms;
	}
	return wait;
}
