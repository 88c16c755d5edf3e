// SPDX-License-Identifier: GPL-3.0-or-later
// der - views into DER, and a writer that builds it from the end.

#include "tls/der.h"

#include <string.h>

bool der_equal(struct der a, struct der b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

// X.690 10.1: definite lengths in the shortest form. Elements of 4 GB and more,
// and tags of more than one byte, are in no certificate.
bool der_next(struct der *from, uint8_t *tag, struct der *whole, struct der *body)
{
	const uint8_t *at = from->at;
	size_t header = 2, length;

	if (from->size < 2 || (at[0] & 0x1f) == 0x1f)
		return false;
	length = at[1];
	if (length > 0x7f) {
		size_t count = length & 0x7f;

		if (count == 0 || count > 4 || from->size < 2 + count)
			return false;
		length = 0;
		for (size_t i = 0; i < count; i++)
			length = length << 8 | at[2 + i];
		if (length < 0x80 || at[2] == 0)
			return false;
		header += count;
	}
	if (length > from->size - header)
		return false;
	*tag = at[0];
	if (whole)
		*whole = (struct der){ at, header + length };
	if (body)
		*body = (struct der){ at + header, length };
	from->at += header + length;
	from->size -= header + length;
	return true;
}

bool der_take(struct der *from, uint8_t tag, struct der *whole, struct der *body)
{
	uint8_t found;

	return from->size > 0 && from->at[0] == tag && der_next(from, &found, whole, body);
}

void der_put(struct der_writer *writer, const void *bytes, size_t size)
{
	if (writer->full || size > writer->at) {
		writer->full = true;
		return;
	}
	writer->at -= size;
	if (size > 0)
		memcpy(writer->base + writer->at, bytes, size);
}

void der_wrap(struct der_writer *writer, uint8_t tag, size_t mark)
{
	size_t length = mark - writer->at;
	uint8_t header[6];
	size_t size = sizeof(header);

	if (length < 0x80) {
		header[--size] = length;
	} else {
		size_t count = 0;

		for (size_t rest = length; rest > 0; rest >>= 8, count++)
			header[--size] = rest;
		header[--size] = 0x80 | count;
	}
	header[--size] = tag;
	der_put(writer, header + size, sizeof(header) - size);
}

void der_element(struct der_writer *writer, uint8_t tag, const void *bytes, size_t size)
{
	size_t mark = writer->at;

	der_put(writer, bytes, size);
	der_wrap(writer, tag, mark);
}

struct der der_written(const struct der_writer *writer)
{
	return (struct der){ writer->base + writer->at, writer->size - writer->at };
}
