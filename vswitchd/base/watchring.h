/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies of packets on their way from a worker to whoever looks at them: one ring of records per worker, in memory
 * that may be shared with another process (vswitchctl capture).
 *
 * Trust: the reader may be anybody. The writer believes nothing that the reader can write: it keeps its own position,
 * and of the reader's it takes only how much room there would be. Whatever the reader writes, the writer stays inside
 * the ring and never waits: a record that does not fit is lost and counted. A reader in another process can only read
 * the memory: could it write it could also take the pages away, and workers would have to fetch new ones. What it has
 * read it says in memory of its own kind (struct watch_tail), from which the owner of the rings takes it over.
 */
#ifndef BASE_WATCHRING_H
#define BASE_WATCHRING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_MAGIC	0x76737732u /* and version */
#define WATCH_NO_PORT	0xfffeu	    /* from here on a port's number is no port: PORT_NONE, PORT_WIRE */
#define WATCH_RINGS_MAX 65
#define WATCH_RING_MIN	(64u * 1024)
#define WATCH_RING_MAX	(64u * 1024 * 1024)

/* Where a packet was seen. X(symbol, "name", "what it is") */
#define WATCH_POINT_LIST(X)                                                        \
	X(GUEST_RX, "guest-rx", "came from a guest")                               \
	X(GUEST_TX, "guest-tx", "goes into a guest's ring")                        \
	X(WIRE_RX, "wire-rx", "came by a team member, as it was on the wire")      \
	X(WIRE_TX, "wire-tx", "goes out by a team member, as it is on the wire")   \
	X(DROP, "drop", "was dropped, as it was then")                             \
	X(STAGE, "stage", "has passed a stage of the packet path")

enum watch_point {
#define X(sym, name, text) WATCH_##sym,
	WATCH_POINT_LIST(X)
#undef X
	WATCH_POINTS,
	WATCH_PAD = 255, /* the rest of the ring is left empty */
};

/* One record; `captured` bytes of the frame follow, then up to 7 of padding. Host byte order. */
struct watch_record {
	uint32_t size;	  /* of the record with all that follows, a multiple of 8 */
	uint8_t point;	  /* enum watch_point */
	uint8_t stage;	  /* enum stage, for WATCH_STAGE */
	uint8_t verdict;  /* enum verdict */
	uint8_t drop;	  /* enum drop_reason */
	uint64_t tsc;
	uint32_t len;	  /* of the frame */
	uint32_t captured;
	uint32_t vsid;	  /* 0: plain, or not known */
	uint32_t vsid_out;
	uint32_t record;  /* lookup record, REC_NONE */
	uint32_t trace;	  /* number of the packet in a trace, 0: none */
	uint16_t port;	  /* index; PORT_WIRE, PORT_NONE */
	uint16_t dst;	  /* of the verdict: port or host index */
	uint8_t member;	  /* slot, 0xff: none */
	uint8_t bucket, kind, flags; /* kind: enum pkt_kind; flags: META_* */
	uint32_t mark;	  /* of the kind of watch: the sequence number of a test */
	uint32_t reserved[3];
};

static_assert(sizeof(struct watch_record) == 64, "layout is shared with another process");

/* Positions count bytes and never wrap in practice. */
struct watch_ring {
	uint64_t head __attribute__((aligned(64))); /* written by the writer */
	uint64_t lost;				    /* records that found no room; the writer's */
	uint64_t tail __attribute__((aligned(64))); /* written by the reader, or for it */
	uint8_t data[] __attribute__((aligned(64)));
};

/* Of each ring, in memory that the reader in another process writes. */
struct watch_tail {
	uint64_t tail;
} __attribute__((aligned(64)));

/* What the memory begins with; rings follow, each of watch_ring_bytes(). */
struct watch_memory {
	uint32_t magic, n_rings, ring_size, reserved;
	uint64_t tsc_hz, tsc, realtime_ns; /* tsc was read at realtime_ns, CLOCK_REALTIME */
} __attribute__((aligned(64)));

/* The writer's end; private to it. */
struct watch_writer {
	struct watch_ring *ring;
	uint64_t head, lost;
	uint32_t size; /* a power of two */
	uint32_t pending; /* bytes of the record that is being written */
};

static inline size_t watch_ring_bytes(uint32_t ring_size)
{
	return sizeof(struct watch_ring) + ring_size;
}

static inline size_t watch_memory_bytes(unsigned int n_rings, uint32_t ring_size)
{
	return sizeof(struct watch_memory) + n_rings * watch_ring_bytes(ring_size);
}

struct watch_ring *watch_ring_of(struct watch_memory *m, unsigned int ring, uint32_t ring_size);

/*
 * Room for a record with `captured` bytes of frame behind it. The caller fills it in, but for size, and calls
 * watch_commit(). One thread. @return NULL: no room, counted as lost.
 */
struct watch_record *watch_reserve(struct watch_writer *w, uint32_t captured);
void watch_commit(struct watch_writer *w);

/* The reader's end. A ring that makes no sense reads as empty. */
struct watch_reader {
	struct watch_ring *ring;
	struct watch_tail *told; /* where to say what was read; NULL: in the ring, which may be written */
	uint64_t tail;
	uint32_t size;
};

/*
 * The next record, in place: good until watch_done(). @param copy of the header that was checked, so that it cannot
 * change any more. @return its frame's bytes, NULL: none.
 */
const uint8_t *watch_next(struct watch_reader *r, struct watch_record *copy);
void watch_done(struct watch_reader *r, const struct watch_record *copy);
/* Take over what a reader in another process says. The owner of the rings; any thread. */
void watch_take_tail(struct watch_ring *ring, const struct watch_tail *told);
uint64_t watch_lost(const struct watch_reader *r);

const char *watch_point_name(enum watch_point p);

#endif
