// SPDX-License-Identifier: GPL-3.0-or-later
// target - the descriptor behind the name that a capture goes to.

#ifndef PCAP_TARGET_H
#define PCAP_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether `other` is, or may come to be, one of the files that a capture to `path` goes on in:
// the same file by another spelling, or `path` with digits behind it. Not of one name twice,
// and of what is there only for plain files.
bool capture_target_meets(const char *path, const char *other);

// Opens `path` for writing from its start, made 0600 if it is new; a fifo waits
// for its reader. "-" gives `descriptor` back. A descriptor, or -errno with a
// sentence in `why`.
int capture_target_open(const char *path, int descriptor, char *why, size_t why_size);

// The folder of `path`, for capture_target_next(): a descriptor that stands for
// it whatever happens to its name, or -errno.
int capture_target_folder(const char *path);
// The last part of `path` in that folder, from its start. What stands there and
// may not be written is taken away first, where the folder lets us. A
// descriptor or -errno.
int capture_target_next(int folder, const char *path);

// Makes it that user's, if it is a plain file and we may.
void capture_target_give(int fd, uint32_t uid, uint32_t gid);

// How sentences call it.
const char *capture_target_name(const char *path);

#endif
