// SPDX-License-Identifier: GPL-3.0-or-later
// roster_test - the processes of a capture by number, and what becomes of very many.

#include "tests/unit/capture_world.h"

#include "pcap/roster.h"

static struct roster roster;

static int close_roster(void **state)
{
	(void)state;
	roster_close(&roster);
	return 0;
}

static struct capture_process named(int32_t pid)
{
	return (struct capture_process){ .pid = pid, .start = START, .name = "n", .path = "/n", .arguments = "n x" };
}

static uint32_t add(int32_t pid)
{
	struct capture_process process = named(pid);

	return roster_add(&roster, &process);
}

static uint32_t same(int32_t pid)
{
	struct capture_process process = named(pid);

	return roster_same(&roster, &process);
}

static void a_process_is_found_again(void **state)
{
	struct capture_process process = named(1 + ROSTER_BUCKETS), other;
	uint32_t number = add(1 + ROSTER_BUCKETS), beside = add(1);

	(void)state;
	assert_int_equal(roster_same(&roster, &process), number);
	assert_int_equal(same(1), beside);
	assert_int_equal(same(2), 0);
	assert_int_equal(roster_find(&roster, number)->pid, 1 + ROSTER_BUCKETS);
	assert_string_equal(roster_find(&roster, number)->user, "");
	assert_null(roster_find(&roster, 0));
	assert_null(roster_find(&roster, 3));

	other = process;
	other.parent = 1;	// adopted
	assert_int_equal(roster_same(&roster, &other), number);
	other = process;
	other.start++;		// its pid was used again
	assert_int_equal(roster_same(&roster, &other), 0);
	other = process;
	other.path = "/m";	// an exec
	assert_int_equal(roster_same(&roster, &other), 0);
	other = process;
	other.arguments = NULL;
	assert_int_equal(roster_same(&roster, &other), 0);
	other = process;
	other.uid = 7;
	assert_int_equal(roster_same(&roster, &other), 0);
}

// Ten times as many as there are places: the latest are there, and what is used.
static void the_longest_unused_goes(void **state)
{
	enum { MANY = 10 * ROSTER_MOST };
	uint32_t used = add(1), before = used;

	(void)state;
	assert_int_equal(roster_leaving(&roster), 0);
	for (int32_t pid = 2; pid <= MANY; pid++) {
		uint32_t leaving = roster_leaving(&roster), number = add(pid);

		assert_true(number > before);
		before = number;
		assert_true(roster_place(number) >= 1 && roster_place(number) <= ROSTER_MOST);
		if (leaving)
			assert_null(roster_find(&roster, leaving));
		assert_int_equal(!!leaving, pid > ROSTER_MOST);
		roster_use(&roster, used);
		roster_use(&roster, leaving);	// stale: nothing happens
	}
	assert_int_equal(roster.count, ROSTER_MOST);
	assert_int_equal(same(1), used);
	assert_int_equal(roster_find(&roster, used)->pid, 1);
	assert_int_equal(same(2), 0);
	for (int32_t pid = MANY - ROSTER_MOST + 2; pid <= MANY; pid++)
		assert_int_equal(roster_find(&roster, same(pid))->pid, pid);
	assert_int_equal(same(MANY - ROSTER_MOST + 1), 0);
}

static void send_of(struct capture *capture, uint32_t process, uint64_t flow, uint32_t mark)
{
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, mark, 10);

	packet.process = process;
	packet.flow = flow;
	capture_packet(capture, &packet);
}

static void expect_interface(uint32_t mark, const char *name)
{
	static char names[16][32];
	struct walk walk = { 0 };
	uint8_t *bytes = read_file(path, &walk.size);
	size_t size = 0;
	bool found = false;

	walk.bytes = bytes;
	while (walk_next(&walk)) {
		if (walk.type == WALK_INTERFACE) {
			const uint8_t *text = walk_option(&walk, 2, &size);
			snprintf(names[walk.interfaces - 1], sizeof(*names), "%.*s", (int)size, (const char *)text);
		} else if (walk.type == WALK_PACKET && walk32(walk.data + 20 + HEADERS) == mark) {
			assert_string_equal(names[walk.interface], name);
			found = true;
		}
	}
	assert_true(found);
	assert_null(walk.bad);
	free(bytes);
}

// What is held of it goes out first, under its own name; after that its number is nobody's.
static void whose_place_is_taken_is_written_first(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });
	uint32_t held = add_curl_of(capture, 1), quiet = add_curl_of(capture, 2), busy = add_curl_of(capture, 3);
	struct capture_counters count;

	(void)state;
	capture_hold(capture, 7);
	send_of(capture, held, 7, 1);
	send_of(capture, quiet, 0, 2);
	send_of(capture, busy, 0, 3);
	for (int32_t pid = 4; pid <= ROSTER_MOST + 2; pid++) {
		add_curl_of(capture, pid);
		if (pid == ROSTER_MOST)
			send_of(capture, busy, 0, 4);
	}
	assert_false(capture_knows(capture, held));
	assert_false(capture_knows(capture, quiet));
	assert_true(capture_knows(capture, busy));
	capture_count(capture, &count);
	assert_int_equal(count.held_too_long, 1);
	send_of(capture, quiet, 0, 5);
	assert_int_equal(add_curl_of(capture, 3), busy);
	quiet = add_curl_of(capture, 2);
	send_of(capture, quiet, 0, 6);
	close_capture(capture);
	expect_blocks("S I I P p2 I P p3 p4 I P p1 T T p5 I P p6 T T T");
	expect_interface(1, "curl[1]");
	expect_interface(2, "curl[2]");
	expect_interface(4, "curl[3]");
	expect_interface(5, "apptap");
	expect_interface(6, "curl[2]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_process_is_found_again, close_roster),
		cmocka_unit_test_teardown(the_longest_unused_goes, close_roster),
		cmocka_unit_test_teardown(whose_place_is_taken_is_written_first, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
