// SPDX-License-Identifier: GPL-3.0-or-later
// asn1 - reading bytes, big-endian numbers and DER values, never beyond the end.

#include "extension/asn1.h"

const uint8_t *asn1_take(struct asn1 *r, size_t size)
{
	const uint8_t *at = r->at;

	if (size > r->left)
		return NULL;
	r->at += size;
	r->left -= size;
	return at;
}

bool asn1_take_number(struct asn1 *r, int size, uint64_t *out)
{
	const uint8_t *at = asn1_take(r, (size_t)size);

	*out = 0;
	for (int i = 0; at && i < size; i++)
		*out = *out << 8 | at[i];
	return at != NULL;
}

// Lengths are definite (X.690 section 10.1) and of at most four bytes.
bool asn1_take_value(struct asn1 *r, uint8_t tag, size_t *size)
{
	const uint8_t *head = asn1_take(r, 2);
	uint64_t length;

	if (!head || head[0] != tag)
		return false;
	length = head[1];
	if (length & 0x80 && (length == 0x80 || length > 0x84 ||
			      !asn1_take_number(r, (int)(length & 0x7F), &length)))
		return false;
	*size = length;
	return length <= r->left;
}

bool asn1_take_inside(struct asn1 *r, uint8_t tag, struct asn1 *inside)
{
	size_t size;

	if (!asn1_take_value(r, tag, &size))
		return false;
	inside->left = size;
	inside->at = asn1_take(r, size);
	return inside->at != NULL;
}
