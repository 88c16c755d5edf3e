// SPDX-License-Identifier: GPL-3.0-or-later
// target - the descriptor behind the name that a capture goes to.

#ifndef PCAP_TARGET_H
#define PCAP_TARGET_H

#include <stddef.h>

// Opens `path` for writing from its start, made 0600 if it is new; a fifo waits
// for its reader. "-" gives `descriptor` back. A descriptor, or -errno with a
// sentence in `why`.
int capture_target_open(const char *path, int descriptor, char *why, size_t why_size);

// How sentences call it.
const char *capture_target_name(const char *path);

#endif
