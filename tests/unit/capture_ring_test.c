// SPDX-License-Identifier: GPL-3.0-or-later
// capture_ring_test - captures in several files, each complete in itself.

#include "tests/unit/capture_world.h"

#include <sys/utsname.h>

static char next_path[80];

static const char *file(const char *suffix)
{
	snprintf(next_path, sizeof(next_path), "%s%s", path, suffix);
	return next_path;
}

static int remove_ring(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -f %s/*", folder);
	return system(command);
}

static void expect_file(const char *suffix, const char *expected)
{
	char was[64];

	strcpy(was, path);
	strcpy(path, file(suffix));
	expect_blocks(expected);
	strcpy(path, was);
}

static void send_of(struct capture *capture, uint32_t process, uint64_t flow, uint32_t mark)
{
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, mark, 10);

	packet.process = process;
	packet.flow = flow;
	capture_packet(capture, &packet);
}

static void each_file_is_complete(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .rotate_size = 1 });
	struct capture_counters count;
	uint32_t first, second;

	(void)state;
	add_curl_of(capture, 1);	// sends nothing: no file has it
	first = add_curl_of(capture, 2);
	second = add_curl_of(capture, 3);
	add_name(capture, "10.0.0.2", "example.test");
	capture_secret(capture, 7, "seven");
	capture_secret(capture, 8, "eight");
	send_of(capture, first, 7, 1);
	send_of(capture, second, 7, 2);
	add_name(capture, "10.0.0.3", "three.test");
	send_of(capture, first, 8, 3);
	capture_forget(capture, 8);
	send_of(capture, second, 8, 4);
	capture_count(capture, &count);
	assert_int_equal(count.files, 4);
	close_capture(capture);
	expect_file("", "S I N Kseven\n Keight\n I P p1 T");
	expect_file("1", "S I N Kseven\n I P p2 N T");
	expect_file("2", "S I N N Keight\n I P p3 T");
	expect_file("3", "S I N N I P p4 T");
}

// Who made it, what of, where: as the first has it.
static void each_file_has_its_section(void **state)
{
	struct capture *capture = open_capture((struct capture_options){
		.rotate_size = 1, .application = "apptap 0", .comment = "a\nb",
	});
	struct utsname system;
	char os[160];

	(void)state;
	assert_int_equal(uname(&system), 0);
	snprintf(os, sizeof(os), "%s %s", system.sysname, system.release);
	send_mark(capture, 0, 1);
	send_mark(capture, 0, 2);
	close_capture(capture);
	for (int i = 0; i < 2; i++) {
		struct walk walk = { 0 };
		uint8_t *bytes = read_file(file(i ? "1" : ""), &walk.size);

		walk.bytes = bytes;
		assert_true(walk_next(&walk));
		assert_true(walk_says(&walk, 1, "a\nb"));
		assert_true(walk_says(&walk, 2, system.machine));
		assert_true(walk_says(&walk, 3, os));
		assert_true(walk_says(&walk, 4, "apptap 0"));
		free(bytes);
	}
}

// Their interface in the file they end up in is not the one they came by.
static void held_packets_go_to_the_file_of_their_secrets(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .rotate_size = 1 });
	struct walk walk = { 0 };
	uint32_t first = add_curl_of(capture, 1), second = add_curl_of(capture, 2);

	(void)state;
	capture_hold(capture, 7);
	send_of(capture, second, 7, 1);
	send_of(capture, first, 0, 2);
	send_of(capture, 0, 7, 3);
	capture_secret(capture, 7, "seven");
	send_of(capture, first, 0, 4);
	capture_release(capture, 7);
	close_capture(capture);
	expect_file("", "S I I P p2 T");
	expect_file("1", "S I I P p4 T");
	expect_file("2", "S I Kseven\n I P p1 p3 T T");

	uint8_t *bytes = read_file(file("2"), &walk.size);
	walk.bytes = bytes;
	for (int packets = 0; walk_next(&walk);) {
		if (walk.type != WALK_PACKET)
			continue;
		assert_int_equal(walk32(walk.body), packets++ ? 0 : 1);
	}
	assert_null(walk.bad);
	free(bytes);
}

static void a_ring_comes_round(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .rotate_size = 1, .files = 3 });

	(void)state;
	for (uint32_t mark = 1; mark <= 8; mark++)
		send_mark(capture, 0, mark);
	close_capture(capture);
	expect_file("0", "S I p7 T");
	expect_file("1", "S I p8 T");
	expect_file("2", "S I p6 T");
	assert_int_equal(access(file("3"), F_OK), -1);
	assert_int_equal(access(file(""), F_OK), -1);
}

// The same by tcpdump, on packets of the same sizes: as many in each file.
static void tcpdump_cuts_alike(void **state)
{
	static char command[512], ours[4096], theirs[4096];
	static struct udp udp;
	const char *counts = "cd %s && for f in %s*; do echo $f $(tcpdump -nr $f 2>/dev/null | wc -l); done";

	(void)state;
	if (!have("tcpdump"))
		skip();
	snprintf(path, sizeof(path), "%s/a", folder);
	struct capture *whole = open_capture((struct capture_options){ .path = classic_path });
	struct capture *cut = open_capture((struct capture_options){
		.format = CAPTURE_CLASSIC, .rotate_size = 1000000, .files = 11,
	});
	for (uint32_t mark = 1; mark <= 6000; mark++) {
		struct capture_packet packet = make_udp(&udp, mark, 4 + mark % 1200);

		capture_packet(whole, &packet);
		capture_packet(cut, &packet);
	}
	close_capture(whole);
	close_capture(cut);
	snprintf(command, sizeof(command), "cd %s && tcpdump -Z root -r out.pcap -w b -C 1 -W 11 2>&1", folder);
	run(command, theirs, sizeof(theirs));
	snprintf(command, sizeof(command), counts, folder, "a");
	run(command, ours, sizeof(ours));
	snprintf(command, sizeof(command), counts, folder, "b");
	run(command, theirs, sizeof(theirs));
	for (char *c = theirs; *c; c++)
		if (*c == 'b')
			*c = 'a';
	assert_string_equal(ours, theirs);
	assert_non_null(strstr(ours, "a03 "));
	snprintf(path, sizeof(path), "%s/out.pcapng", folder);
}

static void wait_until_done(struct capture *capture)
{
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };

	while (!capture_done(capture)) {
		assert_int_equal(poll(&event, 1, 10000), 1);
		capture_wake(capture);
	}
}

static void periods_end_the_capture(void **state)
{
	struct capture *capture;
	char pattern[96];

	(void)state;
	setenv("TZ", "UTC", 1);
	snprintf(pattern, sizeof(pattern), "%s.%%M%%S", path);
	capture = open_capture((struct capture_options){
		.path = pattern, .rotate_seconds = 60, .files = 2, .now = START,
	});
	for (uint32_t mark = 1; mark <= 3; mark++) {
		static struct udp udp;
		struct capture_packet packet = make_udp(&udp, mark, 10);

		packet.time = START + (mark - 1) * UINT64_C(60000000000);
		assert_false(capture_done(capture));
		capture_packet(capture, &packet);
	}
	wait_until_done(capture);
	close_capture(capture);
	expect_file(".1320", "S I p1 T");
	expect_file(".1420", "S I p2 T");
}

// The plaintext's file, which has had no packet to look at the time for, ends as well.
static void the_packets_end_ends_the_plaintext(void **state)
{
	static struct udp udp;
	char plain[96];
	struct capture *capture;

	(void)state;
	snprintf(plain, sizeof(plain), "%s.plain", path);
	capture = open_capture((struct capture_options){
		.plain_path = plain, .rotate_seconds = 60, .files = 1, .now = START,
	});
	for (uint64_t minute = 0; minute < 2; minute++) {
		struct capture_packet packet = make_udp(&udp, 1, 10);

		packet.time = START + minute * UINT64_C(60000000000);
		assert_false(capture_done(capture));
		capture_packet(capture, &packet);
	}
	wait_until_done(capture);
	close_capture(capture);
	expect_file("", "S I p1 T");
	expect_file(".plain", "S I");
}

static void one_file_of_two_is_had(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .plain_path = "/nonexistent/plain" });

	(void)state;
	send_mark(capture, 0, 1);
	assert_non_null(strstr(capture_news(capture), "/nonexistent/plain: No such file"));
	assert_null(capture_news(capture));
	assert_int_equal(capture_close(capture, why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "");	// it was said
	expect_file("", "S I p1 T");

	capture = open_capture((struct capture_options){ .path = "/nonexistent/packets", .plain_path = path });
	assert_true(capture_wants_plain(capture));
	assert_int_equal(capture_close(capture, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/packets"));
	assert_int_equal(capture_open(&capture, &(struct capture_options){ .path = "/nonexistent/packets",
			 .plain_path = "/nonexistent/plain" }, why, sizeof(why)), -ENOENT);
}

// A reader sees the end at once; a handshake under way is not cut in two.
static void a_count_ends_the_capture(void **state)
{
	struct capture_counters count;
	int pair[2];
	static uint8_t bytes[4096];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .packets = 2,
	});
	capture_hold(capture, 7);
	send_mark(capture, 7, 1);
	send_mark(capture, 0, 2);
	assert_false(capture_done(capture));
	send_mark(capture, 0, 3);
	capture_secret(capture, 7, "seven");
	capture_release(capture, 7);
	wait_until_done(capture);
	struct walk walk = { .bytes = bytes };
	for (ssize_t n; (n = read(pair[0], bytes + walk.size, sizeof(bytes) - walk.size));)
		walk.size += n;
	int packets = 0;
	while (walk_next(&walk))
		packets += walk.type == WALK_PACKET;
	assert_null(walk.bad);
	assert_int_equal(packets, 2);
	capture_count(capture, &count);
	assert_int_equal(count.packets, 2);
	assert_null(capture_error(capture));
	send_mark(capture, 0, 4);
	close_capture(capture);
	close(pair[0]);
}

static void turned_by_hand(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });

	(void)state;
	send_mark(capture, 0, 1);
	capture_turn(capture, START);
	send_mark(capture, 0, 2);
	capture_turn(capture, START);
	close_capture(capture);
	expect_file("", "S I p1 T");
	expect_file("1", "S I p2 T");
	expect_file("2", "S I");

	// What has no name has no next.
	int null = open("/dev/null", O_WRONLY);
	capture = open_capture((struct capture_options){ .path = "-", .descriptor = null });
	capture_turn(capture, START);
	close_capture(capture);
}

static void a_next_file_that_cannot_be_had_is_told(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .rotate_size = 1 });
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };

	(void)state;
	assert_int_equal(mkdir(file("1"), 0700), 0);
	send_mark(capture, 0, 1);
	send_mark(capture, 0, 2);
	while (!capture_error(capture)) {
		assert_int_equal(poll(&event, 1, 10000), 1);
		capture_wake(capture);
	}
	assert_non_null(strstr(capture_error(capture), "out.pcapng1: Is a directory; the capture ends at packet 1"));
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EISDIR);
	expect_file("", "S I p1 T");
	assert_int_equal(rmdir(file("1")), 0);
}

static void expect_name(int fd, const char *suffix)
{
	char name[256];
	ssize_t n = recv(fd, name, sizeof(name) - 1, 0);

	assert_true(n > 0);
	name[n] = 0;
	assert_string_equal(name, file(suffix));
}

// Names of files that are whole, closed and followed; the one that a close ends is not.
static void files_that_are_done_are_told(void **state)
{
	int pair[2];
	static struct udp udp;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	struct capture *capture = open_capture((struct capture_options){ .rotate_size = 1, .closed = pair[0] });
	for (uint32_t mark = 1; mark <= 3; mark++)
		send_mark(capture, 0, mark);
	expect_name(pair[1], "");
	expect_file("", "S I p1 T");
	expect_name(pair[1], "1");
	close_capture(capture);
	assert_int_equal(recv(pair[1], why, sizeof(why), MSG_DONTWAIT), -1);

	capture = open_capture((struct capture_options){
		.rotate_seconds = 1, .files = 1, .now = START, .closed = pair[0],
	});
	send_mark(capture, 0, 1);
	struct capture_packet packet = make_udp(&udp, 2, 10);
	packet.time += UINT64_C(2000000000);
	capture_packet(capture, &packet);
	expect_name(pair[1], "");
	expect_file("", "S I p1 T");
	close_capture(capture);
	close(pair[0]);
	close(pair[1]);
}

static void only_some_processes(void **state)
{
	static const int32_t pids[] = { 7, 0 };
	static const char *const names[] = { "cur?", NULL };
	struct capture *capture = open_capture((struct capture_options){
		.only_pids = pids, .only_names = names,
	});
	struct capture_process seven = { .pid = 7, .name = "any" }, other = { .pid = 8, .name = "wget" };
	struct capture_process by_path = { .pid = 9, .name = "x", .path = "/opt/cur1" };
	uint32_t curl = add_curl(capture), wget;
	struct capture_counters count;

	(void)state;
	wget = capture_process(capture, &other);
	send_of(capture, curl, 0, 1);
	send_of(capture, wget, 0, 2);
	send_of(capture, 0, 0, 3);
	send_of(capture, capture_process(capture, &seven), 0, 4);
	send_of(capture, capture_process(capture, &by_path), 0, 5);
	send_of(capture, 99999, 0, 6);
	capture_count(capture, &count);
	assert_int_equal(count.packets, 3);
	assert_int_equal(count.filtered, 3);
	close_capture(capture);
	expect_blocks("S I I P p1 I P p4 I P p5 T T T");
}

// Ten times what the ring holds, through a small queue: what the last files
// have is the end of it without a gap.
static void nothing_is_missing_but_what_was_rotated_away(void **state)
{
	enum { MANY = 20000 };
	struct capture *capture = open_capture((struct capture_options){
		.rotate_size = 200000, .files = 3, .queue = 300000,
	});
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
	static struct udp udp;
	static bool seen[MANY + 1];
	uint32_t least = MANY;

	(void)state;
	for (uint32_t mark = 1; mark <= MANY; mark++) {
		struct capture_packet packet = make_udp(&udp, mark, 200);

		while (capture_full(capture)) {
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
		capture_packet(capture, &packet);
	}
	close_capture(capture);
	for (int i = 0; i < 3; i++) {
		struct walk walk = { 0 };
		uint8_t *bytes = read_file(file((char[]){ '0' + i, 0 }), &walk.size);

		assert_true(walk.size < 202000);
		walk.bytes = bytes;
		while (walk_next(&walk)) {
			if (walk.type != WALK_PACKET)
				continue;
			uint32_t mark = walk32(walk.data + 20 + HEADERS);
			seen[mark] = true;
			least = mark < least ? mark : least;
		}
		assert_null(walk.bad);
		free(bytes);
	}
	assert_true(least < MANY - 1000);
	for (uint32_t mark = least; mark <= MANY; mark++)
		assert_true(seen[mark]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_file_is_complete, remove_ring),
		cmocka_unit_test_teardown(each_file_has_its_section, remove_ring),
		cmocka_unit_test_teardown(held_packets_go_to_the_file_of_their_secrets, remove_ring),
		cmocka_unit_test_teardown(a_ring_comes_round, remove_ring),
		cmocka_unit_test_teardown(tcpdump_cuts_alike, remove_ring),
		cmocka_unit_test_teardown(periods_end_the_capture, remove_ring),
		cmocka_unit_test_teardown(the_packets_end_ends_the_plaintext, remove_ring),
		cmocka_unit_test_teardown(one_file_of_two_is_had, remove_ring),
		cmocka_unit_test_teardown(a_count_ends_the_capture, remove_ring),
		cmocka_unit_test_teardown(turned_by_hand, remove_ring),
		cmocka_unit_test_teardown(a_next_file_that_cannot_be_had_is_told, remove_ring),
		cmocka_unit_test_teardown(files_that_are_done_are_told, remove_ring),
		cmocka_unit_test_teardown(only_some_processes, remove_ring),
		cmocka_unit_test_teardown(nothing_is_missing_but_what_was_rotated_away, remove_ring),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
