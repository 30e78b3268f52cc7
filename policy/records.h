/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to records.c and record_change.c. */
#ifndef POLICY_RECORDS_H
#define POLICY_RECORDS_H

#include "policy/policy_private.h"

/* In `prev`: the record is in no list; workers may still look at the rest of it. */
#define RECORD_FREE 0xfffffffeu

/* What a set has found out, before anything is changed. */
struct record_set {
	const struct record_spec *spec;
	enum origin origin;
	uint64_t mac;
	uint32_t old;		   /* the record with this key, or REC_NONE */
	const struct mac_ctl *ctl; /* of the new MAC, NULL: nothing known of it yet */
	uint16_t host;		   /* held */
	uint8_t pin;		   /* held */
	struct segment *segment;
	struct policy_flood *flood; /* prepared, NULL: stays as it is */
};

static inline bool spec_has_ca(const struct record_spec *s)
{
	return ip_is_set(&s->ca) && !ip_is_any(&s->ca);
}

static inline uint8_t spec_flags(const struct record_spec *s)
{
	return (uint8_t)((s->unusable ? RECORD_F_UNUSABLE : 0) |
			 (s->unsynchronized ? RECORD_F_UNSYNCHRONIZED : 0));
}

static inline bool host_is_remote(const struct policy *p, uint16_t host)
{
	return host != p->self;
}

/* The same key and MAC: one store says it all, for this record and, if the MAC moves, for its companions. */
void record_change(struct policy *p, const struct record_set *a);
/* A new record at index i, reachable by its CA and in the list of its MAC. */
void record_add(struct policy *p, const struct record_set *a, uint32_t i);
/* Take a record out of everything but the CA table and the flood set. */
void record_drop(struct policy *p, uint32_t i);

#endif
