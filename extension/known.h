// SPDX-License-Identifier: GPL-3.0-or-later
// known - the processes that were met, for as long as somebody speaks of them.
//
// Within the room only. A flow, or what was announced of one, holds its process; those
// that nobody holds are remembered until there are too many, and the one that was let
// go of longest ago is forgotten first. So memory follows the flows of the moment,
// whatever number of processes there have been.

#ifndef EXTENSION_KNOWN_H
#define EXTENSION_KNOWN_H

#include <stddef.h>
#include <stdint.h>

#include "extension/process.h"

enum { KNOWN_IDLE = 4096 };	// that nobody holds

struct known;

struct known_entry {
	struct process process;		// its texts are those below
	uint64_t ticks;			// its start, as /proc has it
	char *path, *arguments, *user;
	// known's own
	struct known *known;
	struct known_entry *next;	// in its bucket
	struct known_entry *newer, *older;	// among those that nobody holds
};

struct known *known_open(void);		// NULL: no memory
void known_close(struct known *known);

// Takes the entry over; nobody holds it yet, and it is good until the next is added.
struct process *known_add(struct known *known, struct known_entry *entry);
// Those that bear, or bore, the number: the first, and the next.
struct known_entry *known_first(const struct known *known, pid_t pid);
struct known_entry *known_next(const struct known_entry *entry);

size_t known_count(const struct known *known);
void known_free(struct known_entry *entry);	// one that was not added; NULL is fine

#endif
