// SPDX-License-Identifier: GPL-3.0-or-later
// harmless - what a stranger chose as a text, fit to be shown as UTF-8.

#include "tools/harmless.h"

#include <stdbool.h>
#include <string.h>

size_t harmless_character(const unsigned char *text)
{
	size_t size = *text < 0x80 ? 1 : *text < 0xc2 ? 0 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : *text < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < size; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((*text == 0xe0 && text[1] < 0xa0) || (*text == 0xed && text[1] > 0x9f) ||
	    (*text == 0xf0 && text[1] < 0x90) || (*text == 0xf4 && text[1] > 0x8f))
		return 0;
	return size;
}

// Controls of ASCII and of Latin-1; U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069.
static bool is_shown(const unsigned char *c, size_t size)
{
	if (size == 1)
		return *c >= 0x20 && *c != 0x7f;
	if (size == 2)
		return *c != 0xc2 || c[1] >= 0xa0;
	if (size == 3 && *c == 0xe2 && c[1] == 0x80)
		return c[2] < 0x8e || (c[2] > 0x8f && c[2] < 0xa8) || c[2] > 0xae;
	if (size == 3 && *c == 0xe2 && c[1] == 0x81)
		return c[2] < 0xa6 || c[2] > 0xa9;
	return size != 0;
}

void harmless_append(char *out, size_t size, const char *text, size_t most)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t used = strlen(out), end = used + most;

	if (used + 4 > size)
		return;
	if (end > size - 4)
		end = size - 4;		// the dots and the 0
	while (*at) {
		size_t n = harmless_character(at);
		bool shown = is_shown(at, n);

		if (used + (shown ? n : 1) > end) {
			memcpy(out + used, "...", 4);
			return;
		}
		if (shown)
			memcpy(out + used, at, n);
		else
			out[used] = '?';
		used += shown ? n : 1;
		at += n ? n : 1;
	}
	out[used] = '\0';
}
