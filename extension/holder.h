// SPDX-License-Identifier: GPL-3.0-or-later
// holder - which process holds a socket.
//
// Within the room only.

#ifndef EXTENSION_HOLDER_H
#define EXTENSION_HOLDER_H

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

enum { HOLDER_DESCRIPTORS = 1024 };	// of which it is remembered that they were closed

struct process;

// A process that was found to hold a socket.
struct holder {
	TAILQ_ENTRY(holder) order;
	pid_t pid;
	int folder;		// its /proc/PID: no other's, also when the number is given again
	int last;		// the descriptor where a socket was found last; -1: they cannot be read
	uint64_t closed[HOLDER_DESCRIPTORS / 64];	// bits: free by what is known
	struct process *process;	// the caller's own; kept, let go of when the holder is forgotten
};

struct holders;

struct holders *holders_open(pid_t keeper);	// NULL: no memory
void holders_close(struct holders *all);

// Among the keeper's descendants the one that holds the socket; NULL: none, or it cannot be
// seen. Valid until another is asked for.
struct holder *holders_find(struct holders *all, uint32_t inode);

// The process closed it: it is likely the next to open one, and there.
void holders_closed(struct holders *all, const struct process *process, int fd);

#endif
