/* SPDX-License-Identifier: BSD-3-Clause */
/* What a store answers: the stream parser with everything behind it, in pieces, and the reader of single answers. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fuzz.h"
#include "policy/store/etcd_private.h"

static void on_event(void *arg, unsigned int watch, enum kv_event what, const char *key, const char *value,
		     int64_t revision, bool leased)
{
	size_t *sum = arg;

	*sum += key ? strlen(key) : 0;
	*sum += value ? strlen(value) : 0;
	if (what == KV_PUT && (!key || !value))
		abort();
}

static void streamed(struct kv *kv, const uint8_t *data, size_t size)
{
	struct request q = { .e = (struct etcd *)kv, .kind = REQUEST_STREAM };
	size_t piece = size ? data[0] % 64 + 1 : 1;
	struct watch *w;

	q.tokener = json_tokener_new_ex(ETCD_DEPTH_MAX);
	w = &q.e->watches[0];
	w->state = WATCH_STREAMING;
	w->request = &q;
	w->id = 1;
	for (size_t i = 0; i < size; i += piece)
		if (!etcd_stream_data(&q, (const char *)data + i, size - i < piece ? size - i : piece))
			break;
	etcd_watch_lost(&q);
	json_tokener_free(q.tokener);
}

static void answered(struct kv *kv, const uint8_t *data, size_t size)
{
	struct json_tokener *t = json_tokener_new_ex(ETCD_DEPTH_MAX);
	struct json_object *o = json_tokener_parse_ex(t, (const char *)data, (int)size);
	struct request q = { .e = (struct etcd *)kv, .kind = REQUEST_RANGE, .watch_id = 1 };

	if (o) {
		q.e->watches[0].state = WATCH_LOADING;
		q.e->watches[0].request = &q;
		q.e->watches[0].id = 1;
		etcd_range_done(&q, o);
	}
	json_object_put(o);
	json_tokener_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kv_handlers handlers = { .event = on_event };
	struct kv_config c = { .backend = KV_ETCD, .n_endpoints = 1, .endpoints = { "http://127.0.0.1:1" },
			       .root = "/v" };
	struct errbuf err;
	size_t sum = 0;
	struct kv *kv;

	log_set_level(LOG_CRIT);
	if (size > 65536 || kv_open(&c, &handlers, &sum, &kv, &err) < 0)
		return 0;
	kv_watch(kv, "a", true);
	streamed(kv, data, size);
	answered(kv, data, size);
	((struct etcd *)kv)->watches[0].request = NULL;
	kv_close(kv);
	return 0;
}
