// SPDX-License-Identifier: GPL-3.0-or-later
// packet_fuzz - any bytes as an IP packet.

#include <stdlib.h>

#include "tunnel/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct packet p;
	char text[ADDRESS_TEXT];
	unsigned sum = 0;

	if (!packet_read(&p, bytes, size)) {
		for (size_t i = 0; i < p.payload_size; i++)
			sum += p.payload[i];
		address_text(&p.from, text);
		address_text(&p.to, text);
	}
	if (!packet_read_head(&p, bytes, size))
		for (size_t i = 0; i < p.payload_size; i++)
			sum += p.payload[i];
	return sum == 0xffffffff ? -1 : 0;
}
