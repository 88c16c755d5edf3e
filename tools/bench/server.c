// SPDX-License-Identifier: GPL-3.0-or-later
// server - the far end of what the benchmark measures over plain TCP.
//
//   bench_server PORT     answers until it is killed; wire.h says how
//
// Two processes answer bytes, one moves bulk. Each is one epoll loop, so that ten
// thousand open connections cost the straight path as little as they can.

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/bench/wire.h"

enum { ANSWERING = 2, BACKLOG = 4096, MOST = 32768, EVENTS = 256 };

// By descriptor; only the bulk server has any.
static struct pour {
	char way;		// 0 until it was said
	uint64_t count;
} pours[MOST];

static char block[BLOCK];

static int listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, BACKLOG))
		die("listen");
	return fd;
}

static void watch(int poll, int fd, uint32_t events, int how)
{
	if (epoll_ctl(poll, how, fd, &(struct epoll_event){.events = events, .data.fd = fd}))
		die("epoll_ctl");
}

static void accept_all(int poll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= MOST)
			die("too many connections");
		no_delay(fd);
		pours[fd] = (struct pour){0};
		watch(poll, fd, EPOLLIN, EPOLL_CTL_ADD);
	}
}

static void answer(int poll, int fd)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	(void)poll;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != 1 || write(fd, &byte, 1) != 1 || byte == SERVER_CLOSES)
		close(fd);
}

static void pour_up(int fd, struct pour *p)
{
	ssize_t n = read(fd, block, sizeof(block));

	if (n > 0) {
		p->count += (uint64_t)n;
	} else if (!n || errno != EAGAIN) {
		if (!n && write(fd, &p->count, sizeof(p->count)) != sizeof(p->count))
			fputs("bench_server: a count was not taken\n", stderr);
		close(fd);
	}
}

static void pour_down(int fd)
{
	if (write(fd, block, sizeof(block)) < 0 && errno != EAGAIN)
		close(fd);
}

static void pour(int poll, int fd)
{
	struct pour *p = &pours[fd];

	if (p->way == POUR_UP) {
		pour_up(fd, p);
	} else if (p->way == POUR_DOWN) {
		pour_down(fd);
	} else if (read(fd, &p->way, 1) != 1) {
		close(fd);
	} else {
		pin_control(fd);
		watch(poll, fd, p->way == POUR_DOWN ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
	}
}

static void serve(int listener, void (*ready)(int poll, int fd))
{
	struct epoll_event events[EVENTS];
	int poll = epoll_create1(0), n;

	watch(poll, listener, EPOLLIN | EPOLLEXCLUSIVE, EPOLL_CTL_ADD);
	while ((n = epoll_wait(poll, events, EVENTS, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_all(poll, listener);
			else
				ready(poll, events[i].data.fd);
		}
	die("epoll_wait");
}

int main(int argc, char **argv)
{
	int port = argc == 2 ? atoi(argv[1]) : 0, answers, bulk;
	struct rlimit files;

	if (!port) {
		fputs("usage: bench_server PORT\n", stderr);
		return 64;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	answers = listen_on(port);
	bulk = listen_on(port + 1);
	for (int i = 0; i < ANSWERING; i++)
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(answers, answer);
		}
	serve(bulk, pour);
	return 1;
}
