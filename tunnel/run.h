// SPDX-License-Identifier: GPL-3.0-or-later
// run - `apptap run`: opens every room, taps one command, closes them in order.

#ifndef TUNNEL_RUN_H
#define TUNNEL_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct run_options {
	char *const *argv;		// the command, NULL at its end
	const char *authority_folder;
	const char *capture_path;	// NULL: none
	const char *filter;
	uint32_t snaplen;
	bool flush_each;
	const char *keylog_path, *flows_path;
	uint16_t mtu;
	bool intercept, insecure;
	const char *upstream_ca;
	bool no_wait;
	bool lines;			// flow lines and a summary
};

// Exit statuses beside the command's own (sysexits.h has the numbers).
enum {
	RUN_USAGE = 64,
	RUN_UNAVAILABLE = 69,	// the namespace, the authority or a file could not be had
	RUN_INCOMPLETE = 74,	// the command succeeded, the capture is incomplete
	RUN_CANNOT_EXECUTE = 126,
	RUN_NOT_FOUND = 127,
};

int run(const struct run_options *options);

#endif
