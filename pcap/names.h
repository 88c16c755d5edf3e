// SPDX-License-Identifier: GPL-3.0-or-later
// names - which names of which addresses the file has already.

#ifndef PCAP_NAMES_H
#define PCAP_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAMES_MOST = 4096 };

// All zero is an empty one.
struct capture_names {
	uint64_t seen[2 * NAMES_MOST];
	unsigned count;
};

// True if the pair is new; it is remembered.
bool capture_names_add(struct capture_names *names, const uint8_t *address, size_t size, const char *name);

#endif
