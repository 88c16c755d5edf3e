// SPDX-License-Identifier: GPL-3.0-or-later
// sources - where an outlet's packets come from.
//
// A source's place is twice the process's in the roster, and one more for plaintext.

#include "pcap/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/pcapng.h"

enum { ROOM_FIRST = 16 };

struct sources {
	const struct roster *roster;
	const struct identity *identity;
	struct source *list;
	uint32_t room;
	uint32_t interface_count, process_count;	// in the present file
};

struct sources *sources_open(const struct roster *roster, const struct identity *identity)
{
	struct sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return NULL;
	sources->roster = roster;
	sources->identity = identity;
	return sources;
}

void sources_close(struct sources *sources)
{
	if (sources)
		free(sources->list);
	free(sources);
}

// Its twin too: one growth for both.
static struct source *grown_at(struct sources *sources, uint32_t place)
{
	if ((place | 1) >= sources->room) {
		uint32_t room = sources->room ? sources->room : ROOM_FIRST;

		while (room <= (place | 1))
			room *= 2;
		struct source *list = realloc(sources->list, room * sizeof(*list));
		if (!list)
			return NULL;
		memset(list + sources->room, 0, (room - sources->room) * sizeof(*list));
		sources->list = list;
		sources->room = room;
	}
	return &sources->list[place];
}

static uint32_t place_of(uint32_t process, bool plain)
{
	return 2 * roster_place(process) + plain;
}

int sources_begin(struct sources *sources, struct blocks *to)
{
	struct source *nobody = grown_at(sources, place_of(0, false));

	if (!nobody)
		return -ENOMEM;
	for (struct source *at = sources->list; at < sources->list + sources->room; at++)
		*at = (struct source){ .process = at->process, .held = at->held };
	sources->interface_count = sources->process_count = 0;
	return sources_declare(sources, nobody, to);
}

struct source *sources_find(struct sources *sources, uint32_t process, bool plain)
{
	uint32_t known = roster_find(sources->roster, process) ? process : 0;
	struct source *source = grown_at(sources, place_of(known, plain));

	if (source)
		source->process = known;
	return source;
}

uint32_t sources_place(const struct sources *sources, const struct source *source)
{
	return source - sources->list;
}

struct source *sources_at(struct sources *sources, uint32_t place)
{
	return &sources->list[place];
}

struct source *sources_standing(struct sources *sources, uint32_t process, bool plain)
{
	uint32_t place = place_of(process, plain);

	return place < sources->room ? &sources->list[place] : NULL;
}

// The process block is the process's, whatever its sources.
static int describe(struct sources *sources, struct source *source, struct blocks *to)
{
	const struct capture_process *process = roster_find(sources->roster, source->process);
	uint32_t place = sources_place(sources, source);
	int error = identity_interface(sources->identity, to, process, place & 1);

	source->process_block = sources->list[place ^ 1].process_block;
	if (!process || source->process_block || error)
		return error;
	source->process_block = ++sources->process_count;
	return identity_process(to, process);
}

int sources_declare(struct sources *sources, struct source *source, struct blocks *to)
{
	source->interface = ++sources->interface_count;
	return to ? describe(sources, source, to) : 0;
}

void source_count(struct source *source, uint64_t time)
{
	source->received++;
	if (!source->accepted++)
		source->first = time;
	source->last = time;
}

// Nothing is ever dropped, and the file says so.
int source_statistics(const struct source *source, struct blocks *to)
{
	struct pcapng_statistics statistics = {
		.interface = source->interface - 1, .first = source->first, .last = source->last,
		.received = source->received, .accepted = source->accepted,
	};

	return source->accepted ? pcapng_statistics(to, &statistics) : 0;
}

int sources_statistics(const struct sources *sources, struct blocks *to)
{
	int error = 0;

	for (uint32_t i = 0; i < sources->room && !error; i++)
		error = source_statistics(&sources->list[i], to);
	return error;
}
