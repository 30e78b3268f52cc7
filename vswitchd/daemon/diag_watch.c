/* SPDX-License-Identifier: BSD-3-Clause */
/* What the methods for diagnosis have in common: watches with their memory, parameters, timers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/diag.h"

/* ---- watches ---- */

/* Of a fixed size, which nobody can change: a mapping that shrinks would kill us. All its pages are there now. */
static int memory_new(size_t bytes, void **ret, int *ret_fd)
{
	CLEANUP_CLOSE int fd = memfd_create("vswitchd-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || fallocate(fd, 0, 0, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/*
 * Another descriptor of it, by which it can be read and nothing else: no page is taken away below the workers. Nor can
 * it be opened anew, but by root. A seal against writing would forbid us to take the pages back at the end.
 */
static int read_only(int fd)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, O_RDONLY | O_CLOEXEC);
	if (r < 0 || fchmod(fd, 0) == 0)
		return r < 0 ? -errno : r;
	close(r);
	return -EPERM;
}

static int shared_memory(struct diag_watch *w)
{
	size_t bytes = w->n_rings * sizeof(*w->tails);
	void *p;
	int r = memory_new(w->bytes, &p, &w->fd);

	if (r < 0)
		return r;
	w->memory = p;
	r = w->give[0] = read_only(w->fd);
	if (r >= 0)
		r = memory_new(bytes, &p, &w->give[1]);
	if (r >= 0)
		w->tails = p;
	return r;
}

void diag_watch_tails(struct diag_watch *w)
{
	for (unsigned int i = 0; w->tails && i < w->n_rings; i++)
		watch_take_tail(w->readers[i].ring, &w->tails[i]);
}

int diag_watch_start(struct manager *m, const struct call *c, struct watch_spec *spec, bool shared,
		     struct diag_watch *ret, struct errbuf *err)
{
	struct diag_watch w = { .m = m, .fd = -1, .give = { -1, -1 },
				.n_rings = datapath_watch_rings(manager_datapath(m)),
				.uid = c->conn->uid };
	int r = watch_share_take(&c->conn->control->watches, w.uid, err);

	if (r < 0)
		return r;
	w.share = &c->conn->control->watches;
	w.rest = malloc(sizeof(*w.rest));
	w.bytes = watch_memory_bytes(w.n_rings, spec->ring_size);
	if (!w.rest) {
		r = -ENOMEM;
	} else if (shared) {
		r = shared_memory(&w);
	} else {
		w.memory = aligned_alloc(64, w.bytes);
		if (w.memory)
			memset(w.memory, 0, w.bytes);
		else
			r = -ENOMEM;
	}
	if (r < 0) {
		diag_watch_stop(&w);
		return err_set(err, -r, "no memory for %zu bytes: %s", w.bytes, strerror(-r));
	}
	spec->memory = w.memory;
	for (unsigned int i = 0; i < w.n_rings; i++)
		w.readers[i] = (struct watch_reader){ .ring = watch_ring_of(w.memory, i, spec->ring_size),
						      .size = spec->ring_size };
	r = datapath_watch_start(manager_datapath(m), spec, &w.watch, err);
	if (r < 0) {
		diag_watch_stop(&w);
		return r;
	}
	*ret = w;
	return 0;
}

/* Memory and descriptors go, and rest, which is what arg points to. */
static void release(void *arg)
{
	struct diag_watch *w = arg;

	if (w->tails)
		munmap(w->tails, w->n_rings * sizeof(*w->tails));
	for (unsigned int i = 0; i < STREAM_FDS; i++)
		if (w->give[i] >= 0)
			close(w->give[i]);
	if (w->fd >= 0) {
		/* Who keeps the descriptor keeps no memory that counts as ours. */
		if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)w->bytes) < 0)
			log_debug("capture: its memory stays until the reader has gone: %s", strerror(errno));
		munmap(w->memory, w->bytes);
		close(w->fd);
	} else {
		free(w->memory);
	}
	free(w);
}

void diag_watch_stop(struct diag_watch *w)
{
	struct diag_watch *rest = w->rest;

	if (w->share)
		watch_share_give(w->share, w->uid);
	w->share = NULL;
	if (!rest)
		return;
	*rest = *w;
	*w = (struct diag_watch){ .fd = -1, .give = { -1, -1 } };
	if (rest->watch)
		datapath_watch_stop(manager_datapath(rest->m), rest->watch, release, rest);
	else
		release(rest);
}

/* ---- parameters ---- */

int diag_number(struct json_object *parameters, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
		struct errbuf *err)
{
	struct json_object *v = NULL;

	if (!json_object_object_get_ex(parameters, name, &v) || json_object_is_type(v, json_type_null))
		return 0;
	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < (int64_t)min ||
	    json_object_get_int64(v) > (int64_t)max)
		return err_set(err, EINVAL, "%s: %llu..%llu is allowed", name, (unsigned long long)min,
			       (unsigned long long)max);
	*ret = (uint64_t)json_object_get_int64(v);
	return 0;
}

int diag_bool(struct json_object *parameters, const char *name, bool *ret, struct errbuf *err)
{
	struct json_object *v = NULL;

	if (!json_object_object_get_ex(parameters, name, &v) || json_object_is_type(v, json_type_null))
		return 0;
	if (!json_object_is_type(v, json_type_boolean))
		return err_set(err, EINVAL, "%s: true or false is wanted", name);
	*ret = json_object_get_boolean(v);
	return 0;
}

int diag_ip(struct json_object *parameters, const char *name, bool wanted, struct ip_addr *ret, struct errbuf *err)
{
	const char *text;
	int r = parameter_string(parameters, name, wanted, &text, err);

	if (r < 0 || !text)
		return r;
	r = parse_ip(text, ret);
	return r < 0 ? err_set(err, EINVAL, "%s: \"%s\" is no address", name, text) : 0;
}

static int port_by_id(struct manager *m, const char *id, uint16_t *ret, struct errbuf *err)
{
	*ret = policy_port_index(manager_policy(m), id);
	return *ret != PORT_NONE ? 0 : manager_port_missing(m, id, err);
}

int diag_port(struct manager *m, struct json_object *parameters, const char *name, uint16_t *ret, struct errbuf *err)
{
	const char *id;
	int r = parameter_string(parameters, name, true, &id, err);

	return r < 0 ? r : port_by_id(m, id, ret, err);
}

int diag_member(struct manager *m, const char *name, uint8_t *ret, struct errbuf *err)
{
	struct teaming_member_status *st = calloc(TEAM_MEMBERS, sizeof(*st));
	const char *near, *names[TEAM_MEMBERS + 1];
	unsigned int n = st ? teaming_members(manager_teaming(m), st, TEAM_MEMBERS) : 0, k = 0;
	int r = -ENOENT;

	for (unsigned int i = 0; i < n; i++) {
		if (!*st[i].spec.name)
			continue;
		names[k++] = st[i].spec.name;
		if (strcmp(st[i].spec.name, name) == 0) {
			*ret = (uint8_t)i;
			r = 0;
		}
	}
	names[k] = NULL;
	near = str_nearest(name, names);
	if (r < 0)
		r = err_set(err, ENOENT, "there is no team member \"%s\"%s%s%s", name, near ? ": did you mean \"" : "",
			    near ? near : "", near ? "\"?" : "");
	free(st);
	return r;
}

/* Names of all slots as they are in this turn of the loop: rows of a trace ask by the thousand. */
static char (*member_names(struct manager *m))[ID_SIZE]
{
	static char names[TEAM_MEMBERS][ID_SIZE];
	static uint64_t as_of = UINT64_MAX;
	struct teaming_member_status *st;
	uint64_t turn = 0;
	unsigned int n;

	sd_event_get_iteration(manager_loop(m), &turn);
	if (turn == as_of)
		return names;
	memset(names, 0, sizeof(names));
	st = calloc(TEAM_MEMBERS, sizeof(*st));
	n = st ? teaming_members(manager_teaming(m), st, TEAM_MEMBERS) : 0;
	for (unsigned int i = 0; i < n; i++)
		str_copy(names[i], ID_SIZE, st[i].spec.name);
	if (st)
		as_of = turn;
	free(st);
	return names;
}

const char *diag_member_name(struct manager *m, uint8_t slot, char buf[ID_SIZE])
{
	str_copy(buf, ID_SIZE, slot < TEAM_MEMBERS ? member_names(m)[slot] : "");
	return buf;
}

static uint32_t points_of(const struct filter_spec *f)
{
	static const uint32_t points[] = {
		[HOP_ANY] = ~0u,
		[HOP_GUEST] = 1u << WATCH_GUEST_RX | 1u << WATCH_GUEST_TX | 1u << WATCH_STAGE,
		[HOP_WIRE] = 1u << WATCH_WIRE_RX | 1u << WATCH_WIRE_TX | 1u << WATCH_STAGE,
		[HOP_DROP] = 1u << WATCH_DROP | 1u << WATCH_STAGE,
	};

	return *f->drop ? points[HOP_DROP] : points[f->hop];
}

static enum drop_reason reason_by_name(const char *name)
{
	for (unsigned int r = DROP_NONE + 1; r < DROP_COUNT; r++)
		if (strcmp(drop_name((enum drop_reason)r), name) == 0)
			return (enum drop_reason)r;
	return DROP_NONE; /* "any" */
}

static int compile(struct manager *m, const struct filter_spec *f, struct watch_filter *ret, struct errbuf *err)
{
	int r = filter_check(f, err);

	*ret = (struct watch_filter){ .points = points_of(f), .port = PORT_NONE, .member = TEAM_NO_MEMBER,
				      .drop = (uint8_t)reason_by_name(f->drop), .vsid = f->vsid,
				      .protocol = f->protocol, .port_number = f->port_number, .mac = f->mac,
				      .address = f->address, .source = f->source, .destination = f->destination,
				      .provider_address = f->provider_address };
	if (r >= 0 && *f->port)
		r = port_by_id(m, f->port, &ret->port, err);
	if (r >= 0 && *f->member)
		r = diag_member(m, f->member, &ret->member, err);
	return r;
}

int diag_filter(struct manager *m, struct json_object *parameters, struct watch_filter *ret, struct errbuf *err)
{
	struct filter_spec f;
	struct json_object *o = NULL;
	int r = 0;

	field_defaults(filter_fields, &f, sizeof(f));
	if (json_object_object_get_ex(parameters, "filter", &o) && !json_object_is_type(o, json_type_null)) {
		if (!json_object_is_type(o, json_type_object))
			return err_set(err, EINVAL, "parameter \"filter\": an object is wanted");
		r = fields_from_json(filter_fields, &f, o, err);
	}
	if (r >= 0)
		r = field_check(filter_fields, &f, err);
	return r < 0 ? r : compile(m, &f, ret, err);
}

/* ---- timers ---- */

uint64_t diag_now_us(struct manager *m)
{
	uint64_t now = 0;

	sd_event_now(manager_loop(m), CLOCK_MONOTONIC, &now);
	return now;
}

int diag_timer(struct manager *m, sd_event_source **ret, sd_event_time_handler_t fn, void *arg)
{
	return sd_event_add_time_relative(manager_loop(m), ret, CLOCK_MONOTONIC, 0, 1, fn, arg);
}

void diag_again(sd_event_source *timer, uint64_t us)
{
	(void)sd_event_source_set_time_relative(timer, us);
	(void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ---- what a guest would do ---- */

struct rte_mbuf *diag_mbuf(struct manager *m, const uint8_t *data, uint32_t n)
{
	struct rte_mbuf *first = NULL, *seg;

	while (n) {
		uint32_t part;

		seg = rte_pktmbuf_alloc(manager_pool(m));
		if (!seg || (first && rte_pktmbuf_chain(first, seg) < 0)) {
			rte_pktmbuf_free(seg);
			rte_pktmbuf_free(first);
			return NULL;
		}
		if (!first)
			first = seg;
		part = RTE_MIN(n, (uint32_t)rte_pktmbuf_tailroom(seg));
		memcpy(rte_pktmbuf_mtod(seg, void *), data, part);
		seg->data_len = (uint16_t)part;
		first->pkt_len += part;
		data += part;
		n -= part;
	}
	return first;
}


struct mac diag_source_mac(struct manager *m, uint16_t port, const struct ip_addr *from)
{
	const struct policy_port *p = policy_port(manager_policy(m), port);
	uint32_t rec = p && p->vsid ? policy_ca_lookup(manager_policy(m), p->vsid, from) : REC_NONE;
	struct mac none = { { 0 } };

	if (rec != REC_NONE)
		for (unsigned int i = 0; i < p->n_macs; i++)
			if (mac_equal(&p->macs[i], &policy_record(manager_policy(m), rec)->mac))
				return p->macs[i];
	return p && p->n_macs ? p->macs[0] : none;
}

bool diag_destination_mac(struct manager *m, uint32_t vsid, const struct ip_addr *from, const struct ip_addr *to,
			  struct mac *ret)
{
	const struct policy *p = manager_policy(m);
	const struct policy_subnet *s = vsid ? policy_subnet(p, vsid) : NULL;
	struct policy_next_hop nh;

	if (!s || policy_next_hop(p, vsid, from, to, &nh) < 0)
		return false;
	if (nh.routed || nh.verdict == VERDICT_ROUTE) {
		mac_store(ret, s->gateway_mac);
		return true;
	}
	*ret = nh.dst_mac;
	return !mac_is_zero(ret);
}
