// SPDX-License-Identifier: GPL-3.0-or-later
// ring - bytes to the app, from the owner's write until the acknowledgement.
//
// Taken with the first bytes, doubled while it proves too small, given back as soon as
// all is acknowledged: ten thousand idle flows must not hold ten thousand windows.
// Some first blocks are kept for whoever needs one next; were they malloc's each
// time, it would cut them up for small things and never have them whole again. Because
// lwIP refers to bytes in place, growing means a second, bigger block; writing
// goes to the newest, acknowledgements free the oldest.

#include <stdlib.h>

#include "netstack/inside.h"

enum { BLOCK_FIRST = 16384, SPARE_MOST = 64 };

// One thread, so one for all.
static struct block *spare;
static unsigned int spare_count;

static void block_free(struct block *block)
{
	if (block->capacity != BLOCK_FIRST || spare_count == SPARE_MOST) {
		free(block);
		return;
	}
	*block = (struct block){ .next = spare, .capacity = BLOCK_FIRST };
	spare = block;
	spare_count++;
}

void ring_free_spares(void)
{
	while (spare) {
		struct block *block = spare;

		spare = block->next;
		free(block);
	}
	spare_count = 0;
}

static struct block *block_make(size_t capacity)
{
	struct block *block = capacity == BLOCK_FIRST ? spare : NULL;

	if (block) {
		spare = block->next;
		spare_count--;
		block->next = NULL;	// its bytes may have been written: ring_reserve()
		return block;
	}
	block = malloc(sizeof(*block) + capacity);
	if (block)
		*block = (struct block){ .capacity = (uint32_t)capacity };
	return block;
}

static size_t block_room(const struct block *block)
{
	return block ? block->capacity - block->used : 0;
}

// What block_make(BLOCK_FIRST) will give next.
static struct block *spare_lend(void)
{
	if (!spare) {
		struct block *block = block_make(BLOCK_FIRST);

		if (block)
			block_free(block);
	}
	return spare;
}

// A block of twice the size, up to `most`; instead of the newest if that is empty.
static void ring_grow(struct ring *ring, size_t most)
{
	size_t capacity = ring->newest->capacity * 2UL;
	struct block *block;

	block = block_make(capacity < most ? capacity : most);
	if (!block)
		return;
	ring->newest->next = block;
	ring->newest = block;
}

int ring_reserve(struct ring *ring, size_t most, struct iovec iov[2], size_t *size)
{
	size_t room = ring->used < most ? most - ring->used : 0, end, first;
	struct block *block;

	*size = 0;
	if (!room)
		return 0;
	if (!ring->newest) {
		block = spare_lend();
	} else {
		if (block_room(ring->newest) == 0 && ring->newest->capacity < most)
			ring_grow(ring, most);
		block = ring->newest;
	}
	if (room > block_room(block))
		room = block_room(block);
	if (!room)
		return 0;
	end = (block->start + (size_t)block->used) % block->capacity;
	first = block->capacity - end;
	if (first > room)
		first = room;
	iov[0] = (struct iovec){ block->bytes + end, first };
	iov[1] = (struct iovec){ block->bytes, room - first };
	*size = room;
	return first < room ? 2 : 1;
}

bool ring_commit(struct ring *ring, size_t size)
{
	if (!size)
		return true;
	if (!ring->newest && spare && size <= BLOCK_FIRST)
		ring->oldest = ring->newest = block_make(BLOCK_FIRST);
	if (size > block_room(ring->newest))
		return false;
	ring->newest->used += (uint32_t)size;
	ring->used += (uint32_t)size;
	return true;
}

size_t ring_unwritten(const struct ring *ring, const uint8_t **bytes)
{
	size_t skip = ring->written, start, size;
	const struct block *block = ring->oldest;

	while (block && skip >= block->used && block->next) {
		skip -= block->used;
		block = block->next;
	}
	if (!block || skip >= block->used)
		return 0;
	start = (block->start + skip) % block->capacity;
	size = block->used - skip;
	if (size > block->capacity - start)
		size = block->capacity - start;
	*bytes = block->bytes + start;
	return size;
}

void ring_release(struct ring *ring, size_t size)
{
	while (size && ring->oldest) {
		struct block *block = ring->oldest;
		uint32_t part = size < block->used ? (uint32_t)size : block->used;

		block->start = (block->start + part) % block->capacity;
		block->used -= part;
		ring->used -= part;
		ring->written -= part;
		size -= part;
		if (block->used || !block->next)
			break;
		ring->oldest = block->next;
		block_free(block);
	}
	// A big one proved its worth, and goes when the flow idles.
	if (ring->oldest && !ring->used && ring->oldest->capacity == BLOCK_FIRST)
		ring_free(ring);
	else if (ring->oldest && !ring->used)
		ring->oldest->start = 0;
}

void ring_shrink(struct ring *ring)
{
	if (!ring->used)
		ring_free(ring);
}

void ring_free(struct ring *ring)
{
	while (ring->oldest) {
		struct block *block = ring->oldest;

		ring->oldest = block->next;
		block_free(block);
	}
	*ring = (struct ring){ 0 };
}
