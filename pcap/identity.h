// SPDX-License-Identifier: GPL-3.0-or-later
// identity - how a capture names its maker, its machine and its processes.

#ifndef PCAP_IDENTITY_H
#define PCAP_IDENTITY_H

#include "pcap/blocks.h"
#include "pcap/capture.h"

// What a section and its interfaces say, in every file alike.
struct identity {
	char os[160], hardware[80];		// "Linux 6.1.0", "x86_64"
	const char *application, *comment;	// or NULL
	const char *filter;			// or NULL
	uint16_t linktype;
	uint32_t snaplen;			// of a frame
};

// Fills in `os` and `hardware`.
void identity_read(struct identity *identity);

// The section. 0 or -ENOMEM, as below.
int identity_section(const struct identity *identity, struct blocks *to);

// An interface of the process's own; NULL: for packets of no known process.
// `plain`: for what went through TLS.
int identity_interface(const struct identity *identity, struct blocks *to,
		       const struct capture_process *process, bool plain);

// A Darwin process block.
int identity_process(struct blocks *to, const struct capture_process *process);

#endif
