// SPDX-License-Identifier: GPL-3.0-or-later
// capture_writer_test - disks that fill up, pipes that close, readers that are slow.

#include "tests/unit/capture_world.h"

#include <stdlib.h>
#include <termios.h>

// Feeds until the capture is dead; within a bound, or the test fails.
static void feed_to_death(struct capture *capture)
{
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 60000);

	for (int i = 0; !capture_error(capture); i++) {
		assert_true(i < 10000);
		if (capture_full(capture) || i > 100) {
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
		capture_packet(capture, &packet);
	}
	assert_false(capture_full(capture));
}

static void a_full_disk_ends_the_capture(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .path = "/dev/full" });
	struct capture_counters count;

	(void)state;
	capture_hold(capture, 1);
	send_mark(capture, 1, 1);
	feed_to_death(capture);
	assert_string_equal(capture_error(capture), "cannot write /dev/full: No space left on device; "
						    "the capture ends at packet 0");
	// All is taken from now on, and nothing kept.
	send_mark(capture, 1, 2);
	capture_secret(capture, 1, "secret");
	capture_secret(capture, 2, "secret");
	capture_hold(capture, 2);
	capture_release(capture, 1);
	add_name(capture, "10.0.0.1", "name");
	assert_int_equal(add_curl(capture), 0);
	capture_count(capture, &count);
	assert_int_equal(count.packets, 0);
	assert_int_equal(capture_close(capture, why, sizeof(why)), -ENOSPC);
	assert_string_equal(why, "cannot write /dev/full: No space left on device; "
				 "the capture ends at packet 0");
}

// An error that only the last write meets is told too.
static void a_full_disk_at_the_end(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .path = "/dev/full" });

	(void)state;
	assert_int_equal(capture_close(capture, why, sizeof(why)), -ENOSPC);
	assert_non_null(strstr(why, "No space left"));
}

static void expect_whole_file_of(uint64_t packets)
{
	struct walk walk = { 0 };
	uint64_t seen = 0;
	uint8_t *bytes = read_file(path, &walk.size);

	walk.bytes = bytes;
	while (walk_next(&walk))
		seen += walk.type == WALK_PACKET;
	if (walk.bad)
		fail_msg("%s", walk.bad);
	assert_int_equal(seen, packets);
	assert_true(seen > 0);
	free(bytes);
}

// In a child: limits and mounts are the whole process's.
static void expect_child_is_well(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static int fill_up(int error)
{
	struct capture *capture = NULL;
	struct capture_counters count;

	setenv("CMOCKA_TEST_ABORT", "1", 1);	// a child must not go on with other tests
	capture = open_capture((struct capture_options){ 0 });
	feed_to_death(capture);
	capture_count(capture, &count);
	if (capture_close(capture, why, sizeof(why)) != error)
		return 1;
	expect_whole_file_of(count.packets);
	return 0;
}

// A write that a limit cuts short leaves no cut block behind.
static void a_file_that_is_full_ends_whole(void **state)
{
	(void)state;
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = { 500001, 500001 };

		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(fill_up(-EFBIG));
	}
	expect_child_is_well(child);
}

static void a_disk_that_is_full_ends_whole(void **state)
{
	(void)state;
	pid_t child = fork();
	if (!child) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", folder, "tmpfs", 0, "size=600k"))
			_exit(77);
		_exit(fill_up(-ENOSPC));
	}
	expect_child_is_well(child);
}

static void a_closed_pipe_ends_the_capture(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .flush_each = true,
	});
	close(pair[0]);
	feed_to_death(capture);
	assert_non_null(strstr(capture_error(capture), "cannot write standard output: Broken pipe; "));
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EPIPE);
	assert_int_equal(fcntl(pair[1], F_GETFD), -1);	// taken over, so closed
}

// A live reader sees a packet before anything else happens.
static void a_packet_does_not_wait_for_company(void **state)
{
	(void)state;
	for (int each = 0; each < 2; each++) {
		static uint8_t bytes[65536];
		size_t size = 0;
		int pair[2];

		assert_int_equal(pipe(pair), 0);
		struct capture *capture = open_capture((struct capture_options){
			.path = "-", .descriptor = pair[1], .flush_each = each,
		});
		for (uint32_t mark = 1; mark <= 3; mark++) {
			struct walk walk = { .bytes = bytes };
			uint32_t last = 0;

			send_mark(capture, 0, mark);
			while (last != mark) {
				struct pollfd ready = { .fd = pair[0], .events = POLLIN };

				assert_int_equal(poll(&ready, 1, 10000), 1);
				size += read(pair[0], bytes + size, sizeof(bytes) - size);
				walk = (struct walk){ .bytes = bytes, .size = size };
				while (walk_next(&walk))
					if (walk.type == WALK_PACKET)
						last = walk32(walk.data + 20 + HEADERS);
				assert_null(walk.bad);
			}
		}
		close_capture(capture);
		close(pair[0]);
	}
}

// What fills no batch is written soon all the same, also where a chunk has just
// been filled and nothing is open.
static void a_batch_is_not_waited_for(void **state)
{
	static uint8_t bytes[1 << 20];
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 60000);
	int pair[2];

	(void)state;
	for (int packets = 1; packets < 9; packets++) {
		size_t size = 0;

		assert_int_equal(pipe(pair), 0);
		struct capture *capture = open_capture((struct capture_options){ .path = "-", .descriptor = pair[1] });
		for (int i = 0; i < packets; i++)
			capture_packet(capture, &packet);
		while (size < (size_t)packets * 60000) {
			struct pollfd ready = { .fd = pair[0], .events = POLLIN };

			assert_int_equal(poll(&ready, 1, 10000), 1);
			size += read(pair[0], bytes + size, sizeof(bytes) - size);
		}
		close_capture(capture);
		close(pair[0]);
	}
}

// Full from the queue's size on; no longer full at half of it, and the event
// says so, once.
static void a_full_queue_empties(void **state)
{
	static uint8_t bytes[1 << 20];
	struct pollfd event = { .events = POLLIN };
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 1400);
	int pair[2], sent = 0;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .queue = 1 << 20,
	});
	event.fd = capture_fd(capture);
	assert_false(capture_full(capture));
	for (; !capture_full(capture); sent++) {
		assert_true(sent < 10000);
		capture_packet(capture, &packet);
	}
	assert_true(sent > 500);
	assert_int_equal(poll(&event, 1, 0), 0);
	capture_packet(capture, &packet);	// is taken all the same
	sent++;

	while (!poll(&event, 1, 0))
		assert_true(read(pair[0], bytes, 4096) > 0);
	assert_false(capture_full(capture));
	capture_wake(capture);
	assert_int_equal(poll(&event, 1, 0), 0);
	capture_wake(capture);			// nothing there: no harm

	close(pair[0]);
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EPIPE);
}

// Who is faster than a file is told to wait long before the queue's size; not so with a
// reader, who may pause.
static void a_pausing_reader_fills_the_queue(void **state)
{
	enum { QUEUE = 24 << 20 };
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 1400);
	int pair[2], sent = 0;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .queue = QUEUE,
	});
	for (; !capture_full(capture); sent++)
		capture_packet(capture, &packet);
	assert_in_range(sent * 1400, QUEUE * 9 / 10, QUEUE);

	close(pair[0]);
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EPIPE);
}

// What a disk is that has its moments: no file to read from, and a write waits for its reader.
static int stuck_file(int *reader)
{
	struct termios raw;

	*reader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*reader >= 0);
	assert_int_equal(grantpt(*reader), 0);
	assert_int_equal(unlockpt(*reader), 0);
	int fd = open(ptsname(*reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(tcgetattr(fd, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(fd, TCSANOW, &raw), 0);
	return fd;
}

// Until the writer has begun, so that what it does not end is seen from a known time on.
static void send_until_written(struct capture *capture, const struct capture_packet *packet, int reader, size_t *sent)
{
	struct pollfd begun = { .fd = reader, .events = POLLIN };

	for (; *sent < 2 << 20; *sent += packet->size)
		capture_packet(capture, packet);
	assert_int_equal(poll(&begun, 1, 10000), 1);
}

// A file that is stuck fills the queue; once it gets on, who fills it waits for less of it
// than for a reader.
static void a_stuck_file_fills_the_queue(void **state)
{
	enum { QUEUE = 24 << 20, STEADY = 4 << 20, STALL_MS = 20 };
	static uint8_t bytes[1 << 16];
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 1400);
	size_t sent = 0, taken = 0;
	int reader, fd = stuck_file(&reader);

	(void)state;
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = fd, .queue = QUEUE,
	});
	send_until_written(capture, &packet, reader, &sent);
	assert_int_equal(poll(NULL, 0, 2 * STALL_MS), 0);	// it is stuck for so long: that is the case
	for (; !capture_full(capture); sent += packet.size)
		capture_packet(capture, &packet);
	assert_in_range(sent, QUEUE * 9 / 10, QUEUE);

	while (capture_full(capture)) {
		ssize_t n = read(reader, bytes, sizeof(bytes));
		assert_true(n > 0);
		taken += (size_t)n;
	}
	assert_in_range(taken, sent - STEADY, sent);

	close(reader);
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EIO);
}

// --- many packets -----------------------------------------------------------------------

enum { MANY = 100000, READER_ROOM = 64 << 20 };

struct reader {
	int fd;
	uint8_t *bytes;
	size_t size;
};

static void *read_all(void *argument)
{
	struct reader *reader = argument;
	ssize_t n;

	while ((n = read(reader->fd, reader->bytes + reader->size, READER_ROOM - reader->size)) > 0)
		reader->size += n;
	return NULL;
}

static void start_reading(struct reader *reader, pthread_t *thread)
{
	reader->bytes = malloc(READER_ROOM);
	assert_int_equal(pthread_create(thread, NULL, read_all, reader), 0);
}

// 100,000 packets of many sizes through a small queue into a pipe that may say
// EAGAIN and that nobody reads before the queue is full, with flows held here
// and there: none is lost, and each flow's order is the order of sending.
static void many_packets_keep_their_order(void **state)
{
	static struct udp udp;
	static uint32_t last[8];
	struct reader reader = { 0 };
	struct walk walk = { 0 };
	pthread_t thread;
	uint32_t seen = 0;
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	reader.fd = pair[0];
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .queue = 600000, .hold_bytes = 20000,
	});
	for (uint32_t mark = 1; mark <= MANY; mark++) {
		struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
		size_t payload = mark % 1000 ? 4 + mark % 200 : 60000;
		struct capture_packet packet = make_udp(&udp, mark, payload);

		packet.flow = mark % 8;
		if (mark % 777 == 0)
			capture_hold(capture, packet.flow);
		capture_packet(capture, &packet);
		if (mark % 999 == 0)
			capture_release(capture, packet.flow);
		while (capture_full(capture)) {
			if (!reader.bytes)
				start_reading(&reader, &thread);
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
	}
	assert_non_null(reader.bytes);
	close_capture(capture);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(pair[0]);

	walk.bytes = reader.bytes;
	walk.size = reader.size;
	while (walk_next(&walk)) {
		if (walk.type != WALK_PACKET)
			continue;
		uint32_t mark = walk32(walk.data + 20 + HEADERS);
		assert_true(mark > last[mark % 8]);
		last[mark % 8] = mark;
		seen++;
	}
	assert_null(walk.bad);
	assert_int_equal(seen, MANY);
	free(reader.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_full_disk_ends_the_capture, remove_files),
		cmocka_unit_test_teardown(a_full_disk_at_the_end, remove_files),
		cmocka_unit_test_teardown(a_file_that_is_full_ends_whole, remove_files),
		cmocka_unit_test_teardown(a_disk_that_is_full_ends_whole, remove_files),
		cmocka_unit_test_teardown(a_closed_pipe_ends_the_capture, remove_files),
		cmocka_unit_test_teardown(a_packet_does_not_wait_for_company, remove_files),
		cmocka_unit_test_teardown(a_batch_is_not_waited_for, remove_files),
		cmocka_unit_test_teardown(a_full_queue_empties, remove_files),
		cmocka_unit_test_teardown(a_pausing_reader_fills_the_queue, remove_files),
		cmocka_unit_test_teardown(a_stuck_file_fills_the_queue, remove_files),
		cmocka_unit_test_teardown(many_packets_keep_their_order, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
