// SPDX-License-Identifier: GPL-3.0-or-later
// sources - where an outlet's packets come from: the interfaces and processes of its
// present file.
//
// A source is a process's packets, or its plaintext. Each that has packets is an
// interface of the file, and is described and counted anew in each file.

#ifndef PCAP_SOURCES_H
#define PCAP_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/blocks.h"
#include "pcap/identity.h"
#include "pcap/roster.h"

struct sources;

struct source {
	uint32_t process;	// its number; 0: nobody's
	uint32_t held;		// packets that wait; the outlet's to count
	// In the present file; 1 more than the number there, 0: none yet.
	uint32_t interface, process_block;
	uint64_t received, accepted, first, last;
};

// NULL without memory; both are borrowed.
struct sources *sources_open(const struct roster *roster, const struct identity *identity);
void sources_close(struct sources *sources);

// A file begins: its interface 0, nobody's, is described in `to`. 0 or -ENOMEM. NULL,
// here and below: the file's format has no interfaces.
int sources_begin(struct sources *sources, struct blocks *to);

// The process's; nobody's if that has left the roster. It stays where it is until the
// next is looked for. NULL without memory.
struct source *sources_find(struct sources *sources, uint32_t process, bool plain);

// A source's place is its own for as long as the process has its place in the roster.
uint32_t sources_place(const struct sources *sources, const struct source *source);
struct source *sources_at(struct sources *sources, uint32_t place);
// The one at the process's place, also when it leaves; NULL: there never was one.
struct source *sources_standing(struct sources *sources, uint32_t process, bool plain);

// It becomes an interface of the present file, described in `to`. 0 or -ENOMEM.
int sources_declare(struct sources *sources, struct source *source, struct blocks *to);
// The file has one packet more of it.
void source_count(struct source *source, uint64_t time);

// What was counted of one that has packets in the file, and of all such. 0 or -ENOMEM.
int source_statistics(const struct source *source, struct blocks *to);
int sources_statistics(const struct sources *sources, struct blocks *to);

#endif
