// SPDX-License-Identifier: GPL-3.0-or-later
// leaves - things kept under digests, least recently used out.
//
// Within the room only. Knows nothing of what it keeps.

#ifndef TLS_LEAVES_H
#define TLS_LEAVES_H

#include <stddef.h>
#include <stdint.h>

enum { LEAF_KEY_SIZE = 32 };

struct leaves;

// `drop` frees what was kept.
struct leaves *leaves_open(size_t limit, void (*drop)(void *kept));
void leaves_close(struct leaves *leaves);

// What is kept under `key` (a digest), or NULL. Owned by the leaves, and good
// until the next leaves_keep().
void *leaves_find(struct leaves *leaves, const uint8_t key[LEAF_KEY_SIZE]);
// Keeps `what` under a key that is not there. 0 or -ENOMEM, with nothing kept.
int leaves_keep(struct leaves *leaves, const uint8_t key[LEAF_KEY_SIZE], void *what);

#endif
