// SPDX-License-Identifier: GPL-3.0-or-later
// usage - what is said of a command line that is wrong.

#include "tools/usage.h"

#include <stdio.h>

#include "tunnel/hall.h"

int usage_error(const char *command, const char *sentence)
{
	fprintf(stderr, "apptap: %s; see apptap %s%s--help\n", sentence, command, command[0] ? " " : "");
	return HALL_USAGE;
}
