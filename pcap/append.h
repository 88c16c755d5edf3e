// SPDX-License-Identifier: GPL-3.0-or-later
// append - a record at the end of a file: whole, or not at all.

#ifndef PCAP_APPEND_H
#define PCAP_APPEND_H

#include <stddef.h>

// One write where the system lets us, so that others may append to the same file. Where
// there is no room for all of it, a plain file loses what went in. 0 or -errno.
int append_whole(int fd, const void *bytes, size_t size);

#endif
