// SPDX-License-Identifier: GPL-3.0-or-later
// dump - bytes as rows of hex and text, for a person to read.
//
// Pure. The rows are tcpdump -X's, a direction in front of each. Whatever the bytes
// are, the text has printable ASCII, and with colour the escapes written here; each
// row ends what it began, so that rows between other lines colour nothing else.

#ifndef PCAP_DUMP_H
#define PCAP_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DUMP_BYTES = 16,	// of a row
	DUMP_ROW = 96,		// a row's text at most, without a zero
};

// As many whole rows as `room` takes; `offset` is the first byte's. Returns the text's
// size, and in *used how many bytes it stands for.
size_t dump_rows(char *out, size_t room, bool outgoing, bool colour, uint64_t offset, const uint8_t *bytes,
		 size_t size, size_t *used);

#endif
