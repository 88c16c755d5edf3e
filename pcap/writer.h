// SPDX-License-Identifier: GPL-3.0-or-later
// writer - a thread that writes records to a descriptor, behind a bounded queue.

#ifndef PCAP_WRITER_H
#define PCAP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pcap/blocks.h"

struct writer;

struct writer_options {
	int fd;			// taken over by an open that succeeds
	const char *name;	// for sentences
	size_t queue;		// bytes; full from here on, until half of it is written
	bool flush_each;	// no waiting for company
};

// 0 or -errno. The thread has every signal blocked.
int writer_open(struct writer **out, const struct writer_options *options);

// Between the two, records are appended to the run that begin returns. NULL:
// the writer takes no more, and there is no end to call. `error` is an
// encoder's: not 0 ends the file behind what was appended before.
struct blocks *writer_begin(struct writer *writer);
void writer_end(struct writer *writer, int error);

bool writer_stopped(const struct writer *writer);
bool writer_full(const struct writer *writer);
int writer_event(const struct writer *writer);	// an eventfd: no longer full, or failed

// NULL, or what went wrong; stands until writer_free().
const char *writer_error(const struct writer *writer);
// How many packets the file has for certain: those before an error.
uint64_t writer_packets(const struct writer *writer);

// Writes the rest, ends the thread, closes the descriptor. 0 or -errno.
int writer_finish(struct writer *writer);
void writer_free(struct writer *writer);

#endif
