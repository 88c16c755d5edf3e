// SPDX-License-Identifier: GPL-3.0-or-later
// words_fuzz - any line as a command; and any text made harmless, into room of any size.

#include "tools/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/harmless.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// Quoted again, each word stands for itself.
static char *quote(char **words, size_t size)
{
	char *line = malloc(4 * size + 3 * size + 8), *end = line;

	for (; *words; words++) {
		*end++ = '\'';
		for (const char *c = *words; *c; c++)
			if (*c == '\'')
				end = stpcpy(end, "'\\''");
			else
				*end++ = *c;
		end = stpcpy(end, "' ");
	}
	*end = '\0';
	return line;
}

static void split(const char *text)
{
	char why[256] = "";
	char **words = words_split(text, why, sizeof why);

	if (!words && !why[0])
		__builtin_trap();
	if (!words)
		return;
	char *line = quote(words, strlen(text));
	char **again = words_split(line, why, sizeof why);

	if (!again)
		__builtin_trap();
	for (size_t i = 0; words[i] || again[i]; i++)
		if (!words[i] || !again[i] || strcmp(words[i], again[i]) != 0)
			__builtin_trap();
	free(again);
	free(line);
	free(words);
}

static void show(const char *text, size_t room, size_t most)
{
	char *out = malloc(room);

	out[0] = '\0';
	harmless_append(out, room, text, most);
	harmless_append(out, room, text, most);
	if (strlen(out) >= room || strpbrk(out, "\n\033"))
		__builtin_trap();
	for (const unsigned char *c = (unsigned char *)out; *c; c += harmless_character(c))
		if (!harmless_character(c))
			__builtin_trap();
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size < 2)
		return 0;
	char *text = strndup((const char *)bytes + 2, size - 2);

	split(text);
	show(text, bytes[0] + 1U, bytes[1]);
	free(text);
	return 0;
}
