// SPDX-License-Identifier: GPL-3.0-or-later
// hold - flows whose packets wait, encoded, until their secrets are known.

#include "pcap/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// A TLS 1.3 handshake has five lines of about 200 bytes.
enum { BUCKETS = 4096, SECRETS_MOST = 65536 };

struct hold {
	struct held *buckets[BUCKETS];
	struct held *oldest, *newest;
	size_t count, bytes;
};

static struct held **bucket(struct hold *hold, uint64_t flow)
{
	// Fibonacci hashing: the upper bits are the well mixed ones.
	return &hold->buckets[flow * 0x9e3779b97f4a7c15u >> 52];
}

struct hold *hold_open(void)
{
	return calloc(1, sizeof(struct hold));
}

static void held_free(struct held *held)
{
	blocks_free(&held->blocks);
	free(held->secrets);
	free(held);
}

void hold_close(struct hold *hold)
{
	struct held *held = hold ? hold->oldest : NULL;

	while (held) {
		struct held *newer = held->newer;
		held_free(held);
		held = newer;
	}
	free(hold);
}

struct held *hold_find(const struct hold *hold, uint64_t flow)
{
	struct held *held;

	if (!hold->count)
		return NULL;
	held = *bucket((struct hold *)hold, flow);
	while (held && held->flow != flow)
		held = held->beside;
	return held;
}

struct held *hold_add(struct hold *hold, uint64_t flow, uint64_t deadline)
{
	struct held *held = hold_find(hold, flow), **place = bucket(hold, flow);

	if (held)
		return held;
	held = calloc(1, sizeof(*held));
	if (!held)
		return NULL;
	held->flow = flow;
	held->deadline = deadline;
	held->beside = *place;
	*place = held;
	held->older = hold->newest;
	if (hold->newest)
		hold->newest->newer = held;
	else
		hold->oldest = held;
	hold->newest = held;
	hold->count++;
	return held;
}

struct held *hold_oldest(const struct hold *hold)
{
	return hold->oldest;
}

static void unlink_held(struct hold *hold, struct held *held)
{
	struct held **place = bucket(hold, held->flow);

	while (*place != held)
		place = &(*place)->beside;
	*place = held->beside;

	*(held->older ? &held->older->newer : &hold->oldest) = held->newer;
	*(held->newer ? &held->newer->older : &hold->newest) = held->older;
}

void hold_remove(struct hold *hold, struct held *held)
{
	unlink_held(hold, held);
	hold->count--;
	hold->bytes -= held->blocks.size;
	held_free(held);
}

int hold_secret(struct held *held, const char *line, size_t length)
{
	size_t size = held->secrets_size + length + 1;

	if (size > SECRETS_MOST)
		return -E2BIG;

	char *secrets = realloc(held->secrets, size);
	if (!secrets)
		return -ENOMEM;
	memcpy(secrets + held->secrets_size, line, length);
	secrets[size - 1] = '\n';
	held->secrets = secrets;
	held->secrets_size = size;
	return 0;
}

void hold_grew(struct hold *hold, size_t bytes)
{
	hold->bytes += bytes;
}

size_t hold_count(const struct hold *hold)
{
	return hold->count;
}

size_t hold_bytes(const struct hold *hold)
{
	return hold->bytes;
}
