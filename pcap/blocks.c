// SPDX-License-Identifier: GPL-3.0-or-later
// blocks - a growing run of whole records of a capture file, ready to write.

#include "pcap/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_FIRST = 4096, LIST_FIRST = 16 };

// Offsets are 32 bits: a run of 4 GB is somebody's mistake.
#define BYTES_MOST ((size_t)UINT32_MAX)

static size_t doubled(size_t now, size_t first, size_t need)
{
	size_t capacity = now ? now : first;

	while (capacity < need)
		capacity *= 2;
	return capacity;
}

static int grow_bytes(struct blocks *blocks, size_t need)
{
	if (need <= blocks->capacity)
		return 0;
	if (need > BYTES_MOST)
		return -ENOMEM;

	size_t capacity = doubled(blocks->capacity, BYTES_FIRST, need);
	uint8_t *bytes = realloc(blocks->bytes, capacity);
	if (!bytes)
		return -ENOMEM;
	blocks->bytes = bytes;
	blocks->capacity = capacity;
	return 0;
}

static int grow_list(struct blocks *blocks, size_t need)
{
	if (need <= blocks->room)
		return 0;

	size_t room = doubled(blocks->room, LIST_FIRST, need);
	struct block *list = realloc(blocks->list, room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	blocks->list = list;
	blocks->room = room;
	return 0;
}

uint8_t *blocks_reserve(struct blocks *blocks, size_t size)
{
	if (size > BYTES_MOST || grow_bytes(blocks, blocks->size + size) ||
	    grow_list(blocks, blocks->count + 1))
		return NULL;
	return blocks->bytes + blocks->size;
}

void blocks_commit(struct blocks *blocks, size_t size, bool packet)
{
	blocks->size += size;
	blocks->list[blocks->count++] = (struct block){ .end = blocks->size, .packet = packet };
	blocks->packets += packet;
}

int blocks_append(struct blocks *blocks, const struct blocks *from)
{
	if (!from->size)
		return 0;
	if (grow_bytes(blocks, blocks->size + from->size) ||
	    grow_list(blocks, blocks->count + from->count))
		return -ENOMEM;

	memcpy(blocks->bytes + blocks->size, from->bytes, from->size);
	for (size_t i = 0; i < from->count; i++)
		blocks->list[blocks->count++] = (struct block){
			.end = blocks->size + from->list[i].end, .packet = from->list[i].packet,
		};
	blocks->size += from->size;
	blocks->packets += from->packets;
	return 0;
}

size_t blocks_whole(const struct blocks *blocks, size_t size, uint64_t *packets)
{
	size_t end = 0;

	*packets = 0;
	for (size_t i = 0; i < blocks->count && blocks->list[i].end <= size; i++) {
		end = blocks->list[i].end;
		*packets += blocks->list[i].packet;
	}
	return end;
}

void blocks_empty(struct blocks *blocks)
{
	blocks->size = 0;
	blocks->count = 0;
	blocks->packets = 0;
}

void blocks_free(struct blocks *blocks)
{
	free(blocks->bytes);
	free(blocks->list);
	*blocks = (struct blocks){ 0 };
}
