// SPDX-License-Identifier: GPL-3.0-or-later
// descriptors - what a process forked from apptap holds open of it.

#include "extension/descriptors.h"

#include <unistd.h>

void descriptors_keep(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b), high = (unsigned int)(a < b ? b : a);

	if (low > 0)
		close_range(0, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}
