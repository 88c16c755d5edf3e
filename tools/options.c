// SPDX-License-Identifier: GPL-3.0-or-later
// options - one table of options: what is parsed, what the help says.
//
// getopt_long(3) does the reading; its two lists are made from the table.

#include "tools/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64, WORDS = 1000 };

// All tables as one list.
static int gather(const struct option_row *const *tables, const struct option_row *rows[ROWS])
{
	int n = 0;

	for (; *tables; tables++)
		for (const struct option_row *row = *tables; row->letter || row->word; row++) {
			assert(n < ROWS);
			rows[n++] = row;
		}
	return n;
}

static void make_lists(const struct option_row *const *rows, int n, char *letters, struct option *words)
{
	// '+': the first word that is no option begins the command; ':': a
	// missing argument is told apart from an unknown option.
	*letters++ = '+';
	*letters++ = ':';
	for (int i = 0; i < n; i++) {
		if (rows[i]->letter) {
			*letters++ = rows[i]->letter;
			if (rows[i]->argument)
				*letters++ = ':';
		}
		if (rows[i]->word)
			*words++ = (struct option){rows[i]->word, rows[i]->argument ? required_argument : no_argument,
						   NULL, WORDS + i};
	}
	*letters = 0;
	*words = (struct option){0};
}

static const struct option_row *row_of(const struct option_row *const *rows, int n, int code)
{
	if (code >= WORDS)
		return rows[code - WORDS];
	for (int i = 0; i < n; i++)
		if (rows[i]->letter == code)
			return rows[i];
	return NULL;
}

static void put_number(void *at, size_t size, unsigned long number)
{
	switch (size) {
	case 2:
		*(uint16_t *)at = (uint16_t)number;
		break;
	case 4:
		*(uint32_t *)at = (uint32_t)number;
		break;
	default:
		assert(size == sizeof(number));
		*(unsigned long *)at = number;
	}
}

static int put_either(const struct option_row *row, bool *at, const char *value, char *why, size_t why_size)
{
	*at = !strcmp(value, row->place.yes);
	if (*at || !strcmp(value, row->place.no))
		return 0;
	snprintf(why, why_size, "--%s is %s or %s, not \"%s\"", row->word, row->place.yes, row->place.no, value);
	return -1;
}

static int put(const struct option_row *row, void *into, const char *value, char *why, size_t why_size)
{
	const struct option_place *place = &row->place;
	void *at = (char *)into + place->at;
	unsigned long number;

	switch (place->kind) {
	case OPTION_PLACE_NONE:
		return row->set(into, value, why, why_size);
	case OPTION_PLACE_TEXT:
		*(const char **)at = value;
		return 0;
	case OPTION_PLACE_FLAG:
		*(bool *)at = place->is;
		return 0;
	case OPTION_PLACE_NUMBER:
		if (options_number(value, place->least, place->most, &number, why, why_size))
			return -1;
		put_number(at, place->size, number);
		return 0;
	case OPTION_PLACE_EITHER:
		return put_either(row, at, value, why, why_size);
	}
	return -1;
}

int options_read(const struct option_row *const *tables, void *into, int argc, char *const *argv, char *why,
		 size_t why_size)
{
	char letters[2 * ROWS + 3];
	struct option words[ROWS + 1];
	const struct option_row *rows[ROWS];
	int n = gather(tables, rows), code;

	make_lists(rows, n, letters, words);
	optind = 0;
	opterr = 0;
	while ((code = getopt_long(argc, argv, letters, words, NULL)) != -1) {
		const struct option_row *row = row_of(rows, n, code);
		const char *at = argv[optind > 0 ? optind - 1 : 0];

		if (code == ':') {
			snprintf(why, why_size, "%s wants an argument", at);
			return -1;
		}
		if (!row) {
			if (optopt && optopt < WORDS)
				snprintf(why, why_size, "there is no option -%c", optopt);
			else if (optopt >= WORDS)
				snprintf(why, why_size, "%s takes no argument", at);
			else
				snprintf(why, why_size, "there is no option %s", at);
			return -1;
		}
		if (put(row, into, optarg, why, why_size) < 0)
			return -1;
	}
	return optind;
}

static void spell(const struct option_row *row, char *out, size_t size)
{
	char letter[4] = "";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c", row->letter);
	snprintf(out, size, "%s%s%s%s%s%s", letter, row->letter && row->word ? ", " : "",
		 row->word ? "--" : "", row->word ? row->word : "", row->argument ? " " : "",
		 row->argument ? row->argument : "");
}

void options_help(const struct option_row *const *tables, FILE *to)
{
	const struct option_row *rows[ROWS];

	for (int i = 0, n = gather(tables, rows); i < n; i++) {
		char how[64];

		spell(rows[i], how, sizeof(how));
		fprintf(to, "  %-28s %s\n", how, rows[i]->help);
	}
}

int options_number(const char *text, unsigned long least, unsigned long most, unsigned long *out,
		   char *why, size_t why_size)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	if (errno || end == text || *end || !strchr("0123456789", *text) || *out < least || *out > most) {
		snprintf(why, why_size, "\"%s\" is no number from %lu to %lu", text, least, most);
		return -1;
	}
	return 0;
}
