// SPDX-License-Identifier: GPL-3.0-or-later
// outlet - one way out of a capture: a file or a ring of them, and the flows that
// are held back from it. A packet names its process by number.

#ifndef PCAP_OUTLET_H
#define PCAP_OUTLET_H

#include <stdbool.h>

#include "pcap/capture.h"
#include "pcap/identity.h"
#include "pcap/ring.h"
#include "pcap/roster.h"

struct outlet;

struct outlet_options {
	const char *path;		// not with `take`, which is as sink_options'
	void (*take)(void *context, const struct blocks *blocks);
	void *context;
	int descriptor, event, closed;
	uint32_t owner_uid, owner_gid;	// as capture_options'
	bool classic, flush_each;
	struct ring ring;
	uint64_t now;			// ns since the epoch
	const struct roster *roster;	// borrowed
	struct identity identity;	// its texts are borrowed
	uint32_t kept_most;		// IP bytes
	size_t queue, hold_bytes;
	uint64_t hold_time;
	int (*in_thread)(void *of);	// as capture_options'
	void *of;
};

// 0, or -errno with a sentence. What can be refused without touching the file is.
int outlet_open(struct outlet **out, const struct outlet_options *options, char *why, size_t why_size);

// `size`: IP bytes; `plain`: not as it was on the wire. The filter took it. False:
// it is one too many.
bool outlet_packet(struct outlet *outlet, const struct capture_packet *packet, size_t size, bool plain);
// One that the filter did not take.
void outlet_passed_over(struct outlet *outlet, uint32_t process);
// Its place in the roster goes to another.
void outlet_forget_process(struct outlet *outlet, uint32_t process);

void outlet_hold(struct outlet *outlet, uint64_t flow, uint64_t now);
void outlet_secret(struct outlet *outlet, uint64_t flow, const char *line);
void outlet_release(struct outlet *outlet, uint64_t flow);
void outlet_forget(struct outlet *outlet, uint64_t flow);
void outlet_name(struct outlet *outlet, const void *address, size_t size, const char *name);
uint64_t outlet_deadline(const struct outlet *outlet);
void outlet_tick(struct outlet *outlet, uint64_t now);

// The next file, where there can be one.
void outlet_turn(struct outlet *outlet, uint64_t time);
// Takes no more packets; the file ends once no flow is held.
void outlet_end(struct outlet *outlet);
// Its ring was to have so many files, and has them.
bool outlet_over(const struct outlet *outlet);
bool outlet_ended(const struct outlet *outlet);	// ... and has

bool outlet_stopped(const struct outlet *outlet);
bool outlet_full(const struct outlet *outlet);
const char *outlet_error(const struct outlet *outlet);
uint64_t outlet_written(const struct outlet *outlet);	// packets, for certain
uint64_t outlet_files(const struct outlet *outlet);	// begun so far
uint64_t outlet_held_too_long(const struct outlet *outlet);

// As capture_close(); NULL is fine.
int outlet_close(struct outlet *outlet, char *why, size_t why_size);

#endif
