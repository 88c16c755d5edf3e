// SPDX-License-Identifier: GPL-3.0-or-later
// prelude - what a conversation said in the clear, kept until it turns to TLS or does not.

#include "tunnel/prelude.h"

#include <stdlib.h>
#include <string.h>

struct piece {
	struct piece *next;
	uint64_t time;
	size_t size;
	bool outgoing;
	uint8_t bytes[];
};

struct prelude {
	struct piece *first, **last;
	size_t size;
	bool full;
};

void prelude_add(struct prelude **prelude, bool outgoing, const void *bytes, size_t size, uint64_t time)
{
	struct prelude *p = *prelude;
	struct piece *piece;

	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return;
		p->last = &p->first;
		*prelude = p;
	}
	p->full = p->full || size > PRELUDE_MOST - p->size;
	piece = p->full ? NULL : malloc(sizeof(*piece) + size);
	if (!piece) {
		p->full = true;
		return;
	}
	*piece = (struct piece){.time = time, .size = size, .outgoing = outgoing};
	memcpy(piece->bytes, bytes, size);
	p->size += size;
	*p->last = piece;
	p->last = &piece->next;
}

void prelude_each(const struct prelude *p,
		  void (*call)(void *context, bool outgoing, const void *bytes, size_t size, uint64_t time), void *context)
{
	for (const struct piece *piece = p ? p->first : NULL; piece; piece = piece->next)
		call(context, piece->outgoing, piece->bytes, piece->size, piece->time);
}

uint64_t prelude_time(const struct prelude *p)
{
	return p && p->first ? p->first->time : 0;
}

void prelude_free(struct prelude *p)
{
	for (struct piece *piece = p ? p->first : NULL, *next; piece; piece = next) {
		next = piece->next;
		free(piece);
	}
	free(p);
}
