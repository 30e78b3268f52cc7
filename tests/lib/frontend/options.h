/* SPDX-License-Identifier: BSD-3-Clause */
/* One --port group: "key=value,key=value". */
#ifndef TESTS_LIB_FRONTEND_OPTIONS_H
#define TESTS_LIB_FRONTEND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct port_options {
	/* the port */
	char *name;
	char *socket;
	uint64_t server;
	uint64_t queues;
	uint64_t active;
	char *ring;
	uint64_t size;
	uint64_t buf;
	uint64_t regions;
	uint64_t huge;
	uint64_t mrg;
	uint64_t indirect;
	uint64_t event_idx;
	uint64_t legacy;
	uint64_t hdr_desc;
	uint64_t csum;
	uint64_t gso;
	uint64_t guest_csum;
	uint64_t guest_gso;
	uint64_t no_protocol;
	uint64_t mtu;
	char *packed_base;
	uint64_t timeout;
	char *mode;
	uint64_t worker;
	char *mac;
	/* modes */
	char *frames;
	uint64_t rate;
	uint64_t count;
	uint64_t tx_csum;
	uint64_t tx_gso;
	uint64_t flows;
	char *classify;
	char *pcap;
	uint64_t pcap_max, pcap_vouched;
	char *seq;
	uint64_t expect;
	char *ip;
	char *tap;
	char *netns;
	char *hostile;
	uint64_t round;
};

/* Parse a group into freshly initialised options (defaults filled in). Returns 0, or -EINVAL after a line
 * on stderr that says what is wrong and what is allowed. Free with options_free in either case. */
int options_parse(const char *group, struct port_options *o);
void options_free(struct port_options *o);

/* The table of keys for --help. */
void options_help(FILE *out);

#endif
