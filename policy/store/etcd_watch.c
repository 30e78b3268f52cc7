/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watches. Each is loaded by pages of one revision and then watched from the next one; where a stream breaks it goes on
 * from the revision after the last change. When the store has forgotten that one (compaction), it is loaded again.
 *
 * The revision to go on from moves by changes and by the store's periodic notices only: those asked for may overtake
 * changes in releases before 3.4.26.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "policy/store/etcd_private.h"

#define REFUSED_MS  5000
#define PAGE_MIN    16
#define STREAM_MAX  256 /* watches of one stream */

/*
 * Over HTTP/1.1 etcd's server may throw away what it has not read of a request when its first answer goes out, and with
 * it watches that were asked for. Those it has not said to be there after so long are asked for again.
 */
#define PATIENCE_MIN_MS 300
#define PATIENCE_MAX_MS 5000

/* Numbers are used again, etcd's ids are not. */
static struct watch *watch_of(struct etcd *e, int64_t id)
{
	struct watch *w = id > 0 ? &e->watches[(id - 1) % KV_WATCHES] : NULL;

	return id > 0 && (id - 1) % KV_WATCHES < e->n_watches && w->state != WATCH_FREE && w->id == id ? w : NULL;
}

static struct watch *free_watch(struct etcd *e)
{
	for (unsigned int i = 0; i < e->n_watches; i++)
		if (e->watches[i].state == WATCH_FREE)
			return &e->watches[i];
	if (e->n_watches == KV_WATCHES)
		return NULL;
	if (e->n_watches == e->room) {
		unsigned int room = e->room ? e->room * 2 : 64;
		void *p = reallocarray(e->watches, room, sizeof(*e->watches));

		if (!p)
			return NULL;
		e->watches = p;
		e->room = room;
	}
	memset(&e->watches[e->n_watches], 0, sizeof(*e->watches));
	return &e->watches[e->n_watches++];
}

int etcd_watch(struct kv *kv, const char *key, bool prefix)
{
	struct etcd *e = (struct etcd *)kv;
	struct watch *w = free_watch(e);
	unsigned int index;

	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	if (asprintf(&w->key, "%s/%s", kv->config.root, key) < 0) {
		w->key = NULL;
		return -ENOMEM;
	}
	index = (unsigned int)(w - e->watches);
	w->prefix = prefix;
	w->page = ETCD_PAGE;
	w->state = WATCH_WANTED;
	w->id = (int64_t)(++e->last_id) * KV_WATCHES + index + 1;
	return (int)index;
}

static void watch_clear(struct watch *w)
{
	free(TAKE(w->key));
	free(TAKE(w->from));
	w->state = WATCH_FREE;
	w->request = NULL;
}

void etcd_unwatch(struct kv *kv, unsigned int watch)
{
	struct etcd *e = (struct etcd *)kv;

	if (watch < e->n_watches && e->watches[watch].state != WATCH_FREE)
		watch_clear(&e->watches[watch]);
}

void etcd_watches_free(struct etcd *e)
{
	for (unsigned int i = 0; i < e->n_watches; i++)
		watch_clear(&e->watches[i]);
	free(e->watches);
}

/* ---- what is asked ---- */

/* The end of a prefix: its last byte one higher. Roots and keys are text, so that byte is never 0xff. */
static char *end_of(const char *key)
{
	char *end = strdup(key);

	if (end)
		end[strlen(end) - 1]++;
	return end;
}

static char *range_body(const struct watch *w)
{
	CLEANUP_FREE char *from = etcd_base64(w->from ? w->from : w->key, w->from ? w->from_len : strlen(w->key));
	CLEANUP_FREE char *raw = w->prefix ? end_of(w->key) : NULL;
	CLEANUP_FREE char *end = raw ? etcd_base64(raw, strlen(raw)) : NULL;
	char *body = NULL;

	if (!from || (w->prefix && !end) ||
	    asprintf(&body, "{\"key\":\"%s\"%s%s%s,\"limit\":\"%u\",\"revision\":\"%lld\"}", from,
		     end ? ",\"range_end\":\"" : "", end ? end : "", end ? "\"" : "", w->page,
		     (long long)w->pinned) < 0)
		return NULL;
	return body;
}

static void load(struct etcd *e, struct watch *w)
{
	w->request = etcd_post(e, REQUEST_RANGE, "/v3/kv/range", range_body(w));
	if (!w->request)
		return;
	w->request->watch_id = w->id;
	w->state = WATCH_LOADING;
}

static void write_watch(FILE *f, const struct watch *w)
{
	CLEANUP_FREE char *key = etcd_base64(w->key, strlen(w->key));
	CLEANUP_FREE char *raw = w->prefix ? end_of(w->key) : NULL;
	CLEANUP_FREE char *end = raw ? etcd_base64(raw, strlen(raw)) : NULL;

	fprintf(f, "{\"create_request\":{\"key\":\"%s\"", key ? key : "");
	if (end)
		fprintf(f, ",\"range_end\":\"%s\"", end);
	fprintf(f, ",\"start_revision\":\"%lld\",\"progress_notify\":true,\"watch_id\":\"%lld\"}}\n",
		(long long)w->next, (long long)w->id);
}

/* One request for all watches that wait for one. */
static void open_stream(struct etcd *e)
{
	char *body = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&body, &size);
	unsigned int last = 0, n = 0;
	struct request *q;

	if (!f)
		return;
	for (unsigned int i = 0; i < e->n_watches && n < STREAM_MAX; i++) {
		if (e->watches[i].state != WATCH_READY || e->watches[i].not_before > etcd_now())
			continue;
		write_watch(f, &e->watches[i]);
		last = i;
		n++;
	}
	if (fclose(f) != 0 || !n) {
		free(body);
		return;
	}
	q = etcd_post(e, REQUEST_STREAM, "/v3/watch", body);
	for (unsigned int i = 0; q && i <= last; i++) {
		if (e->watches[i].state != WATCH_READY || e->watches[i].not_before > etcd_now())
			continue;
		e->watches[i].state = WATCH_STREAMING;
		e->watches[i].created = false;
		e->watches[i].skip = e->watches[i].handed;
		e->watches[i].request = q;
	}
	if (!q)
		return;
	q->missing = n;
	q->heard_at = etcd_now();
	e->streams++;
}

static void ask_again(struct etcd *e, struct request *q)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->n_watches; i++) {
		struct watch *w = &e->watches[i];

		if (w->request != q || w->created)
			continue;
		w->request = NULL;
		w->state = WATCH_READY;
		n++;
	}
	log_debug("etcd: %u watches are asked for again", n);
	q->missing = 0;
	e->patience = e->patience * 2 < PATIENCE_MAX_MS ? e->patience * 2 : PATIENCE_MAX_MS;
}

static void look_for_missing(struct etcd *e)
{
	uint64_t now = etcd_now();
	struct request *q;

	if (e->patience < PATIENCE_MIN_MS)
		e->patience = PATIENCE_MIN_MS;
	LIST_FOREACH(q, &e->requests, link)
		if (q->kind == REQUEST_STREAM && q->missing && now > q->heard_at + e->patience)
			ask_again(e, q);
}

/* Many small streams become one again. */
static void merge_streams(struct etcd *e)
{
	struct request *q;

	LIST_FOREACH(q, &e->requests, link) {
		if (q->kind != REQUEST_STREAM)
			continue;
		etcd_watch_lost(q);
		q->ended = true;
	}
}

void etcd_watch_kick(struct etcd *e)
{
	unsigned int loading = 0, ready = 0;
	uint64_t now = etcd_now();

	if (!e->kv.paused) /* what is not read is not missing */
		look_for_missing(e);
	for (unsigned int i = 0; i < e->n_watches; i++)
		loading += e->watches[i].state == WATCH_LOADING;
	for (unsigned int i = 0; i < e->n_watches; i++) {
		struct watch *w = &e->watches[i];

		if (w->state == WATCH_WANTED && loading < ETCD_LOADS && now >= w->not_before && !e->kv.paused) {
			load(e, w);
			loading++;
		}
		ready += w->state == WATCH_READY && now >= w->not_before;
	}
	/* Watches that come together go together; none waits long for the others. */
	if (!ready || (loading && ready < STREAM_MAX / 8 && e->streams >= ETCD_STREAMS / 2))
		return;
	if (e->streams >= ETCD_STREAMS)
		merge_streams(e);
	open_stream(e);
}

/* ---- what is answered ---- */

/* The key below the root, if that is what it is. */
static const char *below_root(struct etcd *e, const char *key, size_t key_len, const char *value, size_t value_len)
{
	size_t n = strlen(e->kv.config.root);

	if (strlen(key) != key_len || (value && strlen(value) != value_len) || key_len <= n + 1 ||
	    strncmp(key, e->kv.config.root, n) != 0 || key[n] != '/') {
		e->kv.counters.bad_keys++;
		return NULL;
	}
	key += n + 1;
	return kv_is_sound(&e->kv, key, value) ? key : NULL;
}

struct page {
	struct etcd *e;
	struct watch *w;
};

/* The next page begins behind this key. */
static void remember(struct watch *w, const char *key, size_t key_len)
{
	char *from = realloc(w->from, key_len + 1);

	if (!from)
		return;
	memcpy(from, key, key_len);
	from[key_len] = '\0';
	w->from = from;
	w->from_len = key_len + 1;
}

static void on_item(void *arg, const struct etcd_reply *reply, const char *key, size_t key_len, const char *value,
		    size_t value_len, int64_t revision, bool leased)
{
	struct page *p = arg;
	const char *name = below_root(p->e, key, key_len, value, value_len);
	int64_t id = p->w ? p->w->id : 0;

	/* The owner may have given it up, or the table may have grown, while it was told of the one before. */
	p->w = watch_of(p->e, id);
	if (!p->w)
		return;
	remember(p->w, key, key_len);
	if (name)
		kv_tell(&p->e->kv, (unsigned int)(p->w - p->e->watches), KV_PUT, name, value, revision,
			leased);
	p->w = watch_of(p->e, id);
}

static void begin(struct etcd *e, struct watch *w)
{
	if (w->begun)
		return;
	w->begun = true;
	kv_tell(&e->kv, (unsigned int)(w - e->watches), KV_BEGIN, NULL, NULL, 0, false);
}

static void restart_load(struct watch *w)
{
	w->state = WATCH_WANTED;
	w->pinned = 0;
	w->begun = false;
	w->from_len = 0;
	free(TAKE(w->from));
}

static void loaded(struct etcd *e, struct watch *w)
{
	unsigned int index = (unsigned int)(w - e->watches);

	w->next = w->pinned + 1;
	w->seen = w->pinned;
	w->handed = 0;
	restart_load(w);
	w->state = WATCH_READY;
	kv_tell(&e->kv, index, KV_END, NULL, NULL, w->seen, false);
	if (e->kv.handlers.flush)
		e->kv.handlers.flush(e->kv.arg);
}

static void load_refused(struct etcd *e, struct watch *w, const struct etcd_reply *reply)
{
	restart_load(w);
	if (reply->code == 11) /* the pinned revision was compacted away */
		return;
	w->not_before = etcd_now() + REFUSED_MS;
	log_warning("etcd: %s cannot be read: %s", w->key, reply->text);
}

void etcd_range_done(struct request *q, struct json_object *answer)
{
	struct etcd *e = q->e;
	struct page p = { .e = e, .w = watch_of(e, q->watch_id) };
	struct etcd_reply reply;

	if (!p.w || p.w->request != q)
		return;
	p.w->request = NULL;
	if (etcd_reply_read(answer, &reply, NULL, NULL) < 0 || reply.code) {
		load_refused(e, p.w, &reply);
		return;
	}
	if (!p.w->pinned)
		p.w->pinned = reply.revision;
	begin(e, p.w);
	p.w = watch_of(e, q->watch_id);
	if (p.w)
		etcd_reply_read(answer, &reply, on_item, &p);
	e->kv.counters.bad_messages += reply.bad;
	p.w = watch_of(e, q->watch_id);
	if (!p.w)
		return;
	if (!reply.more)
		loaded(e, p.w);
	else if (reply.events)
		p.w->state = WATCH_WANTED;
	else
		load_refused(e, p.w, &reply); /* a page of nothing is no end */
}

void etcd_watch_lost(struct request *q)
{
	struct etcd *e = q->e;

	if (q->kind != REQUEST_STREAM && q->kind != REQUEST_RANGE)
		return;
	if (q->kind == REQUEST_STREAM && e->streams)
		e->streams--;
	for (unsigned int i = 0; i < e->n_watches; i++) {
		struct watch *w = &e->watches[i];

		if (w->request != q)
			continue;
		w->request = NULL;
		if (w->state == WATCH_LOADING && q->in_len > ETCD_MESSAGE_MAX / 2 && w->page > PAGE_MIN)
			w->page /= 4; /* long values: smaller pages */
		if (w->state == WATCH_LOADING)
			restart_load(w);
		else if (w->state == WATCH_STREAMING)
			w->state = WATCH_READY;
	}
	if (q->kind == REQUEST_STREAM)
		q->kind = REQUEST_REVOKE; /* counted once */
}

/* ---- streams ---- */

/*
 * A revision may come in several messages, and the stream may end between them: it goes on at the last revision seen,
 * not behind it, and what was handed over of that one is left out. Within a revision the order is always the same.
 */
static bool is_again(struct watch *w, int64_t revision)
{
	if (revision == w->seen && w->skip) {
		w->skip--;
		return true;
	}
	w->skip = 0;
	if (revision > w->seen) {
		w->seen = w->next = revision;
		w->handed = 0;
	}
	w->handed++;
	return false;
}

static void on_change(void *arg, const struct etcd_reply *reply, const char *key, size_t key_len, const char *value,
		      size_t value_len, int64_t revision, bool leased)
{
	struct request *q = arg;
	struct etcd *e = q->e;
	struct watch *w = watch_of(e, reply->watch);
	const char *name = below_root(e, key, key_len, value, value_len);

	if (!w || w->request != q || is_again(w, revision))
		return;
	if (name)
		kv_tell(&e->kv, (unsigned int)(w - e->watches), value ? KV_PUT : KV_DELETE, name, value, revision,
			leased);
}

static void canceled(struct etcd *e, struct watch *w, struct request *q, const struct etcd_reply *reply)
{
	w->request = NULL;
	if (reply->created && !w->created)
		q->missing -= q->missing > 0;
	if (reply->compacted) {
		e->kv.counters.compactions++;
		log_info("etcd: changes before revision %lld are forgotten: %s is compared as a whole",
			 (long long)reply->compacted, w->key);
		restart_load(w);
		return;
	}
	log_warning("etcd: %s cannot be watched: %s", w->key, *reply->text ? reply->text : "no reason given");
	w->state = WATCH_READY;
	w->not_before = etcd_now() + REFUSED_MS;
	if (strstr(reply->text, "auth token") || strstr(reply->text, "user name is empty"))
		etcd_token_refused(q);
}

/* Everything up to this revision has come. */
static void progress(struct watch *w, int64_t revision)
{
	if (revision < w->seen)
		return;
	w->seen = revision;
	w->next = revision + 1;
	w->handed = w->skip = 0;
}

static void created(struct etcd *e, struct watch *w, struct request *q, const struct etcd_reply *reply)
{
	w->created = true;
	q->missing -= q->missing > 0;
	q->heard_at = etcd_now();
	e->patience = PATIENCE_MIN_MS;
	if (!reply->revision || reply->revision >= w->seen)
		return;
	/* Restored from a copy, perhaps: it would be silent until it is as far as it was. */
	log_warning("etcd: the store has gone back from revision %lld to %lld: %s is compared as a whole",
		    (long long)w->seen, (long long)reply->revision, w->key);
	w->request = NULL;
	restart_load(w);
}

static bool message(struct request *q, struct json_object *o)
{
	struct etcd *e = q->e;
	struct etcd_reply reply;
	struct watch *w;

	if (etcd_reply_read(o, &reply, on_change, q) < 0) {
		e->kv.counters.bad_messages++;
		return false;
	}
	e->kv.counters.bad_messages += reply.bad;
	if (reply.code == ETCD_CODE_UNAUTHENTICATED)
		etcd_token_refused(q);
	if (reply.code)
		return false;
	etcd_works(e);
	w = watch_of(e, reply.watch);
	if (w && w->request == q) {
		if (reply.canceled)
			canceled(e, w, q, &reply);
		else if (reply.created && !w->created)
			created(e, w, q, &reply);
		else if (!reply.events && !reply.bad && !reply.created)
			progress(w, reply.revision);
	}
	if (reply.events && e->kv.handlers.flush)
		e->kv.handlers.flush(e->kv.arg);
	return true;
}

bool etcd_stream_data(struct request *q, const char *data, size_t len)
{
	while (len && !q->ended) {
		struct json_object *o = json_tokener_parse_ex(q->tokener, data, (int)len);
		enum json_tokener_error error = json_tokener_get_error(q->tokener);
		size_t used = error == json_tokener_success ? json_tokener_get_parse_end(q->tokener) : len;
		bool good = error == json_tokener_success || error == json_tokener_continue;

		q->message = o ? 0 : q->message + len;
		if (!good || q->message > ETCD_MESSAGE_MAX)
			q->e->kv.counters.bad_messages++;
		if (good && q->message <= ETCD_MESSAGE_MAX && o)
			good = message(q, o);
		json_object_put(o);
		if (!good || q->message > ETCD_MESSAGE_MAX)
			return false;
		data += used;
		len -= used;
	}
	return !q->ended;
}
