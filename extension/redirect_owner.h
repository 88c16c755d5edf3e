// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_owner - reads what the kernel's half announces.

#ifndef EXTENSION_REDIRECT_OWNER_H
#define EXTENSION_REDIRECT_OWNER_H

#include <stddef.h>

struct redirect_owner;

struct redirect_ring {
	int fd;				// of the map, borrowed
	unsigned long *consumer;
	const unsigned long *producer;
	const char *data;
};

// 0 or -errno. Close it before the map.
int redirect_ring_open(struct redirect_ring *ring, int fd);
void redirect_ring_close(struct redirect_ring *ring);
// 1: *owner is filled; 0: no more.
int redirect_ring_read(struct redirect_ring *ring, struct redirect_owner *owner);

#endif
