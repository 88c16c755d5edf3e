// SPDX-License-Identifier: GPL-3.0-or-later
// checksum - the Internet checksum (RFC 1071) over bytes that come in pieces.

#ifndef PCAP_CHECKSUM_H
#define PCAP_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All zero is a fresh one.
struct checksum {
	uint64_t sum;
	bool odd;	// the bytes so far are of an odd number
};

void checksum_add(struct checksum *checksum, const void *bytes, size_t size);

// The answer as it goes into the packet (its bytes are in network order
// already). Never 0, which UDP takes for "none": its equal, 0xffff.
uint16_t checksum_word(const struct checksum *checksum);

#endif
