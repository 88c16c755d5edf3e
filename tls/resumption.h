// SPDX-License-Identifier: GPL-3.0-or-later
// resumption - sessions with origins, kept to be taken up again.
//
// Within the room only. With each goes the chain that the origin showed when it began,
// since it shows none when it is resumed.

#ifndef TLS_RESUMPTION_H
#define TLS_RESUMPTION_H

#include <wolfssl/ssl.h>

#include "tls/certificate.h"
#include "tls/leaves.h"

struct hello;

// A chain as the origin sent it: whole certificates behind each other, leaf first.
struct shown {
	uint8_t *bytes;
	size_t size;
};

// Views into it; how many.
size_t shown_views(struct shown shown, struct der *out, size_t max);

// Sessions under digests of whom they are with and what protocols are offered.
struct leaves *resumption_open(void);
bool resumption_key(uint8_t key[LEAF_KEY_SIZE], const struct hello *hello, const char *address,
		    uint16_t port);

// Has a client's `ssl`, not begun yet, offer to take up the session under `key`, if its version
// is one of these and the hello offers its suite. `chain`, a copy, is what it was shown then.
// False, and nothing done, when there is none.
bool resumption_offer(struct leaves *sessions, const uint8_t key[LEAF_KEY_SIZE], WOLFSSL *ssl,
		      const struct hello *hello, uint16_t version_min, uint16_t version_max,
		      struct shown *chain);
// Keeps the session of `ssl` as it is now, if the origin would take it up.
void resumption_keep(struct leaves *sessions, const uint8_t key[LEAF_KEY_SIZE], WOLFSSL *ssl,
		     struct shown chain);

#endif
