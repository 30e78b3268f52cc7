/* SPDX-License-Identifier: BSD-3-Clause */
/* What this host says: itself, the subnets of its ports, what it has learned. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/distribution_private.h"
#include "policy/manager/manager.h"

static void say(struct distribution *d, const char *key, const char *value)
{
	struct published *p = map_make(&d->published, key, sizeof(*p));

	if (!p)
		return;
	p->wanted = true;
	if (p->value && strcmp(p->value, value) == 0)
		return;
	free(p->value);
	p->value = strdup(value);
	if (!p->value || link_publish(d->link, key, value) < 0)
		log_error("out of memory: %s is not published", key);
}

/* This host as its policy has it: by its team, unless somebody said otherwise here. */
static void say_host(struct distribution *d)
{
	char key[ID_SIZE + 8], text[OBJECT_LINE_MAX];
	struct host_spec self = { 0 };
	enum origin origin;

	str_copy(self.id, sizeof(self.id), d->m->settings.host_id);
	if (policy_get(d->m->policy, OBJECT_HOST, &self, &origin) < 0 || !self.n_pas ||
	    field_write(object_types[OBJECT_HOST].fields, &self, text, sizeof(text)) < 0)
		return;
	snprintf(key, sizeof(key), "host/%s", self.id);
	say(d, key, text);
}

static void say_attached(struct distribution *d)
{
	char key[ID_SIZE + 32];

	for (unsigned int i = 0; i < POLICY_MAX_PORTS; i++) {
		const struct port *p = d->m->ports[i];

		if (p && p->spec.vsid &&
		    pm_attached_key(d->m->settings.host_id, p->spec.vsid, key, sizeof(key)) > 0)
			say(d, key, PM_ATTACHED);
	}
}

void distribution_publish(struct distribution *d)
{
	struct published *p = NULL, *next;

	while ((p = map_next(&d->published, p)))
		p->wanted = false;
	say_host(d);
	say_attached(d);
	for (p = map_next(&d->published, NULL); p; p = next) {
		next = map_next(&d->published, p);
		if (p->wanted)
			continue;
		link_publish(d->link, p->entry.key, NULL);
		free(p->value);
		map_remove(&d->published, p);
	}
}

int distribution_claim(struct distribution *d, const struct record_spec *rec, bool removed, bool held)
{
	char key[KV_KEY_MAX], record[KV_KEY_MAX], text[OBJECT_LINE_MAX];
	struct record_spec said = *rec;
	int r;

	str_copy(said.host, sizeof(said.host), d->m->settings.host_id);
	said.type = RECORD_DYNAMIC;
	if (pm_learned_key(&said, key, sizeof(key)) < 0 || pm_key(OBJECT_RECORD, &said, record, sizeof(record)) < 0)
		return -EINVAL;
	if (removed) {
		distribution_claim_taken_back(d, record);
		return link_claim(d->link, key, NULL, false);
	}
	if (field_write(object_types[OBJECT_RECORD].fields, &said, text, sizeof(text)) < 0)
		return -ENOSPC;
	if (!held)
		distribution_claim_made(d, record);
	r = link_claim(d->link, key, text, held);
	if (r < 0 && !held)
		distribution_claim_taken_back(d, record);
	return r;
}

int distribution_learned(struct distribution *d, const struct record_spec *rec, bool removed)
{
	return d ? distribution_claim(d, rec, removed, false) : 0;
}
