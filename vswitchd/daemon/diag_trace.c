/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traces: of a packet in words, run through the stages without sending it; and of the next packets that match, each
 * told when nothing more has come of it for some turns of the timer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/diag.h"

#define POLL_US	     10000
#define ROUND	     1024 /* records looked at in one turn of the loop */
#define QUIET_TURNS  5	  /* without news of a packet: nothing more comes, as a worker may have to wait for its core */
#define OPEN_MAX     256  /* packets under way; those that come when it is full are left out */
#define COUNT_MAX    1000000
#define LIVE_SNAP    128
#define LIVE_RING    (256u * 1024)
#define DRY_RING     (4u * 1024 * 1024)
#define ROWS_MAX     256 /* of one packet: a flood to many */
#define BYTES_MAX    (256u * 1024) /* of all its frames; as digits they have to fit a message */

/* ---- one packet's rows ---- */

struct story {
	uint32_t id;
	uint64_t first, round;
	bool dropped, shown; /* dropped: for the reason asked for */
	unsigned int n, unshown; /* rows; those whose bytes are not shown */
	uint32_t bytes;		 /* shown */
	uint64_t lost;		 /* rows for which there was no memory */
	struct json_object *rows;
	char packet[128];
};

static void story_add(struct manager *m, struct story *s, const struct watch_record *r, const uint8_t *data, bool bytes,
		      uint8_t drop)
{
	bool entry = r->point == WATCH_STAGE && r->captured;
	bool frame = bytes && r->point != WATCH_STAGE && s->bytes + r->captured <= BYTES_MAX;

	if (!s->rows) {
		s->rows = json_object_new_array();
		s->id = r->trace;
		s->first = r->tsc;
	}
	if (!*s->packet && (entry || r->point != WATCH_STAGE))
		describe_frame(data, r->captured, r->len, s->packet, sizeof(s->packet));
	if (r->point == WATCH_DROP && (!drop || r->drop == drop))
		s->dropped = true;
	if (s->n++ >= ROWS_MAX)
		return;
	if (frame)
		s->bytes += r->captured;
	else if (bytes && r->point != WATCH_STAGE)
		s->unshown++;
	json_object_array_add(s->rows, diag_row(m, r, s->first, frame ? data : NULL));
}

static struct json_object *story_json(struct story *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "packet", json_object_new_string(s->packet));
	json_object_object_add(o, "stages", s->rows ? s->rows : json_object_new_array());
	if (s->n > ROWS_MAX)
		json_object_object_add(o, "rows-left-out", json_object_new_int((int)(s->n - ROWS_MAX)));
	if (s->unshown)
		json_object_object_add(o, "frames-left-out", json_object_new_int((int)s->unshown));
	if (s->lost)
		json_object_object_add(o, "rows-lost", json_object_new_int64((int64_t)s->lost));
	s->rows = NULL;
	return o;
}

static struct json_object *wrap(struct json_object *o)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, "trace", o);
	return reply;
}

/* ---- dry run ---- */

/* What the guest leaves out a description leaves out, too. @return with *asks: it would have to ask for the MAC. */
static void complete(struct manager *m, uint16_t port, struct description *d, bool *asks)
{
	uint32_t vsid = policy_port(manager_policy(m), port)->vsid;

	*asks = false;
	if (d->kind == DESCRIBE_FRAME)
		return;
	if (mac_is_zero(&d->src))
		d->src = diag_source_mac(m, port, &d->from);
	if (!mac_is_zero(&d->dst) || d->kind == DESCRIBE_QUESTION ||
	    diag_destination_mac(m, vsid, &d->from, &d->to, &d->dst))
		return;
	*asks = true;
	d->kind = DESCRIBE_QUESTION;
	d->protocol = IPPROTO_ICMP6_;
	d->size = 0;
}

static int dry_run(struct manager *m, uint16_t port, const struct description *d, struct story *s, struct errbuf *err)
{
	struct watch_spec spec = { .kind = WATCH_TRACE, .snap = DESCRIBE_FRAME_MAX + ENCAP_HDR_MAX,
				   .ring_size = DRY_RING, .filter = { .points = ~0u, .port = PORT_NONE,
								      .member = TEAM_NO_MEMBER } };
	uint8_t frame[DESCRIBE_FRAME_MAX];
	uint32_t n = describe_build(d, frame);
	struct rte_mbuf *mbuf = diag_mbuf(m, frame, n);
	struct watch_reader reader;
	struct watch_record r;
	const uint8_t *data;
	int e;

	spec.memory = aligned_alloc(64, watch_memory_bytes(1, DRY_RING));
	if (!mbuf || !spec.memory) {
		rte_pktmbuf_free(mbuf);
		free(spec.memory);
		return err_set(err, ENOMEM, "no memory for the packet");
	}
	memset(watch_ring_of(spec.memory, 0, DRY_RING), 0, sizeof(struct watch_ring));
	e = datapath_dry_run(manager_datapath(m), port, mbuf, &spec);
	if (e < 0) {
		err_set(err, -e, "dry run: %s", strerror(-e));
	} else {
		reader = (struct watch_reader){ .ring = watch_ring_of(spec.memory, 0, DRY_RING), .size = DRY_RING };
		while ((data = watch_next(&reader, &r))) {
			story_add(m, s, &r, data, true, DROP_NONE);
			watch_done(&reader, &r);
		}
		s->lost = watch_lost(&reader);
	}
	free(spec.memory);
	return e;
}

int do_dry_run(struct manager *m, struct call *c, struct errbuf *err)
{
	struct description *d = malloc(sizeof(*d));
	struct story s = { 0 };
	struct json_object *o;
	const char *text;
	uint16_t port;
	bool asks;
	int r = d ? diag_port(m, c->parameters, "port", &port, err) : err_set(err, ENOMEM, "out of memory");

	if (r >= 0)
		r = parameter_string(c->parameters, "packet", true, &text, err);
	if (r >= 0)
		r = describe_parse(text, d, err);
	if (r >= 0) {
		complete(m, port, d, &asks);
		r = dry_run(m, port, d, &s, err);
	}
	free(d);
	if (r < 0)
		return r;
	o = story_json(&s);
	json_object_object_add(o, "port", json_object_new_string(manager_port_id(m, port)));
	if (asks)
		json_object_object_add(o, "note", json_object_new_string(
			"no lookup record for the destination: this is the question that the guest asks first"));
	call_reply(c, wrap(o));
	return 0;
}

/* ---- live ---- */

struct trace_call {
	struct call *c;
	struct manager *m;
	sd_event_source *timer;
	struct diag_watch watch;
	uint64_t count, done, round;
	uint64_t lost, lost_told; /* looks at packets for which there was no place here; all that the caller knows of */
	bool drops_only;
	uint8_t drop;
	unsigned int n_open;
	struct story open[OPEN_MAX];
};

static void trace_end(struct call *c)
{
	struct trace_call *t = c->state;

	sd_event_source_disable_unref(t->timer);
	diag_watch_stop(&t->watch);
	for (unsigned int i = 0; i < t->n_open; i++)
		json_object_put(t->open[i].rows);
	free(t);
}

static struct story *story_of(struct trace_call *t, uint32_t id)
{
	for (unsigned int i = t->n_open; i--;)
		if (t->open[i].id == id)
			return &t->open[i];
	if (t->n_open == OPEN_MAX) {
		t->lost++;
		return NULL;
	}
	t->open[t->n_open] = (struct story){ .id = id };
	return &t->open[t->n_open++];
}

static void read_ring(struct trace_call *t, struct watch_reader *reader)
{
	struct watch_record r;
	const uint8_t *data;

	for (unsigned int i = 0; i < ROUND && (data = watch_next(reader, &r)); i++) {
		struct story *s = story_of(t, r.trace);

		if (s) {
			story_add(t->m, s, &r, data, false, t->drop);
			s->round = t->round;
		}
		watch_done(reader, &r);
	}
}

/* What was lost since it was last said: a story may lack rows, and whole ones may be missing before it. */
static void tell_losses(struct trace_call *t, struct json_object *o)
{
	uint64_t lost = t->lost;

	for (unsigned int i = 0; i < t->watch.n_rings; i++)
		lost += watch_lost(&t->watch.readers[i]);
	if (lost > t->lost_told)
		json_object_object_add(o, "rows-lost", json_object_new_int64((int64_t)(lost - t->lost_told)));
	t->lost_told = lost;
}

/* @return false: the call is over. */
static bool tell(struct trace_call *t, struct story *s)
{
	struct json_object *o;

	if (t->drops_only && !s->dropped) {
		json_object_put(s->rows);
		s->rows = NULL;
		return true;
	}
	o = story_json(s);
	tell_losses(t, o);
	o = wrap(o);
	if (++t->done < t->count)
		return call_stream(t->c, o) >= 0;
	call_reply(t->c, o);
	return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct trace_call *t = arg;
	unsigned int kept = 0;

	t->round++;
	for (unsigned int i = 0; i < t->watch.n_rings; i++)
		read_ring(t, &t->watch.readers[i]);
	for (unsigned int i = 0; i < t->n_open; i++) {
		if (t->round - t->open[i].round < QUIET_TURNS) {
			struct story s = t->open[i];

			/* Telling may end the call, which gives up the rows of all: each belongs to one place. */
			t->open[i].rows = NULL;
			t->open[kept++] = s;
			continue;
		}
		if (!tell(t, &t->open[i]))
			return 0;
	}
	t->n_open = kept;
	diag_again(t->timer, POLL_US);
	return 0;
}

int do_trace(struct manager *m, struct call *c, struct errbuf *err)
{
	struct watch_spec spec = { .kind = WATCH_TRACE, .snap = LIVE_SNAP, .ring_size = LIVE_RING };
	struct trace_call *t = calloc(1, sizeof(*t));
	struct json_object *filter = NULL;
	int r;

	if (!t)
		return err_set(err, ENOMEM, "out of memory");
	*t = (struct trace_call){ .c = c, .m = m, .count = 1 };
	r = diag_filter(m, c->parameters, &spec.filter, err);
	if (r >= 0)
		r = diag_number(c->parameters, "count", 1, COUNT_MAX, &t->count, err);
	if (r >= 0 && !c->more)
		r = err_set(err, EINVAL, "Trace streams: the call needs \"more\": true");
	/* Whether it will be dropped is not known where it comes in. */
	json_object_object_get_ex(c->parameters, "filter", &filter);
	t->drops_only = json_object_object_get_ex(filter, "drop", NULL) ||
			!(spec.filter.points & (1u << WATCH_GUEST_RX | 1u << WATCH_WIRE_RX));
	t->drop = spec.filter.drop;
	spec.filter.drop = DROP_NONE;
	spec.filter.points = ~0u;
	if (r >= 0)
		r = diag_watch_start(m, c, &spec, false, &t->watch, err);
	if (r >= 0)
		r = diag_timer(m, &t->timer, on_timer, t);
	if (r < 0) {
		diag_watch_stop(&t->watch);
		free(t);
		return r;
	}
	c->state = t;
	c->end = trace_end;
	/* The first reply says that from now on nothing is missed. */
	return call_stream(c, json_object_new_object()) < 0 ? 0 : 0;
}
