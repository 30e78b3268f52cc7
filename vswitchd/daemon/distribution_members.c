/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts with ports in the subnets that are followed, each by a key of its own; managers of earlier versions write their
 * names into one list, with blanks between. Whom both name is a member as long as one of them does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "daemon/distribution_private.h"
#include "policy/manager/manager.h"

/* The next name; "": it is none. @return false: there is nothing more. */
static bool next_name(const char **text, char name[ID_SIZE])
{
	size_t n;

	*text += strspn(*text, " ");
	n = strcspn(*text, " ");
	snprintf(name, ID_SIZE, "%.*s", n < ID_SIZE ? (int)n : 0, *text);
	if (!str_is_id(name))
		*name = '\0';
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
	bool whole = true;

	while (next_name(&from, name)) {
		if (!*name || strcmp(name, d->m->settings.host_id) == 0 || has_name(has, name))
			continue;
		if (!has_name(but, name) && policy_member_add(d->m->policy, vsid, name, NULL) < 0) {
			whole = false;
			continue;
		}
		append(has, name);
		snprintf(key, sizeof(key), "host/%s", name);
		distribution_want(d, key, false);
	}
	return whole;
}

/* So that floods reach it after a start without the shared store. A list is the last word of an earlier version. */
static void keep(struct distribution *d, struct remote *remote, const char *text)
{
	if (remote->kept == (text != NULL) || storectl_pending(d->m->store) >= STORECTL_MAX)
		return;
	if (storectl_note(d->m->store, remote->entry.key, text) == 0)
		remote->kept = text != NULL;
}

/* From what policy has (remote->members) to the names of the text. @return -EAGAIN: not all of it. */
static int become(struct distribution *d, struct remote *remote, uint32_t vsid, const char *text)
{
	CLEANUP_FREE char *was = TAKE(remote->members);
	char *has = calloc(1, strlen(text) + (was ? strlen(was) : 0) + 2), name[ID_SIZE];
	const char *old = was;
	bool whole = true;

	if (!has) {
		remote->members = TAKE(was);
		return -EAGAIN;
	}
	whole = add(d, vsid, text, was, has);
	while (old && next_name(&old, name)) {
		if (!*name || has_name(has, name) || policy_member_remove(d->m->policy, vsid, name) == 0)
			continue;
		append(has, name); /* it stays, until that is tried again */
		whole = false;
	}
	remote->members = has;
	return whole ? 0 : -EAGAIN;
}

int distribution_members(struct distribution *d, struct remote *remote, const char *text)
{
	const char *name, *names = "";
	uint32_t vsid;
	int r;

	if (pm_member_read(remote->entry.key, &vsid, &name) < 0)
		return -ENOENT;
	if (*name)
		keep(d, remote, text);
	if (text)
		names = *name ? name : text;
	if (remote->said && strcmp(names, remote->said) == 0)
		return 0;
	free(TAKE(remote->said));
	r = become(d, remote, vsid, names);
	if (r == 0)
		remote->said = strdup(names);
	return r;
}
