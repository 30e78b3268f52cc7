/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "daemon/config_policy.h"
#include "daemon/config_private.h"
#include "policy/policy.h"

/* Hosts and subnets first: what refers to them is judged in their presence. */
static const enum object_kind kinds[] = { OBJECT_HOST, OBJECT_SUBNET, OBJECT_PORT, OBJECT_RECORD, OBJECT_ROUTE };

static const struct config_where nowhere;

static void set_all(struct policy *p, const struct config *c, enum object_kind kind, struct config_errors *errors)
{
	struct errbuf err;
	size_t i;

	for (i = 0; i < c->objects[kind].n; i++)
		if (policy_set(p, kind, config_spec(c, kind, i), ORIGIN_CONFIG, &err) < 0)
			config_error(c, errors, c->objects[kind].where[i], "%s", err.text);
}

static void set_others(struct policy *p, const struct config *c, const struct object_list *l,
		       struct config_errors *errors)
{
	struct errbuf err;
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		r = policy_set(p, l->kind, object_list_spec(l, i), l->origins[i], &err);
		/* -EPERM: the configuration has the same key. For what was made by hand refuse_twin() has said so. */
		if (r < 0 && r != -EPERM)
			config_error(c, errors, nowhere, "against the configuration, made at run time: %s", err.text);
	}
}

int config_twins(const struct config *c, const struct object_list *others, config_twin_fn fn, void *arg)
{
	struct config_index *index = NULL;
	const char *file;
	unsigned int k, line;
	char key[OBJECT_KEY_MAX], text[2 * OBJECT_KEY_MAX + PATH_SIZE];
	size_t i;
	int r = config_index_new(c, &index);

	for (k = 0; k < OBJECT_COUNT && r == 0; k++) {
		for (i = others[k].n; i-- > 0;) {
			const void *spec = object_list_spec(&others[k], i);

			if (!config_index_find(index, k, spec, &file, &line))
				continue;
			object_key(k, spec, key, sizeof(key));
			snprintf(text, sizeof(text), "%s:%u: %s %s was also made at run time", file, line,
				 object_types[k].noun, key);
			fn(k, i, text, arg);
		}
	}
	config_index_free(index);
	return r;
}

struct judgement {
	const struct config *c;
	const struct object_list *others;
	struct config_errors *errors;
};

/* A key in the configuration and made by hand: who wins would be a guess. */
static void refuse_twin(enum object_kind kind, size_t i, const char *text, void *arg)
{
	const struct judgement *j = arg;

	if (j->others[kind].origins[i] == ORIGIN_ADMIN)
		config_error(j->c, j->errors, nowhere, "%s (origin admin): remove one of them", text);
}

int config_check_policy(const struct config *c, const struct object_list *others, struct config_errors *errors)
{
	size_t records = c->objects[OBJECT_RECORD].n + (others ? others[OBJECT_RECORD].n : 0);
	struct policy_params params = {
		.host_id = c->settings.host_id,
		.max_records = (uint32_t)records + 1,
		.use_external_router = c->settings.use_external_router,
		.routed_ttl = c->settings.routed_ttl,
		.socket = SOCKET_ID_ANY,
		.unseen = true,
	};
	size_t before = errors->n_errors;
	struct policy *p;
	struct errbuf err;
	unsigned int i;
	int r;

	if (others) {
		r = config_twins(c, others, refuse_twin, &(struct judgement){ c, others, errors });
		if (r < 0)
			return r;
	}
	r = policy_create(&params, &p, &err);
	if (r < 0)
		return r;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		set_all(p, c, kinds[i], errors);
	for (i = 0; others && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		set_others(p, c, &others[kinds[i]], errors);
	policy_free(p);
	config_errors_sort(errors);
	return errors->n_errors != before ? -EINVAL : 0;
}
