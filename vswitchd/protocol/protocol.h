/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control protocol, shared by daemon, CLI and policyd: Varlink (JSON messages ended by a NUL byte over a unix
 * stream socket). A call is {"method","parameters","more","oneway"}; replies are
 * {"parameters","continues"} or {"error","parameters"}.
 *
 * Trust: the peer of a server connection may be any local user. Everything it sends is bounded before it is
 * parsed: PROTOCOL_MESSAGE_MAX bytes a message, PROTOCOL_DEPTH_MAX nesting, PROTOCOL_QUEUE_MAX of queued output.
 */
#ifndef PROTOCOL_PROTOCOL_H
#define PROTOCOL_PROTOCOL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errs.h"
#include "base/object.h"

#define PROTOCOL_MESSAGE_MAX (1024 * 1024)
#define PROTOCOL_QUEUE_MAX   (1024 * 1024)
#define PROTOCOL_DEPTH_MAX   32

#define PROTOCOL_INTERFACE "org.vswitchd"

/* ---- stream.c: framing over a non-blocking or blocking socket ---- */

#define STREAM_FDS 2 /* descriptors that go with a message, if any do */

/* Buffers of one connection. Owned by one thread. */
struct stream {
	int fd;
	char *in, *out;
	size_t in_len, in_size, scanned, out_len, out_size, out_sent;
	bool takes_fds; /* the peer may send STREAM_FDS descriptors, into got_fds; whoever said so closes them */
	int got_fds[STREAM_FDS]; /* -1: none */
};

/* @param fd becomes the stream's and is closed by stream_done(). */
void stream_init(struct stream *s, int fd);
void stream_done(struct stream *s);

/*
 * Read what is there (one recv). @return bytes > 0; 0: the peer has closed; -EAGAIN; -EMSGSIZE: a message is longer
 * than PROTOCOL_MESSAGE_MAX (the connection cannot be used any more); other -errno.
 */
int stream_read(struct stream *s);

/*
 * Take the next complete message out of the buffer. @return 1 with *ret (caller puts it with json_object_put); 0: none
 * complete; -EBADMSG: not JSON, not an object, or nested too deeply.
 */
int stream_next(struct stream *s, struct json_object **ret);

/*
 * Queue a message (does not take the reference). @return 0; -ENOBUFS: more than PROTOCOL_QUEUE_MAX would be waiting:
 * the peer does not read, end the connection; -ENOMEM.
 */
int stream_queue(struct stream *s, struct json_object *message);

/* Send what is queued. @return bytes still waiting (0: all gone), -errno (-EPIPE...). */
long stream_flush(struct stream *s);

/*
 * Send a message, and descriptors with it, at once: nothing may be waiting. Takes none of them. @return 0; -EBUSY;
 * -errno (the connection cannot be used any more).
 */
int stream_send_fds(struct stream *s, struct json_object *message, const int fds[STREAM_FDS]);

/* Bytes queued and not sent. */
size_t stream_waiting(const struct stream *s);

/* Was something read that stream_next() has not looked at yet? Then it may have another message. */
bool stream_unread(const struct stream *s);

/* ---- objects_json.c: objects as JSON by their field tables ---- */

/*
 * A spec as a JSON object; unset members are left out unless `all`. @return new reference or NULL (no memory).
 * Numbers as numbers, lists as arrays, addresses and enums as strings.
 */
struct json_object *fields_to_json(const struct field *rows, const void *spec, bool all);

/*
 * Fill a spec from JSON; members may be given as strings, too. Unknown members are an error that names the nearest
 * known one; FIELD_STATE members are accepted and ignored (so that what `show --json` prints can be read back).
 * @return 0 or -EINVAL with a reason.
 */
int fields_from_json(const struct field *rows, void *spec, struct json_object *json, struct errbuf *err);

/* ---- methods.c ---- */

enum method_level { LEVEL_READ, LEVEL_OPERATE, LEVEL_ADMIN };
extern const char *const method_level_names[];

/* X(symbol, name, level, more, in, out, text): the table behind dispatch, authorization, IDL and documentation. */
#define METHOD_LIST(X)                                                                                                 \
	X(VERSION, "Version", READ, false, "", "version: string, host: string, pid: int, started: int, ready: bool",   \
	  "Version and identity of the running daemon")                                                                \
	X(INFO, "Info", READ, false, "", "info: object", "State of the daemon: settings in force, store, reloads")     \
	X(LIST, "List", READ, true, "kind: string, key: ?object",                                                      \
	  "object: object, origin: string, file: ?string, line: ?int, traffic: ?object",                               \
	  "Objects of a kind, one per reply")                                                                          \
	X(GET, "Get", READ, false, "kind: string, key: object",                                                        \
	  "object: object, origin: string, file: ?string, line: ?int, traffic: ?object",                               \
	  "One object by its key")                                                                                     \
	X(SET, "Set", ADMIN, false, "kind: string, object: object", "changed: bool, warning: ?string",                 \
	  "Create an object or change it; answered when it is on disk")                                                \
	X(REMOVE, "Remove", ADMIN, false, "kind: string, key: object", "", "Remove an object by its key")              \
	X(IMPORT, "Import", ADMIN, false, "kind: string, objects: []object", "changed: int, warning: ?string",         \
	  "Set many objects; stops at the first error, which names its position")                                      \
	X(PORTS, "Ports", READ, true, "id: ?string", "port: object",                                                   \
	  "Ports with state, negotiated features, MTU and counters")                                                   \
	X(TEAM, "Team", READ, false, "", "team: object", "Members, provider addresses, buckets and traffic")           \
	X(TRAFFIC, "Traffic", READ, true, "", "traffic: object",                                                       \
	  "Packets of the guests of each virtual subnet, also by ports that have left; one subnet per reply")          \
	X(NEIGHBOURS, "Neighbours", READ, false, "", "neighbours: []object",                                           \
	  "Resolution of remote provider addresses and next hops")                                                     \
	X(DROPS, "Drops", READ, false, "port: ?string, all: ?bool", "drops: []object",                                 \
	  "Counters of lost packets by reason")                                                                        \
	X(STATS, "Stats", READ, false, "", "stats: object", "Totals: ports, members, stages, tables")                  \
	X(OFFLOAD, "Offload", READ, false, "", "offload: object",                                                      \
	  "Checksums and segmentation: what guests negotiated, and how often who did what")                            \
	X(WORKERS, "Workers", READ, false, "", "workers: []object", "Load of each worker")                             \
	X(NEXT_HOP, "NextHop", OPERATE, false, "vsid: int, from: string, to: string", "next_hop: object",              \
	  "Where the packet path sends what one address has for another")                                              \
	X(PING, "Ping", OPERATE, true,                                                                                 \
	  "to: string, from: ?string, member: ?string, size: ?int, df: ?bool, count: ?int, interval: ?int, "           \
	  "timeout: ?int",                                                                                             \
	  "pong: object", "Echo to a provider address, one reply each; times in milliseconds")                         \
	X(TEST_PORT, "TestPort", OPERATE, true,                                                                        \
	  "sender: ?string, receiver: ?string, from: ?string, to: ?string, sequence: ?int, size: ?int, timeout: ?int", \
	  "test: ?object", "Echo from port to port without the guests; the first reply says that it is armed")         \
	X(DRY_RUN, "DryRun", OPERATE, false, "port: string, packet: string", "trace: object",                          \
	  "What each stage does with a packet in words, or a frame in hex, that a port's guest would send")            \
	X(TRACE, "Trace", OPERATE, true, "filter: ?object, count: ?int", "trace: ?object",                             \
	  "What each stage does with the next packets; the first reply says that it has begun")                        \
	X(CAPTURE, "Capture", OPERATE, true, "filter: ?object, snap: ?int, buffer: ?int",                              \
	  "interfaces: []object, snap: ?int",                                                                          \
	  "Copies of packets in shared memory: its descriptor comes with the first reply; ends with the connection")   \
	X(EVENTS, "Events", READ, true, "follow: ?bool", "event: object", "Events as they happen")                     \
	X(STORE, "Store", READ, false, "", "store: object", "The store that hosts share, and how far we are with it")  \
	X(APPLY, "Apply", ADMIN, false, "file: string, text: ?string, dry_run: ?bool",                                 \
	  "added: int, changed: int, removed: int, changes: []object",                                                 \
	  "Managers: make shared policy what a file says; answered when the store has it")                             \
	X(RELOAD, "Reload", ADMIN, false, "", "", "Read the configuration file again and apply the differences")

enum method {
#define X(sym, ...) METHOD_##sym,
	METHOD_LIST(X)
#undef X
	METHOD_COUNT,
};

struct method_info {
	const char *name; /* without the interface */
	enum method_level level;
	bool more;	  /* streams replies when the call says "more" */
	const char *in, *out, *text;
};

extern const struct method_info methods[METHOD_COUNT];

/* Errors a method may return; the reason is in parameters.text. */
#define ERROR_LIST(X)                                                                    \
	X(INVALID, "InvalidParameter", EINVAL, "a parameter is wrong; the reason says which") \
	X(NOT_FOUND, "NotFound", ENOENT, "no such object")                                  \
	X(EXISTS, "Contradiction", EEXIST, "contradicts another object")                    \
	X(DENIED, "PermissionDenied", EACCES, "the caller may not call this method")        \
	X(OWNED, "OwnedByConfig", EPERM, "the object belongs to the configuration file or a higher origin") \
	X(AGAIN, "TryAgain", EAGAIN, "not now: another manager is elected, or the store cannot be reached or written") \
	X(BUSY, "Busy", EBUSY, "in use, or being changed")                                  \
	X(FULL, "Full", ENOSPC, "a table is full")                                          \
	X(FAILED, "Failed", EIO, "something else went wrong; the reason says what")

enum protocol_error {
#define X(sym, ...) PROTOCOL_ERROR_##sym,
	ERROR_LIST(X)
#undef X
	PROTOCOL_ERROR_COUNT,
};

/* "org.vswitchd.NotFound" for -ENOENT; Failed for what is not in the list. And back: -errno. */
const char *protocol_error_name(int r);
int protocol_error_errno(const char *name);

/* Method by full name ("org.vswitchd.List"), METHOD_COUNT if there is none. */
enum method method_find(const char *full_name);

/* The interface description in Varlink's IDL, generated from the tables. @return malloc'ed text, NULL: no memory. */
char *protocol_idl(void);

/* ---- calls and replies ---- */
struct json_object *call_new(const char *method, struct json_object *parameters, bool more);
struct json_object *reply_new(struct json_object *parameters, bool continues);
struct json_object *error_new(int r, const char *text);

/* Connect to a control socket. @return fd, -errno with a reason that says what to do. */
int protocol_connect(const char *path, struct errbuf *err);

#endif
