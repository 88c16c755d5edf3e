// SPDX-License-Identifier: GPL-3.0-or-later
// harmless - what a stranger chose as a text, fit to be shown as UTF-8.

#ifndef TOOLS_HARMLESS_H
#define TOOLS_HARMLESS_H

#include <stddef.h>

// How many bytes the UTF-8 character at `text` has (RFC 3629); 0: it is none.
size_t harmless_character(const unsigned char *text);

// Appends `text` to the string in out[size], whole characters and at most `most` bytes of
// them, then "..." if that was not all. Bytes that are no character, controls, and what
// turns the direction of writing become '?'.
void harmless_append(char *out, size_t size, const char *text, size_t most);

#endif
