// SPDX-License-Identifier: GPL-3.0-or-later
// pieces - datagrams that came in fragments (RFC 791 3.2, RFC 8200 4.5).
//
// Fragments are copied to their place, and a bitmap says which units of 8
// bytes are there. One that overlaps another is dropped (RFC 5722 3). The
// table is bounded: the oldest datagram makes room for a new one.

#include <stdlib.h>

#include "netstack/inside.h"

enum {
	UNITS = 65536 / 8,
	PARTIALS_MOST = 64,
	PARTIAL_TICKS = 60,	// 30 s
};

struct partial {
	TAILQ_ENTRY(partial) link;
	struct arrival first;	// of the fragment at offset 0; addresses always
	uint32_t id;
	uint32_t units, whole;	// units here; bytes in all, 0: last fragment not seen
	uint32_t reach;		// end of the furthest fragment
	uint16_t age;
	uint8_t *bytes;
	uint32_t capacity;
	uint64_t map[UNITS / 64];
};

struct pieces {
	TAILQ_HEAD(, partial) partials;
	int count;
	uint8_t *given;		// the datagram that was whole last
};

static void partial_free(struct pieces *pieces, struct partial *partial)
{
	TAILQ_REMOVE(&pieces->partials, partial, link);
	pieces->count--;
	free(partial->bytes);
	free(partial);
}

static struct partial *partial_find(struct pieces *pieces, const struct arrival *in, uint32_t id)
{
	struct partial *partial;

	TAILQ_FOREACH(partial, &pieces->partials, link) {
		if (partial->id == id && partial->first.protocol == in->protocol &&
		    memcmp(&partial->first.tuple, &in->tuple, sizeof(in->tuple)) == 0)
			return partial;
	}
	return NULL;
}

static struct partial *partial_make(struct pieces *pieces, const struct arrival *in, uint32_t id)
{
	struct partial *partial;

	if (pieces->count >= PARTIALS_MOST)
		partial_free(pieces, TAILQ_FIRST(&pieces->partials));
	partial = calloc(1, sizeof(*partial));
	if (!partial)
		return NULL;
	partial->first = *in;
	partial->id = id;
	TAILQ_INSERT_TAIL(&pieces->partials, partial, link);
	pieces->count++;
	return partial;
}

static bool partial_overlaps(const struct partial *partial, size_t unit, size_t end)
{
	for (; unit < end; unit++) {
		if (partial->map[unit / 64] >> unit % 64 & 1)
			return true;
	}
	return false;
}

static bool partial_put(struct partial *partial, const struct arrival *in, size_t offset)
{
	size_t end = offset + in->size, unit = offset / 8, last = (end + 7) / 8;

	if (partial_overlaps(partial, unit, last))
		return false;
	if (end > partial->capacity) {
		size_t capacity = end * 2 < 65536 ? end * 2 : 65536;
		uint8_t *bytes = realloc(partial->bytes, capacity);

		if (!bytes)
			return false;
		partial->bytes = bytes;
		partial->capacity = (uint32_t)capacity;
	}
	memcpy(partial->bytes + offset, in->bytes, in->size);
	for (; unit < last; unit++) {
		partial->map[unit / 64] |= 1ULL << unit % 64;
		partial->units++;
	}
	if (end > partial->reach)
		partial->reach = (uint32_t)end;
	return true;
}

static bool partial_is_whole(const struct partial *partial)
{
	return partial->whole && partial->units == (partial->whole + 7) / 8 &&
	       partial->reach == partial->whole;
}

static struct pieces *pieces_of(struct netstack *stack)
{
	if (!stack->pieces) {
		stack->pieces = calloc(1, sizeof(*stack->pieces));
		if (stack->pieces)
			TAILQ_INIT(&stack->pieces->partials);
	}
	return stack->pieces;
}

bool pieces_add(struct netstack *stack, struct arrival *in, uint32_t id, size_t offset, bool more)
{
	struct pieces *pieces = pieces_of(stack);
	struct partial *partial;

	if (!in->size || offset + in->size > UINT16_MAX || (more && in->size % 8)) {
		stack->counters.malformed++;
		return false;
	}
	if (!pieces)
		return false;
	partial = partial_find(pieces, in, id);
	if (!partial)
		partial = partial_make(pieces, in, id);
	if (!partial || !partial_put(partial, in, offset))
		return false;
	if (offset == 0)
		partial->first = *in;
	if (!more)
		partial->whole = (uint32_t)(offset + in->size);
	if (!partial_is_whole(partial))
		return false;
	*in = partial->first;
	in->bytes = partial->bytes;
	in->size = partial->whole;
	free(pieces->given);
	pieces->given = partial->bytes;
	partial->bytes = NULL;
	partial_free(pieces, partial);
	return true;
}

bool pieces_waiting(const struct netstack *stack)
{
	return stack->pieces && stack->pieces->count;
}

void pieces_tick(struct netstack *stack)
{
	struct partial *partial, *next;

	if (!stack->pieces)
		return;
	for (partial = TAILQ_FIRST(&stack->pieces->partials); partial; partial = next) {
		next = TAILQ_NEXT(partial, link);
		if (++partial->age > PARTIAL_TICKS)
			partial_free(stack->pieces, partial);
	}
	free(stack->pieces->given);
	stack->pieces->given = NULL;
}

void pieces_free(struct netstack *stack)
{
	if (!stack->pieces)
		return;
	while (stack->pieces->count)
		partial_free(stack->pieces, TAILQ_FIRST(&stack->pieces->partials));
	free(stack->pieces->given);
	free(stack->pieces);
	stack->pieces = NULL;
}
