// SPDX-License-Identifier: GPL-3.0-or-later
// relay - bytes between the two sides of a conversation, either way, with or
// without TLS on both.
//
// Back-pressure is the stop of reading: from a side nothing is read while the
// other takes nothing. Each direction ends by itself (half-close): a FIN is
// passed on as a FIN, a close_notify as a close_notify, and a FIN without one
// as a FIN without one.

#ifndef TUNNEL_RELAY_H
#define TUNNEL_RELAY_H

#include "tunnel/wire.h"

struct tap;
struct tls;

// What came from one side and how far its end was passed on.
struct relay_direction {
	uint8_t *left;		// plain bytes that the other side has not taken
	uint64_t plain;		// bytes inside TLS that came
	uint32_t left_size;
	bool notified;		// close_notify came
	bool notify_due;	// ... and is still to be written to the other
	bool over;		// its end was passed on
};

struct relay {
	struct wire wire[2];	// by enum side
	struct tls *tls[2];	// both, or neither
	struct tap *tap;	// gets what went through TLS
	struct relay_direction from[2];
};

enum relay_state {
	RELAY_WAITING,		// for news of either side
	RELAY_MORE,		// its share of this turn is used up
	RELAY_OVER,		// both directions ended
	RELAY_BROKEN,		// a side broke: see wire[].error
};

enum relay_state relay_pump(struct relay *relay);
// Frees what is its own; the wires and ends are the caller's.
void relay_close(struct relay *relay);

#endif
