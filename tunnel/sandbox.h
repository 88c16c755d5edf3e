// SPDX-License-Identifier: GPL-3.0-or-later
// sandbox - privileges given up, for good.

#ifndef TUNNEL_SANDBOX_H
#define TUNNEL_SANDBOX_H

#include <stddef.h>
#include <sys/types.h>

// Becomes that user, with their groups, or with `gid` alone where they have no name,
// keeps no capability, and can gain none by an exec. All threads. 0 or -errno
// with a sentence; a process that is not root only sets the last.
int sandbox_become(uid_t uid, gid_t gid, char *why, size_t why_size);

#endif
