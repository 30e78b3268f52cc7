/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics_text.h"

#define NS_PER_S 1000000000u

#define X(sym, structure, labels, text) typedef struct structure metric_of_##sym;
METRIC_SCOPE_LIST(X)
#undef X

const struct metric_family metric_families[] = {
#define X(scope_, member, name_, type_, unit_, help_)                                                                  \
	{ .scope = METRIC_SCOPE_##scope_, .type = METRIC_##type_, .offset = offsetof(metric_of_##scope_, member),      \
	  .name = name_, .unit = unit_, .help = help_ },
	METRIC_LIST(X)
#undef X
	{ .name = NULL },
};

static const size_t sizes[METRIC_SCOPES] = {
#define X(sym, structure, labels, text) [METRIC_SCOPE_##sym] = sizeof(struct structure),
	METRIC_SCOPE_LIST(X)
#undef X
};

const char *const metric_scope_labels[] = {
#define X(sym, structure, labels, text) labels,
	METRIC_SCOPE_LIST(X)
#undef X
};

const char *const metric_scope_texts[] = {
#define X(sym, structure, labels, text) text,
	METRIC_SCOPE_LIST(X)
#undef X
};

const char *const metric_type_names[] = { "counter", "gauge" };

void *metrics_add(struct metrics_snapshot *s, enum metric_scope scope)
{
	struct metric_values *v = &s->of[scope];

	if (v->n == v->room) {
		size_t room = v->room ? v->room * 2 : 16;
		void *p = realloc(v->v, room * sizes[scope]);

		if (!p)
			return NULL;
		v->v = p;
		v->room = room;
	}
	return memset((char *)v->v + v->n++ * sizes[scope], 0, sizes[scope]);
}

void metrics_snapshot_done(struct metrics_snapshot *s)
{
	for (unsigned int i = 0; i < METRIC_SCOPES; i++)
		free(s->of[i].v);
	memset(s, 0, sizeof(*s));
}

/* A label's value, as the format wants it. Ids and names of devices have nothing to escape; nobody relies on it. */
static void put_value(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			putc_unlocked('\\', out);
		if (*text == '\n')
			fputs_unlocked("\\n", out);
		else
			putc_unlocked(*text, out);
	}
}

static void put_port(const struct metric_port *p, FILE *out)
{
	fputs_unlocked("{port=\"", out);
	put_value(p->id, out);
	fprintf(out, "\",vsid=\"%" PRIu32 "\"", p->vsid);
}

static void put_member(const struct metric_member *m, FILE *out)
{
	fputs_unlocked("{member=\"", out);
	put_value(m->name, out);
	putc_unlocked('"', out);
}

static void put_labels(const struct metrics_snapshot *s, enum metric_scope scope, const void *v, FILE *out)
{
	const struct metric_port_drop *drop = v;
	const struct metric_queue *q = v;

	switch (scope) {
	case METRIC_SCOPE_PORT:
		put_port(v, out);
		break;
	case METRIC_SCOPE_PORT_DROP:
		put_port((const struct metric_port *)s->of[METRIC_SCOPE_PORT].v + drop->port, out);
		fprintf(out, ",reason=\"%s\"", drop->reason);
		break;
	case METRIC_SCOPE_MEMBER:
		put_member(v, out);
		break;
	case METRIC_SCOPE_PORT_QUEUE:
		put_port((const struct metric_port *)s->of[METRIC_SCOPE_PORT].v + q->owner, out);
		fprintf(out, ",queue=\"%" PRIu32 "\"", q->queue);
		break;
	case METRIC_SCOPE_MEMBER_QUEUE:
		put_member((const struct metric_member *)s->of[METRIC_SCOPE_MEMBER].v + q->owner, out);
		fprintf(out, ",queue=\"%" PRIu32 "\"", q->queue);
		break;
	case METRIC_SCOPE_VSID:
		fprintf(out, "{vsid=\"%" PRIu64 "\"", ((const struct metric_vsid *)v)->vsid);
		break;
	case METRIC_SCOPE_WORKER:
		fprintf(out, "{worker=\"%" PRIu64 "\"", ((const struct metric_worker *)v)->index);
		break;
	case METRIC_SCOPE_RECORD:
		fprintf(out, "{vsid=\"%" PRIu64 "\",ca=\"%s\"", ((const struct metric_record *)v)->vsid,
			((const struct metric_record *)v)->ca);
		break;
	case METRIC_SCOPE_SWITCH:
		return;
	default:
		fprintf(out, "{%s=\"%s\"", metric_scope_labels[scope], ((const struct metric_named *)v)->name);
		break;
	}
	putc_unlocked('}', out);
}

static void put_number(const struct metric_family *f, const void *v, FILE *out)
{
	uint64_t n = *(const uint64_t *)(const void *)((const char *)v + f->offset);

	if (strcmp(f->unit, "seconds") == 0)
		fprintf(out, " %" PRIu64 ".%09" PRIu64 "\n", n / NS_PER_S, n % NS_PER_S);
	else
		fprintf(out, " %" PRIu64 "\n", n);
}

void metrics_print_head(const struct metric_family *f, FILE *out)
{
	fprintf(out, "# TYPE vswitchd_%s %s\n", f->name, metric_type_names[f->type]);
	if (*f->unit)
		fprintf(out, "# UNIT vswitchd_%s %s\n", f->name, f->unit);
	fprintf(out, "# HELP vswitchd_%s %s.\n", f->name, f->help);
}

void metrics_print_values(const struct metrics_snapshot *s, const struct metric_family *f, FILE *out)
{
	const struct metric_values *values = &s->of[f->scope];
	const char *v = values->v;

	for (size_t i = 0; i < values->n; i++, v += sizes[f->scope]) {
		fputs_unlocked("vswitchd_", out);
		fputs_unlocked(f->name, out);
		if (f->type == METRIC_COUNTER)
			fputs_unlocked("_total", out);
		put_labels(s, f->scope, v, out);
		put_number(f, v, out);
	}
}

int metrics_print(const struct metrics_snapshot *s, FILE *out)
{
	fprintf(out, "# TYPE vswitchd_build info\n# HELP vswitchd_build Version of the daemon.\n"
		     "vswitchd_build_info{version=\"%s\"} 1\n", s->version);
	for (const struct metric_family *f = metric_families; f->name; f++) {
		if (f->scope == METRIC_SCOPE_RECORD)
			continue;
		metrics_print_head(f, out);
		metrics_print_values(s, f, out);
	}
	fputs("# EOF\n", out);
	return ferror(out) ? -EIO : 0;
}
