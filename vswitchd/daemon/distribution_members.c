/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts with ports in the subnets that are followed: "vsid/<vsid>/members" has their names, with blanks between. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/distribution_private.h"

/* The next name. @return false: there is none. */
static bool next_name(const char **text, char name[ID_SIZE])
{
	size_t n;

	*text += strspn(*text, " ");
	n = strcspn(*text, " ");
	snprintf(name, ID_SIZE, "%.*s", (int)n, *text);
	*text += n;
	return n > 0;
}

static bool has_name(const char *text, const char *wanted)
{
	size_t n = strlen(wanted), k;

	for (; text && *text; text += k) {
		text += strspn(text, " ");
		k = strcspn(text, " ");
		if (k == n && memcmp(text, wanted, n) == 0)
			return true;
	}
	return false;
}

static uint32_t vsid_of(const char *key)
{
	const char *end = strncmp(key, "vsid/", 5) == 0 ? strchr(key + 5, '/') : NULL;
	char number[16];
	uint64_t vsid;

	if (!end || strcmp(end, "/members") != 0 || end - key - 5 >= (int)sizeof(number))
		return 0;
	snprintf(number, sizeof(number), "%.*s", (int)(end - key - 5), key + 5);
	return parse_u64(number, 1, UINT32_MAX, &vsid) < 0 ? 0 : (uint32_t)vsid;
}

static void append(char *has, const char *name)
{
	if (*has)
		strcat(has, " ");
	strcat(has, name);
}

/* Those of `from` that are not in `but`; appended to what policy has. @return false: one did not get in. */
static bool add(struct distribution *d, uint32_t vsid, const char *from, const char *but, char *has)
{
	char name[ID_SIZE], key[ID_SIZE + 8];
	struct errbuf err = { "" };
	bool whole = true;

	while (next_name(&from, name)) {
		if (strcmp(name, d->m->settings.host_id) == 0 || has_name(has, name) || !str_is_id(name))
			continue;
		if (!has_name(but, name) && policy_member_add(d->m->policy, vsid, name, &err) < 0) {
			log_warning("policy store: member %s of virtual-subnet %u: %s", name, vsid, err.text);
			whole = false;
			continue;
		}
		append(has, name);
		snprintf(key, sizeof(key), "host/%s", name);
		distribution_want(d, key, false);
	}
	return whole;
}

bool distribution_members(struct distribution *d, struct remote *remote, const char *text)
{
	CLEANUP_FREE char *was = NULL, *said = NULL;
	uint32_t vsid = vsid_of(remote->entry.key);
	char name[ID_SIZE], *has;
	const char *old;
	bool whole = true;

	if (!vsid)
		return false;
	if (text && remote->said && strcmp(text, remote->said) == 0)
		return true;
	was = TAKE(remote->members);
	said = TAKE(remote->said);
	has = calloc(1, (text ? strlen(text) : 0) + (was ? strlen(was) : 0) + 2);
	if (!has) {
		remote->members = TAKE(was); /* as before; the next value says it again */
		return true;
	}
	if (text)
		whole = add(d, vsid, text, was, has);
	for (old = was; old && next_name(&old, name);) {
		if (has_name(has, name) || policy_member_remove(d->m->policy, vsid, name) == 0)
			continue;
		append(has, name); /* it stays, until the list is said again */
		whole = false;
	}
	remote->members = has;
	remote->said = text && whole ? strdup(text) : NULL;
	return true;
}
