// SPDX-License-Identifier: GPL-3.0-or-later
// carrier - an end's bytes on their way between wolfSSL and the wire.
//
// Within the room only. Reading: what the wire has is taken in one go, and handed out as it is
// asked for, which is by header and record. Writing: what the wire does not take waits here.
// What ended or broke is noted, never said to wolfSSL: it sees a wire that is silent.

#ifndef TLS_CARRIER_H
#define TLS_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tls.h"

// A buffer to read ahead into, held only while there is something in it; one is kept by
// whoever owns the carriers, for whichever reads next.
struct carrier_spare {
	uint8_t *buffer;
};

struct carrier {
	struct tls_wire wire;
	void *context;
	struct carrier_spare *spare;

	bool heard;			// bytes came
	bool ended;			// the wire has no more of them
	int read_error, write_error;	// the wire's own

	uint8_t *in, *out;		// read ahead; for the wire: each from at to size
	size_t in_at, in_size;
	size_t out_at, out_size, out_room;
	uint8_t last[5];		// what was handed out last
};

void carrier_open(struct carrier *carrier, const struct tls_wire *wire, void *context,
		  struct carrier_spare *spare);
void carrier_close(struct carrier *carrier);

// Up to `size` bytes; 0: there are none, see `ended` and `read_error`.
size_t carrier_read(struct carrier *carrier, void *bytes, size_t size);
// All of it, unless `write_error`.
void carrier_write(struct carrier *carrier, const void *bytes, size_t size);
// Is something waiting for the wire?
bool carrier_unsent(const struct carrier *carrier);
// 0: nothing waits any more, -EAGAIN, or the wire's -errno.
int carrier_flush(struct carrier *carrier);

void carrier_spare_free(struct carrier_spare *spare);

#endif
