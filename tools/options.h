// SPDX-License-Identifier: GPL-3.0-or-later
// options - one table of options: what is parsed, what the help says.

#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

struct option_row {
	char letter;			// 0: none
	const char *word;		// "--keylog" without its dashes; NULL: none
	const char *argument;		// its name in the help; NULL: takes none
	const char *help;
	// 0, or a negative number with the sentence in `why`.
	int (*set)(void *into, const char *value, char *why, size_t why_size);
};

// Reads argv[1...] up to the first word that is no option, or behind "--".
// Returns its index (argc when there is none), or -1 with the sentence.
// Tables end with NULL, each with a row that has neither letter nor word.
int options_read(const struct option_row *const *tables, void *into, int argc, char *const *argv, char *why,
		 size_t why_size);
void options_help(const struct option_row *const *tables, FILE *to);

// "1500": a decimal number from least to most; -1 with a sentence otherwise.
int options_number(const char *text, unsigned long least, unsigned long most, unsigned long *out,
		   char *why, size_t why_size);

#endif
