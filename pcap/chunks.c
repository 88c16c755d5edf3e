// SPDX-License-Identifier: GPL-3.0-or-later
// chunks - the row of chunks of records between the one who fills them and the
// one who writes them.
//
// What was written is kept as spare for the next: pages once touched stay warm.

#include "pcap/chunks.h"

#include <stdlib.h>

enum { SPARES = 32 };

static void chunk_free(struct chunk *chunk)
{
	if (chunk) {
		blocks_free(&chunk->blocks);
		free(chunk->file);
	}
	free(chunk);
}

static void row_free(struct chunk *chunk)
{
	while (chunk) {
		struct chunk *next = chunk->next;
		chunk_free(chunk);
		chunk = next;
	}
}

static struct chunk *chunk_new(void)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->blocks.bytes = malloc(CHUNK + CHUNK_SLACK);
	if (!chunk->blocks.bytes) {
		free(chunk);
		return NULL;
	}
	chunk->blocks.capacity = CHUNK + CHUNK_SLACK;
	return chunk;
}

static struct chunk *chunk_get(struct chunks *chunks)
{
	struct chunk *chunk = chunks->spare;

	if (!chunk)
		return chunk_new();
	chunks->spare = chunk->next;
	chunks->spares--;
	chunk->next = NULL;
	return chunk;
}

void chunks_init(struct chunks *chunks)
{
	*chunks = (struct chunks){ .tail = &chunks->queued };
}

void chunks_free(struct chunks *chunks)
{
	chunk_free(chunks->open);
	row_free(chunks->queued);
	row_free(chunks->spare);
	chunks_init(chunks);
}

struct chunk *chunks_open(struct chunks *chunks)
{
	if (!chunks->open)
		chunks->open = chunk_get(chunks);
	return chunks->open;
}

void chunks_queue_open(struct chunks *chunks)
{
	*chunks->tail = chunks->open;
	chunks->tail = &chunks->open->next;
	chunks->open = NULL;
}

bool chunks_any_queued(const struct chunks *chunks)
{
	return chunks->queued;
}

bool chunks_any_open(const struct chunks *chunks)
{
	return chunks->open && chunks->open->blocks.size;
}

struct chunk *chunks_take_queued(struct chunks *chunks)
{
	struct chunk *chunk = chunks->queued;

	chunks->queued = chunk->next;
	if (!chunks->queued)
		chunks->tail = &chunks->queued;
	chunk->next = NULL;
	return chunk;
}

struct chunk *chunks_take_open(struct chunks *chunks)
{
	struct chunk *chunk = chunks->open;

	chunks->open = NULL;
	return chunk;
}

// One that had to grow is not kept: that much is seldom needed again.
void chunks_give(struct chunks *chunks, struct chunk *chunk)
{
	if (chunk->blocks.capacity != CHUNK + CHUNK_SLACK) {
		chunk_free(chunk);
		return;
	}
	blocks_empty(&chunk->blocks);
	free(chunk->file);
	chunk->file = NULL;
	chunk->next = chunks->spare;
	chunks->spare = chunk;
	chunks->spares++;
}

// Not chunk by chunk while the jam lasts: the next ones would be of pages never
// touched.
void chunks_trim(struct chunks *chunks)
{
	while (chunks->spares > SPARES)
		chunk_free(chunk_get(chunks));
}
