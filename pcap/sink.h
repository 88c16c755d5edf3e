// SPDX-License-Identifier: GPL-3.0-or-later
// sink - where a writer's records end up: a descriptor, which may be the first of
// many files, or somebody who takes them.
//
// One thread's alone, but for sink_packets().

#ifndef PCAP_SINK_H
#define PCAP_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/blocks.h"

struct sink;

struct sink_options {
	int fd;			// sink_close() closes it; -1 with `take`
	int folder;		// where sink_next()'s files are; borrowed
	int closed;		// > 0: a socket that takes the names of files that were followed; borrowed
	const char *name;	// for sentences
	// Not NULL: gets the records instead of a file;
	// blocks are NULL at the end.
	void (*take)(void *context, const struct blocks *blocks);
	void *context;
};

// NULL without memory.
struct sink *sink_open(const struct sink_options *options);

// Closes the file, and goes on with the one of that name in the folder. The name
// is consumed (malloc). 0 or -errno.
int sink_next(struct sink *sink, char *name);
// 0 or -errno, with as many whole records in the file as found room: a plain file
// is cut back to the last of them.
int sink_write(struct sink *sink, const struct blocks *blocks);
// No more comes. 0 or -errno: some file systems say only now that there was no room.
int sink_close(struct sink *sink);
// The file that was closed counts as one that was followed.
void sink_followed(const struct sink *sink);

// Somebody reads meanwhile.
bool sink_is_live(const struct sink *sink);
const char *sink_name(const struct sink *sink);	// the present file's, for sentences
uint64_t sink_packets(const struct sink *sink);	// in all files, for certain

// Closes nothing; NULL is fine.
void sink_free(struct sink *sink);

#endif
