// SPDX-License-Identifier: GPL-3.0-or-later
// known_test - processes by the hundred thousand: those spoken of stay, memory does not grow.

#include <malloc.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "extension/known.h"
#include "extension/process.h"
#include "extension/redirect.h"

enum { MANY = 100000, FIRST_PID = 1 << 23 };	// beyond what a kernel gives out

static struct known_entry *entry_of(pid_t pid, uint64_t ticks)
{
	struct known_entry *entry = calloc(1, sizeof(*entry));

	assert_non_null(entry);
	entry->process = (struct process){.pid = pid, .counted = true};
	entry->ticks = ticks;
	entry->path = strdup("/usr/bin/something");
	return entry;
}

static void numbers_are_used_again(void **state)
{
	struct known *known = known_open();
	struct known_entry *entry;

	(void)state;
	for (uint64_t ticks = 1; ticks <= 3; ticks++)
		known_add(known, entry_of(7, ticks));
	known_add(known, entry_of(7 + 4096, 9));	// the same bucket
	entry = known_first(known, 7);
	for (uint64_t ticks = 3; ticks >= 1; ticks--, entry = known_next(entry))
		assert_int_equal(entry->ticks, ticks);
	assert_null(entry);
	assert_null(known_first(known, 8));
	known_close(known);
}

static void those_held_stay(void **state)
{
	struct known *known = known_open();
	struct process *held[10];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		struct process *process = known_add(known, entry_of(i, 1));
		if (i < 10)
			held[i] = process_keep(process);
	}
	assert_int_equal(known_count(known), KNOWN_IDLE + 10);
	for (int i = 0; i < 10; i++) {
		assert_ptr_equal(&known_first(known, i)->process, held[i]);
		assert_int_equal(held[i]->pid, i);
	}
	assert_null(known_first(known, 10));
	assert_non_null(known_first(known, MANY - KNOWN_IDLE));
	assert_null(known_first(known, MANY - KNOWN_IDLE - 1));
	known_close(known);
}

// The one let go of last is forgotten last.
static void letting_go_counts(void **state)
{
	struct known *known = known_open();
	struct process *process = process_keep(known_add(known, entry_of(1, 1)));

	(void)state;
	process_keep(process);
	process_let(process);
	for (int i = 0; i < KNOWN_IDLE; i++)
		known_add(known, entry_of(100000 + i, 1));
	process_let(process);
	for (int i = 0; i < KNOWN_IDLE - 1; i++)
		known_add(known, entry_of(200000 + i, 1));
	assert_non_null(known_first(known, 1));
	known_add(known, entry_of(300000, 1));
	assert_null(known_first(known, 1));
	known_close(known);
}

static struct redirect_owner owner_of(int i)
{
	struct redirect_owner owner = {
		.protocol = IPPROTO_TCP, .pid = FIRST_PID + i, .parent = 1, .uid = 0,
		.start = process_boot() + (uint64_t)i * 10000000,
	};
	struct sockaddr_in *app = (struct sockaddr_in *)&owner.app, *peer = (struct sockaddr_in *)&owner.peer;

	*app = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)(1024 + i % 60000))};
	app->sin_addr.s_addr = htonl(0xc0000020);
	*peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(443)};
	peer->sin_addr.s_addr = htonl(0xc6336400 + (uint32_t)i / 60000);
	snprintf(owner.name, sizeof(owner.name), "short-lived-%d", i);
	snprintf(owner.path, sizeof(owner.path), "/usr/bin/short-lived-%d", i);
	return owner;
}

static const struct process *find(struct process_finder *finder, int i)
{
	struct redirect_owner owner = owner_of(i);

	return process_find(finder, IPPROTO_TCP, (struct sockaddr *)&owner.app, (struct sockaddr *)&owner.peer);
}

static void every_owner_is_named_at_its_time(void **state)
{
	struct process_finder *finder;
	size_t half = 0;

	(void)state;
	assert_int_equal(process_open(&finder, -1, 0), 0);
	for (int i = 0; i < 2 * MANY; i++) {
		struct redirect_owner owner = owner_of(i);
		const struct process *process;

		assert_int_equal(process_announce(finder, &owner), 0);
		process = find(finder, i);
		assert_non_null(process);
		assert_int_equal(process->pid, FIRST_PID + i);
		assert_string_equal(process->name, owner.name);
		if (i == MANY)
			half = mallinfo2().uordblks;
	}
	// As many again take no more memory.
	assert_true(mallinfo2().uordblks <= half + half / 10);
	process_close(finder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_used_again),
		cmocka_unit_test(those_held_stay),
		cmocka_unit_test(letting_go_counts),
		cmocka_unit_test(every_owner_is_named_at_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
