// SPDX-License-Identifier: GPL-3.0-or-later
// stores - what became of the authority in the stores, in words.

#ifndef TOOLS_STORES_H
#define TOOLS_STORES_H

#include <stdbool.h>
#include <stdio.h>

#include "extension/store.h"
#include "tools/caller.h"

// Tells `to` a line for each place, and counts.
struct stores_teller {
	FILE *to;
	const char *before;	// each line: "apptap: "
	bool failures_only;
	int done, skipped;
};

// `caller`, `folder` and `teller` are borrowed.
void stores_options(struct store_options *options, const struct caller *caller, const char *folder,
		    struct stores_teller *teller);

// Takes out what a run that was killed left there, and says on standard error what that
// was. To be called at each start; most find nothing, at once.
void stores_sweep(const struct caller *caller, const char *folder);

#endif
