// SPDX-License-Identifier: GPL-3.0-or-later
// der - views into DER, and a writer that builds it from the end (ITU-T X.690).
//
// Within the room only.

#ifndef TLS_DER_H
#define TLS_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DER_BOOLEAN = 0x01, DER_INTEGER = 0x02, DER_BITS = 0x03, DER_OCTETS = 0x04,
	DER_OBJECT = 0x06, DER_UTF8 = 0x0c, DER_UTC_TIME = 0x17, DER_TIME = 0x18,
	DER_SEQUENCE = 0x30, DER_SET = 0x31,
	DER_CONTEXT = 0x80, DER_CONTEXT_SEQUENCE = 0xa0,
};

// A piece of somebody else's memory.
struct der {
	const uint8_t *at;
	size_t size;
};

bool der_equal(struct der a, struct der b);

// Takes the next element off `from` if its tag is `tag`: `whole` is all of it,
// `body` what is inside; either may be NULL. False leaves `from` as it was.
bool der_take(struct der *from, uint8_t tag, struct der *whole, struct der *body);
// The same, whatever the tag.
bool der_next(struct der *from, uint8_t *tag, struct der *whole, struct der *body);

// The writer fills `base` from its end towards its beginning, so that a length
// is known by the time its header is written. What does not fit sets `full`
// and is dropped.
struct der_writer {
	uint8_t *base;
	size_t at;		// first byte written so far
	size_t size;
	bool full;
};

void der_put(struct der_writer *writer, const void *bytes, size_t size);
// Puts the header of an element whose body is everything written since the
// writer stood at `mark`.
void der_wrap(struct der_writer *writer, uint8_t tag, size_t mark);
// A whole element.
void der_element(struct der_writer *writer, uint8_t tag, const void *bytes, size_t size);
struct der der_written(const struct der_writer *writer);

#endif
