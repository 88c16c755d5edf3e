// SPDX-License-Identifier: GPL-3.0-or-later
// container - the container that a process's control groups put it in.

#ifndef EXTENSION_CONTAINER_H
#define EXTENSION_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

enum { CONTAINER_SIZE = 64, CONTAINER_CGROUP_MAX = 8192 };

// The text of /proc/PID/cgroup, cut; "" where it cannot be read.
void container_cgroup(pid_t pid, char text[CONTAINER_CGROUP_MAX]);

// Of such a text the path in the unified hierarchy or, where that is the root and there is one,
// in version 1's: as the kernel's words for `local` have it (redirect_identity.bpf). The
// caller frees it; NULL: no memory.
char *container_group(const char *text);

// The innermost container that such a text (or a single path) puts a process in: the
// first 12 of the 64 hex digits that docker, podman, containerd and CRI-O name it by,
// or the name it has from LXC, systemd-nspawn, or crun or runc themselves. False, and "", where there is none.
bool container_name(const char *cgroup, char out[CONTAINER_SIZE]);

#endif
