// SPDX-License-Identifier: GPL-3.0-or-later
// ways - what a capture is made of, for the files that open it and that fill it.

#ifndef PCAP_WAYS_H
#define PCAP_WAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/capture.h"
#include "pcap/outlet.h"
#include "pcap/roster.h"

struct capture_filter;
struct server;

#define NS_PER_S UINT64_C(1000000000)

enum way { PACKETS, PLAIN, SERVED, WAYS };

// What goes that way.
enum kind { WIRE, PLAINTEXT, KINDS };

struct capture {
	struct outlet *out[WAYS];	// NULL: not wanted
	bool takes[WAYS][KINDS];
	int refused[WAYS];		// -errno: it was wanted and could not be opened
	char *words[WAYS];		// the sentence
	bool told[WAYS];		// capture_news() has given its sentence
	struct server *server;
	struct capture_filter *filter;
	struct roster roster;
	bool *unwanted;			// by a process's place; NULL: all are wanted
	int event;
	uint64_t packets_most;
	const int32_t *only_pids;
	const char *const *only_names;
	const uint16_t (*plain_ports)[2];
	uint32_t plain_segment;
	struct capture_counters counters;
	char *application, *comment, *expression;
};

#define EACH_WAY(capture, outlet)                                                                  \
	for (struct outlet *const *at_ = (capture)->out, *(outlet); at_ < (capture)->out + WAYS; at_++) \
		if (((outlet) = *at_))

#define EACH_WAY_OF(capture, kind, outlet)                                                         \
	EACH_WAY(capture, outlet)                                                                  \
		if ((capture)->takes[at_ - (capture)->out][kind])

#endif
