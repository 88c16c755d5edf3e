// SPDX-License-Identifier: GPL-3.0-or-later
// caller - whose things these are: who called, also through sudo(8).

#ifndef TOOLS_CALLER_H
#define TOOLS_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct caller {
	uid_t uid;
	gid_t gid;
	char home[4096];
	bool by_sudo;		// we are root, for somebody else
};

// Under sudo the user who called it (SUDO_UID), unless HOME says that root's own or
// yet another's things are meant. 0, or -1 with a sentence.
int caller_read(struct caller *caller, char *why, size_t why_size);

// Where the caller's authority is, or would be: $XDG_DATA_HOME/apptap or
// ~/.local/share/apptap. Makes nothing. 0, or -1 with a sentence.
int caller_folder(const struct caller *caller, char *out, size_t size, char *why, size_t why_size);

#endif
