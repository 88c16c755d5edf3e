// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_kernel_test - the stack with the real kernel's sockets as the app. Skipped
// where there can be no tunnel.

#include "tests/unit/netstack_tunnel.h"

#define NEEDS_TUNNEL() do { if (!usable) skip(); } while (0)

static int dial_type(int family, int type, int port, int *error)
{
	struct sockaddr_storage to = { .ss_family = (sa_family_t)family };
	int fd = socket(family, type, 0);

	assert_true(fd >= 0);
	if (family == AF_INET) {
		((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port);
		inet_pton(AF_INET, "203.0.113.5", &((struct sockaddr_in *)&to)->sin_addr);
	} else {
		((struct sockaddr_in6 *)&to)->sin6_port = htons((uint16_t)port);
		inet_pton(AF_INET6, "2001:db8::5", &((struct sockaddr_in6 *)&to)->sin6_addr);
	}
	*error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	return fd;
}

static int dial(int family, int port)
{
	struct timeval patience = { .tv_sec = 20 };
	int error, fd = dial_type(family, SOCK_STREAM, port, &error);

	assert_int_equal(error, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

static void report(const char *what, int family, uint64_t began, size_t size)
{
	double seconds = (double)(now_ns() - began) / 1e9;

	print_message("%s v%d: %.2f Gbit/s\n", what, family == AF_INET ? 4 : 6,
		      (double)size * 8e-9 / seconds);
}

static uint64_t send_all(int fd, size_t size, size_t step)
{
	for (size_t sent = 0; sent < size;) {
		size_t part = size - sent < step ? size - sent : step;
		ssize_t n = write(fd, pattern + sent % PATTERN, part);

		assert_true(n > 0);
		sent += (size_t)n;
	}
	return size;
}

static void send_and_ask(int family, int port, size_t size)
{
	int fd = dial(family, port);
	uint64_t right = 0, began = now_ns();

	send_all(fd, size, 262144);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(recv(fd, &right, sizeof(right), MSG_WAITALL), sizeof(right));
	assert_int_equal(right, size);
	report("up", family, began, size);
	assert_int_equal(read(fd, &right, 1), 0);
	close(fd);
}

static void receive_bulk(int family, size_t step, int buffer)
{
	static uint8_t bytes[262144];
	int error, fd = buffer ? socket(family, SOCK_STREAM, 0) : dial(family, PORT_SOURCE);
	struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t began = now_ns();
	size_t got = 0;
	ssize_t n;

	if (buffer) {
		close(fd);
		fd = dial_type(family, SOCK_STREAM, PORT_SOURCE, &error);
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	}
	while ((n = read(fd, bytes, step)) > 0) {
		assert_true(memcmp(bytes, pattern + got % PATTERN, (size_t)n) == 0);
		got += (size_t)n;
		if (buffer)
			nanosleep(&pause, NULL);
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, bulk);
	report(buffer ? "down, slow" : "down", family, began, got);
	close(fd);
}

static void bulk_up(void **state)
{
	(void)state;
	NEEDS_TUNNEL();
	send_and_ask(AF_INET, PORT_SINK, bulk);
	send_and_ask(AF_INET6, PORT_SINK, bulk);
}

static void bulk_down(void **state)
{
	(void)state;
	NEEDS_TUNNEL();
	receive_bulk(AF_INET, 262144, 0);
	receive_bulk(AF_INET6, 262144, 0);
}

static void slow_readers(void **state)
{
	size_t whole = bulk;

	(void)state;
	NEEDS_TUNNEL();
	send_and_ask(AF_INET, PORT_SLOW_SINK, 3000000);
	bulk = 5000000;
	receive_bulk(AF_INET, 16384, 16384);
	receive_bulk(AF_INET6, 65536, 100000);
	bulk = whole;
}

// A tunnel loses nothing, but its queue can overflow.
static void lossy(void **state)
{
	size_t whole = bulk;

	(void)state;
	NEEDS_TUNNEL();
	atomic_store(&world.loss, 61);
	bulk = 5000000;
	send_and_ask(AF_INET, PORT_SINK, bulk);
	receive_bulk(AF_INET, 262144, 0);
	bulk = whole;
	atomic_store(&world.loss, 0);
}

static void refusals(void **state)
{
	static const struct { int port, v4, v6; } expected[] = {
		{ PORT_REFUSED, ECONNREFUSED, ECONNREFUSED },
		{ PORT_NET, ENETUNREACH, ENETUNREACH },
		{ PORT_HOST, EHOSTUNREACH, EHOSTUNREACH },
		{ PORT_PROHIBITED, EHOSTUNREACH, EACCES },
	};

	(void)state;
	NEEDS_TUNNEL();
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int error;

		close(dial_type(AF_INET, SOCK_STREAM, expected[i].port, &error));
		assert_int_equal(error, expected[i].v4);
		close(dial_type(AF_INET6, SOCK_STREAM, expected[i].port, &error));
		assert_int_equal(error, expected[i].v6);
	}
}

static void half_close(void **state)
{
	char answer[6] = { 0 };

	(void)state;
	NEEDS_TUNNEL();
	for (int i = 0; i < 2; i++) {
		int fd = dial(i ? AF_INET6 : AF_INET, PORT_ECHO);

		assert_int_equal(write(fd, "hello", 5), 5);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		assert_int_equal(recv(fd, answer, 5, MSG_WAITALL), 5);
		assert_string_equal(answer, "hello");
		assert_int_equal(read(fd, answer, 1), 0);
		close(fd);
	}
}

static void udp_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 1452, 1453, 1472, 1473, 9000, 65507 };
	static uint8_t bytes[65536];
	struct timeval patience = { .tv_sec = 5 };

	(void)state;
	NEEDS_TUNNEL();
	for (int i = 0; i < 2; i++) {
		int buffer = 1 << 20, error;
		int fd = dial_type(i ? AF_INET6 : AF_INET, SOCK_DGRAM, 53, &error);

		assert_int_equal(error, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			assert_int_equal(send(fd, pattern + k, sizes[k], 0), sizes[k]);
			assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), sizes[k]);
			assert_memory_equal(bytes, pattern + k, sizes[k]);
		}
		close(fd);
	}
}

enum { MANY = 2000 };

static void many_at_once(void **state)
{
	static int fds[MANY];
	struct rlimit limit;
	char answer[8];

	(void)state;
	NEEDS_TUNNEL();
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < MANY + 64)
		skip();
	for (int i = 0; i < MANY; i++)
		fds[i] = dial(i % 2 ? AF_INET6 : AF_INET, PORT_ECHO);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			assert_int_equal(write(fds[i], "ping123", 8), 8);
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(recv(fds[i], answer, 8, MSG_WAITALL), 8);
			assert_string_equal(answer, "ping123");
		}
	}
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void connections_in_turn(void **state)
{
	uint64_t began;
	char answer[4];
	enum { TURNS = 3000 };

	(void)state;
	NEEDS_TUNNEL();
	began = now_ns();
	for (int i = 0; i < TURNS; i++) {
		int fd = dial(AF_INET, PORT_ECHO);

		assert_int_equal(write(fd, "abc", 3), 3);
		assert_int_equal(recv(fd, answer, 3, MSG_WAITALL), 3);
		close(fd);
	}
	print_message("%.0f connections/s\n", TURNS * 1e9 / (double)(now_ns() - began));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(half_close),
		cmocka_unit_test(udp_sizes),
		cmocka_unit_test(bulk_up),
		cmocka_unit_test(bulk_down),
		cmocka_unit_test(slow_readers),
		cmocka_unit_test(lossy),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(connections_in_turn),
	};

	if (getenv("NETSTACK_ONLY"))
		cmocka_set_test_filter(getenv("NETSTACK_ONLY"));
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
