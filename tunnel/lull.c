// SPDX-License-Identifier: GPL-3.0-or-later
// lull - decides whether the next wait is spent looking or asleep.

#include "tunnel/lull.h"

enum { MOST = 16, LEAST = -16, VAIN = 4 };
// A sleep is longer by its wake-up than a look would have been.
#define SHORT (2 * LULL_LOOK)
#define BUSY 2000000ull

static void earn(struct lull *l, int credit)
{
	l->credit += credit;
	if (l->credit > MOST)
		l->credit = MOST;
	if (l->credit < LEAST)
		l->credit = LEAST;
}

bool lull_look(const struct lull *l, uint64_t now)
{
	return l->credit > 0 && now >= l->busy_until;
}

void lull_looked(struct lull *l, bool found)
{
	earn(l, found ? 1 : -VAIN);
}

void lull_slept(struct lull *l, uint64_t ns)
{
	if (ns <= SHORT)
		earn(l, 1);
}

void lull_gave_way(struct lull *l, uint64_t now, uint64_t ns)
{
	if (ns > SHORT)
		l->busy_until = now + BUSY;
}
