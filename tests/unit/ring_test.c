// SPDX-License-Identifier: GPL-3.0-or-later
// ring_test - the names of a ring's files, and when each ends, beside tcpdump's own.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/ring.h"

#define S UINT64_C(1000000000)

static void expect_name(const struct ring *ring, const char *expected)
{
	char name[4096];

	assert_int_equal(ring_name(ring, name, sizeof(name)), 0);
	assert_string_equal(name, expected);
}

static void a_size_numbers_the_files(void **state)
{
	struct ring ring = { .name = "out.pcap", .size = 1000 };

	(void)state;
	ring_begin(&ring, 0);
	expect_name(&ring, "out.pcap");
	assert_int_equal(ring_step(&ring, 1, 1000), RING_STAY);
	assert_int_equal(ring_step(&ring, 1, 1001), RING_NEXT);
	expect_name(&ring, "out.pcap1");
	for (int i = 2; i <= 12; i++)
		assert_int_equal(ring_step(&ring, 1, 5000), RING_NEXT);
	expect_name(&ring, "out.pcap12");
}

// As many digits as the greatest number has, from 0, over and over.
static void a_number_of_files_comes_round(void **state)
{
	static const struct {
		uint32_t files, steps;
		const char *name;
	} rows[] = {
		{ 1, 0, "f" }, { 1, 1, "f" }, { 2, 0, "f0" }, { 2, 1, "f1" }, { 2, 2, "f0" },
		{ 10, 0, "f0" }, { 10, 9, "f9" }, { 10, 10, "f0" }, { 11, 0, "f00" },
		{ 11, 10, "f10" }, { 11, 11, "f00" }, { 1000, 999, "f999" }, { 1001, 7, "f0007" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ring ring = { .name = "f", .size = 1, .files = rows[i].files };

		ring_begin(&ring, 0);
		for (uint32_t n = 0; n < rows[i].steps; n++)
			assert_int_equal(ring_step(&ring, 0, 2), RING_NEXT);
		expect_name(&ring, rows[i].name);
	}
}

static void a_time_is_a_pattern(void **state)
{
	struct ring ring = { .name = "/tmp/%Y-%m-%d_%H%M%S%%.pcap", .seconds = 60 };

	(void)state;
	setenv("TZ", "UTC-1", 1);
	ring_begin(&ring, 1700000000 * S + 999);
	expect_name(&ring, "/tmp/2023-11-14_231320%.pcap");
	assert_int_equal(ring_step(&ring, 1700000059 * S, 1 << 30), RING_STAY);
	assert_int_equal(ring_step(&ring, 1700000060 * S, 0), RING_NEXT);
	expect_name(&ring, "/tmp/2023-11-14_231420%.pcap");
	// A silence is no row of empty files.
	assert_int_equal(ring_step(&ring, 1700009999 * S, 0), RING_NEXT);
	assert_int_equal(ring_step(&ring, 1700009999 * S, 0), RING_STAY);
}

static void without_a_time_nothing_is_a_pattern(void **state)
{
	struct ring ring = { .name = "a%Hb", .size = 10 };

	(void)state;
	ring_begin(&ring, 0);
	expect_name(&ring, "a%Hb");
}

static void a_time_and_a_number_end_it(void **state)
{
	struct ring ring = { .name = "f", .seconds = 10, .files = 3 };

	(void)state;
	ring_begin(&ring, 0);
	assert_int_equal(ring_step(&ring, 10 * S, 0), RING_NEXT);
	assert_int_equal(ring_step(&ring, 20 * S, 0), RING_NEXT);
	assert_int_equal(ring_step(&ring, 29 * S, 0), RING_STAY);
	assert_int_equal(ring_step(&ring, 30 * S, 0), RING_OVER);
}

static void a_time_and_a_size_number_anew(void **state)
{
	struct ring ring = { .name = "%S-", .seconds = 10, .size = 100, .files = 3 };

	(void)state;
	ring_begin(&ring, 0);
	expect_name(&ring, "00-0");
	assert_int_equal(ring_step(&ring, 1, 101), RING_NEXT);
	expect_name(&ring, "00-1");
	assert_int_equal(ring_step(&ring, 10 * S, 0), RING_NEXT);
	expect_name(&ring, "10-0");
	for (uint64_t i = 2; i < 10; i++)	// -W ends nothing here
		assert_int_equal(ring_step(&ring, 10 * i * S, 0), RING_NEXT);
}

static void turned_by_hand(void **state)
{
	struct ring none = { .name = "f" }, sized = { .name = "f", .size = 9, .files = 2 };
	struct ring timed = { .name = "f%S", .seconds = 60 };

	(void)state;
	ring_begin(&none, 0);
	ring_turn(&none, 1);
	expect_name(&none, "f1");
	ring_begin(&sized, 0);
	ring_turn(&sized, 1);
	expect_name(&sized, "f1");
	ring_turn(&sized, 1);
	expect_name(&sized, "f0");

	// Not over what it has just written.
	ring_begin(&timed, 0);
	ring_turn(&timed, 1);
	expect_name(&timed, "f001");
	ring_turn(&timed, 7 * S);
	expect_name(&timed, "f07");
	assert_int_equal(ring_step(&timed, 66 * S, 0), RING_STAY);
	assert_int_equal(ring_step(&timed, 67 * S, 0), RING_NEXT);
}

static void too_long_a_name_is_told(void **state)
{
	struct ring ring = { .name = "0123456789", .size = 1 };
	char name[11];

	(void)state;
	ring_begin(&ring, 0);
	assert_int_equal(ring_name(&ring, name, sizeof(name)), 0);
	assert_true(ring_name(&ring, name, 10) < 0);
	ring_turn(&ring, 0);
	assert_true(ring_name(&ring, name, sizeof(name)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_numbers_the_files),
		cmocka_unit_test(a_number_of_files_comes_round),
		cmocka_unit_test(a_time_is_a_pattern),
		cmocka_unit_test(without_a_time_nothing_is_a_pattern),
		cmocka_unit_test(a_time_and_a_number_end_it),
		cmocka_unit_test(a_time_and_a_size_number_anew),
		cmocka_unit_test(turned_by_hand),
		cmocka_unit_test(too_long_a_name_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
