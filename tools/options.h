// SPDX-License-Identifier: GPL-3.0-or-later
// options - one table of options: what is parsed, what the help says.

#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// Where in what is set a row's value goes, and what can be one.
struct option_place {
	enum { OPTION_PLACE_NONE, OPTION_PLACE_TEXT, OPTION_PLACE_FLAG, OPTION_PLACE_NUMBER, OPTION_PLACE_EITHER } kind;
	size_t at, size;
	unsigned long least, most;
	bool is;
	const char *yes, *no;
};

struct option_row {
	char letter;			// 0: none
	const char *word;		// "--keylog" without its dashes; NULL: none
	const char *argument;		// its name in the help; NULL: takes none
	const char *help;
	// NULL where the place says it all. 0, or a negative number with the sentence in `why`.
	int (*set)(void *into, const char *value, char *why, size_t why_size);
	struct option_place place;
};

// How a row ends: `type` is that of what is set, `field` one of its own, or of a struct in it.
#define OPTION_SET(function) function, {0}
// A const char *: the words of argv, not a copy.
#define OPTION_TEXT(type, field)                                                                   \
	NULL, {.kind = OPTION_PLACE_TEXT, .at = offsetof(type, field),                             \
	       .size = _Generic(((type *)NULL)->field, const char *: sizeof(const char *))}
// A bool, which becomes `value`.
#define OPTION_FLAG(type, field, value)                                                            \
	NULL, {.kind = OPTION_PLACE_FLAG, .at = offsetof(type, field),                             \
	       .size = _Generic(((type *)NULL)->field, bool: sizeof(bool)), .is = (value)}
// An unsigned integer of any size that holds `highest`.
#define OPTION_NUMBER(type, field, lowest, highest)                                                \
	NULL, {.kind = OPTION_PLACE_NUMBER, .at = offsetof(type, field),                           \
	       .size = sizeof(((type *)NULL)->field), .least = (lowest), .most = (highest)}
// A bool: one of two words.
#define OPTION_EITHER(type, field, word_of_true, word_of_false)                                    \
	NULL, {.kind = OPTION_PLACE_EITHER, .at = offsetof(type, field),                           \
	       .size = _Generic(((type *)NULL)->field, bool: sizeof(bool)),                       \
	       .yes = (word_of_true), .no = (word_of_false)}

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
