// SPDX-License-Identifier: GPL-3.0-or-later
// known - the processes that were met, for as long as somebody speaks of them.

#include "extension/known.h"

#include <stdlib.h>

enum { BUCKETS = 4096 };

struct known {
	struct known_entry *buckets[BUCKETS];
	struct known_entry *oldest, *newest;	// that nobody holds
	size_t count, idle;
};

struct known *known_open(void)
{
	return calloc(1, sizeof(struct known));
}

void known_free(struct known_entry *entry)
{
	if (!entry)
		return;
	free(entry->path);
	free(entry->arguments);
	free(entry->user);
	free(entry);
}

void known_close(struct known *known)
{
	if (!known)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct known_entry *entry = known->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			known_free(entry);
		}
	free(known);
}

size_t known_count(const struct known *known)
{
	return known->count;
}

// --- by number --------------------------------------------------------------------

static struct known_entry **bucket_of(struct known *known, pid_t pid)
{
	return &known->buckets[(unsigned int)pid % BUCKETS];
}

static struct known_entry *same(struct known_entry *entry, pid_t pid)
{
	while (entry && entry->process.pid != pid)
		entry = entry->next;
	return entry;
}

struct known_entry *known_first(const struct known *known, pid_t pid)
{
	return same(known->buckets[(unsigned int)pid % BUCKETS], pid);
}

struct known_entry *known_next(const struct known_entry *entry)
{
	return same(entry->next, entry->process.pid);
}

// --- held, or not -----------------------------------------------------------------

static void join_idle(struct known *known, struct known_entry *entry)
{
	entry->older = known->newest;
	entry->newer = NULL;
	if (known->newest)
		known->newest->newer = entry;
	else
		known->oldest = entry;
	known->newest = entry;
	known->idle++;
}

static void leave_idle(struct known *known, struct known_entry *entry)
{
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		known->oldest = entry->newer;
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		known->newest = entry->older;
	known->idle--;
}

static void forget_oldest(struct known *known)
{
	struct known_entry *entry = known->oldest, **at = bucket_of(known, entry->process.pid);

	leave_idle(known, entry);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	known->count--;
	known_free(entry);
}

struct process *known_add(struct known *known, struct known_entry *entry)
{
	struct known_entry **bucket = bucket_of(known, entry->process.pid);

	while (known->idle >= KNOWN_IDLE)
		forget_oldest(known);
	entry->known = known;
	entry->next = *bucket;
	*bucket = entry;
	known->count++;
	join_idle(known, entry);
	return &entry->process;
}

// A process is the first member of its entry, where it has one: a caller's own, as in a
// test, has not.
struct process *process_keep(struct process *process)
{
	struct known_entry *entry = (struct known_entry *)process;

	if (process && process->counted && !process->held++)
		leave_idle(entry->known, entry);
	return process;
}

void process_let(struct process *process)
{
	struct known_entry *entry = (struct known_entry *)process;

	if (process && process->counted && !--process->held)
		join_idle(entry->known, entry);
}
