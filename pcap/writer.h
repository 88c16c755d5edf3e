// SPDX-License-Identifier: GPL-3.0-or-later
// writer - a thread that writes records to a descriptor, behind a bounded queue.

#ifndef PCAP_WRITER_H
#define PCAP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcap/blocks.h"
#include "pcap/sink.h"

struct writer;

struct writer_options {
	struct sink_options sink;	// its descriptor is taken over by an open that succeeds,
					// its `take` called on the writer's thread
	int event;		// an eventfd: no longer full, failed, ended; borrowed
	size_t queue;		// bytes; full from here on, until half of it is written
	bool flush_each;	// no waiting for company
	int (*in_thread)(void *of);	// as capture_options'
	void *of;
};

// 0 or -errno. The thread has every signal blocked.
int writer_open(struct writer **out, const struct writer_options *options);

// Between the two, records are appended to the run that begin returns. NULL:
// the writer takes no more, and there is no end to call. `error` is an
// encoder's: not 0 ends the file behind what was appended before.
struct blocks *writer_begin(struct writer *writer);
void writer_end(struct writer *writer, int error);

// What is appended from here on goes to the file of that name in the folder,
// and the one before is closed. Bytes must follow.
void writer_next(struct writer *writer, const char *name);
// Bytes appended for the present file.
uint64_t writer_size(const struct writer *writer);
// Nothing more is taken; the file is closed once all is written, and an event
// tells. `done`: the file counts as one that was followed.
void writer_end_early(struct writer *writer, bool done);
bool writer_ended(const struct writer *writer);

bool writer_stopped(const struct writer *writer);
bool writer_full(const struct writer *writer);

// NULL, or what went wrong; stands until writer_free().
const char *writer_error(const struct writer *writer);
// How many packets the file has for certain: those before an error.
uint64_t writer_packets(const struct writer *writer);

// Writes the rest, ends the thread, closes the descriptor. 0 or -errno.
int writer_finish(struct writer *writer);
void writer_free(struct writer *writer);

#endif
