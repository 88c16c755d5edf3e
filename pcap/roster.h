// SPDX-License-Identifier: GPL-3.0-or-later
// roster - the processes named so far, by number.

#ifndef PCAP_ROSTER_H
#define PCAP_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/capture.h"

// All zero is an empty one. Number 0 is nobody's.
struct roster {
	struct capture_process *list;
	uint32_t count, room;
};

enum { ROSTER_MOST = 65536 };

// A copy of the process; its number, or 0 without memory or room.
uint32_t roster_add(struct roster *roster, const struct capture_process *process);
// NULL for nobody's number, and for one that was never given.
const struct capture_process *roster_find(const struct roster *roster, uint32_t number);
void roster_close(struct roster *roster);

#endif
