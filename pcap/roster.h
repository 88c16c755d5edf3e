// SPDX-License-Identifier: GPL-3.0-or-later
// roster - the processes named so far, by number.

#ifndef PCAP_ROSTER_H
#define PCAP_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/capture.h"

enum { ROSTER_MOST = 65536, ROSTER_BUCKETS = 4096 };

struct roster_entry;

// All zero is an empty one. Number 0 is nobody's.
struct roster {
	struct roster_entry *list;
	uint32_t count, room;
	uint32_t newest, oldest;	// places; 0: none
	uint32_t buckets[ROSTER_BUCKETS];
};

// The number of one that stands and is the same process, in the same program; or 0.
uint32_t roster_same(const struct roster *roster, const struct capture_process *process);
// Whose place the next one takes; 0: there is room.
uint32_t roster_leaving(const struct roster *roster);
// A copy of the process; its number, or 0 without memory.
uint32_t roster_add(struct roster *roster, const struct capture_process *process);
// It stays the longer for it.
void roster_use(struct roster *roster, uint32_t number);
// NULL for nobody's number, for one that was never given, and for one that went.
const struct capture_process *roster_find(const struct roster *roster, uint32_t number);
// From 1 to ROSTER_MOST, no two at a time have the same; 0 for nobody's.
uint32_t roster_place(uint32_t number);
void roster_close(struct roster *roster);

#endif
