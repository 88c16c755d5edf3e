// SPDX-License-Identifier: GPL-3.0-or-later
// words - one line of text as a command and its arguments.
//
// No word is longer than what it was made of and each ends where a separator or the
// line did, so that one block takes the pointers and, behind them, all bytes.

#include "tools/words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// '&' and ';' are at home in URLs, but not at a word's edge.
static bool is_operator(const char *at, bool begins)
{
	if (strchr("|<>", *at))
		return true;
	return strchr("&;", *at) && (begins || !at[1] || is_space(at[1]));
}

// Behind the opening quote; returns what follows the closing one, or NULL.
static const char *copy_quoted(const char *at, char quote, char **out)
{
	while (*at && *at != quote) {
		if (quote == '"' && *at == '\\' && at[1] && strchr("\"\\$`", at[1]))
			at++;
		*(*out)++ = *at++;
	}
	return *at ? at + 1 : NULL;
}

static const char *copy_word(const char *at, char **out, char *why, size_t why_size)
{
	const char *begin = at;

	while (at && *at && !is_space(*at)) {
		if (is_operator(at, at == begin)) {
			snprintf(why, why_size, "\"%c\" means nothing here, for no shell reads this line: quote it, "
				 "or write sh -c '...'", *at);
			return NULL;
		}
		if (*at == '\'' || *at == '"') {
			char quote = *at;

			at = copy_quoted(at + 1, quote, out);
			if (!at)
				snprintf(why, why_size, "the line ends inside %c quotes", quote);
			continue;
		}
		if (*at == '\\' && !at[1]) {
			snprintf(why, why_size, "nothing follows the last \\");
			return NULL;
		}
		if (*at == '\\')
			at++;
		*(*out)++ = *at++;
	}
	if (at)
		*(*out)++ = '\0';
	return at;
}

char **words_split(const char *line, char *why, size_t why_size)
{
	size_t size = strlen(line), most = size / 2 + 2, count = 0;
	char **words = malloc(most * sizeof *words + size + 1);

	if (!words) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	char *out = (char *)(words + most);

	for (;;) {
		while (is_space(*line))
			line++;
		if (!*line)
			break;
		words[count++] = out;
		line = copy_word(line, &out, why, why_size);
		if (!line)
			goto fail;
	}
	words[count] = NULL;
	if (count)
		return words;
	snprintf(why, why_size, "there is no command in the line");
fail:
	free(words);
	return NULL;
}
