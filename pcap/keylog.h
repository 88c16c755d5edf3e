// SPDX-License-Identifier: GPL-3.0-or-later
// keylog - secrets appended to a file in NSS key log form.

#ifndef PCAP_KEYLOG_H
#define PCAP_KEYLOG_H

#include <stddef.h>

struct keylog;

// Appends to `path`, made 0600. A file that others can read is refused.
int keylog_open(struct keylog **out, const char *path, char *why, size_t why_size);
// One line, without its newline; written before it returns. -errno once it fails.
int keylog_write(struct keylog *keylog, const char *line);
void keylog_close(struct keylog *keylog);

#endif
