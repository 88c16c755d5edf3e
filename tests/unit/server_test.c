// SPDX-License-Identifier: GPL-3.0-or-later
// server_test - readers over TCP: late ones, slow ones, tshark itself.

#include "tests/unit/capture_world.h"
#include "pcap/server.h"

static char where[32];

// A port that nobody has, as far as anyone can know.
static void choose_port(void)
{
	struct server *server;

	assert_int_equal(server_open(&server, "0", NULL, NULL, why, sizeof(why)), 0);
	snprintf(where, sizeof(where), "127.0.0.1:%u", server_port(server));
	server_close(server);
}

static struct capture *open_served(struct capture_options options)
{
	struct capture *capture;

	choose_port();
	options.serve = where;
	assert_int_equal(capture_open(&capture, &options, why, sizeof(why)), 0);
	return capture;
}

static uint64_t readers_of(const struct capture *capture)
{
	struct capture_counters count;

	capture_count(capture, &count);
	return count.readers;
}

static int connect_reader(const struct capture *capture)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint64_t before = readers_of(capture);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons(atoi(strchr(where, ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	while (readers_of(capture) == before)
		sched_yield();
	return fd;
}

struct stream_of {
	int fd;
	uint8_t *bytes;
	_Atomic size_t size;
	pthread_t thread;
};

enum { MUCH = 128 << 20 };

static void *read_to_end(void *argument)
{
	struct stream_of *reader = argument;
	ssize_t n;

	while ((n = read(reader->fd, reader->bytes + reader->size, MUCH - reader->size)) > 0)
		reader->size += n;
	close(reader->fd);
	return NULL;
}

static void start_reader(struct stream_of *reader, int fd)
{
	*reader = (struct stream_of){ .fd = fd, .bytes = malloc(MUCH) };
	assert_int_equal(pthread_create(&reader->thread, NULL, read_to_end, reader), 0);
}

// The reader's stream in short, at its end.
static void expect_stream(struct stream_of *reader, const char *expected)
{
	FILE *file = fopen(path, "w");

	assert_int_equal(pthread_join(reader->thread, NULL), 0);
	fwrite(reader->bytes, 1, reader->size, file);
	fclose(file);
	free(reader->bytes);
	expect_blocks(expected);
}

// Waits until the packet came: then so has all before it.
static void wait_for_packet(int fd, uint32_t mark, struct stream_of *into)
{
	struct walk walk;
	uint32_t last = 0;

	while (last != mark) {
		into->size += read(fd, into->bytes + into->size, 65536);
		walk = (struct walk){ .bytes = into->bytes, .size = into->size };
		while (walk_next(&walk))
			if (walk.type == WALK_PACKET)
				last = walk32(walk.data + 20 + HEADERS);
	}
}

static void a_late_reader_knows_all_that_matters(void **state)
{
	struct capture *capture = open_served((struct capture_options){ 0 });
	struct stream_of early = { .bytes = malloc(MUCH) }, late;
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 10);

	(void)state;
	early.fd = connect_reader(capture);
	packet.process = add_curl(capture);
	add_name(capture, "10.0.0.2", "example.test");
	capture_secret(capture, 7, "seven");
	capture_packet(capture, &packet);
	wait_for_packet(early.fd, 1, &early);
	start_reader(&late, connect_reader(capture));
	packet = make_udp(&udp, 2, 10);
	packet.process = 1;
	capture_packet(capture, &packet);
	assert_int_equal(pthread_create(&early.thread, NULL, read_to_end, &early), 0);
	close_capture(capture);
	expect_stream(&early, "S I N Kseven\n I P p1 p2 T");
	expect_stream(&late, "S I I P N Kseven\n p2 T");
}

// Beside a file, whose ring is its own.
static void a_file_goes_on_beside(void **state)
{
	struct capture *capture = open_served((struct capture_options){ .path = path, .rotate_size = 1 });
	struct stream_of reader;
	char next[80];

	(void)state;
	start_reader(&reader, connect_reader(capture));
	send_mark(capture, 0, 1);
	send_mark(capture, 0, 2);
	close_capture(capture);
	expect_blocks("S I p1 T");
	expect_stream(&reader, "S I p1 p2 T");
	snprintf(next, sizeof(next), "%s1", path);
	unlink(next);
}

static void a_slow_reader_loses_packets_and_slows_nobody(void **state)
{
	enum { MANY = 1000 };
	struct capture *capture = open_served((struct capture_options){ .queue = 4 << 20 });
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
	static struct udp udp;
	struct stream_of slow, fast;
	struct capture_counters count;
	uint64_t seen[2] = { 0 };
	uint32_t curl = 0;

	(void)state;
	slow.fd = connect_reader(capture);
	start_reader(&fast, connect_reader(capture));
	for (uint32_t mark = 1; mark <= MANY; mark++) {
		struct capture_packet packet = make_udp(&udp, mark, 60000);

		while (capture_full(capture)) {
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
		if (mark == MANY / 2)
			curl = add_curl(capture);
		packet.process = curl;
		capture_packet(capture, &packet);
		if (mark % 10 == 0)	// the fast one is to keep up with 600 KB
			for (int i = 0; fast.size < (size_t)mark * 60000 && i < 200000; i++)
				sched_yield();
	}
	// Once all is with the server nothing more is lost.
	while (fast.size < (size_t)MANY * 60000)
		sched_yield();
	capture_count(capture, &count);
	assert_true(count.lost > 0);
	start_reader(&slow, slow.fd);
	close_capture(capture);
	for (int i = 0; i < 2; i++) {
		struct stream_of *reader = i ? &fast : &slow;

		assert_int_equal(pthread_join(reader->thread, NULL), 0);
		struct walk walk = { .bytes = reader->bytes, .size = reader->size };
		while (walk_next(&walk))
			seen[i] += walk.type == WALK_PACKET;
		assert_null(walk.bad);
		assert_int_equal(walk.interfaces, 2);
		free(reader->bytes);
	}
	assert_int_equal(seen[1], MANY);
	assert_int_equal(seen[0] + count.lost, MANY);
}

static void a_reader_that_goes_is_forgotten(void **state)
{
	struct capture *capture = open_served((struct capture_options){ 0 });
	int fd = connect_reader(capture);

	(void)state;
	close(fd);
	while (readers_of(capture))
		sched_yield();
	send_mark(capture, 0, 1);
	close_capture(capture);
}

static void a_count_lets_readers_go(void **state)
{
	struct capture *capture = open_served((struct capture_options){ .packets = 1 });
	struct stream_of reader;

	(void)state;
	start_reader(&reader, connect_reader(capture));
	send_mark(capture, 0, 1);
	send_mark(capture, 0, 2);
	expect_stream(&reader, "S I p1 T");
	close_capture(capture);
}

static void expect_no_server(const char *text, int error, const char *words)
{
	struct server *server;

	assert_int_equal(server_open(&server, text, NULL, NULL, why, sizeof(why)), error);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void addresses_are_read(void **state)
{
	static const char *const good[] = { "0", "127.0.0.1:0", ":0", "0.0.0.0:0" };
	struct server *server;
	char taken[32];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(server_open(&server, good[i], NULL, NULL, why, sizeof(why)), 0);
		assert_true(server_port(server) > 0);
		server_close(server);
	}
	static const char *const bad[] = { "", "x", "1:", "65536", "-1", "localhost:1", "1.2.3.4.5:1", "[::1:1", "80 " };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_no_server(bad[i], -EINVAL, "is no PORT");
	assert_int_equal(server_open(&server, "0", NULL, NULL, why, sizeof(why)), 0);
	snprintf(taken, sizeof(taken), "%u", server_port(server));
	expect_no_server(taken, -EADDRINUSE, "Address already in use");
	server_close(server);
	server_close(NULL);
}

// What `tshark -i TCP@...` does, with a decoder at its other end.
static void tshark_reads_it(void **state)
{
	struct capture *capture = open_served((struct capture_options){ 0 });
	static struct udp udp;
	char command[256], output[4096];

	(void)state;
	if (!have("tshark")) {
		close_capture(capture);
		skip();
	}
	uint32_t curl = add_curl(capture);
	snprintf(command, sizeof(command), "timeout 20 tshark -n -l -c 3 -i TCP@%s -T fields -e frame.interface_name "
		 "-e udp.length 2>%s/said", where, folder);
	FILE *pipe = popen(command, "r");
	while (!readers_of(capture))
		usleep(1000);
	for (uint32_t mark = 1; mark <= 3; mark++) {
		struct capture_packet packet = make_udp(&udp, mark, 10 + mark);

		packet.process = curl;
		capture_packet(capture, &packet);
	}
	output[fread(output, 1, sizeof(output) - 1, pipe)] = 0;
	pclose(pipe);
	close_capture(capture);
	snprintf(command, sizeof(command), "%s/said", folder);
	unlink(command);
	assert_string_equal(output, "curl[4123]\t19\ncurl[4123]\t20\ncurl[4123]\t21\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_late_reader_knows_all_that_matters, remove_files),
		cmocka_unit_test_teardown(a_file_goes_on_beside, remove_files),
		cmocka_unit_test_teardown(a_slow_reader_loses_packets_and_slows_nobody, remove_files),
		cmocka_unit_test_teardown(a_reader_that_goes_is_forgotten, remove_files),
		cmocka_unit_test_teardown(a_count_lets_readers_go, remove_files),
		cmocka_unit_test_teardown(addresses_are_read, remove_files),
		cmocka_unit_test_teardown(tshark_reads_it, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
