// SPDX-License-Identifier: GPL-3.0-or-later
// ring - when a capture goes on in its next file, and what that is called.

#include "pcap/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

void ring_begin(struct ring *ring, uint64_t time)
{
	ring->began = time / NS_PER_S;
	tzset();	// the files of the zone may be out of reach later
}

// The next by number; as many as there may be, then from 0 again.
static void count_on(struct ring *ring)
{
	ring->number++;
	if (ring->size && ring->files && ring->number >= ring->files)
		ring->number = 0;
}

// The first of a new period.
static void begin_period(struct ring *ring, uint64_t time)
{
	ring->began = time / NS_PER_S;
	ring->number = 0;
}

static bool period_over(const struct ring *ring, uint64_t time)
{
	return ring->seconds && time / NS_PER_S >= ring->began + ring->seconds;
}

enum ring_step ring_step(struct ring *ring, uint64_t time, uint64_t size)
{
	if (period_over(ring, time)) {
		ring->periods++;
		if (!ring->size && ring->files && ring->periods >= ring->files)
			return RING_OVER;
		begin_period(ring, time);
		return RING_NEXT;
	}
	if (!ring->size || size <= ring->size)
		return RING_STAY;
	count_on(ring);
	return RING_NEXT;
}

// tcpdump's: what the greatest number needs, and none for a ring of one.
static int digits(const struct ring *ring)
{
	int n = 0;

	if (ring->size && ring->files)
		for (uint32_t most = ring->files - 1; most; most /= 10)
			n++;
	return n;
}

// 0 stands for "too long" with strftime, and for an empty pattern.
static int spell(const struct ring *ring, char *name, size_t size)
{
	time_t seconds = (time_t)ring->began;
	struct tm tm;

	if (!ring->seconds)
		return snprintf(name, size, "%s", ring->name) < (int)size ? 0 : -ENAMETOOLONG;
	if (!localtime_r(&seconds, &tm) || !strftime(name, size, ring->name, &tm))
		return -ENAMETOOLONG;
	return 0;
}

// A period that ends early must not begin with the name that it had.
void ring_turn(struct ring *ring, uint64_t time)
{
	char before[4096] = "", after[4096] = "";
	uint32_t number = ring->number;

	if (!ring->seconds || ring->size) {
		count_on(ring);
		return;
	}
	spell(ring, before, sizeof(before));
	begin_period(ring, time);
	spell(ring, after, sizeof(after));
	if (!strcmp(before, after))
		ring->number = number + 1;
}

int ring_name(const struct ring *ring, char *name, size_t size)
{
	int width = digits(ring), error = spell(ring, name, size);
	size_t length = error ? 0 : strlen(name);

	if (error || (!ring->number && !width))
		return error;
	return snprintf(name + length, size - length, "%0*u", width, ring->number) < (int)(size - length) ?
		       0 : -ENAMETOOLONG;
}
