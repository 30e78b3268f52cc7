/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/store/etcd_json.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *etcd_base64(const void *data, size_t len)
{
	const uint8_t *in = data;
	char *out = malloc((len + 2) / 3 * 4 + 1), *p = out;

	for (size_t i = 0; out && i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0);

		*p++ = digits[v >> 18];
		*p++ = digits[v >> 12 & 63];
		*p++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*p++ = n > 2 ? digits[v & 63] : '=';
	}
	if (out)
		*p = '\0';
	return out;
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *etcd_unbase64(const char *text, size_t *ret_len)
{
	size_t len = strlen(text), n = 0, pad = 0;
	uint32_t v = 0;
	char *out;

	if (len % 4)
		return NULL;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	out = malloc(len / 4 * 3 + 1);
	for (size_t i = 0; out && i < len; i++) {
		int d = i < len - pad ? digit(text[i]) : 0;

		if (d < 0) {
			free(out);
			return NULL;
		}
		v = v << 6 | (uint32_t)d;
		if (i % 4 != 3)
			continue;
		out[n++] = (char)(v >> 16);
		out[n++] = (char)(v >> 8);
		out[n++] = (char)v;
	}
	if (!out)
		return NULL;
	n -= pad;
	out[n] = '\0';
	*ret_len = n;
	return out;
}

/* ---- members: absent means zero ---- */

static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, name, &v) ? v : NULL;
}

/* A number, or a string that is one. */
static int64_t number(struct json_object *o, const char *name)
{
	struct json_object *v = member(o, name);
	uint64_t n;

	if (json_object_is_type(v, json_type_int))
		return json_object_get_int64(v) > 0 ? json_object_get_int64(v) : 0;
	if (json_object_is_type(v, json_type_string) && parse_u64(json_object_get_string(v), 0, INT64_MAX, &n) == 0)
		return (int64_t)n;
	return 0;
}

static bool truth(struct json_object *o, const char *name)
{
	struct json_object *v = member(o, name);

	return json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

static const char *string(struct json_object *o, const char *name)
{
	struct json_object *v = member(o, name);

	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static void item(struct json_object *kv, bool gone, struct etcd_reply *ret, etcd_item_fn fn, void *arg)
{
	CLEANUP_FREE char *key = NULL, *value = NULL;
	const char *k = string(kv, "key"), *v = string(kv, "value");
	size_t key_len = 0, value_len = 0;

	key = k ? etcd_unbase64(k, &key_len) : NULL;
	value = etcd_unbase64(v ? v : "", &value_len);
	if (!key || !value) {
		ret->bad++;
		return;
	}
	ret->events++;
	if (fn)
		fn(arg, ret, key, key_len, gone ? NULL : value, value_len, number(kv, "mod_revision"),
		   number(kv, "lease") != 0);
}

static int items(struct json_object *o, const char *name, bool events, struct etcd_reply *ret, etcd_item_fn fn,
		 void *arg)
{
	struct json_object *list = member(o, name);

	if (!list)
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return -EBADMSG;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		const char *type = events ? string(e, "type") : NULL;

		item(events ? member(e, "kv") : e, type && strcmp(type, "DELETE") == 0, ret, fn, arg);
	}
	return 0;
}

/* {"error": "...", "code": 16, "message": "..."} or {"error": {"grpc_code": 14, "message": "..."}} */
static bool read_error(struct json_object *o, struct etcd_reply *ret)
{
	struct json_object *e = member(o, "error");
	const char *text;
	int64_t code;

	if (!e && !(member(o, "code") && member(o, "message")))
		return false;
	if (!json_object_is_type(e, json_type_object))
		e = o;
	code = number(e, "grpc_code");
	if (!code)
		code = number(e, "code");
	text = string(e, "message");
	ret->code = code > 0 && code < 100 ? (int)code : 2;
	str_visible(text ? text : "an error without a reason", ret->text, sizeof(ret->text));
	return true;
}

int etcd_reply_read(struct json_object *o, struct etcd_reply *ret, etcd_item_fn fn, void *arg)
{
	const char *text;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!json_object_is_type(o, json_type_object))
		return -EBADMSG;
	if (read_error(o, ret))
		return 0;
	if (member(o, "result"))
		o = member(o, "result");
	if (!json_object_is_type(o, json_type_object))
		return -EBADMSG;
	ret->revision = number(member(o, "header"), "revision");
	ret->more = truth(o, "more");
	ret->succeeded = truth(o, "succeeded");
	ret->created = truth(o, "created");
	ret->canceled = truth(o, "canceled");
	ret->id = number(o, "ID");
	ret->ttl = number(o, "TTL");
	ret->watch = number(o, "watch_id");
	ret->compacted = number(o, "compact_revision");
	text = string(o, "cancel_reason");
	str_visible(text ? text : "", ret->text, sizeof(ret->text));
	text = string(o, "token");
	if (text && str_is_text(text) && str_copy(ret->token, sizeof(ret->token), text) < 0)
		return -EBADMSG;
	r = items(o, "kvs", false, ret, fn, arg);
	return r < 0 ? r : items(o, "events", true, ret, fn, arg);
}
