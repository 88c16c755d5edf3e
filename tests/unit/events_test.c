// SPDX-License-Identifier: GPL-3.0-or-later
// events_test - who is told of what, also while others come and go.

#include "tunnel/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ENTRIES = 3, MS = 1000000 };

static struct events *all;
static struct event entries[ENTRIES];
static int tubes[ENTRIES][2], told[ENTRIES];

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static void note(struct event *event, uint32_t what)
{
	assert_true(what & (EPOLLIN | EPOLLHUP));
	told[event - entries]++;
}

// The first one told ends the others.
static void end_others(struct event *event, uint32_t what)
{
	note(event, what);
	for (int i = 0; i < ENTRIES; i++)
		if (&entries[i] != event)
			events_remove(all, &entries[i]);
}

static int up(void **state)
{
	(void)state;
	all = events_open();
	assert_non_null(all);
	for (int i = 0; i < ENTRIES; i++) {
		assert_int_equal(pipe(tubes[i]), 0);
		entries[i] = (struct event){.fd = tubes[i][0], .ready = note};
		told[i] = 0;
	}
	return 0;
}

static int down(void **state)
{
	(void)state;
	for (int i = 0; i < ENTRIES; i++) {
		events_remove(all, &entries[i]);
		close(tubes[i][0]);
		close(tubes[i][1]);
	}
	events_close(all);
	return 0;
}

static void turn(uint64_t end)
{
	assert_int_equal(events_wait(all, end), 0);
	events_tell(all);
}

static void a_level_is_told_each_turn_an_edge_once(void **state)
{
	(void)state;
	assert_int_equal(events_add(all, &entries[0], EPOLLIN), 0);
	assert_int_equal(events_add(all, &entries[1], EPOLLIN | EPOLLET), 0);
	turn(0);
	assert_int_equal(told[0] + told[1] + told[2], 0);
	for (int i = 0; i < ENTRIES; i++)
		assert_int_equal(write(tubes[i][1], "x", 1), 1);
	turn(UINT64_MAX);
	turn(0);
	assert_int_equal(told[0], 2);
	assert_int_equal(told[1], 1);
	assert_int_equal(told[2], 0);
	assert_true(events_add(all, &(struct event){.fd = -1}, EPOLLIN) < 0);
}

static void who_was_removed_is_told_no_more(void **state)
{
	int count = 0;

	(void)state;
	for (int i = 0; i < ENTRIES; i++) {
		entries[i].ready = end_others;
		assert_int_equal(events_add(all, &entries[i], EPOLLIN), 0);
		assert_int_equal(write(tubes[i][1], "x", 1), 1);
	}
	turn(UINT64_MAX);
	for (int i = 0; i < ENTRIES; i++) {
		count += told[i];
		events_remove(all, &entries[i]);	// again, for most
	}
	assert_int_equal(count, 1);
}

static void a_time_ends_the_wait(void **state)
{
	uint64_t begin = now();

	(void)state;
	assert_int_equal(events_add(all, &entries[0], EPOLLIN), 0);
	turn(begin + 20 * MS);
	assert_true(now() >= begin + 20 * MS);
	turn(1);	// long past
	turn(now() + 10 * MS);
	// An earlier one takes over from a later one; the later is set anew behind it.
	assert_int_equal(write(tubes[0][1], "x", 1), 1);
	turn(begin + 100000ull * MS);
	events_remove(all, &entries[0]);
	begin = now();
	turn(begin + 10 * MS);
	assert_true(now() >= begin + 10 * MS && now() < begin + 50000ull * MS);
	turn(now() + 10 * MS);
	assert_int_equal(told[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_level_is_told_each_turn_an_edge_once, up, down),
		cmocka_unit_test_setup_teardown(who_was_removed_is_told_no_more, up, down),
		cmocka_unit_test_setup_teardown(a_time_ends_the_wait, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
