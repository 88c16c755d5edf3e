// SPDX-License-Identifier: GPL-3.0-or-later
// spec_test - which programs a spec takes, and how a bad one is refused.

#include "extension/spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

// Everybody descends from 1, and who has an even pid above 2000 from 2000.
static bool is_child_of(void *context, pid_t ancestor)
{
	pid_t pid = *(const pid_t *)context;

	return ancestor == 1 ? pid != 1 : ancestor == 2000 && pid > 2000 && pid % 2 == 0;
}

static pid_t pids[] = {1, 2242, 2243, 77};
static const struct spec_process people[] = {
	{.pid = 1, .uid = 0, .path = "a", .name = "a", .is_child_of = is_child_of, .context = &pids[0]},
	{.pid = 2242, .uid = 1000, .path = "mitmproxy", .name = "mitmproxy", .argv0 = "mitmproxy",
	 .is_child_of = is_child_of, .context = &pids[1]},
	{.pid = 2243, .uid = 33, .path = "/usr/lib/firefox/firefox-bin", .name = "Web Content", .argv0 = "/usr/bin/firefox",
	 .cgroup = "/system.slice/nginx.service/worker", .is_child_of = is_child_of, .context = &pids[2]},
	{.pid = 77, .uid = 0xfffffffeU, .cgroup = "/"},
};
enum { PEOPLE = sizeof people / sizeof *people };

// A letter for each process that is taken: a, b (mitmproxy), f (firefox), n (of no name).
static const struct {
	const char *text, *taken;
} takes[] = {
	// mitmproxy's own
	{"1,2,3", "a"}, {"!1234", "abfn"}, {"mitm", "b"}, {"!curl,curl", "abfn"}, {"curl,!curl", ""},
	{"", "abfn"}, {NULL, "abfn"}, {"042", ""}, {"0x10", ""}, {"-5", ""},
	// numbers
	{"1", "a"}, {"0001", "a"}, {"+1", "a"}, {" 1 ", "a"}, {"1,2242", "ab"}, {"4294967295", ""},
	{"4294967296", ""}, {"4294969538", ""}, {"0", ""}, {"1 2242", ""}, {"2", ""}, {"22", ""},
	// text
	{"  ", "abfn"}, {"Mitm", ""}, {"proxy", "b"}, {"firefox", "f"}, {"Web Content", "f"}, {"/usr/bin/f", "f"},
	{"/usr/lib", "f"}, {"a", "a"}, {"i", "bf"}, {"a\t,\n b ", "af"}, {"Web", "f"}, {"content", ""},
	// excluding
	{"!1", "bfn"}, {" ! 1 ", "bfn"}, {"!mitm", "afn"}, {"!1,!mitm", "fn"}, {"!1,!mitm,1", "afn"},
	{"1,!1,1", "a"}, {"1,mitm,!1", "b"}, {"1,!mitm", "a"}, {"!!1", "abfn"}, {"!i,mitm", "abn"},
	{"i,!mitm,2242", "bf"},
	// kinds
	{"exe:/usr/lib/*", "f"}, {"exe:*/firefox-???", "f"}, {"exe:firefox", ""}, {"exe:[am]*", "ab"}, {"exe:*", "abf"},
	{"!exe:*", "n"}, {"user:root", "a"}, {"user:0", "a"}, {"user:1000", "b"}, {"user: 33 ", "f"}, {"!user:0", "bfn"},
	{"user:4294967294", "n"}, {"cgroup:/system.slice", "f"}, {"cgroup:system.slice/", "f"},
	{"cgroup:/system.slice/nginx.service", "f"}, {"cgroup:/system.slice/nginx", ""}, {"cgroup:/", "fn"},
	{"cgroup:/system.slice/nginx.service/worker", "f"}, {"cgroup:/system.slice/nginx.service/worker/x", ""},
	{"child-of:1", "bf"}, {"child-of:2000", "b"}, {"!child-of:2000", "afn"}, {"child-of:4294967295", ""},
	{"exe", ""}, {"Exe:*", ""}, {"other:1", ""}, {"! exe: */firefox-bin", "abn"},
};

static void test_takes(void **state)
{
	static const char letters[] = "abfn";

	(void)state;
	for (size_t i = 0; i < sizeof takes / sizeof *takes; i++) {
		char taken[PEOPLE + 1], why[256];
		struct spec *spec;
		size_t at, n = 0;

		if (spec_open(&spec, takes[i].text, &at, why, sizeof why))
			fail_msg("\"%s\" is refused: %s", takes[i].text, why);
		for (size_t p = 0; p < PEOPLE; p++)
			if (spec_takes(spec, &people[p]))
				taken[n++] = letters[p];
		taken[n] = '\0';
		if (strcmp(taken, takes[i].taken))
			fail_msg("\"%s\" takes \"%s\", not \"%s\"", takes[i].text, taken, takes[i].taken);
		spec_close(spec);
	}
}

static const struct {
	const char *text;
	size_t at;
	const char *words;	// of the sentence
} wrong[] = {
	{",,", 0, "between two commas"}, {"curl,", 5, "behind the last"}, {"!", 1, "behind the \"!\""},
	{",curl", 0, "comma"}, {"curl,,wget", 5, "comma"}, {"curl, ,wget", 5, "comma"}, {"curl,! ,wget", 6, "\"!\""},
	{"curl, !", 7, "\"!\""}, {" ,", 0, "comma"}, {"exe:", 4, "exe: wants"}, {"curl,user:", 10, "user: wants"},
	{"!cgroup: ", 8, "cgroup: wants"}, {"child-of:", 9, "child-of: wants a PID"},
	{"curl,child-of:x", 14, "child-of: wants a PID, not \"x\""}, {"child-of: -1", 10, "not \"-1\""},
	{"child-of:0", 9, "not \"0\""}, {"child-of:4294967296", 9, "PID"},
	{"curl, user:no-such-user-here", 11, "no user \"no-such-user-here\""},
	{"user:4294967295", 5, "no user"}, {"user:-1", 5, "no user"},
};

static void test_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct spec *spec = (void *)1;
		char why[256];
		size_t at = 999;

		if (spec_open(&spec, wrong[i].text, &at, why, sizeof why) != -EINVAL)
			fail_msg("\"%s\" is not refused", wrong[i].text);
		assert_null(spec);
		if (at != wrong[i].at)
			fail_msg("\"%s\" is wrong at %zu, not %zu", wrong[i].text, at, wrong[i].at);
		if (!strstr(why, wrong[i].words))
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", wrong[i].text, why, wrong[i].words);
	}
}

static void test_items(void **state)
{
	struct spec *spec;
	char why[256];

	(void)state;
	assert_int_equal(spec_open(&spec, "! 042 ,0x10,!exe: /a*b,user:root,cgroup:/x/y,child-of:7", NULL, why, sizeof why), 0);
	assert_int_equal(spec_count(spec), 6);
	assert_true(spec_default(spec));
	assert_int_equal(spec_item(spec, 0)->kind, SPEC_PID);
	assert_int_equal(spec_item(spec, 0)->number, 42);
	assert_true(spec_item(spec, 0)->exclude);
	assert_int_equal(spec_item(spec, 1)->kind, SPEC_TEXT);
	assert_string_equal(spec_item(spec, 1)->text, "0x10");
	assert_false(spec_item(spec, 1)->exclude);
	assert_int_equal(spec_item(spec, 2)->kind, SPEC_EXE);
	assert_string_equal(spec_item(spec, 2)->text, "/a*b");
	assert_true(spec_item(spec, 2)->exclude);
	assert_int_equal(spec_item(spec, 3)->kind, SPEC_USER);
	assert_int_equal(spec_item(spec, 3)->number, 0);
	assert_int_equal(spec_item(spec, 4)->kind, SPEC_CGROUP);
	assert_string_equal(spec_item(spec, 4)->text, "/x/y");
	assert_int_equal(spec_item(spec, 5)->kind, SPEC_CHILD_OF);
	assert_int_equal(spec_item(spec, 5)->number, 7);
	assert_null(spec_item(spec, 6));
	spec_close(spec);
	spec_close(NULL);
}

static void test_empty(void **state)
{
	static const char *const texts[] = {NULL, "", " \t\n"};
	struct spec *spec;
	char why[64];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(spec_open(&spec, texts[i], NULL, why, sizeof why), 0);
		assert_int_equal(spec_count(spec), 0);
		assert_true(spec_default(spec));
		spec_close(spec);
	}
	assert_int_equal(spec_open(&spec, "curl", NULL, why, sizeof why), 0);
	assert_false(spec_default(spec));
	spec_close(spec);
}

// The last that is taken, and the first that is not.
static void test_limits(void **state)
{
	char text[2 * SPEC_ITEMS_MAX + 3], why[256];
	struct spec *spec;
	size_t at;

	(void)state;
	for (size_t i = 0; i <= SPEC_ITEMS_MAX; i++)
		memcpy(text + 2 * i, "x,", 2);
	text[2 * SPEC_ITEMS_MAX - 1] = '\0';
	assert_int_equal(spec_open(&spec, text, &at, why, sizeof why), 0);
	assert_int_equal(spec_count(spec), SPEC_ITEMS_MAX);
	spec_close(spec);
	text[2 * SPEC_ITEMS_MAX - 1] = ',';
	text[2 * SPEC_ITEMS_MAX + 1] = '\0';
	assert_int_equal(spec_open(&spec, text, &at, why, sizeof why), -EINVAL);
	assert_int_equal(at, 2 * SPEC_ITEMS_MAX);
	assert_non_null(strstr(why, "1025 items"));

	memset(text, 'y', SPEC_TEXT_MAX);
	text[SPEC_TEXT_MAX] = '\0';
	assert_int_equal(spec_open(&spec, text, &at, why, sizeof why), 0);
	spec_close(spec);
	text[SPEC_TEXT_MAX] = 'y';
	text[SPEC_TEXT_MAX + 1] = '\0';
	assert_int_equal(spec_open(&spec, text, &at, why, sizeof why), -EINVAL);
	assert_int_equal(at, 0);
}

static int asked;

static bool count_question(void *context, pid_t ancestor)
{
	(void)context;
	(void)ancestor;
	asked++;
	return true;
}

// A walk through ancestors is not made for an answer that stands already.
static void test_asks_no_more_than_needed(void **state)
{
	struct spec_process process = {.pid = 5, .is_child_of = count_question};
	struct spec *spec;
	char why[64];

	(void)state;
	assert_int_equal(spec_open(&spec, "5,child-of:1,!child-of:2", NULL, why, sizeof why), 0);
	asked = 0;
	assert_false(spec_takes(spec, &process));
	assert_int_equal(asked, 1);
	spec_close(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_asks_no_more_than_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
