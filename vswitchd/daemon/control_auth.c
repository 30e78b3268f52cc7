/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what: credentials of the peer at accept. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/control_private.h"

#define GROUPS_MAX	256
#define GROUP_ENTRY_MAX (1024 * 1024)

/* The buffer grows with the group: its members are in it. */
static bool group_find(const char *name, gid_t *ret)
{
	struct group g, *found = NULL;
	int r = ERANGE;

	for (size_t size = 4096; r == ERANGE && size <= GROUP_ENTRY_MAX; size *= 4) {
		char *buf = malloc(size);

		if (!buf)
			return false;
		r = getgrnam_r(name, &g, buf, size, &found);
		if (r == 0 && found)
			*ret = g.gr_gid;
		free(buf);
	}
	return r == 0 && found;
}

void auth_groups(struct group_ids *g, const struct settings *s)
{
	const char *const names[] = {
		[LEVEL_READ] = s->read_group, [LEVEL_OPERATE] = s->operate_group, [LEVEL_ADMIN] = s->admin_group,
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct group_id *id = &g->id[i];

		if (id->known && strcmp(id->name, names[i]) == 0)
			continue;
		str_copy(id->name, sizeof(id->name), names[i]);
		id->known = *id->name && group_find(id->name, &id->gid);
		if (*id->name && !id->known)
			log_warning("control: there is no group %s (%s-group); looked for again at the next reload",
				    id->name, method_level_names[i]);
	}
}

static bool in_group(const gid_t *groups, unsigned int n, const struct group_id *id)
{
	for (unsigned int i = 0; i < n && id->known; i++)
		if (groups[i] == id->gid)
			return true;
	return false;
}

int auth_level(int fd, const struct group_ids *g, uid_t *ret_uid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(struct ucred);
	struct ucred cred;
	unsigned int n = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -1;
	*ret_uid = cred.uid;
	if (cred.uid == 0 || cred.uid == geteuid())
		return LEVEL_ADMIN;
	size = sizeof(groups) - sizeof(gid_t);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
		n = size / sizeof(gid_t);
	groups[n++] = cred.gid;
	for (int level = LEVEL_ADMIN; level >= LEVEL_READ; level--)
		if (in_group(groups, n, &g->id[level]))
			return level;
	return -1;
}
