// SPDX-License-Identifier: GPL-3.0-or-later
// roster - the processes named so far, by number.
//
// A ring says them again in each of its files, so they are kept. The texts of a
// process are one piece of memory, which `name` points at.

#include "pcap/roster.h"

#include <stdlib.h>
#include <string.h>

static size_t room_for(const char *text)
{
	return text ? strlen(text) + 1 : 1;
}

static const char *place(char **at, const char *text)
{
	char *to = *at;

	*at = stpcpy(to, text ? text : "") + 1;
	return to;
}

static bool grow(struct roster *roster)
{
	uint32_t room = roster->room ? 2 * roster->room : 16;
	struct capture_process *list;

	if (roster->count < roster->room)
		return true;
	list = realloc(roster->list, room * sizeof(*list));
	if (!list)
		return false;
	roster->list = list;
	roster->room = room;
	return true;
}

uint32_t roster_add(struct roster *roster, const struct capture_process *process)
{
	struct capture_process copy = *process;
	char *at;

	if (roster->count == ROSTER_MOST || !grow(roster))
		return 0;
	at = malloc(room_for(process->name) + room_for(process->path) +
		    room_for(process->arguments) + room_for(process->user) + room_for(process->container));
	if (!at)
		return 0;
	copy.name = place(&at, process->name);
	copy.path = place(&at, process->path);
	copy.arguments = place(&at, process->arguments);
	copy.user = place(&at, process->user);
	copy.container = place(&at, process->container);
	roster->list[roster->count++] = copy;
	return roster->count;
}

const struct capture_process *roster_find(const struct roster *roster, uint32_t number)
{
	return number && number <= roster->count ? &roster->list[number - 1] : NULL;
}

void roster_close(struct roster *roster)
{
	for (uint32_t i = 0; i < roster->count; i++)
		free((char *)roster->list[i].name);
	free(roster->list);
	*roster = (struct roster){ 0 };
}
