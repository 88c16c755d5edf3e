// SPDX-License-Identifier: GPL-3.0-or-later
// inside - what tests of a launch share: users, news, and a tunnel that leads back.

#ifndef TESTS_UNIT_INSIDE_H
#define TESTS_UNIT_INSIDE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/launch.h"

extern char **environ;

// A body runs in a process of its own, so it fails by ending that.
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

enum { INSIDE_USER = 65534, INSIDE_MS = 20000 };

// True when `body` came through, as root or as an ordinary user.
static inline bool inside_passes(void (*body)(void), bool user)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (user && (setgroups(0, NULL) || setresgid(INSIDE_USER, INSIDE_USER, INSIDE_USER) ||
			     setresuid(INSIDE_USER, INSIDE_USER, INSIDE_USER)))
			_exit(2);
		prctl(PR_SET_DUMPABLE, 1);
		body();
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static mode_t inside_tun_mode;

static inline int inside_set_up(void **state)
{
	struct stat status;

	(void)state;
	if (getuid() != 0 || stat("/dev/net/tun", &status))
		return 0;
	inside_tun_mode = status.st_mode & 07777;
	return chmod("/dev/net/tun", 0666);
}

static inline int inside_tear_down(void **state)
{
	(void)state;
	return inside_tun_mode ? chmod("/dev/net/tun", inside_tun_mode) : 0;
}

// This program by a path that every user may take, as it may lie in a folder that is root's
// alone: in `folder`, which is made. 0 or -1.
static inline int inside_copy(char *folder, char *path, size_t size)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = -1;
	struct stat status;
	ssize_t n = 0;

	if (from < 0 || fstat(from, &status) || !mkdtemp(folder) || chmod(folder, 0755))
		return -1;
	snprintf(path, size, "%s/%s", folder, program_invocation_short_name);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	for (off_t left = status.st_size; to >= 0 && left > 0 && (n = sendfile(to, from, NULL, (size_t)left)) > 0;)
		left -= n;
	close(from);
	return to < 0 || n <= 0 || fchmod(to, 0755) || close(to) ? -1 : 0;
}

// A launch of `argv` (NULL-terminated), open but not started.
static inline struct launch *inside_open(char *const *argv)
{
	struct launch_options options = {.argv = argv, .environment = environ, .mtu = 1500};
	struct launch *launch = NULL;
	char why[512] = "";

	if (launch_open(&launch, &options, why, sizeof why))
		fprintf(stderr, "launch_open: %s\n", why);
	CHECK(launch);
	return launch;
}

static inline void inside_write_back(const struct launch *launch, char *packet, size_t size)
{
	static const uint8_t one[16] = {[15] = 1};
	const uint8_t *ip = (uint8_t *)packet + 10;
	struct iovec part = {packet, size};

	if (ip[0] >> 4 == 6 && (!memcmp(ip + 8, one, 16) || !memcmp(ip + 24, one, 16)))
		CHECK(!launch_write_loopback6(launch, &part, 1));
	else
		CHECK(write(launch_tunnel(launch), packet, size) == (ssize_t)size);
}

// Leads every packet back in, after `see` (or NULL) has seen it, until the launch
// has news; the news.
static inline struct launch_news inside_pump(struct launch *launch, void (*see)(struct launch *, const uint8_t *ip, size_t))
{
	static char packet[70000];
	struct launch_news news;

	for (;;) {
		struct pollfd wait_for[] = {{.fd = launch_tunnel(launch), .events = POLLIN},
					    {.fd = launch_fd(launch), .events = POLLIN}};
		ssize_t n;

		CHECK(poll(wait_for, 2, INSIDE_MS) > 0);
		while ((n = read(launch_tunnel(launch), packet, sizeof packet)) > 10) {
			if (see)
				see(launch, (uint8_t *)packet + 10, (size_t)n - 10);
			inside_write_back(launch, packet, (size_t)n);
		}
		CHECK(launch_read(launch, &news) == 0);
		if (news.event != LAUNCH_NOTHING)
			return news;
	}
}

// Runs it to its end; the status.
static inline int inside_run(struct launch *launch)
{
	struct launch_news news;

	CHECK(launch_start(launch) == 0);
	news = inside_pump(launch, NULL);
	CHECK(news.event == LAUNCH_ENDED);
	return news.status;
}

// --- what runs inside: PROGRAM talk KIND BIND TO ---------------------------------

static inline socklen_t inside_address(struct sockaddr_storage *out, const char *text, in_port_t port)
{
	struct sockaddr_in *in = (void *)out;
	struct sockaddr_in6 *in6 = (void *)out;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		return sizeof *in;
	}
	CHECK(inet_pton(AF_INET6, text, &in6->sin6_addr) == 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = port;
	return sizeof *in6;
}

static inline void inside_exchange(int from, int to)
{
	static char out[200000], in[sizeof out];
	size_t sent = 0, got = 0;

	memset(out, 'x', sizeof out);
	fcntl(from, F_SETFL, O_NONBLOCK);
	while (got < sizeof in) {
		ssize_t n = write(from, out + sent, sizeof out - sent);
		struct pollfd wait_for = {.fd = to, .events = POLLIN};

		sent += n > 0 ? (size_t)n : 0;
		CHECK(poll(&wait_for, 1, 5000) == 1);
		n = read(to, in + got, sizeof in - got);
		CHECK(n > 0);
		got += (size_t)n;
	}
	CHECK(!memcmp(in, out, sizeof in));
}

static inline int inside_talk(const char *kind, const char *bound, const char *to)
{
	bool stream = !strcmp(kind, "tcp");
	struct sockaddr_storage address;
	socklen_t size = inside_address(&address, bound, 0);
	int type = stream ? SOCK_STREAM : SOCK_DGRAM;
	int server = socket(address.ss_family, type, 0), client, peer;
	struct timeval patience = {.tv_sec = 5};
	char text[8] = "";
	struct sockaddr_storage from;
	socklen_t from_size = sizeof from;

	CHECK(server >= 0 && !bind(server, (struct sockaddr *)&address, size));
	CHECK(!stream || !listen(server, 8));
	CHECK(!getsockname(server, (struct sockaddr *)&address, &size));
	size = inside_address(&address, to, ((struct sockaddr_in *)&address)->sin_port);
	client = socket(address.ss_family, type, 0);
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	CHECK(!connect(client, (struct sockaddr *)&address, size));
	if (stream) {
		peer = accept(server, NULL, NULL);
		CHECK(peer >= 0);
		inside_exchange(client, peer);
		inside_exchange(peer, client);
	} else {
		CHECK(write(client, "hello", 5) == 5);
		CHECK(recvfrom(server, text, sizeof text, 0, (struct sockaddr *)&from, &from_size) == 5 &&
		      !memcmp(text, "hello", 5));
		// Its answer comes from the address that was asked, as the client insists.
		if (!strcmp(bound, to) || !strcmp(to, "127.0.0.1") || !strcmp(to, "::1")) {
			CHECK(sendto(server, "there", 5, 0, (struct sockaddr *)&from, from_size) == 5);
			setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
			CHECK(recv(client, text, sizeof text, 0) == 5 && !memcmp(text, "there", 5));
		}
	}
	return 0;
}

#endif
