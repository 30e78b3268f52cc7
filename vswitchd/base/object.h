/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The objects users see, HNV's names in lower case, the same in config, CLI, JSON, metrics and code. Each is
 * a plain structure ("spec") with a field table; object_types[] ties them together.
 */
#ifndef BASE_OBJECT_H
#define BASE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/field.h"
#include "base/wire.h"

#define ID_SIZE		  64
#define PATH_SIZE	  108 /* sun_path */
#define SUBNET_GATEWAYS	  8
#define PORT_MACS	  16
#define PORT_ADDRESSES	  64
#define HOST_PAS	  32
#define TEAM_MEMBERS	  32
#define LOCAL_PAS	  64
#define DEVARGS_SIZE	  256

/*
 * Who made an object. A key in two origins: error at load (config against admin), else the lower number wins.
 */
enum origin { ORIGIN_CONFIG, ORIGIN_ADMIN, ORIGIN_MANAGER, ORIGIN_LEARNED, ORIGIN_COUNT };
extern const char *const origin_names[];

enum port_type { PORT_VHOST_USER, PORT_TAP, PORT_PLAIN };
enum port_mode { PORT_CLIENT, PORT_SERVER };
enum port_state { PORT_ABSENT, PORT_ATTACHED, PORT_ACTIVE, PORT_LEAVING, PORT_NEEDS_GUEST_RESET };
extern const char *const port_type_names[], *const port_mode_names[], *const port_state_names[];

struct port_spec {
	char id[ID_SIZE];
	uint8_t type;		 /* enum port_type */
	uint32_t vsid;		 /* 0: plain switching */
	uint16_t n_macs;
	struct mac macs[PORT_MACS];
	char socket[PATH_SIZE];	 /* default: <socket-dir>/<id>.sock */
	uint8_t mode;		 /* enum port_mode: client = QEMU owns the socket */
	uint32_t socket_mode;	 /* server only, octal rights */
	char socket_group[32];
	uint16_t queues;	 /* queue pairs offered */
	bool packed;		 /* offer VIRTIO_F_RING_PACKED */
	bool mergeable;		 /* offer receive buffers that merge */
	bool tx_checksum, tso, ecn; /* what the guest may leave to the switch; each needs those before it */
	bool rx_checksum, rx_tso;   /* what the guest may be given, the same */
	uint32_t mtu;		 /* 0: derived from the provider MTU */
	uint16_t n_addresses;
	struct ip_prefix addresses[PORT_ADDRESSES]; /* source addresses allowed; none = by lookup records */
	bool dhcp_guard, ra_guard; /* drop what only a DHCP server, a router sends */
};

struct subnet_spec {
	uint32_t vsid;
	char rdid[ID_SIZE];
	uint16_t n_gateways;
	struct ip_prefix gateways[SUBNET_GATEWAYS]; /* gateway address with the subnet's prefix length */
	struct mac gateway_mac;	 /* zero: derived from the VSID */
	bool learning;
	struct ip_addr group;	 /* PA multicast group for flooding; unset: one copy per member host */
	bool external;		 /* virtualised by somebody else: we keep hands off */
	bool ra;		 /* send router advertisements */
};

enum record_type { RECORD_STATIC, RECORD_DYNAMIC, RECORD_L2ONLY, RECORD_GATEWAY_WILDCARD };
extern const char *const record_type_names[];

struct record_spec {
	uint32_t vsid;
	struct ip_addr ca;	 /* unset or any for l2only and gateway-wildcard */
	struct mac mac;
	char host[ID_SIZE];
	struct ip_addr provider_address; /* one of the host's; unset: any */
	uint8_t type;		 /* enum record_type */
	bool unusable;		 /* state */
	bool unsynchronized;	 /* state */
};

struct route_spec { /* customer-route */
	char rdid[ID_SIZE];
	uint32_t vsid;		 /* of the next hop (or on-link subnet) */
	struct ip_prefix prefix;
	struct ip_addr next_hop; /* unset or any: on-link */
	uint32_t metric;
};

enum pa_state { PA_INVALID, PA_TENTATIVE, PA_DUPLICATE, PA_DEPRECATED, PA_PREFERRED }; /* HNV row 23 */
extern const char *const pa_state_names[];

struct pa_spec { /* provider-address of this host */
	struct ip_addr address;
	uint8_t prefix_len;
	uint16_t vlan;		 /* 0: untagged */
	struct mac mac;		 /* zero: derived from host id and address */
	char member[ID_SIZE];	 /* home member; "": assigned in order */
};

struct provider_route_spec {
	struct ip_prefix prefix;
	struct ip_addr next_hop; /* required: on-link prefixes come from provider addresses */
	uint32_t metric;
};

enum encap_kind { ENCAP_NVGRE, ENCAP_TEST }; /* ENCAP_TEST is a place for a test's own */
enum spread { SPREAD_FLOW, SPREAD_RECORD };
extern const char *const spread_names[];
/* A test that registers an encapsulation as ENCAP_TEST names it here before main(); nobody writes it later. */
extern const char *encap_names[];

struct host_pa {
	struct ip_addr address;
	uint16_t mtu;	 /* of its underlay, IP bytes; 0: ours */
	uint16_t weight; /* share of flows, 1..255; default 1 */
	struct mac mac;	 /* of its next hop; zero: resolved by ARP or ND */
};

struct host_spec {
	char id[ID_SIZE];
	uint16_t n_pas;
	struct host_pa pas[HOST_PAS];
	uint8_t encapsulation; /* enum encap_kind */
	uint8_t spread;	       /* enum spread */
};

enum member_type { MEMBER_AF_PACKET, MEMBER_AF_XDP, MEMBER_DPDK };
extern const char *const member_type_names[];

struct member_spec {
	char name[ID_SIZE];	   /* netdev, or a name of the user's for MEMBER_DPDK */
	uint8_t type;		   /* enum member_type */
	char devargs[DEVARGS_SIZE]; /* MEMBER_DPDK: PCI address or vdev string */
	char relay[16];		   /* MEMBER_DPDK: TAP netdev that stands for the device in a team; "": none */
	uint32_t speed;		   /* Mbit/s; 0: the kernel's */
	uint16_t queues;	   /* rx queues; 0: derived */
};

enum object_kind {
	OBJECT_PORT,
	OBJECT_SUBNET,
	OBJECT_RECORD,
	OBJECT_ROUTE,
	OBJECT_PA,
	OBJECT_PROVIDER_ROUTE,
	OBJECT_HOST,
	OBJECT_MEMBER,
	OBJECT_COUNT
};

/* Largest spec, for buffers that hold any of them. */
union object_spec {
	struct port_spec port;
	struct subnet_spec subnet;
	struct record_spec record;
	struct route_spec route;
	struct pa_spec pa;
	struct provider_route_spec provider_route;
	struct host_spec host;
	struct member_spec member;
};

struct object_type {
	const char *name;   /* "lookup-record": JSON, documentation */
	const char *noun;   /* "record": CLI */
	const char *config; /* name of the list in the config file, "records" */
	size_t size;
	const struct field *fields;
	const char *text;
};

extern const struct object_type object_types[OBJECT_COUNT];

/* A buffer of this size holds any object as a line of field_write(), and any object_key(). */
#define OBJECT_LINE_MAX 8192
#define OBJECT_KEY_MAX	192

/* Zero the spec (object_types[kind].size bytes) and give its fields their defaults. Pure, any thread. */
void object_default(enum object_kind kind, void *spec);

/*
 * Checks that need no other object: required fields and ranges (field_check), and what the kind demands (VSID
 * range, CA against type, next hop's family, MAC not a group address, ...).
 * @return 0, or -EINVAL, -ERANGE with a reason. Pure, any thread.
 */
int object_validate(enum object_kind kind, const void *spec, struct errbuf *err);

/*
 * Key of an object as text, e.g. "5001/10.0.0.2" or "5001/02:00:00:00:00:01" (record), "t1 10.0.0.0/24 via
 * 0.0.0.0" (route, on-link), "vm1" (port). Two objects of a kind are the same one if and only if the keys are
 * equal.
 * @return length, or -ENOSPC; OBJECT_KEY_MAX is enough for a valid spec. Pure, any thread.
 */
int object_key(enum object_kind kind, const void *spec, char *buf, size_t size);

#endif
