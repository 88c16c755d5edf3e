// SPDX-License-Identifier: GPL-3.0-or-later
// der - reading bytes, big-endian numbers and DER values, never beyond the end.

#ifndef EXTENSION_DER_H
#define EXTENSION_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct der {
	const uint8_t *at;
	size_t left;
};

// The next bytes, which are then behind us; NULL where so many are not left.
const uint8_t *der_take(struct der *r, size_t size);
bool der_take_number(struct der *r, int size, uint64_t *out);

// The head of a value of that tag (X.690 section 8.1): what it holds is next.
bool der_take_value(struct der *r, uint8_t tag, size_t *size);
// The whole of what it holds, which is then behind us.
bool der_take_inside(struct der *r, uint8_t tag, struct der *inside);

#endif
