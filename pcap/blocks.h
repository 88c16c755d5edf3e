// SPDX-License-Identifier: GPL-3.0-or-later
// blocks - a growing run of whole records of a capture file, ready to write.
//
// The encoders append to one; a held flow keeps one; the writer's queue is a
// row of them. Beside the bytes goes a list of where each record ends, so that
// a full disk can be cut back to a whole one.

#ifndef PCAP_BLOCKS_H
#define PCAP_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
	uint32_t end;		// from the start of the run
	bool packet;
};

struct blocks {
	uint8_t *bytes;
	size_t size, capacity;
	struct block *list;
	size_t count, room;
	uint64_t packets;
};

// Room for one more record of `size` bytes, or NULL without memory. Nothing
// counts until blocks_commit(), which cannot fail.
uint8_t *blocks_reserve(struct blocks *blocks, size_t size);
void blocks_commit(struct blocks *blocks, size_t size, bool packet);

// All of `from` behind what is there. 0, or -ENOMEM with nothing changed.
int blocks_append(struct blocks *blocks, const struct blocks *from);

// The end of the last whole record within the first `size` bytes, and how many
// packets stand before it.
size_t blocks_whole(const struct blocks *blocks, size_t size, uint64_t *packets);

// Forgets the records and keeps the memory; gives the memory back.
void blocks_empty(struct blocks *blocks);
void blocks_free(struct blocks *blocks);

#endif
