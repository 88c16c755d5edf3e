// SPDX-License-Identifier: GPL-3.0-or-later
// dump - bytes as rows of hex and text.

#include "pcap/dump.h"

#include <stdio.h>
#include <string.h>

// What the app says, and what it is told.
static const char *const colours[] = {"\x1b[33m", "\x1b[36m"};
static const char plain[] = "\x1b[0m";

static size_t row(char out[DUMP_ROW + 1], bool outgoing, bool colour, uint64_t offset, const uint8_t *bytes,
		  size_t size)
{
	char hex[2 * DUMP_BYTES + DUMP_BYTES / 2 + 1], text[DUMP_BYTES + 1];
	size_t at = 0;

	memset(hex, ' ', sizeof(hex));
	for (size_t i = 0; i < size; i++) {
		static const char digits[] = "0123456789abcdef";
		hex[at++] = digits[bytes[i] >> 4];
		hex[at++] = digits[bytes[i] & 15];
		at += i & 1;
		text[i] = bytes[i] > ' ' && bytes[i] < 127 ? (char)bytes[i] : '.';
	}
	hex[sizeof(hex) - 1] = text[size] = 0;
	return (size_t)snprintf(out, DUMP_ROW + 1, "%s%c 0x%04llx:  %s %s%s\n", colour ? colours[!outgoing] : "",
				outgoing ? '>' : '<', (unsigned long long)(offset & 0xffffffffffff), hex, text,
				colour ? plain : "");
}

size_t dump_rows(char *out, size_t room, bool outgoing, bool colour, uint64_t offset, const uint8_t *bytes,
		 size_t size, size_t *used)
{
	size_t at = 0;

	*used = 0;
	while (*used < size && room - at >= DUMP_ROW + 1) {
		size_t part = size - *used < DUMP_BYTES ? size - *used : DUMP_BYTES;
		at += row(out + at, outgoing, colour, offset + *used, bytes + *used, part);
		*used += part;
	}
	return at;
}
