// SPDX-License-Identifier: GPL-3.0-or-later
// secrets - what decrypts the flows that go on, for the next file of a ring.

#include "pcap/secrets.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, BYTES_MOST = 64 << 20 };

struct secrets {
	struct secret *buckets[BUCKETS];
	size_t count, bytes;
};

// The place that points at the flow's entry, or would.
static struct secret **place(struct secrets *secrets, uint64_t flow)
{
	// Fibonacci hashing: the upper bits are the well mixed ones.
	struct secret **at = &secrets->buckets[flow * 0x9e3779b97f4a7c15u >> 52];

	while (*at && (*at)->flow != flow)
		at = &(*at)->beside;
	return at;
}

struct secrets *secrets_open(void)
{
	return calloc(1, sizeof(struct secrets));
}

void secrets_close(struct secrets *secrets)
{
	for (int i = 0; secrets && i < BUCKETS; i++)
		while (secrets->buckets[i])
			secrets_forget(secrets, secrets->buckets[i]->flow);
	free(secrets);
}

static struct secret *add_flow(struct secrets *secrets, struct secret **at, uint64_t flow)
{
	*at = calloc(1, sizeof(**at));
	if (*at) {
		(*at)->flow = flow;
		secrets->count++;
	}
	return *at;
}

void secrets_add(struct secrets *secrets, uint64_t flow, const char *lines, size_t size, unsigned file)
{
	struct secret **at = place(secrets, flow), *secret = *at;
	char *all;

	if (!flow || secrets->bytes + size > BYTES_MOST)
		return;
	if (!secret && !(secret = add_flow(secrets, at, flow)))
		return;
	all = realloc(secret->lines, secret->size + size);
	if (!all)
		return;
	memcpy(all + secret->size, lines, size);
	secret->lines = all;
	secret->size += size;
	secret->file = file;
	secrets->bytes += size;
}

struct secret *secrets_find(struct secrets *secrets, uint64_t flow)
{
	return secrets->count ? *place(secrets, flow) : NULL;
}

void secrets_forget(struct secrets *secrets, uint64_t flow)
{
	struct secret **at = place(secrets, flow), *secret = *at;

	if (!secret)
		return;
	*at = secret->beside;
	secrets->count--;
	secrets->bytes -= secret->size;
	free(secret->lines);
	free(secret);
}
