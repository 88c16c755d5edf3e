// SPDX-License-Identifier: GPL-3.0-or-later
// lull_test - when a wait is spent looking: where looks find, and nobody else wants the processor.

#include "tunnel/lull.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000ull

static struct lull after_sleeps(int count, uint64_t ns)
{
	struct lull l = {0};

	for (int i = 0; i < count; i++)
		lull_slept(&l, ns);
	return l;
}

static void short_waits_are_spent_looking(void **state)
{
	struct lull none = {0}, brief = after_sleeps(1, LULL_LOOK), longer = after_sleeps(100, MS);

	(void)state;
	assert_false(lull_look(&none, 0));
	assert_true(lull_look(&brief, 0));
	assert_false(lull_look(&longer, 0));
}

// However long it went well, and however long it did not.
static void what_looks_in_vain_sleeps_soon_and_again_looks_soon(void **state)
{
	struct lull l = after_sleeps(1, LULL_LOOK);
	int looks = 0, sleeps = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		lull_looked(&l, true);
	for (; lull_look(&l, 0) && looks < 100; looks++)
		lull_looked(&l, false);
	assert_in_range(looks, 1, 4);
	for (int i = 0; i < 1000; i++)
		lull_looked(&l, false);
	for (; !lull_look(&l, 0) && sleeps < 100; sleeps++)
		lull_slept(&l, LULL_LOOK);
	assert_in_range(sleeps, 4, 20);
}

// Waits a little longer than a look: a quarter of them is looked at, no more.
static void little_is_burnt_where_waits_are_a_little_longer(void **state)
{
	struct lull l = {0};
	int looks = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		if (lull_look(&l, 0)) {
			looks++;
			lull_looked(&l, false);
		}
		lull_slept(&l, LULL_LOOK + LULL_LOOK / 2);
	}
	assert_in_range(looks, 1, 260);
}

static void a_processor_that_others_want_is_left_to_them(void **state)
{
	struct lull l = after_sleeps(16, LULL_LOOK);

	(void)state;
	lull_gave_way(&l, 5 * MS, LULL_LOOK / 50);
	assert_true(lull_look(&l, 5 * MS));
	lull_gave_way(&l, 8 * MS, 3 * MS);
	assert_false(lull_look(&l, 8 * MS));
	assert_false(lull_look(&l, 9 * MS));
	assert_true(lull_look(&l, 11 * MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_waits_are_spent_looking),
		cmocka_unit_test(what_looks_in_vain_sleeps_soon_and_again_looks_soon),
		cmocka_unit_test(little_is_burnt_where_waits_are_a_little_longer),
		cmocka_unit_test(a_processor_that_others_want_is_left_to_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
