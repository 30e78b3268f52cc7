/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/storectl.h"
#include "policy/store/store.h"

#define RETRY_US (2 * 1000 * 1000)

enum change_kind { CHANGE_PUT, CHANGE_DELETE, CHANGE_BARRIER };

/* One change, as text: the store thread shares nothing with the main thread. */
struct change {
	struct change *next;
	enum change_kind what;
	enum object_kind kind;
	enum origin origin;
	storectl_done_fn fn; /* NULL: its owner has been told (of a failure) */
	void *arg;
	char *key, *text;
};

struct batch {
	struct job job;
	struct storectl *s;
	struct change *head, **tail;
	unsigned int n;
};

struct storectl {
	sd_event *loop;
	struct jobq *jobs;
	struct store *store; /* store thread, after opening */
	storectl_state_fn state;
	void *arg;
	struct batch *next;	   /* being gathered */
	struct batch *writing;	   /* with the store thread, or waiting to be tried again */
	bool failed, waiting;	   /* last transaction failed; until the retry timer */
	unsigned int pending;
	sd_event_source *retry;
};

/* ---- batches ---- */

static struct batch *batch_new(struct storectl *s)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->s = s;
	b->tail = &b->head;
	return b;
}

static void change_free(struct change *c)
{
	free(c->key);
	free(c->text);
	free(c);
}

static void batch_free(struct batch *b)
{
	struct change *c, *next;

	for (c = b ? b->head : NULL; c; c = next) {
		next = c->next;
		change_free(c);
	}
	free(b);
}

/* Tell the owners. On failure the changes stay: they are in effect and will be tried again. */
static void batch_tell(struct batch *b, int r, const char *text)
{
	struct change *c;

	for (c = b->head; c; c = c->next) {
		storectl_done_fn fn = c->fn;

		c->fn = NULL;
		if (fn)
			fn(c->arg, r, text);
	}
}

/* ---- store thread ---- */

static int write_one(struct store *store, const struct change *c, struct errbuf *err)
{
	switch (c->what) {
	case CHANGE_PUT:
		return store_put(store, c->kind, c->key, c->origin, c->text, err);
	case CHANGE_DELETE:
		return store_delete(store, c->kind, c->key, err);
	case CHANGE_BARRIER:
		break;
	}
	return 0;
}

static int batch_run(struct job *job)
{
	struct batch *b = (struct batch *)job;
	struct store *store = b->s->store;
	struct change *c;
	int r = store_begin(store, &job->err);

	if (r < 0)
		return r;
	for (c = b->head; c && r == 0; c = c->next)
		r = write_one(store, c, &job->err);
	if (r == 0)
		return store_commit(store, &job->err);
	store_rollback(store);
	return r;
}

/* ---- main thread ---- */

/* Write what was gathered, unless something is being written. */
static void submit(struct storectl *s)
{
	if (s->writing || !s->next)
		return;
	s->writing = s->next;
	s->next = NULL;
	jobq_submit(s->jobs, &s->writing->job);
}

/* Try the transaction that failed once more. */
static void submit_again(struct storectl *s)
{
	s->waiting = false;
	jobq_submit(s->jobs, &s->writing->job);
}

static void batch_done(struct job *job)
{
	struct batch *b = (struct batch *)job;
	struct storectl *s = b->s;

	if (job->r < 0) {
		if (!s->failed) {
			s->failed = true;
			s->state(s->arg, job->r, job->err.text);
		}
		s->waiting = true;
		if (s->retry) {
			sd_event_source_set_time_relative(s->retry, RETRY_US);
			sd_event_source_set_enabled(s->retry, SD_EVENT_ONESHOT);
		}
		batch_tell(b, job->r, job->err.text);
		return;
	}
	s->writing = NULL;
	s->pending -= b->n;
	if (s->failed) {
		s->failed = false;
		s->state(s->arg, 0, "");
	}
	batch_tell(b, 0, "");
	batch_free(b);
	submit(s);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct storectl *s = userdata;

	if (s->waiting)
		submit_again(s);
	return 0;
}

static int add(struct storectl *s, struct change *c)
{
	if (!s->next)
		s->next = batch_new(s);
	if (!s->next) {
		change_free(c);
		return -ENOMEM;
	}
	s->next->job.run = batch_run;
	s->next->job.done = batch_done;
	*s->next->tail = c;
	s->next->tail = &c->next;
	s->next->n++;
	s->pending++;
	submit(s);
	return 0;
}

static struct change *change_new(enum change_kind what, enum object_kind kind, const char *key,
				 storectl_done_fn fn, void *arg)
{
	struct change *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->what = what;
	c->kind = kind;
	c->fn = fn;
	c->arg = arg;
	c->key = key ? strdup(key) : NULL;
	if (key && !c->key) {
		free(c);
		return NULL;
	}
	return c;
}

static struct change *change_of(enum change_kind what, enum object_kind kind, const void *spec, storectl_done_fn fn,
				void *arg)
{
	char key[OBJECT_KEY_MAX];

	return object_key(kind, spec, key, sizeof(key)) < 0 ? NULL : change_new(what, kind, key, fn, arg);
}

int storectl_put(struct storectl *s, enum object_kind kind, const void *spec, enum origin origin,
		 storectl_done_fn fn, void *arg)
{
	struct change *c = change_of(CHANGE_PUT, kind, spec, fn, arg);
	char text[OBJECT_LINE_MAX];

	if (!c)
		return -ENOMEM;
	c->origin = origin;
	if (field_write(object_types[kind].fields, spec, text, sizeof(text)) >= 0)
		c->text = strdup(text);
	if (!c->text) {
		change_free(c);
		return -ENOMEM;
	}
	return add(s, c);
}

int storectl_delete(struct storectl *s, enum object_kind kind, const void *spec, storectl_done_fn fn, void *arg)
{
	struct change *c = change_of(CHANGE_DELETE, kind, spec, fn, arg);

	return c ? add(s, c) : -ENOMEM;
}

int storectl_note(struct storectl *s, const char *key, const char *text)
{
	struct change *c = change_new(text ? CHANGE_PUT : CHANGE_DELETE, STORE_NOTE, key, NULL, NULL);

	if (!c)
		return -ENOMEM;
	c->origin = ORIGIN_MANAGER;
	c->text = text ? strdup(text) : NULL;
	if (text && !c->text) {
		change_free(c);
		return -ENOMEM;
	}
	return add(s, c);
}

int storectl_barrier(struct storectl *s, storectl_done_fn fn, void *arg)
{
	struct change *c = change_new(CHANGE_BARRIER, 0, NULL, fn, arg);

	return c ? add(s, c) : -ENOMEM;
}

unsigned int storectl_pending(const struct storectl *s)
{
	return s ? s->pending : 0;
}

bool storectl_failed(const struct storectl *s)
{
	return s && s->failed;
}

/* ---- opening, loading, closing: short jobs that are waited for ---- */

struct open_job {
	struct job job;
	struct storectl *s;
	const char *dir;
};

static int open_run(struct job *job)
{
	struct open_job *j = (struct open_job *)job;
	char path[PATH_SIZE + 32];

	snprintf(path, sizeof(path), "%s/policy.sqlite", j->dir);
	return store_open(path, &j->s->store, &job->err);
}

static int close_run(struct job *job)
{
	struct open_job *j = (struct open_job *)job;

	j->s->store = store_close(j->s->store);
	return 0;
}

static void nothing_done(struct job *job)
{
}

int storectl_new(sd_event *loop, const char *state_dir, storectl_state_fn state, void *arg, struct storectl **ret,
		 struct errbuf *err)
{
	struct storectl *s = calloc(1, sizeof(*s));
	struct open_job j = { .job = { .run = open_run, .done = nothing_done }, .s = s, .dir = state_dir };
	int r;

	if (!s)
		return err_set(err, ENOMEM, "out of memory");
	s->loop = loop;
	s->state = state;
	s->arg = arg;
	r = jobq_new("store", loop, false, &s->jobs);
	if (r == 0)
		r = sd_event_add_time(loop, &s->retry, CLOCK_MONOTONIC, 0, 0, on_retry, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->retry, SD_EVENT_OFF);
	if (r < 0) {
		storectl_free(s);
		return err_set(err, -r, "cannot start the store thread: %s", strerror(-r));
	}
	jobq_submit(s->jobs, &j.job);
	jobq_drain(s->jobs);
	if (j.job.r < 0) {
		*err = j.job.err;
		storectl_free(s);
		return j.job.r;
	}
	*ret = s;
	return 0;
}

struct storectl *storectl_free(struct storectl *s)
{
	struct open_job j = { .job = { .run = close_run, .done = nothing_done }, .s = s };

	if (!s)
		return NULL;
	s->retry = sd_event_source_disable_unref(s->retry);
	if (s->jobs) {
		/* Once more what failed; a store that still fails keeps what it has. */
		if (s->waiting)
			submit_again(s);
		jobq_drain(s->jobs);
		jobq_submit(s->jobs, &j.job);
		s->jobs = jobq_free(s->jobs);
	}
	if (s->pending)
		log_error("%u changes could not be written to the policy store and are lost", s->pending);
	if (s->next)
		batch_tell(s->next, -ECANCELED, "vswitchd is stopping");
	batch_free(s->next);
	batch_free(s->writing);
	free(s);
	return NULL;
}

struct load_job {
	struct job job;
	struct storectl *s;
	bool notes;
	struct change *head, **tail;
};

/* On the store thread: only copies. */
static int on_load(enum object_kind kind, const char *key, enum origin origin, const char *text, void *arg)
{
	struct load_job *j = arg;
	struct change *c = change_new(CHANGE_PUT, kind, key, NULL, NULL);

	if (!c)
		return -ENOMEM;
	c->origin = origin;
	c->text = strdup(text);
	if (!c->text) {
		change_free(c);
		return -ENOMEM;
	}
	*j->tail = c;
	j->tail = &c->next;
	return 0;
}

static int on_note(const char *key, const char *text, void *arg)
{
	return on_load(STORE_NOTE, key, ORIGIN_MANAGER, text, arg);
}

static int load_run(struct job *job)
{
	struct load_job *j = (struct load_job *)job;

	if (j->notes)
		return store_notes(j->s->store, on_note, j, &job->err);
	return store_load(j->s->store, on_load, j, &job->err);
}

static void load_one(const struct change *c, storectl_load_fn fn, void *arg)
{
	union object_spec spec;
	struct errbuf err;

	/* An older or newer version may have written what we do not understand: it is kept, and not used. */
	if (field_read(object_types[c->kind].fields, &spec, c->text, &err) < 0 ||
	    object_validate(c->kind, &spec, &err) < 0)
		log_warning("stored policy: %s '%s': %s, ignored", object_types[c->kind].noun, c->text, err.text);
	else
		fn(c->kind, &spec, c->origin, arg);
}

/* Objects to fn, or notes to note. */
static int load(struct storectl *s, storectl_load_fn fn, storectl_note_fn note, void *arg, struct errbuf *err)
{
	struct load_job j = { .job = { .run = load_run, .done = nothing_done }, .s = s, .notes = note };
	struct change *c, *next;

	j.tail = &j.head;
	jobq_submit(s->jobs, &j.job);
	jobq_drain(s->jobs);
	if (j.job.r < 0)
		*err = j.job.err;
	for (c = j.head; c; c = next) {
		next = c->next;
		if (j.job.r == 0 && note)
			note(c->key, c->text, arg);
		else if (j.job.r == 0)
			load_one(c, fn, arg);
		change_free(c);
	}
	return j.job.r;
}

int storectl_load(struct storectl *s, storectl_load_fn fn, void *arg, struct errbuf *err)
{
	return load(s, fn, NULL, arg, err);
}

int storectl_notes(struct storectl *s, storectl_note_fn fn, void *arg, struct errbuf *err)
{
	return load(s, NULL, fn, arg, err);
}
