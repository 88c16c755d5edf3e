// SPDX-License-Identifier: GPL-3.0-or-later
// watch - what each conversation says in the clear, shown as it is said.
//
// It is given the bytes of both sides in order, those inside TLS and those of
// conversations that have none, and changes nothing about them. What it keeps of a
// flow is bounded, and goes with the flow.

#ifndef TUNNEL_WATCH_H
#define TUNNEL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/flow.h"

struct watch;

struct watch_options {
	bool dump;		// hex and text, to standard error
	uint64_t dump_most;	// bytes of each flow and side; 0: all
	const char *har_path;	// HTTP exchanges as HAR; NULL: none
	uint64_t body_most;	// bytes of each body in it
	bool http;		// a line for each HTTP exchange, to standard error
};

// NULL in *out where nothing is asked for.
int watch_open(struct watch **out, const struct watch_options *options, char *why, size_t why_size);
void watch_bytes(struct watch *watch, struct flow *flow, enum side from, const void *bytes, size_t size,
		 uint64_t now);
// That side says no more.
void watch_finish(struct watch *watch, struct flow *flow, enum side from, uint64_t now);
// The flow is over.
void watch_end(struct watch *watch, struct flow *flow);
// 0, or the -errno that made the HAR file incomplete, with a sentence.
int watch_close(struct watch *watch, char *why, size_t why_size);

#endif
