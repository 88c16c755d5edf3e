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
	unsigned long number;
	int flags;
};

static int set_file(void *into, const char *value, char *why, size_t why_size)
{
	(void)why;
	(void)why_size;
	((struct got *)into)->file = value;
	return 0;
}

static int set_number(void *into, const char *value, char *why, size_t why_size)
{
	return options_number(value, 10, 20, &((struct got *)into)->number, why, why_size);
}

static int set_flag(void *into, const char *value, char *why, size_t why_size)
{
	(void)value;
	(void)why;
	(void)why_size;
	((struct got *)into)->flags++;
	return 0;
}

static const struct option_row rows[] = {
	{'w', NULL, "FILE", "a file", set_file},
	{0, "mtu", "BYTES", "a number", set_number},
	{'k', "insecure", NULL, "a flag", set_flag},
	{0, NULL, NULL, NULL, NULL},
};
static const struct option_row *const tables[] = {rows, NULL};

static char why[256];

static int given(struct got *got, const char *const *words)
{
	char *argv[16] = {(char *)"run"};
	int argc = 1;

	memset(got, 0, sizeof(*got));
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
	assert_int_equal(got.flags, 2);
	assert_int_equal(GIVEN(&got, "-kw", "out", "curl"), 3);
	assert_string_equal(got.file, "out");
}

static void the_command_keeps_its_own_options(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(GIVEN(&got, "-k", "curl", "-k", "-w", "x"), 2);
	assert_int_equal(got.flags, 1);
	assert_null(got.file);
	assert_int_equal(GIVEN(&got, "--", "-k"), 2);
	assert_int_equal(got.flags, 0);
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
		cmocka_unit_test(the_command_keeps_its_own_options),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(helps_with_every_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
