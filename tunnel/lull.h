// SPDX-License-Identifier: GPL-3.0-or-later
// lull - decides whether the next wait is spent looking or asleep.
//
// Who wakes a sleeper interrupts its processor, which comes out of its idle state
// first: 10 to 25 us in a virtual machine, twice in each round trip through a tap.
// Where waits have been short, it pays to look for what comes, LULL_LOOK at most and
// giving way to whoever else can run. Where they are long it would be a processor
// burnt, so credit is earned by short waits and lost fourfold by a look in vain; and
// where somebody else has had the processor for long, a look gives way at once again:
// there are none for a moment. A long moment is worse than none: it makes hundreds of
// round trips slow for one.

#ifndef TUNNEL_LULL_H
#define TUNNEL_LULL_H

#include <stdbool.h>
#include <stdint.h>

#define LULL_LOOK 50000ull	// ns

// All zero to begin with. Times are monotonic ns.
struct lull {
	int credit;
	uint64_t busy_until;	// somebody else has had our processor
};

bool lull_look(const struct lull *lull, uint64_t now);
// What came of it: a look that found something or not, a sleep's length, or that
// the processor was gone for so long at `now`.
void lull_looked(struct lull *lull, bool found);
void lull_slept(struct lull *lull, uint64_t ns);
void lull_gave_way(struct lull *lull, uint64_t now, uint64_t ns);

#endif
