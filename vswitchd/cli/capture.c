/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture: copies of packets out of the daemon's rings into pcapng. The rings are shared memory: reading them is this
 * program's work, at its own pace; what it is too slow for is lost there, counted, and never held up.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/drop.h"
#include "base/str.h"
#include "base/watchring.h"
#include "cli/cli.h"
#include "cli/pcapng.h"
#include "version.h"

#define POLL_MS	 5
#define ROUND	 8192 /* records between two looks at the connection */
#define PORTS	 65536
#define MEMBERS	 256
#define UNKNOWN	 UINT32_MAX

struct capture {
	FILE *out;
	struct stream stream;
	struct watch_memory *memory;
	size_t bytes;
	struct watch_tail *tails;
	unsigned int n_rings;
	struct watch_reader readers[WATCH_RINGS_MAX];
	uint32_t *ids; /* of interfaces in the file: [PORTS] for ports, then [MEMBERS] */
	struct iface {
		char name[64], description[128];
	} *names; /* the same */
	uint32_t n_ids, snap;
	uint64_t count, limit, lost_told;
	bool over;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = 1;
}

/* ---- interfaces ---- */

static const char *string_of(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_string(v) : NULL;
}

static int64_t number_of(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_int64(v) : -1;
}

static void learn_interface(struct capture *c, struct json_object *o)
{
	const char *port = string_of(o, "port"), *member = string_of(o, "member");
	int64_t index = number_of(o, "index"), vsid = number_of(o, "vsid");
	struct iface new;
	size_t at;

	if ((!port && !member) || index < 0 || index >= (port ? PORTS : MEMBERS))
		return;
	memset(&new, 0, sizeof(new));
	at = (size_t)index + (port ? 0 : PORTS);
	str_copy(new.name, sizeof(new.name), port ? port : member);
	if (port && vsid > 0)
		snprintf(new.description, sizeof(new.description), "port %s, VSID %lld", port, (long long)vsid);
	else if (port)
		snprintf(new.description, sizeof(new.description), "port %s, plain switching", port);
	else
		snprintf(new.description, sizeof(new.description), "team member %s, provider network", member);
	if (memcmp(&c->names[at], &new, sizeof(new)) == 0)
		return;
	c->names[at] = new;
	c->ids[at] = UNKNOWN; /* another interface of the file from now on */
}

static void learn_interfaces(struct capture *c, struct json_object *reply)
{
	struct json_object *list = NULL;

	if (!json_object_object_get_ex(reply, "interfaces", &list))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		learn_interface(c, json_object_array_get_idx(list, i));
}

static int interface_id(struct capture *c, size_t at, uint32_t *ret)
{
	struct iface *n = &c->names[at];
	int r = 0;

	if (c->ids[at] == UNKNOWN) {
		if (!*n->name)
			snprintf(n->name, sizeof(n->name), at < PORTS ? "port-%zu" : "member-%zu",
				 at < PORTS ? at : at - PORTS);
		r = pcapng_interface(c->out, n->name, n->description, c->snap);
		c->ids[at] = c->n_ids++;
	}
	*ret = c->ids[at];
	return r;
}

/* ---- packets ---- */

static size_t place_of(const struct watch_record *r)
{
	bool wire = r->point == WATCH_WIRE_RX || r->point == WATCH_WIRE_TX || r->port >= WATCH_NO_PORT;

	return wire ? PORTS + r->member : r->port;
}

/* Why it was dropped, and where it belongs: its bytes alone do not say. */
static const char *comment_of(const struct watch_record *r, char *buf, size_t size)
{
	char vsid[32] = "";

	if (r->point != WATCH_DROP)
		return NULL;
	if (r->vsid_out)
		snprintf(vsid, sizeof(vsid), " [VSID %u]", r->vsid_out);
	snprintf(buf, size, "drop %s: %s%s", drop_name((enum drop_reason)r->drop),
		 drop_text((enum drop_reason)r->drop), vsid);
	return buf;
}

static uint64_t lost_of(const struct capture *c)
{
	uint64_t lost = 0;

	for (unsigned int i = 0; i < c->n_rings; i++)
		lost += watch_lost(&c->readers[i]);
	return lost;
}

static int write_record(struct capture *c, const struct watch_record *r, const uint8_t *data)
{
	static const uint32_t directions[WATCH_POINTS] = {
		[WATCH_GUEST_RX] = PCAPNG_INBOUND, [WATCH_WIRE_RX] = PCAPNG_INBOUND,
		[WATCH_GUEST_TX] = PCAPNG_OUTBOUND, [WATCH_WIRE_TX] = PCAPNG_OUTBOUND,
	};
	uint64_t lost = lost_of(c);
	char comment[256];
	struct pcapng_packet p = { .len = r->len, .captured = r->captured, .data = data, .lost = lost - c->lost_told,
				   .direction = directions[r->point],
				   .comment = comment_of(r, comment, sizeof(comment)) };
	double ns = ((double)r->tsc - (double)c->memory->tsc) * 1e9 / (double)c->memory->tsc_hz;
	int e = interface_id(c, place_of(r), &p.interface);

	p.time_ns = c->memory->realtime_ns + (uint64_t)(int64_t)ns;
	c->lost_told = lost;
	c->count++;
	return e < 0 ? e : pcapng_packet(c->out, &p);
}

/* The oldest of what lies at the ends of the rings, again and again. @return records written, -errno. */
static int drain(struct capture *c)
{
	for (int n = 0; n < ROUND; n++) {
		struct watch_record r, best;
		const uint8_t *data, *best_data = NULL;
		unsigned int from = 0;
		int e;

		for (unsigned int i = 0; i < c->n_rings; i++) {
			data = watch_next(&c->readers[i], &r);
			if (data && (!best_data || r.tsc < best.tsc)) {
				best = r;
				best_data = data;
				from = i;
			}
		}
		if (!best_data || (c->limit && c->count == c->limit))
			return n;
		e = write_record(c, &best, best_data);
		watch_done(&c->readers[from], &best);
		if (e < 0)
			return e;
	}
	return ROUND;
}

/* ---- the connection ---- */

static int map_rings(struct capture *c, int fd, int tails)
{
	struct stat st, st_tails;

	if (fstat(fd, &st) < 0 || fstat(tails, &st_tails) < 0 || (size_t)st.st_size < sizeof(*c->memory))
		return cli_error(-EPROTO, "the daemon gave no rings");
	c->bytes = (size_t)st.st_size;
	c->memory = mmap(NULL, c->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (c->memory == MAP_FAILED) {
		c->memory = NULL;
		return cli_error(-errno, "cannot map the rings: %s", strerror(errno));
	}
	c->n_rings = c->memory->n_rings;
	if (c->memory->magic != WATCH_MAGIC || c->n_rings > WATCH_RINGS_MAX || !c->memory->tsc_hz ||
	    watch_memory_bytes(c->n_rings, c->memory->ring_size) > c->bytes ||
	    (size_t)st_tails.st_size < c->n_rings * sizeof(*c->tails))
		return cli_error(-EPROTO, "the daemon is of another version: its rings are not known");
	c->tails = mmap(NULL, c->n_rings * sizeof(*c->tails), PROT_READ | PROT_WRITE, MAP_SHARED, tails, 0);
	if (c->tails == MAP_FAILED) {
		c->tails = NULL;
		return cli_error(-errno, "cannot map the rings' tails: %s", strerror(errno));
	}
	for (unsigned int i = 0; i < c->n_rings; i++)
		c->readers[i] = (struct watch_reader){ .ring = watch_ring_of(c->memory, i, c->memory->ring_size),
						       .told = &c->tails[i], .size = c->memory->ring_size };
	return 0;
}

/* News of the interfaces, or the end. */
static int read_news(struct capture *c)
{
	struct json_object *p;
	int r = stream_read(&c->stream);

	if (r == 0)
		return cli_error(-EPIPE, "the daemon ended the capture");
	while (r > 0 && (r = cli_next(&c->stream, &p, NULL)) > 0) {
		learn_interfaces(c, p);
		json_object_put(p);
	}
	return r < 0 ? r : 0;
}

static int run(struct capture *c)
{
	struct pollfd pfd = { .fd = c->stream.fd, .events = POLLIN };
	int n = 0, r;

	while (!interrupted && !(c->limit && c->count == c->limit)) {
		r = poll(&pfd, 1, n == ROUND ? 0 : POLL_MS);
		if (r > 0 && (r = read_news(c)) < 0) {
			drain(c);
			return r;
		}
		n = drain(c);
		if (n > 0 && fflush(c->out) != 0)
			n = -errno;
		if (n < 0)
			return n == -EPIPE ? 0 : cli_error(n, "cannot write: %s", strerror(-n));
	}
	return 0;
}

static int begin(const struct cli *cli, struct capture *c, struct json_object *parameters)
{
	struct json_object *p;
	int r;

	c->ids = malloc((PORTS + MEMBERS) * sizeof(*c->ids));
	c->names = calloc(PORTS + MEMBERS, sizeof(*c->names));
	if (!c->ids || !c->names) {
		json_object_put(parameters);
		return cli_error(-ENOMEM, "out of memory");
	}
	memset(c->ids, 0xff, (PORTS + MEMBERS) * sizeof(*c->ids));
	r = cli_begin(cli, METHOD_CAPTURE, parameters, &c->stream);
	if (r < 0)
		return r;
	c->stream.takes_fds = true;
	while ((r = cli_next(&c->stream, &p, NULL)) == 0) {
		r = stream_read(&c->stream);
		if (r <= 0)
			return cli_error(r < 0 ? r : -EPIPE, "the daemon ended the connection");
	}
	if (r < 0)
		return r;
	learn_interfaces(c, p);
	if (number_of(p, "snap") > 0)
		c->snap = (uint32_t)number_of(p, "snap"); /* less than asked for where many workers share the buffer */
	json_object_put(p);
	return map_rings(c, c->stream.got_fds[0], c->stream.got_fds[1]);
}

static void end(const struct cli *cli, struct capture *c, const char *file)
{
	uint64_t lost = c->memory ? lost_of(c) : 0;
	FILE *to = file ? stdout : stderr; /* standard output is the capture otherwise */

	if (cli->json && file) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "file", json_object_new_string(file));
		json_object_object_add(o, "packets", json_object_new_int64((int64_t)c->count));
		json_object_object_add(o, "lost", json_object_new_int64((int64_t)lost));
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else if (c->memory) {
		fprintf(to, "%llu packets captured, %llu copies lost\n", (unsigned long long)c->count,
			(unsigned long long)lost);
	}
	if (c->memory)
		munmap(c->memory, c->bytes);
	if (c->tails)
		munmap(c->tails, c->n_rings * sizeof(*c->tails));
	for (unsigned int i = 0; i < STREAM_FDS; i++)
		if (c->stream.got_fds[i] >= 0)
			close(c->stream.got_fds[i]);
	stream_done(&c->stream);
	free(c->ids);
	free(c->names);
}

static FILE *open_output(const char *file)
{
	FILE *f;

	if (file && strcmp(file, "-") != 0) {
		f = fopen(file, "we");
		if (!f)
			cli_error(-errno, "%s: %s", file, strerror(errno));
		return f;
	}
	if (!isatty(STDOUT_FILENO))
		return stdout;
	cli_error(-EINVAL, "a capture is no text: --write FILE, or a pipe (| tshark -r -, | wireshark -k -i -)");
	return NULL;
}

int cmd_capture(const struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	const char *file = cli->opt[OPT_WRITE] && strcmp(cli->opt[OPT_WRITE], "-") != 0 ? cli->opt[OPT_WRITE] : NULL;
	struct capture c = { .stream = { .fd = -1, .got_fds = { -1, -1 } } };
	struct json_object *p = json_object_new_object();
	uint64_t snap = 65535;
	int r = cli_filter(cli, p, argc, argv);

	if (r >= 0)
		r = cli_number(cli, OPT_COUNT, 1, UINT64_MAX / 2, NULL, &c.limit);
	if (r >= 0)
		r = cli_number(cli, OPT_SNAP, 1, 65535, p, &snap);
	if (r >= 0)
		r = cli_number(cli, OPT_BUFFER, 1, 64, p, NULL);
	c.snap = (uint32_t)snap;
	if (r >= 0 && !(c.out = open_output(cli->opt[OPT_WRITE])))
		r = -EINVAL;
	if (r < 0) {
		json_object_put(p);
		return r;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	r = begin(cli, &c, p);
	if (r >= 0)
		r = pcapng_section(c.out, "vswitchctl " VSWITCHD_VERSION);
	if (r >= 0 && fflush(c.out) == 0)
		r = run(&c);
	if (c.out != stdout && fclose(c.out) != 0 && r >= 0)
		r = cli_error(-errno, "%s: %s", file, strerror(errno));
	end(cli, &c, file);
	return r;
}
