// SPDX-License-Identifier: GPL-3.0-or-later
// run - `apptap run`: one command in a namespace of its own, tapped to its end.

#ifndef TUNNEL_RUN_H
#define TUNNEL_RUN_H

#include <stdbool.h>

#include "extension/store.h"
#include "tunnel/hall.h"

struct run_options {
	struct hall_options hall;
	char *const *argv;		// the command, NULL at its end
	bool no_wait;
	const struct store_options *trust;	// the user's own databases; NULL: none of them
};

// As a shell says it.
enum { RUN_CANNOT_EXECUTE = 126, RUN_NOT_FOUND = 127 };

// The exit status: the command's, 128 and its signal, or one of hall.h's.
int run(const struct run_options *options);

#endif
