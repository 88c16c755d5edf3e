// SPDX-License-Identifier: GPL-3.0-or-later
// client - what asks the benchmark's server, on each path that is compared.
//
//   bench_client connections HOST PORT SECONDS server|client
//       prints new connections a second, 32 at a time; the word says who closes first
//   bench_client roundtrip HOST PORT SECONDS
//       prints the median and the 99th percentile of a byte there and back, microseconds
//   bench_client pingpong HOST PORT SECONDS FLOWS
//       prints bytes there and back a second, over so many open flows in turn
//   bench_client idle HOST PORT
//       opens as many flows more as each line of its input says, and prints how many are open
//   bench_client bulk HOST PORT SECONDS up|down STREAMS
//       prints bytes that arrived, the seconds they took, and what was sent again
//
// Where there are many flows they go to the 16 addresses from HOST on in turn.

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/bench/wire.h"

enum { AT_A_TIME = 32, ADDRESSES = 16, SAMPLES = 1000000, STREAMS = 64 };

static int dial(const struct sockaddr_in *to, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (fd < 0)
		die("socket");
	no_delay(fd);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) && errno != EINPROGRESS)
		die("connect");
	return fd;
}

// One address has not ports enough for all that is opened in a run and its TIME_WAIT.
static int dial_in_turn(const struct sockaddr_in *to, unsigned turn, int flags)
{
	struct sockaddr_in one = *to;

	one.sin_addr.s_addr = htonl(ntohl(to->sin_addr.s_addr) + turn % ADDRESSES);
	return dial(&one, flags);
}

static void there_and_back(int fd)
{
	char byte = 'r';

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		die("a byte did not come back");
}

// --- new connections ---

struct dialler {
	struct sockaddr_in to;
	int poll;
	char word;
	unsigned turn, done;
};

static void dial_next(struct dialler *d)
{
	int fd = dial_in_turn(&d->to, d->turn++, SOCK_NONBLOCK);

	if (epoll_ctl(d->poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLOUT, .data.fd = fd}))
		die("epoll_ctl");
}

// Writable: it stands. Readable: its byte came back, or its end.
static void go_on(struct dialler *d, int fd, uint32_t events)
{
	char byte = d->word;
	ssize_t n;

	if (events & EPOLLOUT) {
		if (write(fd, &byte, 1) != 1 ||
		    epoll_ctl(d->poll, EPOLL_CTL_MOD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd}))
			die("a new connection");
		return;
	}
	n = read(fd, &byte, 1);
	if (n < 0)
		die("a new connection's byte");
	if (n && d->word == SERVER_CLOSES)
		return;
	close(fd);
	d->done++;
	dial_next(d);
}

static double connections(const struct sockaddr_in *to, double seconds, char word)
{
	struct dialler d = {.to = *to, .poll = epoll_create1(0), .word = word};
	double start = now();

	for (int i = 0; i < AT_A_TIME; i++)
		dial_next(&d);
	while (now() < start + seconds) {
		struct epoll_event events[AT_A_TIME];
		int n = epoll_wait(d.poll, events, AT_A_TIME, 5000);

		if (n <= 0)
			die("new connections");
		for (int i = 0; i < n; i++)
			go_on(&d, events[i].data.fd, events[i].events);
	}
	return d.done / (now() - start);
}

// --- a byte there and back ---

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void roundtrip(const struct sockaddr_in *to, double seconds)
{
	double *took = calloc(SAMPLES, sizeof(*took)), end = now() + seconds;
	int fd = dial(to, 0), n = 0;

	if (!took)
		die("memory");
	while (n < SAMPLES && now() < end) {
		double start = now();

		there_and_back(fd);
		took[n++] = now() - start;
	}
	qsort(took, (size_t)n, sizeof(*took), by_size);
	printf("%.2f %.2f\n", took[n / 2] * 1e6, took[n * 99L / 100] * 1e6);
}

static double pingpong(const struct sockaddr_in *to, double seconds, int flows)
{
	int *fds = calloc((size_t)flows, sizeof(*fds));
	double start;
	long n = 0;

	if (!fds)
		die("memory");
	for (int i = 0; i < flows; i++)
		there_and_back(fds[i] = dial_in_turn(to, (unsigned)i, 0));
	start = now();
	while (now() < start + seconds)
		there_and_back(fds[n++ % flows]);
	return (double)n / (now() - start);
}

static void idle(const struct sockaddr_in *to)
{
	char line[32];
	int open = 0;

	while (fgets(line, sizeof(line), stdin)) {
		for (int left = atoi(line); left > 0; left--, open++)
			there_and_back(dial_in_turn(to, (unsigned)open, 0));
		printf("open %d\n", open);
		fflush(stdout);
	}
}

// --- bulk ---

static char block[BLOCK];

// True as long as it may take more. `got` counts what came.
static int move(int fd, int up, uint64_t *got)
{
	ssize_t n = up ? write(fd, block, sizeof(block)) : read(fd, block, sizeof(block));

	if (n > 0)
		*got += (uint64_t)n;
	else if (n == 0 || errno != EAGAIN)
		die("bulk");
	return 1;
}

// What the server has counted; the time is until it had all.
static uint64_t counted(struct pollfd *streams, int count)
{
	uint64_t all = 0, one;

	for (int i = 0; i < count; i++) {
		fcntl(streams[i].fd, F_SETFL, 0);
		shutdown(streams[i].fd, SHUT_WR);
	}
	for (int i = 0; i < count; i++) {
		if (recv(streams[i].fd, &one, sizeof(one), MSG_WAITALL) != sizeof(one))
			die("no count came");
		all += one;
	}
	return all;
}

static unsigned sent_again(struct pollfd *streams, int count)
{
	unsigned all = 0;

	for (int i = 0; i < count; i++) {
		struct tcp_info info = {0};
		socklen_t size = sizeof(info);

		if (!getsockopt(streams[i].fd, IPPROTO_TCP, TCP_INFO, &info, &size))
			all += info.tcpi_total_retrans;
	}
	return all;
}

static void bulk(const struct sockaddr_in *to, double seconds, int up, int count)
{
	struct pollfd streams[STREAMS];
	double start, end;
	uint64_t moved = 0;

	for (int i = 0; i < count; i++) {
		streams[i] = (struct pollfd){.fd = dial(to, 0), .events = up ? POLLOUT : POLLIN};
		pin_control(streams[i].fd);
		fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
	}
	start = now();
	end = start + seconds;
	for (int i = 0; i < count; i++)
		if (write(streams[i].fd, up ? "u" : "d", 1) != 1)
			die("bulk");
	while (now() < end && poll(streams, (nfds_t)count, 100) >= 0)
		for (int i = 0; i < count; i++)
			if (streams[i].revents)
				move(streams[i].fd, up, &moved);
	if (up)
		moved = counted(streams, count);
	end = now();
	printf("%llu %.6f %u\n", (unsigned long long)moved, end - start, sent_again(streams, count));
}

static int ask(const char *what, const struct sockaddr_in *to, double seconds, const char *word, int number)
{
	if (!strcmp(what, "idle"))
		idle(to);
	else if (!strcmp(what, "connections") && word)
		printf("%.1f\n", connections(to, seconds, word[0] == 's' ? SERVER_CLOSES : CLIENT_CLOSES));
	else if (!strcmp(what, "roundtrip"))
		roundtrip(to, seconds);
	else if (!strcmp(what, "pingpong") && word)
		printf("%.1f\n", pingpong(to, seconds, atoi(word)));
	else if (!strcmp(what, "bulk") && word && number > 0 && number <= STREAMS)
		bulk(to, seconds, !strcmp(word, "up"), number);
	else
		return 64;
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct rlimit files;

	if (argc < 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fputs("usage: see the top of tools/bench/client.c\n", stderr);
		return 64;
	}
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	return ask(argv[1], &to, argc > 4 ? atof(argv[4]) : 0, argc > 5 ? argv[5] : NULL, argc > 6 ? atoi(argv[6]) : 0);
}
