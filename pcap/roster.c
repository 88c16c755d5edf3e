// SPDX-License-Identifier: GPL-3.0-or-later
// roster - the processes named so far, by number.
//
// A ring says them again in each of its files, so they are kept: ROSTER_MOST of them.
// One more takes the place of the one that was longest without a packet. A number is
// a place and how often that was given away before: so one that went stale is nobody's
// and never another's, and what others keep by place stays bounded.
//
// The texts of a process are one piece of memory, which `name` points at.

#include "pcap/roster.h"

#include <stdlib.h>
#include <string.h>

struct roster_entry {
	struct capture_process process;
	uint32_t number;
	uint32_t newer, older;		// places, by use
	uint32_t beside;		// likewise, in its bucket
};

uint32_t roster_place(uint32_t number)
{
	return number ? (number - 1) % ROSTER_MOST + 1 : 0;
}

static struct roster_entry *at(const struct roster *roster, uint32_t place)
{
	return &roster->list[place - 1];
}

// --- texts ------------------------------------------------------------------------

static size_t room_for(const char *text)
{
	return text ? strlen(text) + 1 : 1;
}

static const char *place_text(char **to, const char *text)
{
	char *from = *to;

	*to = stpcpy(from, text ? text : "") + 1;
	return from;
}

static bool copy(struct capture_process *to, const struct capture_process *process)
{
	char *texts = malloc(room_for(process->name) + room_for(process->path) +
			     room_for(process->arguments) + room_for(process->user) +
			     room_for(process->container));

	if (!texts)
		return false;
	*to = *process;
	to->name = place_text(&texts, process->name);
	to->path = place_text(&texts, process->path);
	to->arguments = place_text(&texts, process->arguments);
	to->user = place_text(&texts, process->user);
	to->container = place_text(&texts, process->container);
	return true;
}

// --- order of use -------------------------------------------------------------------

static void join(struct roster *roster, uint32_t place)
{
	struct roster_entry *entry = at(roster, place);

	entry->older = roster->newest;
	entry->newer = 0;
	if (roster->newest)
		at(roster, roster->newest)->newer = place;
	else
		roster->oldest = place;
	roster->newest = place;
}

static void leave(struct roster *roster, uint32_t place)
{
	struct roster_entry *entry = at(roster, place);

	if (entry->older)
		at(roster, entry->older)->newer = entry->newer;
	else
		roster->oldest = entry->newer;
	if (entry->newer)
		at(roster, entry->newer)->older = entry->older;
	else
		roster->newest = entry->older;
}

void roster_use(struct roster *roster, uint32_t number)
{
	uint32_t place = roster_place(number);

	if (place == roster->newest || !roster_find(roster, number))
		return;
	leave(roster, place);
	join(roster, place);
}

// --- who is it ------------------------------------------------------------------------

static uint32_t *bucket_of(struct roster *roster, int32_t pid)
{
	return &roster->buckets[(uint32_t)pid % ROSTER_BUCKETS];
}

static bool equal(const char *kept, const char *text)
{
	return !strcmp(kept, text ? text : "");
}

// Its parent may have ended meanwhile.
static bool is_same(const struct capture_process *kept, const struct capture_process *process)
{
	return kept->pid == process->pid && kept->start == process->start && kept->uid == process->uid &&
	       equal(kept->name, process->name) && equal(kept->path, process->path) &&
	       equal(kept->arguments, process->arguments);
}

uint32_t roster_same(const struct roster *roster, const struct capture_process *process)
{
	uint32_t place = roster->buckets[(uint32_t)process->pid % ROSTER_BUCKETS];

	while (place && !is_same(&at(roster, place)->process, process))
		place = at(roster, place)->beside;
	return place ? at(roster, place)->number : 0;
}

const struct capture_process *roster_find(const struct roster *roster, uint32_t number)
{
	uint32_t place = roster_place(number);

	if (!place || place > roster->count || at(roster, place)->number != number)
		return NULL;
	return &at(roster, place)->process;
}

// --- coming and going -----------------------------------------------------------------

static bool grow(struct roster *roster)
{
	uint32_t room = roster->room ? 2 * roster->room : 16;
	struct roster_entry *list;

	if (roster->count < roster->room)
		return true;
	list = realloc(roster->list, room * sizeof(*list));
	if (!list)
		return false;
	roster->list = list;
	roster->room = room;
	return true;
}

uint32_t roster_leaving(const struct roster *roster)
{
	return roster->count == ROSTER_MOST ? at(roster, roster->oldest)->number : 0;
}

static void let_go(struct roster *roster, uint32_t place)
{
	struct roster_entry *entry = at(roster, place);
	uint32_t *beside = bucket_of(roster, entry->process.pid);

	while (*beside != place)
		beside = &at(roster, *beside)->beside;
	*beside = entry->beside;
	leave(roster, place);
	free((char *)entry->process.name);
}

// After four thousand million the last place's would be 0.
static uint32_t next_of(uint32_t number)
{
	number += ROSTER_MOST;
	return number ? number : ROSTER_MOST;
}

uint32_t roster_add(struct roster *roster, const struct capture_process *process)
{
	struct capture_process kept;
	struct roster_entry *entry;
	uint32_t place, *bucket = bucket_of(roster, process->pid);

	if ((roster->count < ROSTER_MOST && !grow(roster)) || !copy(&kept, process))
		return 0;
	if (roster->count == ROSTER_MOST) {
		place = roster->oldest;
		let_go(roster, place);
	} else {
		place = ++roster->count;
		at(roster, place)->number = place - ROSTER_MOST;
	}
	entry = at(roster, place);
	*entry = (struct roster_entry){ .process = kept, .number = next_of(entry->number), .beside = *bucket };
	*bucket = place;
	join(roster, place);
	return entry->number;
}

void roster_close(struct roster *roster)
{
	for (uint32_t i = 0; i < roster->count; i++)
		free((char *)roster->list[i].process.name);
	free(roster->list);
	*roster = (struct roster){ 0 };
}
