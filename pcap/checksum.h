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
// The same, with a copy of the bytes at `to`, elsewhere.
void checksum_copy(struct checksum *checksum, void *to, const void *bytes, size_t size);

// Where UDP has its checksum (RFC 768), from its header's start. TCP's is at
// 16, ICMP's at 2: the place tells them apart.
enum { CHECKSUM_UDP = 6 };

// The answer as it goes into the packet (its bytes are in network order
// already), at `offset` from where the sum began. UDP takes 0 for "none" and
// has its equal, 0xffff, instead; nobody else does, and readers hold 0xffff for
// wrong there.
uint16_t checksum_word(const struct checksum *checksum, size_t offset);

#endif
