/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of lookup records as OpenMetrics. A family at a time, as the format wants it: each visits all records. */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "base/str.h"
#include "daemon/manager.h"
#include "daemon/metrics.h"
#include "daemon/metrics_text.h"
#include "policy/policy.h"

#define BLOCK	    (16u * 1024)
#define VISITED_MAX 1000u /* records in a piece; those without packets cost time and give no text */
#define PRINTED_MAX 200u

/* One answer on its way. Made by the request, ended by the library. */
struct walk {
	struct manager *m;
	const struct metric_family *f; /* its name is NULL: all are there */
	uint64_t cursor;	       /* of records, in this family */
	bool begun;		       /* the family's head is there */
	char *text;		       /* made and not taken yet, from `at` on */
	size_t n, at;
};

static const struct metric_family *next_family(const struct metric_family *f)
{
	while (f->name && f->scope != METRIC_SCOPE_RECORD)
		f++;
	return f;
}

/* Some of the records. @return 1, 0: there are no more, -ENOMEM. */
static int take_some(struct walk *w, struct metrics_snapshot *s)
{
	struct record_spec rec;
	struct traffic t;
	int r = 1;

	for (unsigned int i = 0; i < VISITED_MAX && s->of[METRIC_SCOPE_RECORD].n < PRINTED_MAX && r > 0; i++) {
		struct metric_record *v;

		r = manager_object_next(w->m, OBJECT_RECORD, &w->cursor, &rec, NULL);
		if (r <= 0 || !manager_record_traffic(w->m, &rec, &t) || !t.packets)
			continue;
		v = metrics_add(s, METRIC_SCOPE_RECORD);
		if (!v)
			return -ENOMEM;
		v->vsid = rec.vsid;
		format_ip(&rec.ca, v->ca);
		v->packets = t.packets;
		v->bytes = t.bytes;
	}
	return r;
}

static int make_piece(struct walk *w, FILE *out)
{
	struct metrics_snapshot s = { 0 };
	int r;

	if (!w->begun)
		metrics_print_head(w->f, out);
	w->begun = true;
	r = take_some(w, &s);
	if (r >= 0)
		metrics_print_values(&s, w->f, out);
	metrics_snapshot_done(&s);
	if (r)
		return r;
	w->f = next_family(w->f + 1);
	w->cursor = 0;
	w->begun = false;
	if (!w->f->name)
		fputs("# EOF\n", out);
	return 0;
}

/* @return 0, -ENOMEM. */
static int make_text(struct walk *w)
{
	FILE *out;
	int r;

	free(w->text);
	w->text = NULL;
	w->n = w->at = 0;
	out = open_memstream(&w->text, &w->n);
	if (!out)
		return -ENOMEM;
	r = make_piece(w, out);
	return fclose(out) != 0 || r < 0 ? -ENOMEM : 0;
}

static ssize_t on_room(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct walk *w = arg;
	size_t n;

	/* A piece may be empty. No answer yet would have the library wait for us: it asks again at once. */
	while (w->at == w->n) {
		if (!w->f->name)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (make_text(w) < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (w->at == w->n && w->f->name)
			return 0;
	}
	n = w->n - w->at < max ? w->n - w->at : max;
	memcpy(buf, w->text + w->at, n);
	w->at += n;
	return (ssize_t)n;
}

static void on_end(void *arg)
{
	struct walk *w = arg;

	free(w->text);
	free(w);
}

struct MHD_Response *metrics_records(struct manager *m)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct MHD_Response *r;

	if (!w)
		return NULL;
	w->m = m;
	w->f = next_family(metric_families);
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_room, w, on_end);
	if (!r)
		free(w);
	return r;
}
