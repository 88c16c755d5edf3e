// SPDX-License-Identifier: GPL-3.0-or-later
// options_test - the table of options: what is read, what is refused and how.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/options.h"

struct got {
	const char *file;
	uint16_t number;
	uint8_t behind;			// stays as it is
	uint32_t wide;
	uint64_t widest;
	bool insecure, careful, open;
	int times;
};

static int set_times(void *into, const char *value, char *why, size_t why_size)
{
	(void)value;
	(void)why;
	(void)why_size;
	((struct got *)into)->times++;
	return 0;
}

static const struct option_row rows[] = {
	{'w', NULL, "FILE", "a file", OPTION_TEXT(struct got, file)},
	{0, "mtu", "BYTES", "a number", OPTION_NUMBER(struct got, number, 10, 20)},
	{0, "wide", "BYTES", "a number", OPTION_NUMBER(struct got, wide, 0, UINT32_MAX)},
	{0, "widest", "BYTES", "a number", OPTION_NUMBER(struct got, widest, 0, UINT64_MAX)},
	{'k', "insecure", NULL, "a flag", OPTION_FLAG(struct got, insecure, true)},
	{0, "careless", NULL, "a flag", OPTION_FLAG(struct got, careful, false)},
	{0, "tls", "MODE", "one of two", OPTION_EITHER(struct got, open, "open", "pass")},
	{'t', NULL, NULL, "its own", OPTION_SET(set_times)},
	{0},
};
static const struct option_row *const tables[] = {rows, NULL};

static char why[256];

static int given(struct got *got, const char *const *words)
{
	char *argv[16] = {(char *)"run"};
	int argc = 1;

	*got = (struct got){.careful = true};
	why[0] = 0;
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	return options_read(tables, got, argc, argv, why, sizeof(why));
}

#define GIVEN(got, ...) given(got, (const char *const[]){__VA_ARGS__, NULL})

static void reads_all_forms(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(GIVEN(&got, "-wout", "--mtu=15", "-k", "--insecure", "curl"), 5);
	assert_string_equal(got.file, "out");
	assert_int_equal(got.number, 15);
	assert_true(got.insecure);
	assert_true(got.careful);
	assert_int_equal(GIVEN(&got, "-kw", "out", "curl"), 3);
	assert_string_equal(got.file, "out");
}

static void puts_each_kind_where_it_belongs(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(GIVEN(&got, "--mtu", "20", "--wide=4294967295", "--widest", "18446744073709551615",
			       "--careless", "--tls", "open", "-t", "-t"), 11);
	assert_int_equal(got.number, 20);
	assert_int_equal(got.behind, 0);
	assert_int_equal(got.wide, UINT32_MAX);
	assert_true(got.widest == UINT64_MAX);
	assert_false(got.careful);
	assert_true(got.open);
	assert_int_equal(got.times, 2);
	assert_int_equal(GIVEN(&got, "--tls", "open", "--tls", "pass"), 5);
	assert_false(got.open);
	assert_int_equal(GIVEN(&got, "--tls", "perhaps"), -1);
	assert_string_equal(why, "--tls is open or pass, not \"perhaps\"");
}

static void the_command_keeps_its_own_options(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(GIVEN(&got, "-k", "curl", "-k", "-w", "x"), 2);
	assert_true(got.insecure);
	assert_null(got.file);
	assert_int_equal(GIVEN(&got, "--", "-k"), 2);
	assert_false(got.insecure);
}

static void says_what_is_wrong(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(GIVEN(&got, "-x", "curl"), -1);
	assert_string_equal(why, "there is no option -x");
	assert_int_equal(GIVEN(&got, "--nonsense", "curl"), -1);
	assert_string_equal(why, "there is no option --nonsense");
	assert_int_equal(GIVEN(&got, "-w"), -1);
	assert_string_equal(why, "-w wants an argument");
	assert_int_equal(GIVEN(&got, "--insecure=yes", "curl"), -1);
	assert_string_equal(why, "--insecure=yes takes no argument");
	assert_int_equal(GIVEN(&got, "--mtu", "9", "curl"), -1);
	assert_string_equal(why, "\"9\" is no number from 10 to 20");
	for (size_t i = 0; i < 5; i++) {
		const char *bad[] = {"", "-15", " 15", "15x", "99999999999999999999999"};
		assert_int_equal(GIVEN(&got, "--mtu", bad[i], "curl"), -1);
	}
}

static void helps_with_every_row(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	assert_non_null(to);
	options_help(tables, to);
	fclose(to);
	assert_non_null(strstr(text, "  -w FILE"));
	assert_non_null(strstr(text, "  --mtu BYTES"));
	assert_non_null(strstr(text, "  -k, --insecure"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_forms),
		cmocka_unit_test(puts_each_kind_where_it_belongs),
		cmocka_unit_test(the_command_keeps_its_own_options),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(helps_with_every_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
