// SPDX-License-Identifier: GPL-3.0-or-later
// leaves_test - what is kept, what is dropped, and that all of it is.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tls/leaves.h"

enum { LIMIT = 100 };

static int things[4 * LIMIT];
static unsigned dropped;

static void drop(void *kept)
{
	int *thing = kept;

	assert_int_equal(*thing, 1);
	*thing = 2;
	dropped++;
}

// Digests of a kind: few buckets, so that chains are long.
static const uint8_t *key(unsigned number)
{
	static uint8_t bytes[LEAF_KEY_SIZE];

	memset(bytes, 0, sizeof(bytes));
	bytes[1] = number % 3;
	bytes[30] = number >> 8;
	bytes[31] = number & 0xff;
	return bytes;
}

static void keeps_the_recently_used(void **state)
{
	struct leaves *leaves = leaves_open(LIMIT, drop);

	(void)state;
	assert_non_null(leaves);
	dropped = 0;
	for (unsigned i = 0; i < 4 * LIMIT; i++) {
		assert_null(leaves_find(leaves, key(i)));
		things[i] = 1;
		assert_int_equal(leaves_keep(leaves, key(i), &things[i]), 0);
		assert_ptr_equal(leaves_find(leaves, key(0)), &things[0]);	// always used
		assert_ptr_equal(leaves_find(leaves, key(i)), &things[i]);
	}
	assert_int_equal(dropped, 3 * LIMIT);
	for (unsigned i = 1; i < 4 * LIMIT; i++)
		assert_int_equal(things[i], i > 3 * LIMIT ? 1 : 2);
	leaves_close(leaves);
	assert_int_equal(dropped, 4 * LIMIT);
	leaves_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_the_recently_used) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
