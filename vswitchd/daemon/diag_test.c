/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Test through ports, as HNV's Test-VMNetworkAdapter: both ends here, or one end on each of two hosts, the receiver
 * armed first. Which host answers is said by who runs the switch there, never guessed from a packet: a guest that
 * knew the form of the echo could otherwise have a switch answer in the name of another guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_random.h>

#include "base/str.h"
#include "daemon/diag.h"

#define POLL_US	     2000
#define SIZE_DEFAULT 84
#define SIZE_MAX_    9216
#define RECORDS_MAX  65536 /* beyond that the addresses have to be given: finding them takes too long */
#define MS	     UINT64_C(1000)

struct test_call {
	struct call *c;
	struct manager *m;
	sd_event_source *timer;
	struct diag_watch sender, receiver;
	uint16_t sender_port, receiver_port; /* PORT_NONE: not here */
	struct echo_frame echo;
	uint64_t timeout_ms, began;
	uint64_t sent_tsc, back_tsc;
	bool sent, arrived, back, by_guest;
	uint8_t drop;
	bool drop_of_answer;
	uint32_t size; /* as it arrived */
	struct ip_addr arrived_from;
};

static void test_end(struct call *c)
{
	struct test_call *t = c->state;

	sd_event_source_disable_unref(t->timer);
	diag_watch_stop(&t->sender);
	diag_watch_stop(&t->receiver);
	free(t);
}

/* ---- addresses and MACs ---- */

static bool is_port_mac(const struct policy_port *p, const struct mac *mac)
{
	for (unsigned int i = 0; i < p->n_macs; i++)
		if (mac_equal(&p->macs[i], mac))
			return true;
	return false;
}

static bool is_link_local(const struct ip_addr *a)
{
	return a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* The first address of a port's guest, of the family (0: any). */
static int address_of(struct manager *m, uint16_t port, uint8_t family, struct ip_addr *ret, struct errbuf *err)
{
	const struct policy_port *p = policy_port(manager_policy(m), port);
	struct record_spec rec;
	enum origin origin;
	uint64_t cursor = 0;

	if (!p || !p->vsid)
		return err_set(err, EINVAL, "port %s has no virtual subnet", p ? p->id : "");
	if (policy_count(manager_policy(m), OBJECT_RECORD) > RECORDS_MAX)
		return err_set(err, EINVAL, "so many records: give the addresses with --from and --to");
	while (policy_next(manager_policy(m), OBJECT_RECORD, &cursor, &rec, &origin) > 0) {
		if (rec.vsid != p->vsid || !is_port_mac(p, &rec.mac) || !ip_is_set(&rec.ca) ||
		    (family && rec.ca.family != family) || is_link_local(&rec.ca))
			continue;
		*ret = rec.ca;
		return 0;
	}
	return err_set(err, ENOENT, "port %s: no lookup record with its MAC%s; give the address", p->id,
		       family == 4 ? " for IPv4" : family == 6 ? " for IPv6" : "");
}

static int fill_addresses(struct test_call *t, struct errbuf *err)
{
	uint8_t family = ip_is_set(&t->echo.to) ? t->echo.to.family : t->echo.from.family;
	int r = 0;

	if (!ip_is_set(&t->echo.from))
		r = address_of(t->m, t->sender_port, family, &t->echo.from, err);
	if (r >= 0 && !ip_is_set(&t->echo.to)) {
		if (t->receiver_port == PORT_NONE)
			return err_set(err, EINVAL, "a receiver on another host is named by its address: --to");
		r = address_of(t->m, t->receiver_port, t->echo.from.family, &t->echo.to, err);
	}
	if (r >= 0 && t->echo.from.family != t->echo.to.family)
		r = err_set(err, EINVAL, "from and to have to be of one family");
	return r;
}

/* ---- results ---- */

static void add_str(struct json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static void add_ip(struct json_object *o, const char *name, const struct ip_addr *a)
{
	char text[IP_STR];

	if (ip_is_set(a))
		add_str(o, name, format_ip(a, text));
}

static const char *time_out_text(const struct test_call *t)
{
	if (t->by_guest)
		return "the guest answered by itself: the receiver is not armed (test port --receiver there)";
	if (!t->sent)
		return "the worker of the sender's port did not take it";
	if (t->receiver_port != PORT_NONE)
		return t->arrived ? "it arrived, and the answer did not come back" : "it did not arrive";
	return "no answer: the receiver is not armed (test port --receiver there), or something is lost on the way";
}

static struct json_object *result(const struct test_call *t, const char *name)
{
	struct json_object *reply = json_object_new_object(), *o = json_object_new_object();
	bool failed = strcmp(name, "failed") == 0, sender = t->sender_port != PORT_NONE;

	add_str(o, "result", name);
	if (failed && t->drop) {
		add_str(o, "reason", drop_name(t->drop));
		add_str(o, "text", drop_text(t->drop));
		add_str(o, "lost", t->drop_of_answer ? "answer" : "request");
	} else if (strcmp(name, "time-out") == 0) {
		add_str(o, "text", sender ? time_out_text(t) : "nothing arrived");
	}
	if (sender)
		add_str(o, "sender", manager_port_id(t->m, t->sender_port));
	if (t->receiver_port != PORT_NONE)
		add_str(o, "receiver", manager_port_id(t->m, t->receiver_port));
	add_ip(o, "from", sender ? &t->echo.from : &t->arrived_from);
	add_ip(o, "to", &t->echo.to);
	json_object_object_add(o, "sequence", json_object_new_int(t->echo.sequence));
	json_object_object_add(o, "size", json_object_new_int((int)(t->size ? t->size : t->echo.size)));
	if (t->back && t->sent)
		json_object_object_add(o, "rtt-us", json_object_new_double((double)(t->back_tsc - t->sent_tsc) * 1e6 /
									   (double)rte_get_tsc_hz()));
	json_object_object_add(reply, "test", o);
	return reply;
}

/* ---- on its way ---- */

static void note(struct test_call *t, const struct watch_record *r, const uint8_t *data)
{
	bool request = r->flags & ECHO_REQUEST;
	struct pkt_info info;

	if (r->point == WATCH_DROP) {
		t->drop = r->drop;
		t->drop_of_answer = !request;
	} else if (r->point == WATCH_GUEST_RX) {
		t->sent = true;
		t->sent_tsc = r->tsc;
	} else if (request) {
		t->arrived = true;
		t->size = r->len - ETH_HLEN_;
		if (pkt_parse(data, r->captured, r->len, &info) == DROP_NONE)
			t->arrived_from = info.kind == PKT_IPV4 ? ip4_from(data + info.l3_off + 12) :
								  ip6_from(data + info.l3_off + 8);
	} else if (r->flags & ECHO_ANSWERED) {
		t->back = true;
		t->back_tsc = r->tsc;
	} else {
		t->by_guest = true;
	}
}

static void read_watch(struct test_call *t, struct diag_watch *w)
{
	struct watch_record r;
	const uint8_t *data;

	for (unsigned int i = 0; w->memory && i < w->n_rings; i++) {
		while ((data = watch_next(&w->readers[i], &r))) {
			note(t, &r, data);
			watch_done(&w->readers[i], &r);
		}
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct test_call *t = arg;
	bool over = diag_now_us(t->m) - t->began >= t->timeout_ms * MS;
	bool ok;

	read_watch(t, &t->receiver);
	read_watch(t, &t->sender);
	ok = t->sender_port != PORT_NONE ? t->back : t->arrived;
	if (ok)
		call_reply(t->c, result(t, "ok"));
	else if (t->drop)
		call_reply(t->c, result(t, "failed"));
	else if (over)
		call_reply(t->c, result(t, "time-out"));
	else
		diag_again(t->timer, POLL_US);
	return 0;
}

/* ---- beginning ---- */

static int optional_port(struct manager *m, struct json_object *p, const char *name, uint16_t *ret, struct errbuf *err)
{
	*ret = PORT_NONE;
	return json_object_object_get_ex(p, name, NULL) ? diag_port(m, p, name, ret, err) : 0;
}

static int parse(struct manager *m, struct call *c, struct test_call *t, struct errbuf *err)
{
	uint64_t sequence = 1, size = SIZE_DEFAULT;
	int r = optional_port(m, c->parameters, "sender", &t->sender_port, err);

	t->timeout_ms = 2000;
	if (r >= 0)
		r = optional_port(m, c->parameters, "receiver", &t->receiver_port, err);
	if (r >= 0 && t->sender_port == PORT_NONE && t->receiver_port == PORT_NONE)
		r = err_set(err, EINVAL, "a sender, a receiver, or both are wanted");
	if (r >= 0)
		r = diag_ip(c->parameters, "from", false, &t->echo.from, err);
	if (r >= 0)
		r = diag_ip(c->parameters, "to", false, &t->echo.to, err);
	if (r >= 0)
		r = diag_number(c->parameters, "sequence", 0, UINT16_MAX, &sequence, err);
	if (r >= 0)
		r = diag_number(c->parameters, "timeout", 1, 600000, &t->timeout_ms, err);
	if (r >= 0 && t->sender_port != PORT_NONE)
		r = fill_addresses(t, err);
	if (r >= 0)
		r = diag_number(c->parameters, "size", echo_size_min(t->echo.to.family == 6 ? 6 : 4), SIZE_MAX_, &size,
				err);
	t->echo.sequence = (uint16_t)sequence;
	t->echo.size = (uint32_t)size;
	t->echo.nonce = rte_rand() | 1;
	return r;
}

static int arm(struct test_call *t, uint16_t port, bool receiver, struct diag_watch *w, struct errbuf *err)
{
	/* A receiver without a sender here does not know the nonce: by its sequence number. */
	struct watch_spec spec = { .kind = WATCH_ECHO, .snap = 128, .ring_size = WATCH_RING_MIN,
				   .filter = { .port = PORT_NONE, .member = TEAM_NO_MEMBER },
				   .echo = { .port = port, .receiver = receiver, .sequence = t->echo.sequence,
					     .nonce = t->sender_port != PORT_NONE ? t->echo.nonce : 0 } };

	return port == PORT_NONE ? 0 : diag_watch_start(t->m, t->c, &spec, false, w, err);
}

static int inject(struct test_call *t, struct errbuf *err)
{
	const struct policy_port *port = policy_port(manager_policy(t->m), t->sender_port);
	uint8_t buf[ETH_HLEN_ + SIZE_MAX_];
	struct rte_mbuf *m;
	int r;

	t->echo.src = diag_source_mac(t->m, t->sender_port, &t->echo.from);
	if (!diag_destination_mac(t->m, port->vsid, &t->echo.from, &t->echo.to, &t->echo.dst))
		return err_set(err, ENOENT, "no lookup record for the destination in virtual-subnet %u, and no gateway",
			       (unsigned int)port->vsid);
	m = diag_mbuf(t->m, buf, echo_write(&t->echo, buf));
	if (!m)
		return err_set(err, ENOMEM, "no buffer for the packet");
	r = datapath_inject_egress(manager_datapath(t->m), t->sender_port, m);
	if (r < 0) {
		rte_pktmbuf_free(m);
		return err_set(err, -r, r == -ENOENT ? "the sender's port is not attached: no guest has connected yet" :
						       "the worker of the sender's port is too busy");
	}
	return 0;
}

int do_test_port(struct manager *m, struct call *c, struct errbuf *err)
{
	struct test_call *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return err_set(err, ENOMEM, "out of memory");
	*t = (struct test_call){ .c = c, .m = m, .began = diag_now_us(m) };
	r = parse(m, c, t, err);
	if (r >= 0)
		r = arm(t, t->receiver_port, true, &t->receiver, err);
	if (r >= 0)
		r = arm(t, t->sender_port, false, &t->sender, err);
	if (r >= 0 && t->sender_port != PORT_NONE)
		r = inject(t, err);
	if (r >= 0)
		r = diag_timer(m, &t->timer, on_timer, t);
	c->state = t;
	if (r < 0) {
		test_end(c);
		c->state = NULL;
		return r;
	}
	c->end = test_end;
	/* Armed: whoever starts the sender on another host may do so now. */
	if (c->more)
		call_stream(c, json_object_new_object());
	return 0;
}
