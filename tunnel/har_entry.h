// SPDX-License-Identifier: GPL-3.0-or-later
// har_entry - one HTTP exchange as an entry of a HAR 1.2 file.
//
// http://www.softwareishard.com/blog/har-12-spec/; names that begin with _ are ours.

#ifndef TUNNEL_HAR_ENTRY_H
#define TUNNEL_HAR_ENTRY_H

struct exchange;
struct flow;

// JSON on one line, to be freed; NULL without memory.
char *har_entry(const struct flow *flow, const struct exchange *exchange, const char *url);

#endif
