// SPDX-License-Identifier: GPL-3.0-or-later
// decode - a body without its content encoding (RFC 9110 section 8.4).

#ifndef PCAP_DECODE_H
#define PCAP_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The decoded bytes, at most `most`, to be freed; of a body whose end is missing as many
// as its beginning gives. *whole: the encoding's end was reached. NULL: an encoding that
// is not known (gzip and deflate are), bytes that are none of it, no memory.
uint8_t *decode_body(const char *encoding, const uint8_t *bytes, size_t size, size_t most, size_t *decoded,
		     bool *whole);

#endif
