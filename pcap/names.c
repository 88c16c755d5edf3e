// SPDX-License-Identifier: GPL-3.0-or-later
// names - which names of which addresses the file has already.
//
// Only a 64 bit hash of each pair is kept. Two that collide cost one record,
// two that are forgotten cost one said twice, which the format allows: so a
// full table simply starts anew.

#include "pcap/names.h"

#include <string.h>

enum { SLOTS = 2 * NAMES_MOST };

// FNV-1a.
static uint64_t hash(uint64_t state, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		state = (state ^ at[i]) * 0x100000001b3u;
	return state;
}

static uint64_t *slot(struct capture_names *names, uint64_t key)
{
	size_t i = key % SLOTS;

	while (names->seen[i] && names->seen[i] != key)
		i = (i + 1) % SLOTS;
	return &names->seen[i];
}

bool capture_names_add(struct capture_names *names, const uint8_t *address, size_t size, const char *name)
{
	uint64_t key = hash(hash(0xcbf29ce484222325u, address, size), name, strlen(name));

	key += !key;	// 0 marks a free slot
	if (*slot(names, key))
		return false;
	if (names->count == NAMES_MOST)
		memset(names, 0, sizeof(*names));
	*slot(names, key) = key;
	names->count++;
	return true;
}
