// SPDX-License-Identifier: GPL-3.0-or-later
// leaves - things kept under digests, least recently used out.
//
// A chained hash over digests, which need no hashing of their own, and a ring
// through all entries from the most to the least recently used. The head of the
// ring is an entry that keeps nothing.

#include "tls/leaves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

struct leaf {
	uint8_t key[LEAF_KEY_SIZE];
	void *kept;
	struct leaf *chain;		// the bucket's next
	struct leaf *newer, *older;	// the ring
};

struct leaves {
	struct leaf *buckets[BUCKETS];
	struct leaf ring;
	size_t count, limit;
	void (*drop)(void *kept);
};

struct leaves *leaves_open(size_t limit, void (*drop)(void *kept))
{
	struct leaves *leaves = calloc(1, sizeof(*leaves));

	if (!leaves)
		return NULL;
	leaves->ring.newer = leaves->ring.older = &leaves->ring;
	leaves->limit = limit;
	leaves->drop = drop;
	return leaves;
}

static struct leaf **bucket(struct leaves *leaves, const uint8_t *key)
{
	return &leaves->buckets[(key[0] << 8 | key[1]) % BUCKETS];
}

static void unlink_ring(struct leaf *leaf)
{
	leaf->newer->older = leaf->older;
	leaf->older->newer = leaf->newer;
}

static void link_newest(struct leaves *leaves, struct leaf *leaf)
{
	leaf->newer = &leaves->ring;
	leaf->older = leaves->ring.older;
	leaf->older->newer = leaf;
	leaves->ring.older = leaf;
}

static void forget(struct leaves *leaves, struct leaf *leaf)
{
	struct leaf **at = bucket(leaves, leaf->key);

	while (*at != leaf)
		at = &(*at)->chain;
	*at = leaf->chain;
	unlink_ring(leaf);
	leaves->drop(leaf->kept);
	leaves->count--;
	free(leaf);
}

void leaves_close(struct leaves *leaves)
{
	if (!leaves)
		return;
	while (leaves->ring.newer != &leaves->ring)
		forget(leaves, leaves->ring.newer);
	free(leaves);
}

void *leaves_find(struct leaves *leaves, const uint8_t key[LEAF_KEY_SIZE])
{
	struct leaf *leaf = *bucket(leaves, key);

	while (leaf && memcmp(leaf->key, key, LEAF_KEY_SIZE) != 0)
		leaf = leaf->chain;
	if (!leaf)
		return NULL;
	unlink_ring(leaf);
	link_newest(leaves, leaf);
	return leaf->kept;
}

int leaves_keep(struct leaves *leaves, const uint8_t key[LEAF_KEY_SIZE], void *what)
{
	struct leaf *leaf = malloc(sizeof(*leaf)), **first = bucket(leaves, key);

	if (!leaf)
		return -ENOMEM;
	memcpy(leaf->key, key, LEAF_KEY_SIZE);
	leaf->kept = what;
	leaf->chain = *first;
	*first = leaf;
	link_newest(leaves, leaf);
	if (++leaves->count > leaves->limit)
		forget(leaves, leaves->ring.newer);	// around the ring: the oldest
	return 0;
}
