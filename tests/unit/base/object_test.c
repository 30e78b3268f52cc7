/* SPDX-License-Identifier: BSD-3-Clause */
/* The field tables themselves, what each kind of object accepts, and round trips of random objects. */
#include <errno.h>
#include <stdbool.h>

#include "base/object.h"
#include "base/str.h"
#include "unit.h"

static char line[OBJECT_LINE_MAX];

/* A row's default parses, its place lies inside the object, it has a text. */
static void check_row(const struct field *f, size_t size)
{
	uint16_t items = f->max_items ? f->max_items : 1;
	static const unsigned int sizes[] = {
		[FIELD_BOOL] = 1, [FIELD_MAC] = 6, [FIELD_IP] = 17, [FIELD_PREFIX] = 18, [FIELD_ENUM] = 1,
	};

	assert_true((size_t)f->offset + (size_t)f->size * items <= size);
	assert_true(f->size <= FIELD_ITEM_MAX);
	if (f->max_items) {
		assert_true(f->count_offset + sizeof(uint16_t) <= size);
		assert_null(f->def);
	}
	if (f->type < sizeof(sizes) / sizeof(sizes[0]) && sizes[f->type])
		assert_int_equal(f->size, sizes[f->type]);
	assert_true(strspn(f->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(f->name));
	assert_non_null(f->text);
	assert_int_equal(f->text[strlen(f->text) - 1], '.');
	if (f->type == FIELD_STRUCT)
		for (const struct field *s = f->sub; s->name; s++)
			check_row(s, f->size);
	assert_true(field_allowed(f, line, sizeof(line)) > 0);
}

static void tables_are_sound(void **state)
{
	for (unsigned int k = 0; k < OBJECT_COUNT; k++) {
		const struct object_type *t = &object_types[k];
		bool key = false;
		unsigned int n = 0;

		assert_true(t->size <= sizeof(union object_spec));
		assert_non_null(t->text);
		for (const struct field *f = t->fields; f->name; f++, n++) {
			check_row(f, t->size);
			key |= (f->flags & (FIELD_KEY | FIELD_REQUIRED)) == (FIELD_KEY | FIELD_REQUIRED);
			for (const struct field *g = t->fields; g < f; g++)
				assert_string_not_equal(f->name, g->name);
		}
		assert_true(key && n <= 64);
		for (unsigned int j = 0; j < k; j++) {
			assert_string_not_equal(t->name, object_types[j].name);
			assert_string_not_equal(t->noun, object_types[j].noun);
			assert_string_not_equal(t->config, object_types[j].config);
		}
	}
}

static void name_tables_match_their_enums(void **state)
{
	assert_string_equal(origin_names[ORIGIN_LEARNED], "learned");
	assert_null(origin_names[ORIGIN_COUNT]);
	assert_string_equal(port_type_names[PORT_PLAIN], "plain");
	assert_string_equal(port_mode_names[PORT_SERVER], "server");
	assert_string_equal(port_state_names[PORT_NEEDS_GUEST_RESET], "needs-guest-reset");
	assert_string_equal(record_type_names[RECORD_GATEWAY_WILDCARD], "gateway-wildcard");
	assert_string_equal(pa_state_names[PA_PREFERRED], "preferred");
	assert_string_equal(spread_names[SPREAD_RECORD], "record");
	assert_string_equal(encap_names[ENCAP_NVGRE], "nvgre");
	assert_string_equal(member_type_names[MEMBER_DPDK], "dpdk");
}

static void defaults(void **state)
{
	union object_spec s;

	object_default(OBJECT_PORT, &s);
	assert_int_equal(s.port.type, PORT_VHOST_USER);
	assert_int_equal(s.port.mode, PORT_CLIENT);
	assert_int_equal(s.port.queues, 1);
	assert_int_equal(s.port.socket_mode, 0660);
	object_default(OBJECT_SUBNET, &s);
	assert_true(s.subnet.learning);
	object_default(OBJECT_HOST, &s);
	assert_int_equal(s.host.spread, SPREAD_FLOW);
	assert_int_equal(s.host.n_pas, 0);
}

/* Read a line, validate it; error text must contain `err`, or there must be none. */
static void expect(enum object_kind kind, const char *text, const char *err)
{
	struct errbuf e = { "" };
	union object_spec s;
	int r;

	memset(&s, 0x5a, sizeof(s));
	object_default(kind, &s);
	r = field_read(object_types[kind].fields, &s, text, &e);
	if (r == 0)
		r = object_validate(kind, &s, &e);
	if (!err && r == 0)
		return;
	if (err && (r == -EINVAL || r == -ERANGE) && strstr(e.text, err))
		return;
	fail_msg("%s %s: %d '%s', expected '%s'", object_types[kind].noun, text, r, e.text,
		 err ? err : "success");
}

static void ports(void **state)
{
	expect(OBJECT_PORT, "id=vm1 vsid=5001 macs=[02:00:00:00:00:01]", NULL);
	expect(OBJECT_PORT, "id=vm1 vsid=0", NULL);
	expect(OBJECT_PORT,
	       "id=vm1 vsid=4096 macs=[02:00:00:00:00:01] addresses=[10.0.0.0/24,10.0.0.5,0.0.0.0/0]", NULL);
	expect(OBJECT_PORT,
	       "id=vm1 vsid=16777214 macs=[02:00:00:00:00:01] mtu=9000 queues=64 socket-mode=0600", NULL);
	expect(OBJECT_PORT, "vsid=5001 macs=[02:00:00:00:00:01]", "id is missing");
	expect(OBJECT_PORT, "id=-x", "id: '-x' is not valid");
	expect(OBJECT_PORT, "id=vm1 vsid=4095", "vsid: '4095' is out of range, allowed: 0 or 4096..16777214");
	expect(OBJECT_PORT, "id=vm1 vsid=16777215", "vsid");
	expect(OBJECT_PORT, "id=vm1 vsid=5001", "macs: a port on a virtual subnet needs at least one");
	expect(OBJECT_PORT, "id=vm1 macs=[03:00:00:00:00:01]", "macs: 03:00:00:00:00:01 is a group address");
	expect(OBJECT_PORT, "id=vm1 macs=[00:00:00:00:00:00]", "macs");
	expect(OBJECT_PORT, "id=vm1 macs=[02:00:00:00:00:01,02:00:00:00:00:02,02:00:00:00:00:01]",
	       "given twice");
	expect(OBJECT_PORT, "id=vm1 socket=/run/vswitchd/vm1.sock mode=server socket-group=kvm", NULL);
	expect(OBJECT_PORT, "id=vm1 socket=vm1.sock",
	       "socket: 'vm1.sock' is not the absolute path of a file");
	expect(OBJECT_PORT, "id=vm1 socket=/run/", "absolute path");
	expect(OBJECT_PORT, "id=vm1 type=tap socket=/run/x", "only a port of type vhost-user");
	expect(OBJECT_PORT, "id=vm1 socket-mode=0999",
	       "socket-mode: '0999' is not valid, allowed: 0000..0777");
	expect(OBJECT_PORT, "id=vm1 queues=0", "queues");
	expect(OBJECT_PORT, "id=vm1 queues=65", "queues");
	expect(OBJECT_PORT, "id=vm1 mtu=100", "mtu");
	expect(OBJECT_PORT, "id=vm1 addresses=[10.0.0.5/24]", "did you mean 10.0.0.0/24?");
	expect(OBJECT_PORT, "id=vm1 addresses=[10.0.0.128/24]", "did you mean 10.0.0.0/24?");
	expect(OBJECT_PORT, "id=vm1 addresses=[10.0.0.192/25]", "did you mean 10.0.0.128/25?");
	expect(OBJECT_PORT, "id=vm1 addresses=[fe80::1/65]", "did you mean fe80::/65?");
}

static void subnets(void **state)
{
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1", NULL);
	expect(OBJECT_SUBNET,
	       "vsid=5001 rdid=t1 gateways=[10.0.0.1/24,2001:db8::1/64,fe80::1/64,10.0.1.1/24]", NULL);
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[fd00::1/64] ra=true", "ra: takes a link-local address");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.0/31,fe80::1/64] group=239.1.1.1 ra=true",
	       NULL);
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 group=ff3e::1 gateway-mac=02:00:00:00:00:fe external=true",
	       NULL);
	expect(OBJECT_SUBNET, "vsid=5001", "rdid is missing");
	expect(OBJECT_SUBNET, "rdid=t1", "vsid is missing");
	expect(OBJECT_SUBNET, "vsid=0 rdid=t1", "vsid");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.0/24]", "network or broadcast");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.255/24]", "network or broadcast");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.3/30]", "network or broadcast");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.1/0]", "prefix length");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[2001:db8::/64]", "own address");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[224.0.0.1/24]", "multicast");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[127.0.0.1/8]", "loopback");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.1/24,10.0.0.2/24]", "overlap");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.0.1/24,10.0.1.1/16]", "overlap");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateways=[10.0.1.1/16,10.0.0.1/24]", "overlap");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 gateway-mac=01:00:5e:00:00:01", "group address");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 group=10.0.0.1",
	       "group: 10.0.0.1 is not a multicast address");
	expect(OBJECT_SUBNET, "vsid=5001 rdid=t1 group=fe80::1", "not a multicast address");
}

static void records(void **state)
{
#define R "vsid=5001 mac=02:00:00:00:00:02 host=h2 "
	expect(OBJECT_RECORD, R "ca=10.0.0.2", NULL);
	expect(OBJECT_RECORD, R "ca=10.0.0.2 provider-address=192.168.0.2 type=dynamic", NULL);
	expect(OBJECT_RECORD, R "ca=fe80::2", NULL);
	expect(OBJECT_RECORD, R "type=l2only", NULL);
	expect(OBJECT_RECORD, R "ca=0.0.0.0 type=gateway-wildcard", NULL);
	expect(OBJECT_RECORD, "vsid=5001 ca=10.0.0.2 host=h2", "mac is missing");
	expect(OBJECT_RECORD, "vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:02", "host is missing");
	expect(OBJECT_RECORD, "vsid=5001 ca=10.0.0.2 host=h2 mac=03:00:00:00:00:02",
	       "mac: 03:00:00:00:00:02 is a group");
	expect(OBJECT_RECORD, R, "ca: a record of type static needs a customer address");
	expect(OBJECT_RECORD, R "ca=:: type=dynamic",
	       "ca: a record of type dynamic needs a customer address");
	expect(OBJECT_RECORD, R "ca=10.0.0.2 type=l2only",
	       "ca: a record of type l2only has no customer address");
	expect(OBJECT_RECORD, R "ca=10.0.0.2 type=gateway-wildcard", "has no customer address");
	expect(OBJECT_RECORD, R "ca=255.255.255.255", "broadcast");
	expect(OBJECT_RECORD, R "ca=224.0.0.1", "multicast");
	expect(OBJECT_RECORD, R "ca=127.0.0.1", "loopback");
	expect(OBJECT_RECORD, R "ca=0.0.0.7", "this network");
	expect(OBJECT_RECORD, R "ca=ff02::1", "multicast");
	expect(OBJECT_RECORD, R "ca=::1", "loopback");
	expect(OBJECT_RECORD, R "ca=::ffff:10.0.0.1", "IPv4 address in IPv6 form");
	expect(OBJECT_RECORD, R "ca=10.0.0.2 provider-address=224.0.0.1",
	       "provider-address: 224.0.0.1 is a multicast");
	expect(OBJECT_RECORD, R "ca=10.0.0.2 unusable=true", "cannot be set");
#undef R
}

static void routes(void **state)
{
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=10.0.0.0/24", NULL);
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=0.0.0.0/0 next-hop=10.0.0.254 metric=255", NULL);
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=::/0 next-hop=fe80::1", NULL);
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=10.0.0.0/24 next-hop=0.0.0.0", NULL);
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001", "prefix is missing");
	expect(OBJECT_ROUTE, "rdid=t1 prefix=10.0.0.0/24", "vsid is missing");
	expect(OBJECT_ROUTE, "vsid=5001 prefix=10.0.0.0/24", "rdid is missing");
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=10.0.0.1/24", "did you mean 10.0.0.0/24?");
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=224.0.0.0/4", "multicast");
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=0.0.0.0/0 next-hop=fe80::1", "not of the family");
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=0.0.0.0/0 next-hop=::", "not of the family");
	expect(OBJECT_ROUTE, "rdid=t1 vsid=5001 prefix=0.0.0.0/0 next-hop=224.0.0.1", "multicast");
	expect(OBJECT_PROVIDER_ROUTE, "prefix=10.0.0.0/8 next-hop=192.168.0.1", NULL);
	expect(OBJECT_PROVIDER_ROUTE, "prefix=10.0.0.0/8", "next-hop is missing");
	expect(OBJECT_PROVIDER_ROUTE, "prefix=10.0.0.0/8 next-hop=0.0.0.0", "this network");
	expect(OBJECT_PROVIDER_ROUTE, "prefix=10.0.0.0/8 next-hop=fe80::1", "not of the family");
}

static void provider_addresses_hosts_members(void **state)
{
	expect(OBJECT_PA, "address=192.168.0.1 prefix-length=24 vlan=4094 member=eth0", NULL);
	expect(OBJECT_PA, "address=2001:db8::1 prefix-length=64", NULL);
	expect(OBJECT_PA, "address=192.168.0.1", "prefix-length is missing");
	expect(OBJECT_PA, "address=192.168.0.1 prefix-length=33", "allowed for IPv4: 1..32");
	expect(OBJECT_PA, "address=192.168.0.1 prefix-length=24 vlan=4095", "vlan");
	expect(OBJECT_PA, "address=224.0.0.1 prefix-length=24", "multicast");
	expect(OBJECT_PA, "address=192.168.0.1 prefix-length=24 mac=01:00:00:00:00:00", "group address");
	expect(OBJECT_HOST, "id=h2 pas=[{address=192.168.0.2}]", NULL);
	expect(OBJECT_HOST,
	       "id=h2 pas=[{address=192.168.0.2 weight=255 mtu=9000},{address=fd00::2}] spread=record", NULL);
	expect(OBJECT_HOST, "id=h2", "pas is missing");
	expect(OBJECT_HOST, "id=h2 pas=[{weight=3}]", "pas: address is missing");
	expect(OBJECT_HOST, "id=h2 pas=[{address=192.168.0.2 weight=0}]", "weight");
	expect(OBJECT_HOST, "id=h2 pas=[{address=192.168.0.2},{address=192.168.0.2 weight=2}]",
	       "given twice");
	expect(OBJECT_HOST, "id=h2 pas=[{address=ff02::1}]", "multicast");
	expect(OBJECT_HOST, "id=h2 pas=[{address=192.168.0.2}] encapsulation=vxlan", "encapsulation");
	expect(OBJECT_MEMBER, "name=eth0", NULL);
	expect(OBJECT_MEMBER, "name=eth0 type=af-xdp speed=25000 queues=4", NULL);
	expect(OBJECT_MEMBER, "name=a-long-name-of-my-own type=dpdk devargs=0000:01:00.0,representor=0",
	       NULL);
	expect(OBJECT_MEMBER, "name=eth0 type=dpdk", "devargs: a member of type dpdk needs them");
	expect(OBJECT_MEMBER, "name=eth0 devargs=x", "only a member of type dpdk");
	expect(OBJECT_MEMBER, "name=sixteen-letters-", "15 characters");
	assert_int_equal(object_validate(OBJECT_COUNT, line, NULL), -EINVAL);
}

static const char *key(enum object_kind kind, const char *text)
{
	static char buf[OBJECT_KEY_MAX];
	union object_spec s;
	int n;

	object_default(kind, &s);
	assert_int_equal(field_read(object_types[kind].fields, &s, text, NULL), 0);
	n = object_key(kind, &s, buf, sizeof(buf));
	assert_int_equal(n, strlen(buf));
	assert_int_equal(object_key(kind, &s, buf, strlen(buf)), -ENOSPC);
	object_key(kind, &s, buf, sizeof(buf));
	return buf;
}

static void keys(void **state)
{
	assert_string_equal(key(OBJECT_PORT, "id=vm1"), "vm1");
	assert_string_equal(key(OBJECT_SUBNET, "vsid=5001"), "5001");
	assert_string_equal(key(OBJECT_RECORD, "vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:01"),
			    "5001/10.0.0.2");
	assert_string_equal(key(OBJECT_RECORD, "vsid=5001 mac=02:00:00:00:00:01"), "5001/02:00:00:00:00:01");
	assert_string_equal(key(OBJECT_RECORD, "vsid=5001 ca=:: mac=02:00:00:00:00:01"),
			    "5001/02:00:00:00:00:01");
	assert_string_equal(key(OBJECT_ROUTE, "rdid=t1 prefix=10.0.0.0/24"), "t1 10.0.0.0/24 via 0.0.0.0");
	assert_string_equal(key(OBJECT_ROUTE, "rdid=t1 prefix=fd00::/8"), "t1 fd00::/8 via ::");
	assert_string_equal(key(OBJECT_ROUTE, "rdid=t1 prefix=0.0.0.0/0 next-hop=10.0.0.9"),
			    "t1 0.0.0.0/0 via 10.0.0.9");
	assert_string_equal(key(OBJECT_PA, "address=192.168.0.1"), "192.168.0.1");
	assert_string_equal(key(OBJECT_PROVIDER_ROUTE, "prefix=10.0.0.0/8 next-hop=1.2.3.4"),
			    "10.0.0.0/8 via 1.2.3.4");
	assert_string_equal(key(OBJECT_HOST, "id=h2"), "h2");
	assert_string_equal(key(OBJECT_MEMBER, "name=eth0"), "eth0");
}

/* --- random objects */

static void random_text(char *buf, size_t size, const char *alphabet, size_t min, uint64_t *seed)
{
	size_t n = min + unit_below(seed, size - min), i;

	for (i = 0; i < n; i++)
		buf[i] = alphabet[unit_below(seed, strlen(alphabet))];
	buf[i] = '\0';
}

static void random_ip(struct ip_addr *a, uint64_t *seed)
{
	uint64_t w[2] = { unit_random(seed), unit_random(seed) };

	if (unit_below(seed, 2))
		*a = ip4_from(w);
	else
		*a = ip6_from(w);
}

static void random_object(const struct field *rows, void *obj, size_t size, bool biggest, uint64_t *seed);

static void random_item(const struct field *f, void *place, bool biggest, uint64_t *seed)
{
	uint64_t v, max = f->max ? f->max : f->size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * f->size)) - 1;
	struct ip_prefix *p = place;
	unsigned int n = 0;

	switch (f->type) {
	case FIELD_BOOL:
		*(bool *)place = unit_below(seed, 2);
		break;
	case FIELD_UINT:
		v = biggest ? max : f->min + unit_random(seed) % (max - f->min ? max - f->min : 1);
		memcpy(place, &v, f->size);
		break;
	case FIELD_ENUM:
		while (f->names[n])
			n++;
		*(uint8_t *)place = (uint8_t)(biggest ? n - 1 : unit_below(seed, n));
		break;
	case FIELD_STRING:
		/* Everything that means something in a line. Quotes double in length. */
		random_text(place, f->size, biggest ? "\"\\" : "ab\"\\ ,[]{}=\xc3\xa4",
			    biggest ? f->size - 1 : 1, seed);
		if (!str_is_text(place))
			strcpy(place, "\xc3\xa4,\" ]");
		break;
	case FIELD_ID:
		random_text(place, f->size, "abcXYZ019", biggest ? f->size - 1 : 1, seed);
		break;
	case FIELD_MAC:
		v = unit_random(seed) | 1;
		memcpy(place, &v, 6);
		break;
	case FIELD_IP:
		random_ip(place, seed);
		break;
	case FIELD_PREFIX:
		random_ip(&p->addr, seed);
		p->len = (uint8_t)unit_below(seed, p->addr.family == 4 ? 33 : 129);
		break;
	case FIELD_STRUCT:
		random_object(f->sub, place, f->size, biggest, seed);
		break;
	}
}

static void random_object(const struct field *rows, void *obj, size_t size, bool biggest, uint64_t *seed)
{
	field_defaults(rows, obj, size);
	for (; rows->name; rows++) {
		uint16_t n = 1;

		if (rows->flags & FIELD_STATE ||
		    (!biggest && !(rows->flags & FIELD_REQUIRED) && unit_below(seed, 3) == 0))
			continue;
		if (rows->max_items) {
			n = biggest ? rows->max_items : (uint16_t)(1 + unit_below(seed, rows->max_items));
			memcpy((char *)obj + rows->count_offset, &n, sizeof(n));
		}
		for (uint16_t i = 0; i < n; i++)
			random_item(rows, (char *)obj + rows->offset + i * rows->size, biggest, seed);
	}
}

static void random_objects_survive_a_line(void **state)
{
	uint64_t seed = unit_seed();
	union object_spec a, b;
	struct errbuf e;
	unsigned int round;

	for (round = 0; round < 20000; round++) {
		enum object_kind k = round % OBJECT_COUNT;
		const struct field *rows = object_types[k].fields;
		int n;

		random_object(rows, &a, object_types[k].size, round < 2 * OBJECT_COUNT, &seed);
		if (field_check(rows, &a, &e) < 0)
			fail_msg("%s: %s", object_types[k].name, e.text);
		n = field_write(rows, &a, line, sizeof(line));
		assert_true(n > 0 && (size_t)n == strlen(line));
		memset(&b, 0xa5, sizeof(b));
		if (field_read(rows, &b, line, &e) < 0)
			fail_msg("%s: %s: %s", object_types[k].name, line, e.text);
		if (!field_equal(rows, &a, &b))
			fail_msg("%s: %s", object_types[k].name, line);
	}
}

/* Each field by itself as text, the way config and CLI go. */
static void random_objects_survive_field_by_field(void **state)
{
	uint64_t seed = unit_seed();
	union object_spec a, b;
	struct errbuf e;
	unsigned int round, i;

	for (round = 0; round < 4000; round++) {
		enum object_kind k = round % OBJECT_COUNT;
		const struct field *rows = object_types[k].fields, *f;

		random_object(rows, &a, object_types[k].size, false, &seed);
		object_default(k, &b);
		for (f = rows; f->name; f++) {
			for (i = 0; !(f->flags & FIELD_STATE) && i < field_count(f, &a); i++) {
				assert_true(field_get(f, &a, i, line, sizeof(line)) >= 0);
				if (field_set(f, &b, i, line, &e) < 0 &&
				    !(f->flags & FIELD_ZERO_OK && !*line))
					fail_msg("%s", e.text);
			}
		}
		assert_true(field_equal(rows, &a, &b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(name_tables_match_their_enums),
		cmocka_unit_test(defaults),
		cmocka_unit_test(ports),
		cmocka_unit_test(subnets),
		cmocka_unit_test(records),
		cmocka_unit_test(routes),
		cmocka_unit_test(provider_addresses_hosts_members),
		cmocka_unit_test(keys),
		cmocka_unit_test(random_objects_survive_a_line),
		cmocka_unit_test(random_objects_survive_field_by_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
