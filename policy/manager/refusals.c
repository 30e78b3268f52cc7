/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts are told which of their claims do not count, and why: "refused/" and the rest of the claim's key. */
#include <stdio.h>
#include <string.h>

#include "policy/manager/manager_private.h"

void pm_refusal(struct pm *m, const char *claim, const char *why)
{
	char key[KV_KEY_MAX];
	const struct value *v;
	const char *now;

	if (!m->info.leader || !m->info.synced || (!why && !m->refused.n && !m->writes.n))
		return;
	if (snprintf(key, sizeof(key), "refused/%s", claim + strlen("learned/")) >= (int)sizeof(key))
		return;
	v = map_find(&m->refused, key);
	if (!pm_write_pending(m, key, &now))
		now = v ? v->text : NULL;
	if (why ? !now || strcmp(now, why) != 0 : now != NULL)
		(void)pm_write(m, key, why, true, NULL, NULL);
}

void pm_refusals_all(struct pm *m)
{
	struct value *v = NULL;
	char claim[KV_KEY_MAX];

	while ((v = map_next(&m->refused, v))) {
		snprintf(claim, sizeof(claim), "learned/%s", v->entry.key + strlen("refused/"));
		if (!map_find(&m->learned, claim))
			pm_refusal(m, claim, NULL);
	}
}
