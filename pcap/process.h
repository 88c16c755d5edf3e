// SPDX-License-Identifier: GPL-3.0-or-later
// process - how a process is called in a capture.

#ifndef PCAP_PROCESS_H
#define PCAP_PROCESS_H

#include "pcap/capture.h"
#include "pcap/blocks.h"

// An interface of its own, and a Darwin process block. 0 or -ENOMEM.
int capture_process_write(struct blocks *to, const struct capture_process *process,
			  uint32_t snaplen, const char *filter, const char *os);

#endif
