// SPDX-License-Identifier: GPL-3.0-or-later
// ring - when a capture goes on in its next file, and what that is called.
//
// As tcpdump has it. With a size the files are NAME, NAME1, NAME2...; with a
// size and a number of files NAME0... in as many digits as are needed, over
// and over. With a time the name is a pattern for strftime(3), local time; with
// a time and a number of files, and no size, the capture ends after so many.
// Pure: time and size are told.

#ifndef PCAP_RING_H
#define PCAP_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	const char *name;	// borrowed
	uint64_t size;		// bytes; 0: no bound
	uint32_t seconds;	// 0: no bound
	uint32_t files;		// 0: no bound
	// ring's own
	uint64_t began;		// s
	uint32_t number, periods;
};

enum ring_step { RING_STAY, RING_NEXT, RING_OVER };

// Times are ns since the epoch.
void ring_begin(struct ring *ring, uint64_t time);
// Before a packet of that time, with so many bytes in the file. RING_NEXT has
// gone on to the next name.
enum ring_step ring_step(struct ring *ring, uint64_t time, uint64_t size);
// On to the next name because somebody says so.
void ring_turn(struct ring *ring, uint64_t time);
// The present file's name. 0, or -ENAMETOOLONG.
int ring_name(const struct ring *ring, char *name, size_t size);

#endif
