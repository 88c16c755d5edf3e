// SPDX-License-Identifier: GPL-3.0-or-later
// asn1 - reading bytes, big-endian numbers and DER values, never beyond the end.

#ifndef EXTENSION_ASN1_H
#define EXTENSION_ASN1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct asn1 {
	const uint8_t *at;
	size_t left;
};

// The next bytes, which are then behind us; NULL where so many are not left.
const uint8_t *asn1_take(struct asn1 *r, size_t size);
bool asn1_take_number(struct asn1 *r, int size, uint64_t *out);

// The head of a value of that tag (X.690 section 8.1): what it holds is next.
bool asn1_take_value(struct asn1 *r, uint8_t tag, size_t *size);
// The whole of what it holds, which is then behind us.
bool asn1_take_inside(struct asn1 *r, uint8_t tag, struct asn1 *inside);

#endif
