// SPDX-License-Identifier: GPL-3.0-or-later
// usage - what is said of a command line that is wrong.

#ifndef TOOLS_USAGE_H
#define TOOLS_USAGE_H

// "apptap: SENTENCE" and how to get the command's help ("": all of it); returns the exit status.
int usage_error(const char *command, const char *sentence);

#endif
