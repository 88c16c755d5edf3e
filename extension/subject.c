// SPDX-License-Identifier: GPL-3.0-or-later
// subject - the name under which OpenSSL finds a certificate in a folder.
//
// The file is called HASH.0, and HASH is the first four bytes, little-endian, of
// the SHA-1 of the subject in a canonical form: its RDNs one after the other without the
// sequence around them, each string as a UTF8String, in lower case as far as it is
// ASCII, with no space at either end and single spaces within (openssl-x509(1),
// "-subject_hash"; OpenSSL's x509_name_canon). A string that is not one byte a
// character is not handled: our own authority has none.

#include "extension/subject.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "extension/asn1.h"
#include "extension/sha1.h"

enum {
	NAME_MAX_SIZE = 1024,
	SEQUENCE = 0x30,
	SET = 0x31,
	OBJECT = 0x06,
	UTF8 = 0x0C,
	PRINTABLE = 0x13,
	IA5 = 0x16,
	VISIBLE = 0x1A,
	VERSION = 0xA0,
	INTEGER = 0x02,
};

struct canon {
	uint8_t bytes[NAME_MAX_SIZE];
	size_t size;
};

static bool put(struct canon *out, const void *bytes, size_t size)
{
	if (size > sizeof out->bytes - out->size)
		return false;
	memcpy(out->bytes + out->size, bytes, size);
	out->size += size;
	return true;
}

static bool put_value(struct canon *out, uint8_t tag, const struct canon *inside)
{
	uint8_t head[4] = {tag, (uint8_t)inside->size};
	size_t size = 2;

	if (inside->size > 0xFF) {
		head[1] = 0x82;
		head[2] = (uint8_t)(inside->size >> 8);
		head[3] = (uint8_t)inside->size;
		size = 4;
	} else if (inside->size > 0x7F) {
		head[1] = 0x81;
		head[2] = (uint8_t)inside->size;
		size = 3;
	}
	return put(out, head, size) && put(out, inside->bytes, inside->size);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool put_string(struct canon *out, struct asn1 text)
{
	struct canon string = {.size = 0};

	while (text.left && is_space(text.at[text.left - 1]))
		text.left--;
	for (size_t i = 0; i < text.left; i++) {
		uint8_t c = text.at[i];

		if (is_space(c) && (!string.size || string.bytes[string.size - 1] == ' '))
			continue;
		if (is_space(c))
			c = ' ';
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (!put(&string, &c, 1))
			return false;
	}
	return put_value(out, UTF8, &string);
}

// AttributeTypeAndValue, RFC 5280 section 4.1.2.4.
static bool put_attribute(struct canon *out, struct asn1 attribute)
{
	static const uint8_t strings[] = {UTF8, PRINTABLE, IA5, VISIBLE};
	struct canon inside = {.size = 0};
	const uint8_t *start = attribute.at;
	struct asn1 type, text;

	if (!asn1_take_inside(&attribute, OBJECT, &type) || !put(&inside, start, (size_t)(attribute.at - start)) ||
	    !attribute.left || !memchr(strings, attribute.at[0], sizeof strings) ||
	    !asn1_take_inside(&attribute, attribute.at[0], &text) || !put_string(&inside, text))
		return false;
	return put_value(out, SEQUENCE, &inside);
}

static bool put_name(struct canon *out, struct asn1 name)
{
	struct asn1 set, attribute;

	while (name.left) {
		struct canon inside = {.size = 0};

		if (!asn1_take_inside(&name, SET, &set))
			return false;
		while (set.left)
			if (!asn1_take_inside(&set, SEQUENCE, &attribute) || !put_attribute(&inside, attribute))
				return false;
		if (!put_value(out, SET, &inside))
			return false;
	}
	return true;
}

static bool find_subject(struct asn1 certificate, struct asn1 *subject)
{
	struct asn1 outer, inner, skipped;

	if (!asn1_take_inside(&certificate, SEQUENCE, &outer) || !asn1_take_inside(&outer, SEQUENCE, &inner))
		return false;
	if (inner.left && inner.at[0] == VERSION && !asn1_take_inside(&inner, VERSION, &skipped))
		return false;
	return asn1_take_inside(&inner, INTEGER, &skipped) &&	// serial number
	       asn1_take_inside(&inner, SEQUENCE, &skipped) &&	// algorithm
	       asn1_take_inside(&inner, SEQUENCE, &skipped) &&	// issuer
	       asn1_take_inside(&inner, SEQUENCE, &skipped) &&	// validity
	       asn1_take_inside(&inner, SEQUENCE, subject);
}

int subject_hash(const void *certificate, size_t size, uint32_t *out)
{
	struct asn1 subject;
	struct canon name = {.size = 0};
	uint8_t digest[SHA1_SIZE];

	if (!find_subject((struct asn1){certificate, size}, &subject) || !put_name(&name, subject))
		return -EINVAL;
	sha1(name.bytes, name.size, digest);
	*out = digest[0] | (uint32_t)digest[1] << 8 | (uint32_t)digest[2] << 16 | (uint32_t)digest[3] << 24;
	return 0;
}
