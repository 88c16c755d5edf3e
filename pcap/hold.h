// SPDX-License-Identifier: GPL-3.0-or-later
// hold - flows whose packets wait, encoded, until their secrets are known.
//
// A reader decrypts only what stands behind the secrets, so a handshake's
// packets wait for them. All flows wait equally long: the order of holding is
// the order of deadlines, and the oldest is always the next to be let go.

#ifndef PCAP_HOLD_H
#define PCAP_HOLD_H

#include <stddef.h>
#include <stdint.h>

#include "pcap/blocks.h"

struct hold;

struct held {
	uint64_t flow, deadline;
	struct blocks blocks;
	char *secrets;			// lines, each with its newline
	size_t secrets_size;
	struct held *older, *newer;	// hold's own
	struct held *beside;		// hold's own
};

struct hold *hold_open(void);
void hold_close(struct hold *hold);

// The flow's entry, new or as it stands; NULL without memory. Deadlines must
// not run backwards.
struct held *hold_add(struct hold *hold, uint64_t flow, uint64_t deadline);
struct held *hold_find(const struct hold *hold, uint64_t flow);
struct held *hold_oldest(const struct hold *hold);
void hold_remove(struct hold *hold, struct held *held);

// One more line, given without its newline. 0, -ENOMEM, or -E2BIG beyond what a
// flow may gather.
int hold_secret(struct held *held, const char *line, size_t length);

// Tells the sum over all flows that this one grew.
void hold_grew(struct hold *hold, size_t bytes);
size_t hold_count(const struct hold *hold);
size_t hold_bytes(const struct hold *hold);

#endif
