// SPDX-License-Identifier: GPL-3.0-or-later
// tree - the processes that descend from one.

#ifndef EXTENSION_TREE_H
#define EXTENSION_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { TREE_MAX = 32768 };

struct tree_process {
	pid_t pid, parent;
	bool kernel;		// a thread of the kernel's own
	char state;		// as in /proc/PID/stat
	uint64_t start;		// clock ticks after boot
	char name[32];
};

// One line of /proc. 0 or -errno.
int tree_read_process(pid_t pid, struct tree_process *process);

// Every process that can be seen, in no order; their number or -errno. *out is
// malloc'ed.
int tree_read_all(struct tree_process **out);

// The descendants of `root`, without it, parents before children; their number
// or -errno. *out is malloc'ed.
int tree_read(pid_t root, struct tree_process **out);

// The same at the cost of the tree alone, but where the kernel keeps no lists of
// children it finds nobody, and it may miss one while its brother is being reaped.
int tree_read_quick(pid_t root, struct tree_process **out);

#endif
