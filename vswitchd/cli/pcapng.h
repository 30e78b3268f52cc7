/* SPDX-License-Identifier: BSD-3-Clause */
/* Writer of pcapng (draft-ietf-opsawg-pcapng): sections, interfaces, packets with comments. */
#ifndef CLI_PCAPNG_H
#define CLI_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

#define PCAPNG_INBOUND	1
#define PCAPNG_OUTBOUND 2

struct pcapng_packet {
	uint32_t interface; /* by order of pcapng_interface() */
	uint64_t time_ns;   /* since 1970 */
	uint32_t len;	    /* on the wire */
	uint32_t captured;
	uint32_t direction; /* PCAPNG_*, 0: unknown */
	uint64_t lost;	    /* copies lost before this one, 0: none */
	const char *comment; /* NULL: none */
	const uint8_t *data;
};

/* @return 0 or -errno, of stdio; errors stick to the stream. */
int pcapng_section(FILE *f, const char *application);
int pcapng_interface(FILE *f, const char *name, const char *description, uint32_t snap);
int pcapng_packet(FILE *f, const struct pcapng_packet *p);

#endif
