// SPDX-License-Identifier: GPL-3.0-or-later
// identity - how a capture names its maker, its machine and its processes.

#ifndef PCAP_IDENTITY_H
#define PCAP_IDENTITY_H

#include "pcap/blocks.h"
#include "pcap/capture.h"

// What every interface of one file says alike.
struct identity {
	char os[160];		// "Linux 6.1.0"
	const char *filter;	// or NULL
	uint32_t snaplen;	// of a frame
};

// The section, and interface 0, for packets of no known process; fills in `os`.
// 0 or -ENOMEM, as below.
int identity_begin(struct identity *identity, struct blocks *to,
		   const struct capture_options *options);

// An interface of the process's own, and a Darwin process block.
int identity_process(const struct identity *identity, struct blocks *to,
		     const struct capture_process *process);

#endif
