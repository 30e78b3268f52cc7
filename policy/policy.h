/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy of one host: virtual subnets, lookup records, customer routes, hosts and the policy side of ports;
 * the lookups, checks and answers that the packet path makes from them.
 *
 * Two audiences. The control side (main thread, the only writer) sets and removes objects; every change is
 * O(1), never waits, and is visible to workers at once. The packet path (workers, inside an RCU read section)
 * reads. What is read in place (tables) has lock-free readers; what is replaced as a whole (subnet, host,
 * port, flood set) is immutable once published and freed after a grace period (rcu_defer).
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "base/encap_ops.h"
#include "base/errs.h"
#include "base/meta.h"
#include "base/object.h"
#include "base/tick.h"

struct policy;

#define POLICY_MAX_PORTS 1024
#define POLICY_MAX_HOSTS 16384

struct policy_params {
	const char *host_id;  /* this host's id in records */
	uint32_t max_records; /* tables are reserved for this many at creation; 1..16,777,216 */
	bool use_external_router; /* HNV 2.4: between subnets only through next hops of customer routes */
	bool routed_ttl; /* take one TTL from routed packets */
	int socket;	 /* NUMA node or SOCKET_ID_ANY */
	/* No worker will ever see it: any one thread may make and use it, and what is replaced is freed at once. */
	bool unseen;
};

/*
 * Create, with every table reserved. Main thread after rte_eal_init() and rcu_init(); also without both,
 * where there are no workers (a check of a configuration); with `unseen` any thread. @return 0, -ENOMEM, -EINVAL.
 */
int policy_create(const struct policy_params *params, struct policy **ret, struct errbuf *err);
void policy_free(struct policy *p);

/* Change the two knobs at run time. Main thread. */
void policy_set_knobs(struct policy *p, bool use_external_router, bool routed_ttl);

/* ---- control side: main thread ---- */

/*
 * Create an object or change the one with the same key. Kinds: PORT, SUBNET, RECORD, ROUTE, HOST. Validated
 * first by object_validate() and against the other objects: a record whose CA is a gateway address, two
 * records of one (vsid, MAC) on two hosts, a PA that is another host's, overlapping subnets in one routing
 * domain and the like are refused by name. An object of an origin with a smaller number is not changed
 * (-EPERM); one of a larger number is replaced (rank config > admin > manager > learned).
 *
 * Objects may come in any order. A record may name a host that is not configured, a port or a route a VSID
 * that is not: their packets are dropped until it is. A gateway prefix of a subnet is an on-link route by
 * itself; it is not listed as a customer-route. A change of a record's host moves the MAC: its other records
 * go along, unless one of a stronger origin says otherwise (then -EEXIST). A local port's MAC is local
 * whatever records say.
 * @return 0; 1 when nothing changed; -EINVAL, -EEXIST (contradiction), -EPERM, -ENOSPC (table full), -ENOMEM.
 */
int policy_set(struct policy *p, enum object_kind kind, const void *spec, enum origin origin,
	       struct errbuf *err);

/*
 * A host has ports in a virtual subnet: what is flooded there reaches it, with or without records. Added once, removed
 * once; this host is none. Main thread. @return 0; -ENOSPC, -ENOMEM (nothing has changed).
 */
int policy_member_add(struct policy *p, uint32_t vsid, const char *host, struct errbuf *err);
int policy_member_remove(struct policy *p, uint32_t vsid, const char *host);

/* Remove by key fields of spec. @return 0; -ENOENT; -EPERM (other origin); -EBUSY (subnet with ports). */
int policy_remove(struct policy *p, enum object_kind kind, const void *spec, enum origin origin,
		  struct errbuf *err);

/* Read one object by the key fields of *spec, which is completed. @return 0, -ENOENT. */
int policy_get(const struct policy *p, enum object_kind kind, void *spec, enum origin *ret_origin);
/*
 * Are packets to the record's MAC or CA delivered as things stand: by a port of this host, or to a host that is there
 * and has provider addresses (HNV row 43)? By the key fields of rec. Main thread. @return true if there is no such
 * record, too.
 */
bool policy_record_usable(const struct policy *p, const struct record_spec *rec);

/*
 * Visit objects of a kind in a stable order. *cursor starts at 0 and is advanced, so that a long listing can
 * be cut into pieces between turns of the event loop; changes in between are safe (an object may be missed or
 * seen twice only if it was itself changed). @return 1 with *ret filled, 0 at the end.
 */
int policy_next(const struct policy *p, enum object_kind kind, uint64_t *cursor, void *ret_spec,
		enum origin *ret_origin);

uint32_t policy_count(const struct policy *p, enum object_kind kind);

/*
 * Index of a port or host by id: PORT_NONE / HOST_NONE if there is none. Indices are reused after a grace
 * period.
 */
uint16_t policy_port_index(const struct policy *p, const char *id);
uint16_t policy_host_index(const struct policy *p, const char *id);
/* Does a record or a member name the host? This one always. Main thread. */
bool policy_host_named(const struct policy *p, const char *id);

/*
 * Places of records: what struct policy_record's indices are below, for who keeps something by record. A place is
 * another record's after a grace period. Main thread.
 */
uint32_t policy_record_places(const struct policy *p);
/* Place of the record with the key fields of rec, REC_NONE: there is none. Main thread. */
uint32_t policy_record_place(const struct policy *p, const struct record_spec *rec);
/*
 * A new record takes `place`; no packet finds it yet, and none goes to what was there before any more.
 * @param old where the record has been till now, and packets may go until the grace period is over: its MAC changes.
 * REC_NONE: nowhere.
 */
typedef void (*policy_record_place_fn)(void *arg, uint32_t place, uint32_t old);
/* From now on fn is told, on the main thread. One for all; NULL: nobody is. */
void policy_on_record_place(struct policy *p, policy_record_place_fn fn, void *arg);

/*
 * Visit the records of one (vsid, MAC), all of which name one host; *cursor starts at 0. Not safe across changes of
 * them. @return 1 with *ret filled, 0 at the end. Main thread.
 */
int policy_mac_records(const struct policy *p, uint32_t vsid, const struct mac *mac, uint64_t *cursor,
		       struct record_spec *ret, enum origin *ret_origin);

/*
 * Mark a host's records usable or not (dead host, PA missing); O(1), no record is visited: the router asks
 * the host, and so does whoever encapsulates (policy_host.usable). (vsid, MAC) lookups go on naming the host.
 * @return 0, -ENOENT.
 */
int policy_host_usable(struct policy *p, const char *id, bool usable);

/*
 * How long a MAC that had a port here is remembered when the port is gone (policy_away()), in ms; 0: not at all. What
 * is remembered and too old by that is forgotten. Main thread.
 */
void policy_set_departed(struct policy *p, uint32_t ms);

/*
 * The guest with this MAC has moved from host `from` to `to` (indices), says `from` (MS-NVGREE 2.2.1). Believed until
 * `until_ms` (tick_ms()) at most: what is set or removed of the MAC's records or ports ends it. Main thread.
 * @return 0; -ENOENT (no usable record of a remote guest), -ESTALE (`from` is not where the guest is), -EINVAL (`to` is
 * this host, `from`, or has no provider address), -ENOSPC (too many hints).
 */
int policy_hint(struct policy *p, uint32_t vsid, const struct mac *mac, uint16_t from, uint16_t to, uint64_t until_ms);

/* Forget MACs and hints whose time is over. Main thread, a few times per second. @return were there such MACs? */
bool policy_expire(struct policy *p, uint64_t now_ms);

/*
 * Virtual subnets of remembered MACs, whose records are still wanted; one may come more than once. *cursor starts at 0;
 * *ret_vsid is left alone between calls. Main thread. @return false: no more.
 */
bool policy_departed_next(const struct policy *p, uint32_t *cursor, uint32_t *ret_vsid);

/* Default gateway MAC of a VSID when the subnet names none: locally administered, the same on every host. */
struct mac policy_gateway_mac(uint32_t vsid);

struct policy_next_hop {
	enum verdict verdict; /* ROUTE: a gateway address, answered here */
	enum drop_reason drop;
	uint32_t vsid_out, record; /* REC_NONE */
	struct ip_addr next_hop;   /* the destination when on-link */
	struct mac src_mac, dst_mac;
	uint16_t host, port; /* HOST_NONE, PORT_NONE */
	bool routed;
};

/*
 * Diagnostics: does what the packet path does for CA `from` on `vsid` to CA `to` (HNV 8, Select-NextHop); a
 * guest is taken to send to its gateway what is neither in its subnet's prefixes nor in its records. Any
 * thread in a read section, or main. @return 0, -ENOENT (VSID not configured), -EINVAL (families differ, `to`
 * is no unicast address).
 */
int policy_next_hop(const struct policy *p, uint32_t vsid, const struct ip_addr *from,
		    const struct ip_addr *to, struct policy_next_hop *ret);

/* ---- packet path: workers, inside a read section ---- */

/* A port as workers see it; immutable, replaced as a whole. */
struct policy_port {
	uint16_t index;
	uint32_t vsid;
	uint16_t n_macs, n_addresses;
	struct mac macs[PORT_MACS];
	struct ip_prefix addresses[PORT_ADDRESSES];
	bool dhcp_guard, ra_guard;
	char id[ID_SIZE];
};

/* Members of a subnet for flooding; immutable. */
struct policy_flood {
	uint16_t n_ports, n_hosts;
	uint16_t *ports; /* local port indices */
	uint16_t *hosts; /* remote host indices: one copy each */
};

struct policy_subnet {
	uint32_t vsid;
	uint32_t rdid;	      /* index of the routing domain */
	uint64_t gateway_mac; /* mac_load() form */
	bool learning, external, ra;
	uint16_t n_gateways;
	struct ip_prefix gateways[SUBNET_GATEWAYS];
	struct ip_addr group;
	const struct policy_flood *flood; /* rcu_dereference() */
};

/* A host that only records name has no PAs and is not usable. Immutable, replaced as a whole. */
struct policy_host {
	uint16_t index, n_pas;
	bool self, usable;
	uint8_t encapsulation, spread;
	uint8_t pa_of_flow[64]; /* FLOW_PA(hash) & 63 -> PA index, by weight; changes as little as it can */
	struct host_pa pas[HOST_PAS];
	char id[ID_SIZE];
};

/*
 * One cache line. Key, MAC and CA are immutable: a change of MAC takes a new index. Where the MAC is changes
 * in place, by one store of `place`: who needs host and port of one moment loads that word.
 */
struct policy_record {
	union {
		struct {
			uint16_t host; /* host index */
			uint16_t port; /* local port index or PORT_NONE; a local port wins over host */
			uint8_t type, origin;
			uint8_t pa;    /* private to policy/ */
			uint8_t flags; /* RECORD_F_* */
		};
		uint64_t place;
	};
	uint32_t vsid;
	struct mac mac;
	struct ip_addr ca;   /* unset: l2only, gateway-wildcard */
	uint32_t next, prev; /* control side: records of one MAC */
} __attribute__((aligned(64)));

#define RECORD_F_UNUSABLE	0x01
#define RECORD_F_UNSYNCHRONIZED 0x02
#define RECORD_F_HINTED		0x04 /* private to policy/: the MAC is said to be elsewhere */

const struct policy_port *policy_port(const struct policy *p, uint16_t index); /* NULL: none */
const struct policy_host *policy_host(const struct policy *p, uint16_t index); /* NULL: none */
/* Two loads. NULL: not configured. */
const struct policy_subnet *policy_subnet(const struct policy *p, uint32_t vsid);
const struct policy_record *policy_record(const struct policy *p, uint32_t index);

/* Members of the plain segment (ports with VSID 0); n_hosts is 0. NULL when there is none. */
const struct policy_flood *policy_plain_flood(const struct policy *p);

/* Host of a PA: HOST_NONE if unknown. A hash lookup; callers keep the last answer of a burst. */
uint16_t policy_host_of_pa(const struct policy *p, const struct ip_addr *pa);

/*
 * Record that a packet with its verdict goes to: what the router chose, else that of its IP destination in vsid_out,
 * if it has the MAC that the frame is for. REC_NONE: none, or no IP packet.
 */
uint32_t policy_record_to(const struct policy *p, const struct rte_mbuf *m);

/* Record of (vsid, CA), or REC_NONE. */
uint32_t policy_ca_lookup(const struct policy *p, uint32_t vsid, const struct ip_addr *ca);

/* Where (vsid, MAC) is: see MACV_*. MACV_MISS when unknown. */
#define MACV_MISS     0xffffffffu
#define MACV_KIND(v)  ((v) >> 30)
#define MACV_LOCAL    0u /* MACV_INDEX: port */
#define MACV_REMOTE   1u /* MACV_INDEX: host; MACV_PA is private to policy/ */
#define MACV_GATEWAY  2u /* the subnet's gateway MAC */
#define MACV_DEAD     3u /* MACV_INDEX: host; record unusable now, or here without a port */
#define MACV_PA(v)    (((v) >> 25) & 31u)
#define MACV_WILDCARD (1u << 24) /* gateway-wildcard: may receive and send foreign addresses */
#define MACV_INDEX(v) ((v) & 0xffffu)
uint32_t policy_mac_lookup(const struct policy *p, uint32_t vsid, uint64_t mac);

/*
 * Is (vsid, MAC), which is not served here, a guest's that has gone from here? MACV_REMOTE with the host where records
 * have it; AWAY_UNKNOWN: no record says where it is; MACV_MISS: it was never here, or that is too long ago. Also for
 * MACs of ports whose records name another host. Any thread in a read section.
 */
#define AWAY_UNKNOWN (MACV_DEAD << 30 | HOST_NONE)
uint32_t policy_away(const struct policy *p, uint32_t vsid, uint64_t mac);
/* The provider address that a MACV_REMOTE value names, as meta.dst_pa. Worker. */
uint8_t policy_pin_pa(const struct policy *p, uint32_t macv);

/*
 * The stages below handle those packets of a burst whose verdict is still VERDICT_NONE and leave the others
 * alone.
 */

/*
 * Last good source of a port queue; owned by the worker that serves the queue, zeroed when the generation
 * changes.
 */
struct policy_src_cache {
	uint64_t mac, gen;
	uint8_t ip[2][16];
	uint8_t n_ip;
};

/*
 * Source check of frames from a port (HNV 2.5 step 2, 2.6): MAC is the port's; IPv4/IPv6 source is a record
 * of (VSID, CA) with this MAC, inside the port's `addresses`, of a gateway-wildcard MAC, link-local v6,
 * unspecified (DHCP, DAD), or unknown in a subnet that learns, where it has prefixes inside one of them;
 * never a gateway's. A list of `addresses` limits what may be unknown. ARP/ND sender addresses are judged by
 * neigh, other EtherTypes by MAC only. VSID 0 (s NULL) and external subnets: MAC only. Drops SRC_MAC, SRC_IP.
 */
void policy_source_burst(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct policy_src_cache *cache,
			 struct rte_mbuf **pkts, uint16_t n);

/*
 * Destination of frames from a port by (VSID, destination MAC): LOCAL, REMOTE, ROUTE, FLOOD (group address;
 * unknown unicast in a subnet that learns) or a drop. s NULL with VSID 0: the plain segment. dst_pa is the PA
 * that the record names, for hosts with spread "record". Whether the host is usable is for who encapsulates
 * to see.
 */
void policy_lookup_burst(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct rte_mbuf **pkts, uint16_t n);

/*
 * The distributed router, for packets with VERDICT_ROUTE (HNV 2.5 steps 4-9): longest prefix, metric, record,
 * MAC and TTL rewrite. Sets LOCAL or REMOTE with vsid_out, record, dst_pa and META_ROUTED, or a drop
 * (NO_ROUTE, NO_RECORD, RECORD_UNUSABLE, RDID, TTL, NO_SUBNET, SPLIT_HORIZON); a dropped packet is not
 * changed. Packets for a gateway address of the routing domain keep VERDICT_ROUTE: the caller answers them
 * (echo). RDID: no route here, but another domain has one. What a gateway-wildcard MAC sends takes no route
 * through such a MAC (HNV row 3).
 */
void policy_route_burst(const struct policy *p, const struct policy_subnet *s, struct rte_mbuf **pkts,
			uint16_t n);

/*
 * Destination of decapsulated frames (vsid_in, src_host set): LOCAL, FLOOD (local members only) or a drop
 * (VSID_UNKNOWN, SRC_PA_MISMATCH, SRC_RECORD, NOT_LOCAL, RESERVED_MAC, NO_RECORD). Compares the outer
 * source's host with the host of the inner source (HNV 1.7 items 7-9); an inner source that is the gateway
 * was routed, by any host. NO_RECORD: the inner destination address is another's or nobody's and the MAC no
 * gateway-wildcard (HNV row 1). Different VSIDs may be mixed.
 * @return is there one that may be a DHCP server's answer to a guest?
 */
bool policy_ingress_burst(const struct policy *p, struct rte_mbuf **pkts, uint16_t n);

/* ---- ARP, ND (policy/neigh.c) ---- */

/*
 * Tell a VM unasked what the proxy would answer it: m becomes a gratuitous ARP reply or an unsolicited advertisement
 * for a gateway address or a known CA of its subnet, to be delivered to the port. A VM takes it only where it has an
 * entry already, be it one that waits for an answer. @param m a buffer of our own, content does not matter. @return
 * false: nobody known, or the VM itself. Main, or a read section.
 */
bool policy_neigh_tell(const struct policy *p, const struct policy_port *port, const struct ip_addr *target,
		       struct rte_mbuf *m);

/*
 * Make m the router advertisement of the port's subnet for that port (RFC 4861 4.2), where the subnet wants them and
 * its gateway has a link-local address. @param mtu of the guest; 0: not said. @param last where the subnet does not
 * want them any more, make the one that says so (6.2.5). Threads as above. @return false: none.
 */
bool policy_neigh_advertise(const struct policy *p, const struct policy_port *port, uint16_t mtu, bool last,
			    struct rte_mbuf *m);

/*
 * Judge one ARP or ND packet (meta->pkt.kind PKT_ARP or PKT_ND) that a local port sent: proxy answer for
 * known CAs and gateways (the mbuf becomes the answer, VERDICT_REPLY), unicast probes go to the real VM, own
 * addresses and DAD by HNV 3.2, unknown targets flood or drop, spoofed senders drop SPOOF_ARP. Otherwise the
 * verdict stays VERDICT_NONE and ordinary lookup follows. One body for v4 and v6. Worker.
 */
void policy_neigh_egress(const struct policy *p, const struct policy_port *port,
			 const struct policy_subnet *s, struct rte_mbuf *m);

/* ---- what workers notice (policy/sight.c): the learner of policy/learn/ decides what it means ---- */

enum sight_kind {
	SIGHT_USES,	 /* a guest sends with the address, or answers for it */
	SIGHT_ANNOUNCES, /* it says unasked that it has the address */
	SIGHT_WANTS,	 /* it probes whether the address is free */
	SIGHT_OWNER,	 /* from the wire: who has the address says so; seen only while that is awaited */
	SIGHT_ASKS,	 /* it asked a DHCP server for an address */
	SIGHT_LEASE,	 /* a DHCP server has given it the address */
	SIGHT_MAC,	 /* reverse ARP: the MAC is here now */
	SIGHT_REDIRECT,	 /* not the learner's: host of `pa` says that MAC is at the host of `ca` now; unset: nowhere */
	SIGHT_SOLICITS,	 /* it asks for routers, where the subnet's gateway advertises itself; for no learner */
	SIGHT_MISMATCH,	 /* a packet contradicts policy and was dropped */
};

/* One message of a worker to main; copied by value. */
struct sighting {
	uint8_t kind; /* enum sight_kind */
	uint8_t drop; /* MISMATCH: enum drop_reason */
	uint16_t port; /* index, of the guest; PORT_WIRE */
	uint32_t vsid;
	uint32_t xid; /* ASKS, LEASE: transaction, host order */
	struct mac mac;
	struct ip_addr ca, pa; /* unset where there is none; pa: outer source, from the wire */
	uint8_t reserved[12];
};

static_assert(sizeof(struct sighting) == 64, "one cache line");

#define SIGHTS 8 /* of one packet at most */

/*
 * What an ARP or ND message of a local port (kind PKT_ARP, PKT_ND; before policy_neigh_egress(), which may rewrite it)
 * says that main does not know yet: nothing where the subnet does not learn, where the port may not have the address
 * (HNV 3.1: authority), and where the record is there and says the same. An answer that is awaited is told too.
 * @return sights in ret[SIGHTS]. Worker.
 */
unsigned int policy_sight_neigh(const struct policy *p, const struct policy_port *port,
				const struct policy_subnet *s, struct rte_mbuf *m, struct sighting *ret);
/* The same packet after it was dropped as SPOOF_ARP: whose address was claimed. */
unsigned int policy_sight_spoof(const struct policy_port *port, struct rte_mbuf *m, struct sighting *ret);
/* ARP or ND from the wire: the answers that are awaited. @return sights in ret[SIGHTS]. Worker. */
unsigned int policy_sight_wire(const struct policy *p, struct rte_mbuf *m, struct sighting *ret);

/*
 * A flooded packet of a guest that may ask a DHCP server for an address, or tell by reverse ARP that the guest is here.
 * @return 0 or 1 sight. Worker.
 */
unsigned int policy_sight_ask(const struct policy_port *port, const struct policy_subnet *s, struct rte_mbuf *m,
			      struct sighting *ret);
/* A packet toward local ports (vsid_out set) that may be a DHCP server's answer to one of them. As above. */
unsigned int policy_sight_lease(const struct policy *p, struct rte_mbuf *m, struct sighting *ret);

/*
 * For ports with dhcp_guard or ra_guard: drops DHCP_GUARD and RA_GUARD. Worker, before neighbour discovery is answered.
 */
void policy_guard_burst(const struct policy_port *port, struct rte_mbuf **pkts, uint16_t n);

/* Who was asked and may answer: a filter that never misses one, and sometimes takes another for one. */
#define AWAITED_BITS 8192
struct policy_awaited {
	uint64_t bits[AWAITED_BITS / 64];
};

/* Does somebody wait for an answer of a guest? Any thread. */
bool policy_awaits(const struct policy *p);
/* For an answer of this MAC (mac_load() form) about this address? Any thread. */
bool policy_awaited(const struct policy *p, uint32_t vsid, const struct ip_addr *ca, uint64_t mac);
/* Add one to a set that is made. Main thread. */
void policy_awaited_add(const struct policy *p, struct policy_awaited *set, uint32_t vsid, const struct ip_addr *ca,
			const struct mac *mac);
/* From now on those of the set, or one more. Main thread. */
void policy_set_awaited(struct policy *p, const struct policy_awaited *set);
void policy_await(struct policy *p, uint32_t vsid, const struct ip_addr *ca, const struct mac *mac);

/*
 * Make m a unicast question for an address: is the guest with this MAC there and has it? Asked by the subnet's gateway,
 * or on behalf of `asker` (mac_load() form, not 0), who wants the address: then it is a probe (RFC 5227, RFC 4862) and
 * the answer, which it gets, defends the address. The verdict says where to: LOCAL or REMOTE.
 * @param m a buffer of our own, content does not matter. @return false: nobody has the MAC, or there is no gateway that
 * could ask. Main, or a read section.
 */
bool policy_neigh_ask(const struct policy *p, uint32_t vsid, const struct ip_addr *ca, uint64_t mac, uint64_t asker,
		      struct rte_mbuf *m);
/* Make m the announcement "ca is at mac" to the whole subnet (gratuitous ARP, unsolicited advertisement): FLOOD. */
bool policy_neigh_announce(const struct policy *p, const struct policy_port *port, const struct ip_addr *ca,
			   uint64_t mac, struct rte_mbuf *m);

/* May the port have the address, as far as its list and the subnet's prefixes say? */
bool policy_may_have(const struct policy_port *port, const struct policy_subnet *s, const struct ip_addr *ca);

/* ---- NVGRE (policy/nvgre.c) ---- */

extern const struct encap_ops nvgre_ops; /* RFC 7637 over IPv4 and IPv6 */

/* What is left to know of an outer header that was accepted. */
struct nvgre_outer {
	struct ip_addr src, dst;
	uint8_t l3_off; /* outer IP header */
	uint8_t hops, flow_id;
	bool adjoins; /* nothing was taken out between it and the inner frame */
};

/*
 * Read the outer header of a packet that parse has accepted, when its inner frame has been uncovered; nothing else is
 * checked. @param outer first byte of the outer frame, @param len of it up to the inner one. @return false: it is none.
 */
bool nvgre_outer(const uint8_t *outer, uint32_t len, struct nvgre_outer *ret);

/*
 * Accept inner frames with a priority tag, 802.1Q with VID 0, as early drafts of NVGRE allowed. Off at start:
 * RFC 7637 3.3 wants every inner tag dropped. When on, parse sets encap_rx.inner_tag and the caller removes
 * the tag. Any other tag is DROP_INNER_VLAN either way. Main thread, at any time.
 */
void nvgre_set_accept_vid0(bool accept);

/* Ops by enum encap_kind, NULL when the build has none. */
const struct encap_ops *policy_encap(uint8_t kind);
/* Install ops for a kind (tests: the second encapsulation). Main thread, before workers start. */
void policy_encap_register(uint8_t kind, const struct encap_ops *ops);

#endif
