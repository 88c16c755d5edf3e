// SPDX-License-Identifier: GPL-3.0-or-later
// chunks - the row of chunks of records between the one who fills them and the
// one who writes them: an open one, queued ones, and spare ones.
//
// Whoever has both sides keeps a lock around every call.

#ifndef PCAP_CHUNKS_H
#define PCAP_CHUNKS_H

#include <stdbool.h>

#include "pcap/blocks.h"

enum {
	CHUNK = 256 * 1024,		// bytes: the open one is as good as full
	CHUNK_SLACK = 80 * 1024,	// a packet of 64 KB that begins just below CHUNK
};

struct chunk {
	struct chunk *next;
	char *file;		// not NULL: it begins this one
	struct blocks blocks;
};

struct chunks {
	struct chunk *open;	// NULL: none
	// chunks' own
	struct chunk *queued, **tail, *spare;
	unsigned spares;
};

// It must stay where it is.
void chunks_init(struct chunks *chunks);
void chunks_free(struct chunks *chunks);

// The open one, begun where there is none; NULL without memory.
struct chunk *chunks_open(struct chunks *chunks);
// What there is in it waits to be written, behind what waits already.
void chunks_queue_open(struct chunks *chunks);

bool chunks_any_queued(const struct chunks *chunks);
bool chunks_any_open(const struct chunks *chunks);	// ... with a byte in it

// The first that waits, and the open one: there must be one. The taker's until
// it is given back.
struct chunk *chunks_take_queued(struct chunks *chunks);
struct chunk *chunks_take_open(struct chunks *chunks);
void chunks_give(struct chunks *chunks, struct chunk *chunk);

// Nobody is in a jam any more: the memory that one took goes.
void chunks_trim(struct chunks *chunks);

#endif
