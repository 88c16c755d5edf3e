// SPDX-License-Identifier: GPL-3.0-or-later
// list - the processes on this machine, for whoever picks one to tap.

#ifndef EXTENSION_LIST_H
#define EXTENSION_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "extension/container.h"
#include "extension/process.h"

struct list;

// UNSEEN: the kernel does not say, as of another user's process.
enum list_network { LIST_UNSEEN, LIST_HERE, LIST_ELSEWHERE };

struct list_row {
	const struct process *process;
	const char *cgroup;			// see container_group(); "" where not seen
	char container[CONTAINER_SIZE];	// see container_name()
	int connections;			// connected TCP and UDP sockets; -1: not seen
	enum list_network network;		// whose network namespace: ours, or another
};

// Every process but kernel threads, those that have ended, and `except`; the
// newest first. 0 or -errno. Rows live until list_close().
int list_open(struct list **out, pid_t except);
void list_close(struct list *list);

size_t list_count(const struct list *list);
const struct list_row *list_row(const struct list *list, size_t index);

#endif
