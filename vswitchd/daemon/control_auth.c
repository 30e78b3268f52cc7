/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what: credentials of the peer at accept. */
#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control_private.h"

#define GROUPS_MAX 256

static bool in_group(const gid_t *groups, unsigned int n, const char *name)
{
	struct group g, *found = NULL;
	char buf[4096];

	if (!*name || getgrnam_r(name, &g, buf, sizeof(buf), &found) != 0 || !found)
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (groups[i] == g.gr_gid)
			return true;
	return false;
}

int auth_level(int fd, const struct settings *s, uid_t *ret_uid)
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
	if (in_group(groups, n, s->admin_group))
		return LEVEL_ADMIN;
	if (in_group(groups, n, s->operate_group))
		return LEVEL_OPERATE;
	return in_group(groups, n, s->read_group) ? LEVEL_READ : -1;
}
