/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to policy/: the tables and who changes them.
 *
 *  - mac: (VSID, MAC) to where it is; local: the same for local ports only, small, for frames from the wire
 *  - ca: (VSID, CA) to record; a gateway address is an entry without a record
 *  - route: (RDID, prefix) to a list in routes[], lowest metric first
 *  - pa: PA to host
 *
 * Two keys do not fit 64 bits: (VSID, MAC) leaves the upper VSID byte to the tag, and IPv6 goes in as a
 * salted 63-bit hash that is verified against the object found. IPv4 is exact; bit 63 tells the two apart.
 */
#ifndef POLICY_PRIVATE_H
#define POLICY_PRIVATE_H

#include "base/rcu.h"
#include "policy/grace.h"
#include "policy/mem.h"
#include "policy/names.h"
#include "policy/policy.h"
#include "policy/table.h"

#define MAX_ROUTES    131072u /* customer routes and the on-link routes that subnets bring */
#define MAX_RDIDS     65535u
#define RDID_ANY      MAX_RDIDS /* pseudo domain: every prefix of any domain, for the reason of a drop */
#define PINS	      31u /* provider addresses of one host that records may name; MACV_PA has five bits */
#define PIN_ANY	      31u
#define CA_GATEWAY    0x80000000u /* value in table ca: no record, a gateway address */
#define VSID_PAGE     4096u
#define DEFER_RECLAIM 64u

/* ---- hosts (hosts.c) ---- */

/*
 * A host exists as soon as a record names it, so that objects may come in any order; until it is configured
 * it is published unusable and without addresses. A provider address named by a record is a pin: its number
 * stays the same whatever happens to the host's list, pin_pa[] leads to the place in the list.
 */
struct host_ctl {
	char id[ID_SIZE];
	struct host_spec *spec; /* NULL: only named by records */
	uint8_t origin;
	bool usable;
	uint32_t n_records;
	struct host_pin {
		struct ip_addr address;
		uint32_t refs;
	} *pins; /* PINS of them, made with the first one */
};

/* What is published: the contract's part first. */
struct host_pub {
	struct policy_host h;
	uint8_t pin_pa[PINS]; /* index into h.pas or PA_ANY */
};

/* ---- subnets (subnets.c) ---- */

/*
 * Everything of one VSID on the control side; exists while a port, record or subnet names it. VSID 0: the
 * plain segment.
 */
struct segment {
	uint32_t vsid;
	uint32_t n_records, n_members; /* n_members: policy_member_add() */
	uint32_t n_routes, route_rdid; /* customer routes into it, all of one routing domain */
	struct subnet_spec *spec;      /* NULL: not configured */
	uint8_t origin;
	uint32_t rdid;
	struct segment *rd_next, **rd_link; /* subnets of one routing domain */
	struct policy_subnet *subnet;
	const struct policy_flood *flood;
};

struct subnet_page {
	const struct policy_subnet *subnet[VSID_PAGE]; /* readers */
	struct segment *segment[VSID_PAGE];
};

/* ---- MACs (macs.c) ---- */

/* What is known of one (VSID, MAC); the published value follows from it. */
struct mac_ctl {
	uint32_t head; /* first record with this MAC, or REC_NONE; in the free list: the next one */
	uint32_t l2;   /* the record without CA, or REC_NONE */
	uint32_t n_records, n_unusable;
	uint16_t port, host; /* host of all its records */
	uint16_t hint;	     /* host that it is said to have moved to; HOST_NONE: as records say */
	uint8_t pin;	     /* of the record set last, or of another one that is there */
	bool gateway;
};

/* ---- guests that have moved (away.c, hint.c) ---- */

#define DEPARTED_MAX 4096u /* MACs that left lately; one more, and the first is forgotten */
#define HINTS	     256u

/* A MAC that had a port here. */
struct departed {
	uint32_t vsid; /* 0: it came back */
	uint64_t mac, since; /* ms */
};

struct hint {
	uint32_t vsid;
	uint16_t to;
	uint64_t mac, until; /* ms */
};

/* ---- routes (routes.c, router.c) ---- */

#define ROUTE_CONNECTED 0x01 /* comes with a subnet's gateway; not a customer-route */
#define ROUTE_ON_LINK	0x02

/* One route; immutable but for `next`. Routes of one prefix form a list, best first. */
struct route {
	uint32_t rdid, vsid, metric;
	uint32_t next; /* index or REC_NONE */
	uint8_t origin, flags;
	bool unused; /* control side: the number is in no list */
	struct ip_prefix prefix;
	struct ip_addr next_hop; /* as the user wrote it */
} __attribute__((aligned(64)));

static_assert(sizeof(struct route) == 64, "one cache line");

/* Prefix lengths present in a routing domain, one bit each. */
struct rdid_lens {
	uint64_t v4;
	uint64_t v6[3];
};

struct rdid_ctl {
	char id[ID_SIZE];
	uint32_t refs; /* subnets and customer routes */
	uint32_t n4[33], n6[129];
	struct segment *subnets;
};

/* ---- the whole ---- */

struct policy {
	/* Readers */
	struct table mac, local, ca, route, pa, away;
	struct policy_record *records;
	struct route *routes;
	struct rdid_lens *lens;
	uint64_t salt6[2];
	uint16_t self;
	bool use_external_router, routed_ttl, avx2;
	bool awaits; /* written by main, relaxed: one of `awaited` is set */
	const struct policy_flood *plain;
	struct subnet_page *pages[VSID_PAGE];
	const struct policy_port *ports[POLICY_MAX_PORTS];
	const struct policy_host *hosts[POLICY_MAX_HOSTS];
	uint64_t host_up[POLICY_MAX_HOSTS / 64];	  /* bit: records of the host may be used */
	struct policy_awaited awaited;			  /* written by main, relaxed, by word */
	uint64_t generation __attribute__((aligned(64))); /* of everything a source check depends on */
	uint64_t route_generation;

	/* Main thread only */
	struct mem mem __attribute__((aligned(64)));
	struct policy_params params;
	uint32_t counts[OBJECT_COUNT];
	uint32_t n_deferred;

	struct mem mem_records, mem_record_link;
	struct grace record_grace;
	uint32_t record_fresh, record_cap;
	policy_record_place_fn on_record_place; /* NULL: nobody asks */
	void *on_record_place_arg;

	struct mem mem_macs;
	struct mac_ctl *macs;
	uint32_t mac_free, mac_fresh;

	struct departed departed[DEPARTED_MAX]; /* oldest first, in a ring */
	uint32_t departed_first, n_departed, departed_ms;
	struct hint hints[HINTS];
	uint32_t n_hints;

	struct mem mem_hosts, mem_host_link;
	struct host_ctl *host_ctl;
	struct names host_names;
	struct grace host_grace;
	uint32_t host_fresh;
	struct table members; /* (VSID, host) -> number of records, not for readers */

	struct names port_names;
	struct port_entry {
		struct port_spec *spec;
		uint8_t origin;
	} port_ctl[POLICY_MAX_PORTS];
	struct grace port_grace;
	uint32_t port_link[POLICY_MAX_PORTS];
	uint32_t port_fresh;

	struct mem mem_routes, mem_route_link, mem_lens, mem_rdids, mem_rdid_link;
	struct grace route_grace, rdid_grace;
	uint32_t route_fresh, route_cap, rdid_fresh;
	uint32_t route_spare[SUBNET_GATEWAYS], n_route_spare; /* got hold of by route_reserve() */
	struct rdid_ctl **rdids;
	struct names rdid_names;
};

/* ---- per-kind operations (policy.c's table) ---- */

struct kind_ops {
	int (*set)(struct policy *p, const void *spec, enum origin origin, struct errbuf *err);
	int (*remove)(struct policy *p, const void *spec, enum origin origin, struct errbuf *err);
	int (*get)(const struct policy *p, void *spec, enum origin *ret_origin);
	int (*next)(const struct policy *p, uint64_t *cursor, void *ret_spec, enum origin *ret_origin);
};

extern const struct kind_ops record_ops, subnet_ops, route_ops, host_ops, port_ops_of_policy;

/* ---- policy.c ---- */

/* Sources may be judged differently from now on. */
static inline void policy_touch(struct policy *p)
{
	__atomic_store_n(&p->generation, p->generation + 1, __ATOMIC_RELEASE);
}

/* free() after a grace period; accepts NULL. */
void policy_free_later(struct policy *p, const void *old);

/* May an object of `have` be changed by `origin`? @return 0, -EPERM. */
int origin_may_set(enum origin have, enum origin origin, struct errbuf *err);
int origin_may_remove(enum origin have, enum origin origin, struct errbuf *err);

/* A number never used before, or one whose grace period is over; GRACE_NONE when all are taken. */
uint32_t policy_number(struct grace *g, uint32_t *fresh, uint32_t cap);

/* ---- keys ---- */

#define MAC_TAG(vsid) ((vsid) >> 16)

static inline uint64_t mac_key(uint32_t vsid, uint64_t mac)
{
	return mac | (uint64_t)vsid << 48;
}

/* 63 bits of a salted hash, never 0. */
static inline uint64_t ip6_key(const struct policy *p, const uint8_t *b, uint64_t with)
{
	uint64_t hi, lo, h;

	memcpy(&hi, b, 8);
	memcpy(&lo, b + 8, 8);
	h = flowhash_mix(flowhash_mix(hi ^ p->salt6[0], lo ^ p->salt6[1]) ^ FLOWHASH_K1, with ^ p->salt6[1]);
	return (h & ~(UINT64_C(1) << 63)) | !h;
}

static inline uint64_t ca_key(const struct policy *p, uint32_t vsid, const struct ip_addr *a)
{
	if (a->family == 4)
		return UINT64_C(1) << 63 | (uint64_t)vsid << 32 | load_be32(a->b);
	return ip6_key(p, a->b, vsid);
}

/* ---- records (records.c) ---- */

/* The part of a record that changes in place, by one store. */
union record_place {
	struct {
		uint16_t host, port;
		uint8_t type, origin, pa, flags;
	};
	uint64_t word;
};

static inline union record_place record_place(const struct policy_record *r)
{
	return (union record_place){ .word = __atomic_load_n(&r->place, __ATOMIC_RELAXED) };
}

int records_init(struct policy *p);
void records_fini(struct policy *p);

/* ---- macs.c ---- */

int macs_init(struct policy *p);
void macs_fini(struct policy *p);
/* Make sure that mac_open() of n new MACs succeeds. @return 0, -ENOSPC. */
int mac_reserve(struct policy *p, uint32_t n);
const struct mac_ctl *mac_find(const struct policy *p, uint32_t vsid, uint64_t mac); /* NULL: nothing known */
/* The entry of (vsid, mac), made if need be (after mac_reserve()); goes to mac_publish() when changed. */
struct mac_ctl *mac_open(struct policy *p, uint32_t vsid, uint64_t mac);
/* Publish what follows from the entry; an entry that says nothing any more goes. */
void mac_publish(struct policy *p, uint32_t vsid, uint64_t mac, struct mac_ctl *c);
/* The MAC has moved to this port (or, PORT_NONE, away): its records learn of it. */
void mac_set_port(struct policy *p, uint32_t vsid, uint64_t mac, uint16_t port);

/* ---- away.c ---- */

int away_init(struct policy *p);
void away_fini(struct policy *p);
/* What is known of a MAC has changed; NULL: nothing is, any more. */
void away_publish(struct policy *p, uint32_t vsid, uint64_t mac, const struct mac_ctl *c);
/* The MAC had a port here till now. */
void away_left(struct policy *p, uint32_t vsid, uint64_t mac);
void away_expire(struct policy *p, uint64_t now_ms);

/* ---- hint.c ---- */

/* Policy says something about the MAC: that holds. */
void hint_clear(struct policy *p, uint32_t vsid, uint64_t mac);
void hints_expire(struct policy *p, uint64_t now_ms);
/* Place of a record with RECORD_F_HINTED. Worker, or main. */
union record_place hinted_place(const struct policy *p, const struct policy_record *r, union record_place place);

/* Where a record is to be found. */
static inline union record_place record_place_now(const struct policy *p, const struct policy_record *r)
{
	union record_place place = record_place(r);

	return __builtin_expect(place.flags & RECORD_F_HINTED, 0) ? hinted_place(p, r, place) : place;
}

/* ---- hosts.c ---- */

int hosts_init(struct policy *p);
void hosts_fini(struct policy *p);
/* Index of a host for a record, made if need be; count one use. @return 0, -ENOSPC, -ENOMEM. */
int host_hold(struct policy *p, const char *id, uint16_t *ret, struct errbuf *err);
void host_release(struct policy *p, uint16_t host);
/*
 * Number of a provider address of the host (unset: PIN_ANY); count one use. @return 0, -EINVAL, -ENOSPC,
 * -ENOMEM.
 */
int host_pin(struct policy *p, uint16_t host, const struct ip_addr *pa, uint8_t *ret, struct errbuf *err);
void host_unpin(struct policy *p, uint16_t host, uint8_t pin);
struct ip_addr host_pin_address(const struct policy *p, uint16_t host, uint8_t pin);

static inline const struct policy_host *host_at(const struct policy *p, uint16_t host)
{
	return host < POLICY_MAX_HOSTS ? rcu_dereference(p->hosts[host]) : NULL;
}

static inline bool host_is_up(const struct policy *p, uint16_t host)
{
	return host < POLICY_MAX_HOSTS &&
	       __atomic_load_n(&p->host_up[host / 64], __ATOMIC_RELAXED) >> (host % 64) & 1;
}

/* PA index for a pin, or PA_ANY. Worker. */
static inline uint8_t host_pin_pa(const struct policy *p, uint16_t host, uint32_t pin)
{
	const struct policy_host *h;

	if (__builtin_expect(pin == PIN_ANY, 1))
		return PA_ANY;
	h = host_at(p, host);
	return h ? ((const struct host_pub *)(const void *)h)->pin_pa[pin] : PA_ANY;
}

/* ---- subnets.c ---- */

void subnets_fini(struct policy *p);
struct segment *segment_find(const struct policy *p, uint32_t vsid);
struct segment *segment_get(struct policy *p, uint32_t vsid); /* makes it; NULL: no memory */
void segment_put(struct policy *p, struct segment *s);	      /* frees it when nothing is in it */

/* ---- flood.c ---- */

int floods_init(struct policy *p);
void floods_fini(struct policy *p);
/*
 * A new flood set with changes, not yet published; NONE values change nothing. *ret is NULL when it would
 * be the same. @return 0, -ENOMEM.
 */
struct flood_change {
	uint16_t add_port, del_port, add_host, del_host; /* PORT_NONE, HOST_NONE: nothing */
};
int flood_prepare(const struct segment *s, const struct flood_change *c, struct policy_flood **ret);
void flood_commit(struct policy *p, struct segment *s, struct policy_flood *new);
/* Records of a VSID on a remote host; the flood set is not touched. */
uint32_t member_count(const struct policy *p, uint32_t vsid, uint16_t host);
void member_add(struct policy *p, uint32_t vsid, uint16_t host,
		uint32_t n); /* after table_reserve(&p->members) */
void member_sub(struct policy *p, uint32_t vsid, uint16_t host, uint32_t n);

/* ---- routes.c ---- */

int routes_init(struct policy *p);
void routes_fini(struct policy *p);
/* A routing domain by name, made if need be; counts one use. @return 0, -ENOSPC, -ENOMEM. */
int rdid_hold(struct policy *p, const char *id, uint32_t *ret, struct errbuf *err);
void rdid_release(struct policy *p, uint32_t rdid);
/* Make sure that n route_connect() succeed. @return 0, -ENOSPC. */
int route_reserve(struct policy *p, uint32_t n);
/* The on-link route of a subnet's gateway. Link-local gateways have none. */
void route_connect(struct policy *p, uint32_t rdid, uint32_t vsid, const struct ip_prefix *gateway);
void route_disconnect(struct policy *p, uint32_t rdid, uint32_t vsid, const struct ip_prefix *gateway);
/* A route of the same prefix, on-link in another subnet: REC_NONE or its index. */
uint32_t route_on_link_elsewhere(const struct policy *p, uint32_t rdid, const struct ip_prefix *prefix,
				 uint32_t vsid);

uint64_t route_key(const struct policy *p, uint32_t rdid, uint8_t family, unsigned int len,
		   const uint8_t *network);
struct ip_prefix prefix_network(const struct ip_prefix *p);

/* ---- ports.c ---- */

int ports_init(struct policy *p);
void ports_fini(struct policy *p);

/* ---- check.c: addresses against subnet and records; workers ---- */

bool ip_is_link_local(const struct ip_addr *a);
/* Not an address that one VM can own: multicast, broadcast, loopback, unspecified. */
bool ip_is_special(const struct ip_addr *a);
bool subnet_is_gateway(const struct policy_subnet *s, const struct ip_addr *a);
/* A CA that is in no record: can it be a guest's of this subnet that has not been learned yet? */
bool subnet_may_own(const struct policy_subnet *s, const struct ip_addr *a);
bool port_may_own(const struct policy_port *port, const struct ip_addr *a);
bool port_has_mac(const struct policy_port *port, uint64_t mac);
/* sight.c: the record of the address says that this MAC has it, at this port. */
bool sight_known(const struct policy *p, const struct policy_port *port, const struct ip_addr *ca, uint64_t mac);
/* Value in table ca, verified: TABLE_MISS, a record, or CA_GATEWAY. */
uint32_t ca_find(const struct policy *p, uint32_t vsid, const struct ip_addr *ca);
/* May a frame for MAC `mac` of this port carry IP destination `ip`? (HNV row 1) */
bool destination_allowed(const struct policy *p, const struct policy_subnet *s, uint32_t macv, uint64_t mac,
			 const struct ip_addr *ip);

#endif
