// SPDX-License-Identifier: GPL-3.0-or-later
// wire - what the benchmark's client and server have in common.
//
// Port P answers bytes: each comes back as it is, and after SERVER_CLOSES the server
// closes first. Port P + 1 moves bulk: what follows POUR_UP is counted until the client
// has finished, and the count comes back; after POUR_DOWN bytes come until it is gone.

#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SERVER_CLOSES 's'
#define CLIENT_CLOSES 'c'
#define POUR_UP 'u'
#define POUR_DOWN 'd'

enum { BLOCK = 128 << 10 };	// iperf3's

static inline void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void no_delay(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
		die("TCP_NODELAY");
}

// The same congestion control at both ends, whatever the namespace's default is.
static inline void pin_control(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4))
		die("congestion control");
}
