// SPDX-License-Identifier: GPL-3.0-or-later
// section - what the present file of an outlet has: its header, then interfaces,
// names, secrets and packets, each encoded as this file must have it.
//
// What a packet needs before it (its interface, its flow's secrets) enters a file
// when the first such packet does, so each file of a ring is complete in itself and
// none is larger for what it does not use.

#ifndef PCAP_SECTION_H
#define PCAP_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcap/capture.h"
#include "pcap/frame.h"
#include "pcap/identity.h"
#include "pcap/roster.h"
#include "pcap/sources.h"
#include "pcap/writer.h"

struct section;

// Both are borrowed. `classic`: packets alone, as libpcap has them. NULL without memory.
struct section *section_open(const struct roster *roster, const struct identity *identity, bool classic);
void section_close(struct section *section);	// NULL is fine

// The next file begins, with what goes into `to`. 0 or -errno.
int section_begin(struct section *section, struct blocks *to);
unsigned section_files(const struct section *section);	// begun so far
// The present one gets no more packets: what was counted stands behind them.
void section_end(struct section *section, struct writer *writer);

// A source stands until the next is looked for; NULL without memory.
struct source *section_source(struct section *section, uint32_t process, bool plain);
// What there is of a process that leaves; NULL: nothing.
struct source *section_leaving(struct section *section, uint32_t process, bool plain);
// Of which nothing is held any more: what was counted is written, and its place is free.
void section_forget_source(struct section *section, struct writer *writer, struct source *source);

// A packet into the present file.
void section_packet(struct section *section, struct writer *writer, struct source *source,
		    const struct capture_packet *packet, const struct frame *frame);
// A packet into `to`, for whichever file is the present one when it is let go. 0 or
// -ENOMEM.
int section_hold(struct section *section, struct blocks *to, struct source *source,
		 const struct capture_packet *packet, const struct frame *frame);
// All that were put there go into the present file, as they stand.
void section_let_go(struct section *section, struct writer *writer, struct blocks *held);

// New secrets of a flow, each line with its newline; none is fine.
void section_secrets(struct section *section, struct writer *writer, uint64_t flow, const char *lines, size_t size);
// The flow goes on, perhaps in another file than the one that has its secrets.
void section_repeat_secrets(struct section *section, struct writer *writer, uint64_t flow);
// The flow is over.
void section_forget_secrets(struct section *section, uint64_t flow);

void section_name(struct section *section, struct writer *writer, const void *address, size_t size,
		  const char *name);

#endif
