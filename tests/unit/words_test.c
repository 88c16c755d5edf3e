// SPDX-License-Identifier: GPL-3.0-or-later
// words_test - a line as a command: what quotes do, what is refused.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/words.h"

static char why[256];

// The words as "<a><b>", or "! sentence".
static const char *split(const char *line)
{
	static char out[1024];
	char **words = words_split(line, why, sizeof why);
	size_t n = 0;

	if (!words) {
		snprintf(out, sizeof out, "! %s", why);
		return out;
	}
	for (char **w = words; *w; w++)
		n += (size_t)snprintf(out + n, sizeof out - n, "<%s>", *w);
	free(words);
	return out;
}

static void quotes(void **state)
{
	static const char *const rows[][2] = {
		{"curl", "<curl>"},
		{" \tcurl  -s\nhttps://e.test/ ", "<curl><-s><https://e.test/>"},
		{"a 'b c' d", "<a><b c><d>"},
		{"a \"b c\"d", "<a><b cd>"},
		{"a '' \"\"", "<a><><>"},
		{"''", "<>"},
		{"a\\ b \\'c \\\\", "<a b><'c><\\>"},
		{"\"a\\\"b\\\\c\\$d\\`e\\n\"", "<a\"b\\c$d`e\\n>"},
		{"'a\\'", "<a\\>"},
		{"sh -c 'a | b > \"c\"; d &'", "<sh><-c><a | b > \"c\"; d &>"},
		// No substitution.
		{"$HOME `x` ~ * ?", "<$HOME><`x`><~><*><?>"},
		{"https://e.test/?a=1&b=2;c #d", "<https://e.test/?a=1&b=2;c><#d>"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(split(rows[i][0]), rows[i][1]);
}

static void refusals(void **state)
{
	static const char *const rows[][2] = {
		{"", "there is no command"}, {" \t\n", "there is no command"}, {"a 'b", "inside ' quotes"},
		{"a \"b\\\"", "inside \" quotes"}, {"a \\", "nothing follows"}, {"a | b", "\"|\" means"},
		{"a|b", "\"|\" means"}, {"a >b", "\">\" means"}, {"a 2>b", "\">\" means"}, {"a < b", "\"<\" means"},
		{"a; b", "\";\" means"}, {"a ;b", "\";\" means"}, {"a &", "\"&\" means"}, {"a && b", "\"&\" means"},
		{"a&", "\"&\" means"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *said = split(rows[i][0]);

		assert_true(said[0] == '!');
		assert_non_null(strstr(said, rows[i][1]));
	}
}

// Words of one letter take the most pointers for a line's size.
static void many(void **state)
{
	char line[4001];
	size_t count = 0;
	(void)state;

	for (size_t size = 1; size < sizeof line; size += 1333) {
		for (size_t i = 0; i < size; i++)
			line[i] = i % 2 ? ' ' : 'x';
		line[size] = '\0';
		char **words = words_split(line, why, sizeof why);

		assert_non_null(words);
		for (count = 0; words[count]; count++)
			assert_string_equal(words[count], "x");
		assert_int_equal(count, (size + 1) / 2);
		free(words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(quotes), cmocka_unit_test(refusals), cmocka_unit_test(many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
