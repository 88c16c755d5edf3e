// SPDX-License-Identifier: GPL-3.0-or-later
// keylog - secrets appended to a file in NSS key log form.

#ifndef PCAP_KEYLOG_H
#define PCAP_KEYLOG_H

#include <stddef.h>

struct keylog;

// Appends to `path`, made 0600. A file that others can read or write, or that
// belongs to another user, is refused; pipes and devices are not. 0 or -errno.
int keylog_open(struct keylog **out, const char *path, char *why, size_t why_size);
// One line, without its newline; written before it returns. -EINVAL if it is no
// line. -errno once it fails, and ever after: no line may stand behind a gap.
int keylog_write(struct keylog *keylog, const char *line);
// 0, or the -errno that made it incomplete.
int keylog_close(struct keylog *keylog);

#endif
