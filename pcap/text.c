// SPDX-License-Identifier: GPL-3.0-or-later
// text - strings of other programs' making, as the UTF-8 that pcapng wants.

#include "pcap/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// How many bytes a well-formed character has here; 0: none (RFC 3629 section 4).
static size_t character(const uint8_t *at, size_t left)
{
	size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 :
		      at[0] < 0xf5 ? 4 : 0;

	if (size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	// Too long a form, surrogates, past U+10FFFF: the second byte tells.
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return size;
}

size_t text_cut(const char *text, size_t most)
{
	size_t size = strnlen(text, most + 1);

	if (size <= most)
		return size;
	size = most;
	while (size && size + 4 > most && ((uint8_t)text[size] & 0xc0) == 0x80)
		size--;
	return size;
}

static bool printable(uint8_t byte)
{
	return byte == '\n' || byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

void text_clean(char *to, const char *text, size_t size)
{
	const uint8_t *from = (const uint8_t *)text;

	for (size_t i = 0; i < size;) {
		size_t n = character(from + i, size - i);

		if (n > 1) {
			memcpy(to + i, from + i, n);
			i += n;
			continue;
		}
		to[i] = n && printable(from[i]) ? text[i] : '?';
		i++;
	}
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void text_line(char *to, size_t room, const char *text)
{
	size_t used = 0;

	while (is_space(*text))
		text++;
	for (; *text && used < room; text++)
		if (!is_space(*text))
			to[used++] = *text;
		else if (!is_space(text[1]) && text[1])
			to[used++] = ' ';
	if (used == room) {
		to[room - 1] = 0;
		used = text_cut(to, room - 4);
		memcpy(to + used, "...", 3);
		used += 3;
	}
	to[used] = 0;
}

bool text_is_utf8(const char *text, size_t size)
{
	size_t n;

	for (size_t i = 0; i < size; i += n)
		if (!(n = character((const uint8_t *)text + i, size - i)))
			return false;
	return true;
}
