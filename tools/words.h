// SPDX-License-Identifier: GPL-3.0-or-later
// words - one line of text as a command and its arguments.

#ifndef TOOLS_WORDS_H
#define TOOLS_WORDS_H

#include <stddef.h>

// Quoted as in a shell (IEEE Std 1003.1, 2.2 Quoting): '...', "..." and \. Nothing is
// substituted: $, `, ~ and * stand for themselves, so that a URL needs no quotes. What would
// have been a pipe, a redirection or a second command is refused.
//
// The words, NULL behind the last, to be given to free() at once; NULL with a sentence.
char **words_split(const char *line, char *why, size_t why_size);

#endif
