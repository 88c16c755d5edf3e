// SPDX-License-Identifier: GPL-3.0-or-later
// text - strings of other programs' making, as the UTF-8 that pcapng wants.
//
// A process's arguments and a looked-up name may hold any bytes. What is not
// well-formed UTF-8 becomes '?', as do control characters (newlines and tabs
// aside): a capture is read on terminals too. Length never changes.

#ifndef PCAP_TEXT_H
#define PCAP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// The length of `text`, or of as much as fits in `most` bytes without a
// character cut in two.
size_t text_cut(const char *text, size_t most);

// `size` bytes of `text`, made clean, to `to`; no zero is added.
void text_clean(char *to, const char *text, size_t size);

// As one line of at most `room` - 1 bytes and a zero: white space of any length is a
// single space, and what is cut off is "...". Not made clean. `room` is 8 at least.
void text_line(char *to, size_t room, const char *text);

// Well-formed UTF-8, whatever its characters.
bool text_is_utf8(const char *text, size_t size);

#endif
