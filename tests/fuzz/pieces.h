// SPDX-License-Identifier: GPL-3.0-or-later
// pieces - a fuzzer's input as an HTTP conversation in pieces.
//
// Each is a byte whose lowest bit is the side and whose others are a length, then so
// many bytes, or all there are. A first byte of 255 stands for HTTP/2's preface.

#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/http2.h"

static inline bool pieces_are_of_two(const uint8_t *bytes, size_t size)
{
	return size && *bytes == 255;
}

// Each to `take` in memory of its own size, so that a byte read beyond it is seen.
static inline void pieces_feed(const uint8_t *bytes, size_t size,
			       void (*take)(void *context, bool outgoing, const uint8_t *bytes, size_t size),
			       void *context)
{
	if (pieces_are_of_two(bytes, size)) {
		take(context, true, (const uint8_t *)HTTP2_PREFACE, HTTP2_PREFACE_SIZE);
		bytes++;
		size--;
	}
	while (size) {
		size_t part = *bytes >> 1;
		bool outgoing = *bytes & 1;

		bytes++;
		size--;
		part = part < size ? part : size;
		uint8_t *copy = malloc(part ? part : 1);
		if (!copy)
			abort();
		memcpy(copy, bytes, part);
		take(context, outgoing, copy, part);
		free(copy);
		bytes += part;
		size -= part;
	}
}

#endif
