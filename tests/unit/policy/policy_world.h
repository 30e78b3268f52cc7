/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy filled by lines of text, and packets through its stages. */
#ifndef TESTS_UNIT_POLICY_WORLD_H
#define TESTS_UNIT_POLICY_WORLD_H

#include "base/rcu.h"
#include "policy/policy.h"

/* cmocka group set-up and tear-down: RCU, no EAL. */
int world_setup(void **state);
int world_teardown(void **state);

/* A policy of host "h1". Aborts the test when it cannot be made. */
struct policy *world_new(uint32_t max_records);

/*
 * Set or remove an object given as "record vsid=5001 ca=10.0.0.2 mac=02:00:00:00:00:02 host=h2": noun, then
 * fields as the store writes them, and "unusable" as a word of its own. @return what policy_set() and
 * policy_remove() say; the reason is kept for world_error().
 */
int world_set(struct policy *p, enum origin origin, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int world_remove(struct policy *p, enum origin origin, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *world_error(void);

/* Parse such a line. @return the kind; aborts the test when it is malformed. */
enum object_kind world_parse(const char *line, union object_spec *ret);

struct mac world_mac(const char *text);
struct ip_addr world_ip(const char *text);

/* Where a frame goes; `dst`, `vsid`, ... of the metadata by name. */
struct outcome {
	enum verdict verdict;
	enum drop_reason drop;
	char to[ID_SIZE];  /* port or host id */
	uint32_t vsid;	   /* vsid_out */
	bool routed;
	uint8_t pa;
	uint8_t ttl;	   /* of the frame afterwards */
	struct mac dst_mac, src_mac;
};

/*
 * An IP packet (UDP; addresses NULL: a frame of EtherType 0x88b5) through a port's source check, lookup and
 * router. The metadata is parsed by pkt_parse(); the source cache is fresh unless given.
 */
struct outcome world_send(struct policy *p, const char *port, const char *src_mac, const char *dst_mac,
			  const char *src, const char *dst, uint8_t ttl, struct policy_src_cache *cache);
/* The same from the wire: VSID and host of the outer source ("" : unknown). */
struct outcome world_receive(struct policy *p, uint32_t vsid, const char *host, const char *src_mac,
			     const char *dst_mac, const char *src, const char *dst);

/* Up to 64 of them in one burst; expect is the caller's. */
struct world_receive {
	uint32_t vsid;
	const char *host, *src_mac, *dst_mac, *src, *dst, *expect;
};
void world_receive_burst(struct policy *p, const struct world_receive *list, struct outcome *ret, size_t n);

/* "local p1", "remote h2", "flood", "route", "drop no-record": for one-line expectations. */
const char *world_text(const struct outcome *o);

/* Random numbers of a test: printed seed, TEST_SEED takes it back. */
uint64_t world_seed(void);
uint64_t world_random(uint64_t *state);

#endif
