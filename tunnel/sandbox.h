// SPDX-License-Identifier: GPL-3.0-or-later
// sandbox - privileges given up, for good: the user's, the files', the kernel's calls.
//
// sandbox_calls() comes last: it is for all threads there are and will be.

#ifndef TUNNEL_SANDBOX_H
#define TUNNEL_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Becomes that user, with their groups, or with `gid` alone where they have no name,
// keeps no capability, and can gain none by an exec. root's go from all threads; the
// capabilities that another user was given, from the calling one: be early. 0 or -errno
// with a sentence; who is not root stays who they are.
int sandbox_become(uid_t uid, gid_t gid, char *why, size_t why_size);

// What may still be opened by name (Landlock). What is open stays so. A path that is not
// there is passed over.
struct sandbox_path {
	const char *path;
	enum sandbox_use {
		SANDBOX_READ,		// the file, or all below the folder
		SANDBOX_WRITE,		// files of the folder: made, written, renamed, removed
	} use;
};
// A descriptor that stands for these rules; -ENOSYS where this kernel has no Landlock, or
// it is switched off; or another -errno. Each with a sentence.
int sandbox_rules(const struct sandbox_path *paths, size_t count, char *why, size_t why_size);
// Holds the calling thread, and those it makes from then on, to the rules. 0 or -errno.
int sandbox_files(int rules);

// Leaves all threads the system calls of sockets of the network (through one of the host a service
// could be asked to start what we cannot), files, memory and time (seccomp). A call
// that has no business here (a program started, a privilege, another process looked into)
// ends the process; any other is answered by ENOSYS. `vfork`: it may make processes that share
// its memory and that it waits for, as a write does that is to outlive it. 0 or -errno with a
// sentence.
int sandbox_calls(bool vfork, char *why, size_t why_size);

#endif
