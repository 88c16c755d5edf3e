// SPDX-License-Identifier: GPL-3.0-or-later
// sandbox - privileges given up, for good.

#include "tunnel/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int set_groups(uid_t uid, gid_t gid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? initgroups(user->pw_name, gid) : setgroups(1, &gid);
}

// The order: groups need the uid, and a uid other than 0 takes every
// capability along.
static int become(uid_t uid, gid_t gid)
{
	uid_t real, effective, saved;

	if (geteuid() == 0 && (set_groups(uid, gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (getresuid(&real, &effective, &saved) || (uid && (!real || !effective || !saved)))
		return -EPERM;
	return 0;
}

int sandbox_become(uid_t uid, gid_t gid, char *why, size_t why_size)
{
	int error = become(uid, gid);

	if (error)
		snprintf(why, why_size, "cannot give up root's privileges: %s", strerror(-error));
	return error;
}
