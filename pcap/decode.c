// SPDX-License-Identifier: GPL-3.0-or-later
// decode - a body without its content encoding.

#include "pcap/decode.h"

#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

enum { STEP = 16384 };

// By zlib's windowBits: gzip's or zlib's own head, or none, as some servers mean by deflate.
static uint8_t *inflate_as(int bits, const uint8_t *bytes, size_t size, size_t most, size_t *decoded, bool *whole)
{
	z_stream z = {.next_in = (Bytef *)bytes, .avail_in = (uInt)size};
	uint8_t *out = NULL;
	int state = Z_OK;

	*decoded = 0;
	if (size > INT_MAX || inflateInit2(&z, bits) != Z_OK)
		return NULL;
	while (state == Z_OK && *decoded < most) {
		size_t room = most - *decoded < STEP ? most - *decoded : STEP;
		uint8_t *grown = realloc(out, *decoded + room);
		if (!grown)
			break;
		out = grown;
		z.next_out = out + *decoded;
		z.avail_out = (uInt)room;
		state = inflate(&z, Z_NO_FLUSH);
		*decoded += room - z.avail_out;
	}
	inflateEnd(&z);
	*whole = state == Z_STREAM_END;
	if (*decoded || *whole)
		return out;
	free(out);
	return NULL;
}

uint8_t *decode_body(const char *encoding, const uint8_t *bytes, size_t size, size_t most, size_t *decoded,
		     bool *whole)
{
	uint8_t *out = NULL;

	if (!encoding || !size || !most)
		return NULL;
	if (!strcasecmp(encoding, "gzip") || !strcasecmp(encoding, "x-gzip"))
		return inflate_as(16 + MAX_WBITS, bytes, size, most, decoded, whole);
	if (!strcasecmp(encoding, "deflate")) {
		out = inflate_as(MAX_WBITS, bytes, size, most, decoded, whole);
		if (!out)
			out = inflate_as(-MAX_WBITS, bytes, size, most, decoded, whole);
	}
	return out;
}
