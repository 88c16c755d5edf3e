// SPDX-License-Identifier: GPL-3.0-or-later
// bench_peer - the two ends of what iperf3 does not measure.
//
//   bench_peer serve PORT                    answers until it is killed
//   bench_peer connections HOST PORT SECONDS prints new connections a second
//   bench_peer roundtrip HOST PORT SECONDS   prints the median, in microseconds
//
// A byte goes and comes back. Of a connection it is the answering end that
// closes first, so the asking end keeps no TIME_WAIT and its ports last.
// Blocking calls in a few processes: the same cost on every path compared.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 8, SAMPLES = 1000000 };

static void die(const char *what)
{
	fprintf(stderr, "bench_peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void no_delay(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
		die("TCP_NODELAY");
}

// 'c': answer one byte and close. 'r': answer until the peer is done.
static void answer(int fd)
{
	char byte;

	while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1 && byte == 'r')
		;
	close(fd);
}

static void serve(const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
	    bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 1024))
		die("listen");
	for (int i = 1; i < PROCESSES; i++) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			break;
		}
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("accept");
		no_delay(fd);
		answer(fd);
	}
}

static int dial(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	no_delay(fd);
	return fd;
}

static void there_and_back(int fd, char byte)
{
	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		die("a byte did not come back");
}

static unsigned long dial_until(const struct sockaddr_in *to, double end)
{
	unsigned long n = 0;

	for (; now() < end; n++) {
		char byte;
		int fd = dial(to);

		there_and_back(fd, 'c');
		if (read(fd, &byte, 1) != 0)
			die("a connection did not end");
		close(fd);
	}
	return n;
}

static double connections(const struct sockaddr_in *to, double seconds)
{
	double start = now(), end = start + seconds;
	unsigned long n, all = 0;
	int tube[2], status;

	if (pipe(tube))
		die("pipe");
	for (int i = 0; i < PROCESSES; i++) {
		if (!fork()) {
			n = dial_until(to, end);
			exit(write(tube[1], &n, sizeof(n)) != sizeof(n));
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		if (wait(&status) < 0 || status)
			exit(1);
		if (read(tube[0], &n, sizeof(n)) != sizeof(n))
			die("pipe");
		all += n;
	}
	return (double)all / (now() - start);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double roundtrip(const struct sockaddr_in *to, double seconds)
{
	double *took = calloc(SAMPLES, sizeof(*took)), end = now() + seconds;
	int fd = dial(to), n = 0;

	if (!took)
		die("memory");
	while (n < SAMPLES && now() < end) {
		double start = now();

		there_and_back(fd, 'r');
		took[n++] = now() - start;
	}
	qsort(took, (size_t)n, sizeof(*took), by_size);
	return n ? took[n / 2] * 1e6 : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};

	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2]);
	if (argc != 5 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fputs("usage: see the top of bench_peer.c\n", stderr);
		return 64;
	}
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	if (!strcmp(argv[1], "connections"))
		printf("%.1f\n", connections(&to, atof(argv[4])));
	else if (!strcmp(argv[1], "roundtrip"))
		printf("%.2f\n", roundtrip(&to, atof(argv[4])));
	else
		return 64;
	return 0;
}
