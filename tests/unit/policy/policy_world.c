/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <cmocka.h>

#include "base/flowhash.h"
#include "base/str.h"
#include "frame.h"
#include "packet.h"
#include "policy_world.h"

static struct errbuf error;

int world_setup(void **state)
{
	return rcu_init();
}

int world_teardown(void **state)
{
	rcu_fini();
	return 0;
}

struct policy *world_new(uint32_t max_records)
{
	struct policy_params params = {
		.host_id = "h1", .max_records = max_records, .routed_ttl = true, .socket = -1
	};
	struct policy *p = NULL;
	int r = policy_create(&params, &p, &error);

	if (r < 0)
		fail_msg("policy_create: %d %s", r, error.text);
	return p;
}

enum object_kind world_parse(const char *line, union object_spec *ret)
{
	const char *rest = strchr(line, ' ');
	size_t len = rest ? (size_t)(rest - line) : strlen(line);
	char text[4096], *flag;
	unsigned int kind;

	for (kind = 0; kind < OBJECT_COUNT; kind++)
		if (strlen(object_types[kind].noun) == len &&
		    strncmp(object_types[kind].noun, line, len) == 0)
			break;
	if (kind == OBJECT_COUNT)
		fail_msg("no such noun: %s", line);
	str_copy(text, sizeof(text), rest ? rest + 1 : "");
	/* A state, which field_read() does not take. */
	flag = strstr(text, " unusable");
	if (flag)
		*flag = '\0';
	field_defaults(object_types[kind].fields, ret, object_types[kind].size);
	if (field_read(object_types[kind].fields, ret, text, &error) < 0)
		fail_msg("%s: %s", line, error.text);
	if (flag)
		ret->record.unusable = true;
	return (enum object_kind)kind;
}

int world_set(struct policy *p, enum origin origin, const char *fmt, ...)
{
	union object_spec s;
	enum object_kind kind;
	char line[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	kind = world_parse(line, &s);
	error.text[0] = '\0';
	return policy_set(p, kind, &s, origin, &error);
}

int world_remove(struct policy *p, enum origin origin, const char *fmt, ...)
{
	union object_spec s;
	enum object_kind kind;
	char line[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	kind = world_parse(line, &s);
	error.text[0] = '\0';
	return policy_remove(p, kind, &s, origin, &error);
}

const char *world_error(void)
{
	return error.text;
}

struct mac world_mac(const char *text)
{
	struct mac m = { { 0 } };

	if (parse_mac(text, &m) < 0)
		fail_msg("no MAC: %s", text);
	return m;
}

struct ip_addr world_ip(const char *text)
{
	struct ip_addr a = { 0 };

	if (parse_ip(text, &a) < 0)
		fail_msg("no address: %s", text);
	return a;
}

static uint16_t build(uint8_t buf[256], const char *src_mac, const char *dst_mac, const char *src,
		      const char *dst, uint8_t ttl)
{
	struct mac sm = world_mac(src_mac), dm = world_mac(dst_mac);
	struct ip_addr s, d;
	struct frame f;
	ssize_t len;

	frame_init(&f, buf, 256);
	frame_eth(&f, &dm, &sm, src ? FRAME_AUTO : 0x88b5);
	if (src) {
		s = world_ip(src);
		d = world_ip(dst);
		if (s.family == 4) {
			struct frame_ip4 ip = { .ttl = ttl ? ttl : 64 };

			memcpy(&ip.src, s.b, 4);
			memcpy(&ip.dst, d.b, 4);
			frame_ip4_full(&f, &ip);
		} else {
			frame_ip6(&f, s.b, d.b, FRAME_AUTO, ttl ? ttl : 64);
		}
		frame_udp(&f, 1000, 2000);
	}
	frame_payload(&f, "hello", 5);
	len = frame_finish(&f);
	if (len < 0)
		fail_msg("frame: %zd", len);
	return (uint16_t)len;
}

static struct packet *parsed(const uint8_t *buf, uint16_t len)
{
	struct packet *k = packet_new(buf, len, 64, 0);
	enum drop_reason bad = pkt_parse(packet_data(k), len, len, &k->meta.pkt);

	if (bad != DROP_NONE)
		fail_msg("parser: %s", drop_name(bad));
	k->meta.record = REC_NONE;
	k->meta.dst_pa = PA_ANY;
	k->meta.src_host = HOST_NONE;
	return k;
}

static struct outcome outcome_of(const struct policy *p, struct packet *k)
{
	const struct pkt_meta *m = &k->meta;
	const uint8_t *d = packet_data(k);
	struct outcome o = { .verdict = m->verdict, .drop = m->drop, .vsid = m->vsid_out, .pa = m->dst_pa };

	o.routed = m->flags & META_ROUTED;
	memcpy(&o.dst_mac, d, 6);
	memcpy(&o.src_mac, d + 6, 6);
	if (m->pkt.kind == PKT_IPV4 || m->pkt.kind == PKT_IPV6)
		o.ttl = d[m->pkt.l3_off + (m->pkt.kind == PKT_IPV4 ? 8 : 7)];
	if (m->verdict == VERDICT_LOCAL)
		str_copy(o.to, sizeof(o.to), policy_port(p, m->dst)->id);
	if (m->verdict == VERDICT_REMOTE)
		str_copy(o.to, sizeof(o.to), policy_host(p, m->dst)->id);
	return o;
}

struct outcome world_send(struct policy *p, const char *port, const char *src_mac, const char *dst_mac,
			  const char *src, const char *dst, uint8_t ttl, struct policy_src_cache *cache)
{
	const struct policy_port *pp = policy_port(p, policy_port_index(p, port));
	const struct policy_subnet *s = pp->vsid ? policy_subnet(p, pp->vsid) : NULL;
	struct policy_src_cache fresh = { 0 };
	struct outcome o;
	struct packet *k;
	struct rte_mbuf *m;
	uint8_t buf[256];

	k = parsed(buf, build(buf, src_mac, dst_mac, src, dst, ttl));
	m = &k->m;
	k->meta.vsid_in = k->meta.vsid_out = pp->vsid;
	k->meta.src = pp->index;
	policy_source_burst(p, pp, s, cache ? cache : &fresh, &m, 1);
	policy_lookup_burst(p, pp, s, &m, 1);
	if (s)
		policy_route_burst(p, s, &m, 1);
	o = outcome_of(p, k);
	if (k->meta.pkt.kind == PKT_IPV4) {
		const uint8_t *ip = packet_data(k) + k->meta.pkt.l3_off;

		assert_int_equal(csum_fold(csum_partial(ip, (ip[0] & 15u) * 4u, 0)), 0);
	}
	packet_free(k);
	return o;
}

void world_receive_burst(struct policy *p, const struct world_receive *list, struct outcome *ret, size_t n)
{
	struct packet *k[64];
	struct rte_mbuf *m[64];
	uint8_t buf[256];

	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++) {
		const struct world_receive *r = &list[i];

		k[i] = parsed(buf, build(buf, r->src_mac, r->dst_mac, r->src, r->dst, 64));
		m[i] = &k[i]->m;
		k[i]->meta.vsid_in = k[i]->meta.vsid_out = r->vsid;
		k[i]->meta.src = PORT_WIRE;
		k[i]->meta.src_host = policy_host_index(p, r->host);
	}
	policy_ingress_burst(p, m, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		ret[i] = outcome_of(p, k[i]);
		packet_free(k[i]);
	}
}

struct outcome world_receive(struct policy *p, uint32_t vsid, const char *host, const char *src_mac,
			     const char *dst_mac, const char *src, const char *dst)
{
	const struct world_receive r = { vsid, host, src_mac, dst_mac, src, dst, NULL };
	struct outcome o;

	world_receive_burst(p, &r, &o, 1);
	return o;
}

const char *world_text(const struct outcome *o)
{
	static char text[128];

	switch (o->verdict) {
	case VERDICT_LOCAL:
		snprintf(text, sizeof(text), "local %s", o->to);
		break;
	case VERDICT_REMOTE:
		snprintf(text, sizeof(text), "remote %s", o->to);
		break;
	case VERDICT_DROP:
		snprintf(text, sizeof(text), "drop %s", drop_name(o->drop));
		break;
	case VERDICT_FLOOD:
		return "flood";
	case VERDICT_ROUTE:
		return "route";
	default:
		snprintf(text, sizeof(text), "verdict %d", (int)o->verdict);
	}
	return text;
}

uint64_t world_seed(void)
{
	const char *given = getenv("TEST_SEED");
	uint64_t seed;

	if (given)
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = 1;
	print_message("TEST_SEED=%#llx\n", (unsigned long long)seed);
	return seed;
}

uint64_t world_random(uint64_t *state)
{
	*state += FLOWHASH_K1;
	return flowhash_mix(*state, *state ^ FLOWHASH_K2);
}
