/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by diag_*.c, the methods that say why a packet did not arrive. Main thread; nothing here waits. */
#ifndef DAEMON_DIAG_H
#define DAEMON_DIAG_H

#include "daemon/control_private.h"

/* A watch with its memory. */
struct diag_watch {
	struct manager *m;
	struct watch_share *share; /* NULL: it has no place of it */
	uid_t uid;
	struct watch *watch;
	struct watch_memory *memory;
	size_t bytes;
	int fd; /* of the memory; -1: ours alone */
	int give[STREAM_FDS]; /* to be given away: to read the memory, and to write tails; -1: none */
	struct watch_tail *tails; /* [n_rings], the reader's; NULL: none */
	unsigned int n_rings;
	struct watch_reader readers[WATCH_RINGS_MAX];
	struct diag_watch *rest; /* room for what has to stay until workers have seen the end */
};

/*
 * For the caller of `c`. @param spec all but memory. @param shared the memory is to be given away. @return 0 or -errno
 * with a reason.
 */
int diag_watch_start(struct manager *m, const struct call *c, struct watch_spec *spec, bool shared,
		     struct diag_watch *ret, struct errbuf *err);
/* Let workers know what the reader in another process has read: again and again. */
void diag_watch_tails(struct diag_watch *w);
/* Also one that never began, but for zeroes. */
void diag_watch_stop(struct diag_watch *w);

/* The filter in parameter "filter" (an object of filter_fields, may be missing) with its names looked up. */
int diag_filter(struct manager *m, struct json_object *parameters, struct watch_filter *ret, struct errbuf *err);

/* Optional numbers. @return 0; -EINVAL when out of range or of another type. */
int diag_number(struct json_object *parameters, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
		struct errbuf *err);
int diag_bool(struct json_object *parameters, const char *name, bool *ret, struct errbuf *err);
int diag_ip(struct json_object *parameters, const char *name, bool wanted, struct ip_addr *ret, struct errbuf *err);
/* Index of the port in parameter `name`. */
int diag_port(struct manager *m, struct json_object *parameters, const char *name, uint16_t *ret, struct errbuf *err);
/* Slot of a member; -ENOENT with a reason. */
int diag_member(struct manager *m, const char *name, uint8_t *ret, struct errbuf *err);
/* Name of a slot, "" for none. @param buf of ID_SIZE. */
const char *diag_member_name(struct manager *m, uint8_t slot, char buf[ID_SIZE]);

const char *diag_verdict(uint8_t verdict);
/*
 * One row of a trace. @param first TSC that cycles are counted from. @param data of the frame, NULL: it is not shown.
 */
struct json_object *diag_row(struct manager *m, const struct watch_record *r, uint64_t first, const uint8_t *data);

/* A packet of these bytes, in as many buffers as it needs. NULL: none left, or no bytes. */
struct rte_mbuf *diag_mbuf(struct manager *m, const uint8_t *data, uint32_t n);

/* A timer of the loop, first due at once, then whenever it is set again. @return 0 or -errno. */
int diag_timer(struct manager *m, sd_event_source **ret, sd_event_time_handler_t fn, void *arg);
void diag_again(sd_event_source *timer, uint64_t us);
uint64_t diag_now_us(struct manager *m);

/* Where a guest with this port would send what is for `to`; false: it does not know, and would ask. */
bool diag_destination_mac(struct manager *m, uint32_t vsid, const struct ip_addr *from, const struct ip_addr *to,
			  struct mac *ret);
/* The MAC a guest of the port would send from. */
struct mac diag_source_mac(struct manager *m, uint16_t port, const struct ip_addr *from);

int do_ping(struct manager *m, struct call *c, struct errbuf *err);
int do_trace(struct manager *m, struct call *c, struct errbuf *err);
int do_dry_run(struct manager *m, struct call *c, struct errbuf *err);
int do_capture(struct manager *m, struct call *c, struct errbuf *err);
int do_test_port(struct manager *m, struct call *c, struct errbuf *err);
int do_next_hop(struct manager *m, struct call *c, struct errbuf *err);

#endif
