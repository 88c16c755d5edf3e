// SPDX-License-Identifier: GPL-3.0-or-later
// har - HTTP exchanges as a HAR 1.2 file, which browsers' developer tools open.
//
// The file is whole after each entry: an entry and the end of the document go out in
// one write, over the end that stood there. A process that is killed leaves such a write
// between two pages, so one of several pages is done by a process of its own, which
// lives no longer than that. What cannot seek (a pipe) gets the end at the end.

#ifndef TUNNEL_HAR_H
#define TUNNEL_HAR_H

#include <stddef.h>

struct exchange;
struct flow;
struct har;

// Made 0600, or truncated as it is. 0, or -errno with a sentence.
int har_open(struct har **out, const char *path, char *why, size_t why_size);
// One more entry; `url` as exchange_url() has it. What goes wrong is logged, and the file
// ends with the entries before.
void har_add(struct har *har, const struct flow *flow, const struct exchange *exchange, const char *url);
// 0, or the -errno that made the file incomplete, with a sentence.
int har_close(struct har *har, char *why, size_t why_size);

#endif
