// SPDX-License-Identifier: GPL-3.0-or-later
// log - what apptap says, on standard error: standard output is the program's.

#ifndef TUNNEL_LOG_H
#define TUNNEL_LOG_H

#include <stddef.h>

enum log_level {
	LOG_QUIET,	// -q: errors only
	LOG_USUAL,
	LOG_VERBOSE,	// -v
};

void log_open(enum log_level level);

// One line each, "apptap: ..." in front. Packets do not wait for a reader: where there is no
// room for a line it is left out, and how many were is said once there is.
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_detail(const char *format, ...);	// -v
__attribute__((format(printf, 1, 2))) void log_note(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_show(const char *format, ...);	// asked for: also with -q
// Whole lines as they are, a page at most; they have nothing in them that a terminal obeys.
void log_text(const char *lines, size_t size);

#endif
