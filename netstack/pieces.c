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
	struct arrival first;	// of the fragment at offset 0; addresses always
	uint32_t id;
	uint32_t units, whole;	// units here; bytes in all, 0: last fragment not seen
	uint32_t reach;		// end of the furthest fragment
	uint16_t age;
	uint64_t serial;	// the lower, the older
	uint8_t *bytes;
	uint32_t capacity;
	uint64_t map[UNITS / 64];
};

struct pieces {
	struct partial *partial[PARTIALS_MOST];
	int count;
	uint64_t serial;
	uint8_t *given;		// the datagram that was whole last
};

static void partial_free(struct pieces *pieces, struct partial **slot)
{
	free((*slot)->bytes);
	free(*slot);
	*slot = NULL;
	pieces->count--;
}

static struct partial **partial_find(struct pieces *pieces, const struct arrival *in, uint32_t id)
{
	for (int i = 0; pieces->count && i < PARTIALS_MOST; i++) {
		struct partial *partial = pieces->partial[i];

		if (partial && partial->id == id && partial->first.protocol == in->protocol &&
		    memcmp(&partial->first.tuple, &in->tuple, sizeof(in->tuple)) == 0)
			return &pieces->partial[i];
	}
	return NULL;
}

// An empty slot, or the oldest's.
static struct partial **slot_for(struct pieces *pieces)
{
	struct partial **slot = &pieces->partial[0];

	for (int i = 0; *slot && i < PARTIALS_MOST; i++) {
		if (!pieces->partial[i] || pieces->partial[i]->serial < (*slot)->serial)
			slot = &pieces->partial[i];
	}
	if (*slot)
		partial_free(pieces, slot);
	return slot;
}

static struct partial **partial_make(struct pieces *pieces, const struct arrival *in, uint32_t id)
{
	struct partial **slot = slot_for(pieces);

	*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		return NULL;
	(*slot)->first = *in;
	(*slot)->id = id;
	(*slot)->serial = ++pieces->serial;
	pieces->count++;
	return slot;
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
	if (!partial->bytes || end > partial->capacity) {
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
	if (!stack->pieces)
		stack->pieces = calloc(1, sizeof(*stack->pieces));
	return stack->pieces;
}

bool pieces_add(struct netstack *stack, struct arrival *in, uint32_t id, size_t offset, bool more)
{
	struct pieces *pieces = pieces_of(stack);
	struct partial **slot, *partial;

	if (!in->size || offset + in->size > UINT16_MAX || (more && in->size % 8)) {
		stack->counters.malformed++;
		return false;
	}
	if (!pieces)
		return false;
	slot = partial_find(pieces, in, id);
	if (!slot)
		slot = partial_make(pieces, in, id);
	if (!slot || !partial_put(*slot, in, offset))
		return false;
	partial = *slot;
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
	partial_free(pieces, slot);
	return true;
}

bool pieces_waiting(const struct netstack *stack)
{
	return stack->pieces && stack->pieces->count;
}

void pieces_tick(struct netstack *stack)
{
	struct pieces *pieces = stack->pieces;

	if (!pieces)
		return;
	for (int i = 0; i < PARTIALS_MOST; i++) {
		if (pieces->partial[i] && ++pieces->partial[i]->age > PARTIAL_TICKS)
			partial_free(pieces, &pieces->partial[i]);
	}
	free(pieces->given);
	pieces->given = NULL;
}

void pieces_free(struct netstack *stack)
{
	struct pieces *pieces = stack->pieces;

	if (!pieces)
		return;
	for (int i = 0; i < PARTIALS_MOST; i++) {
		if (pieces->partial[i])
			partial_free(pieces, &pieces->partial[i]);
	}
	free(pieces->given);
	free(pieces);
	stack->pieces = NULL;
}
