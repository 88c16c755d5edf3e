// SPDX-License-Identifier: GPL-3.0-or-later
// quic - is this the first datagram of a QUIC connection?

#include "tls/quic.h"

#include <stdint.h>

enum {
	LEAST = 1200,		// bytes of a datagram with an Initial, RFC 9000 14.1
	LONG_FIXED = 0xc0,	// the two bits of a long header, RFC 9000 17.2
	TYPE = 0x30,
	CONNECTION_ID_MAX = 20,
};

// The type bits of an Initial in that version, or -1 for a version unknown.
static int initial_type(uint32_t version)
{
	if (version == 1 || version >> 8 == 0xff0000)
		return 0x00;
	return version == 0x6b3343cf ? 0x10 : -1;
}

bool quic_is_initial(const void *datagram, size_t size)
{
	const uint8_t *b = datagram;
	size_t id;

	if (size < LEAST || (b[0] & LONG_FIXED) != LONG_FIXED)
		return false;
	uint32_t version = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
	if ((b[0] & TYPE) != initial_type(version))
		return false;
	id = b[5];
	// A client's first connection ID for the server has 8 bytes at least (7.2).
	return id >= 8 && id <= CONNECTION_ID_MAX && b[6 + id] <= CONNECTION_ID_MAX;
}
