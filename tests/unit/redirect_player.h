// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_player - what a program does that is matched, or is not: PROGRAM play WHAT ADDRESS PORT.

#ifndef TESTS_REDIRECT_PLAYER
#define TESTS_REDIRECT_PLAYER

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct address { struct sockaddr_storage storage; socklen_t size; };

static struct address address_of(const char *text, int port)
{
	struct address out = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out.storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		out.size = sizeof *v4;
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		out.size = sizeof *v6;
	}
	return out;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
						   : ((const struct sockaddr_in6 *)address)->sin6_port);
}

static char *text_of(const struct sockaddr_storage *address, char *out)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	*out = '\0';
	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, out, 64);
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, out, 64);
	return out;
}

// Beginning is all: nobody answers.
static int begin(const char *what, const char *text, int port)
{
	struct address to = address_of(text, port);
	bool udp = !strncmp(what, "udp", 3);
	int fd = socket(to.storage.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);

	if (!strcmp(what, "udp-server")) {
		struct address own = address_of(to.storage.ss_family == AF_INET ? "0.0.0.0" : "::", 5353);
		bind(fd, (struct sockaddr *)&own.storage, own.size);
	}
	if (udp) {
		int on = 1;
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	}
	if (!strcmp(what, "bound"))
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "world0", 6);
	if (!udp || !strcmp(what, "udp-connected")) {
		int error = connect(fd, (struct sockaddr *)&to.storage, to.size);
		if (udp)
			error = (int)send(fd, "hello", 5, 0);
		return error;
	}
	return (int)sendto(fd, "hello", 5, 0, (struct sockaddr *)&to.storage, to.size);
}

// Sends, is answered, and looks at what it is told. The answer must come from where
// it went; `own` is what our address must be said to be.
static int talk(const char *what, const char *text, int port, size_t size, const char *own)
{
	static char bytes[65536], back[65536];
	struct address to = address_of(text, port), from = {.size = sizeof from.storage};
	bool tcp = !strcmp(what, "talk-tcp"), connected = tcp || !strcmp(what, "talk-udp-connected");
	int fd = socket(to.storage.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	struct timeval limit = {.tv_sec = 3};
	char said[64] = "";
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connected && connect(fd, (struct sockaddr *)&to.storage, to.size))
		return 10 + (errno == ECONNREFUSED);
	if (connected) {
		struct sockaddr_storage name;
		socklen_t name_size = sizeof name;

		if (getpeername(fd, (struct sockaddr *)&name, &name_size) || strcmp(text_of(&name, said), text) != 0)
			return 12;
		name_size = sizeof name;
		if (getsockname(fd, (struct sockaddr *)&name, &name_size) || strcmp(text_of(&name, said), own) != 0)
			return 13;
	}
	if (tcp)
		return 0;
	for (int turn = 0; turn < 3; turn++) {
		memset(bytes, 'a' + turn, size);
		n = connected ? send(fd, bytes, size, 0)
			      : sendto(fd, bytes, size, 0, (struct sockaddr *)&to.storage, to.size);
		if (n != (ssize_t)size)
			return 14;
		n = recvfrom(fd, back, sizeof back, 0, (struct sockaddr *)&from.storage, &from.size);
		if (n < 0)
			return 15 + (errno == ECONNREFUSED);
		if (n != (ssize_t)size || memcmp(bytes, back, size) != 0)
			return 17;
		if (strcmp(text_of(&from.storage, said), text) != 0)
			return 18;
	}
	return 0;
}

static char **play_arguments;

static void *play_thread(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "somethingelse");
	begin("tcp", play_arguments[3], atoi(play_arguments[4]));
	return NULL;
}

static int play_in_a_thread(char **argv)
{
	pthread_t thread;

	play_arguments = argv;
	pthread_create(&thread, NULL, play_thread, NULL);
	pthread_join(thread, NULL);
	return 0;
}

static int play_exec(char **argv)
{
	execl(argv[5], argv[5], "play", "tcp", argv[3], argv[4], NULL);
	return 1;
}

static int play_hold(char **argv)
{
	struct address to = address_of(argv[3], atoi(argv[4]));
	int fd = socket(to.storage.ss_family, SOCK_STREAM, 0);

	return !(connect(fd, (struct sockaddr *)&to.storage, to.size) < 0 && errno == ECONNABORTED);
}

static int play_hold_udp(char **argv)
{
	struct address to = address_of(argv[3], atoi(argv[4]));
	int fd = socket(to.storage.ss_family, SOCK_DGRAM, 0);
	char go;

	sendto(fd, "one", 3, 0, (struct sockaddr *)&to.storage, to.size);
	if (read(0, &go, 1) != 1)
		return 1;
	for (int i = 0; i < 300; i++) {
		if (sendto(fd, "two", 3, 0, (struct sockaddr *)&to.storage, to.size) == 3)
			return 0;
		poll(NULL, 0, 10);
	}
	return 1;
}

static int play_mixed(char **argv)
{
	struct address to = address_of(argv[3], atoi(argv[4])), many = address_of("224.0.0.251", 5353);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sendto(fd, "one", 3, 0, (struct sockaddr *)&to.storage, to.size);
	for (int i = 0; i < 2; i++)
		sendto(fd, "all", 3, 0, (struct sockaddr *)&many.storage, many.size);
	return 0;
}

static int play_many(char **argv)
{
	for (int i = 0; i < 10; i++)
		begin("tcp", argv[3], atoi(argv[4]));
	return 0;
}

static int play_fork(char **argv)
{
	if (fork() == 0)
		_exit(begin("tcp", argv[3], atoi(argv[4])) ? 0 : 1);
	wait(NULL);
	return 0;
}

static int play_child(char **argv)
{
	if (fork() == 0)
		play_exec(argv);
	wait(NULL);
	return 0;
}

static int play_listen(char **argv)
{
	struct address own = address_of(argv[3], atoi(argv[4]));
	int fd = socket(own.storage.ss_family, SOCK_STREAM, 0);
	char go;

	if (bind(fd, (struct sockaddr *)&own.storage, own.size) || listen(fd, 5))
		return 4;
	begin("tcp", "198.51.100.7", atoi(argv[4]) + 1);
	return read(0, &go, 1) == 0 ? 0 : 1;
}

// Waits to be told where standard input is open.
static int play(char **argv)
{
	static const struct { const char *what; int (*play)(char **argv); } plays[] = {
		{ "thread", play_in_a_thread }, { "exec", play_exec }, { "hold", play_hold },
		{ "hold-udp", play_hold_udp }, { "mixed", play_mixed }, { "many", play_many },
		{ "fork", play_fork }, { "child", play_child }, { "listen", play_listen },
	};
	const char *what = argv[2];
	char go;

	while (!strcmp(what, "wait")) {
		if (read(0, &go, 1) != 1)
			return 1;
		what = "tcp";
	}
	for (size_t i = 0; i < sizeof plays / sizeof *plays; i++)
		if (!strcmp(what, plays[i].what))
			return plays[i].play(argv);
	if (!strncmp(what, "talk", 4))
		return talk(what, argv[3], atoi(argv[4]), (size_t)atoi(argv[6]), argv[7]);
	begin(what, argv[3], atoi(argv[4]));
	if (strstr(what, "-stay"))
		return read(0, &go, 1) == 0 ? 0 : 1;
	return 0;
}

#endif
