// SPDX-License-Identifier: GPL-3.0-or-later
// server - the capture over TCP ("PCAP-over-IP"), to whoever connects.
//
// The writer's thread hands over records; a thread of the server's own accepts
// and sends. Between them, under the lock, stand a queue for each reader, bounded
// by QUEUE_MOST, and what a new one has to know first: all sections, interfaces
// and processes (`base`), and the latest secrets and names (`recent`, which
// forgets its older half beyond RECENT_MOST). Since all this is kept record by
// record as it comes, a reader's beginning always fits what follows.
//
// Only packets are left out for a slow reader: without an interface or a
// process the rest would be no capture. One that falls behind by twice the
// bound with those alone is let go.

#include "pcap/server.h"
#include "pcap/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	READERS_MOST = 64,
	QUEUE_MOST = 8 << 20,
	RECENT_MOST = 4 << 20,
	GRACE = 1000,		// ms
};

enum { BLOCK_INTERFACE = 1, BLOCK_NAMES = 4, BLOCK_SECRETS = 10 };
#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_PROCESS 0x80000001u

struct run {
	uint8_t *bytes;
	size_t at, size, room;	// from `at` to `size` is what there is
};

struct reader {
	int fd;
	struct run queue;
	bool gone;
};

struct server {
	pthread_mutex_t lock;
	pthread_t thread;
	bool started, ended, closing;
	int listener, wake;
	struct run base, recent;
	struct reader readers[READERS_MOST];
	int count;
	uint64_t lost;
};

// --- runs of bytes ------------------------------------------------------------------

static size_t left(const struct run *run)
{
	return run->size - run->at;
}

static bool append(struct run *run, const uint8_t *bytes, size_t size)
{
	if (!size)
		return true;
	if (run->at) {
		memmove(run->bytes, run->bytes + run->at, left(run));
		run->size -= run->at;
		run->at = 0;
	}
	if (run->size + size > run->room) {
		size_t room = run->room ? run->room : 65536;

		while (room < run->size + size)
			room *= 2;
		uint8_t *more = realloc(run->bytes, room);
		if (!more)
			return false;
		run->bytes = more;
		run->room = room;
	}
	memcpy(run->bytes + run->size, bytes, size);
	run->size += size;
	return true;
}

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void forget_half(struct run *run)
{
	size_t half = run->at + left(run) / 2;

	while (run->at < half)
		run->at += word(run->bytes + run->at + 4);
}

// --- what a new reader has to know ----------------------------------------------------

static void keep(struct server *server, const uint8_t *block, size_t size)
{
	switch (word(block)) {
	case BLOCK_SECTION:
	case BLOCK_INTERFACE:
	case BLOCK_PROCESS:
		append(&server->base, block, size);
		return;
	case BLOCK_NAMES:
	case BLOCK_SECRETS:
		append(&server->recent, block, size);
		if (left(&server->recent) > RECENT_MOST)
			forget_half(&server->recent);
		return;
	}
}

// --- the writer's side ----------------------------------------------------------------

static void wake(const struct server *server)
{
	uint64_t one = 1;

	// Fails only when the event stands already.
	if (write(server->wake, &one, sizeof(one)) < 0)
		return;
}

static void give(struct server *server, struct reader *reader, const uint8_t *bytes, size_t size, bool packet)
{
	if (packet && left(&reader->queue) + size > QUEUE_MOST)
		server->lost++;
	else if (left(&reader->queue) + size > 2 * QUEUE_MOST || !append(&reader->queue, bytes, size))
		reader->gone = true;
}

static void give_all(struct server *server, struct reader *reader, const struct blocks *blocks)
{
	size_t at = 0;

	if (left(&reader->queue) + blocks->size <= QUEUE_MOST) {
		give(server, reader, blocks->bytes, blocks->size, false);
		return;
	}
	for (size_t i = 0; i < blocks->count; at = blocks->list[i++].end)
		give(server, reader, blocks->bytes + at, blocks->list[i].end - at, blocks->list[i].packet);
}

void server_take(void *context, const struct blocks *blocks)
{
	struct server *server = context;
	size_t at = 0;

	pthread_mutex_lock(&server->lock);
	server->ended |= !blocks;
	for (size_t i = 0; blocks && i < blocks->count; at = blocks->list[i++].end)
		if (!blocks->list[i].packet)
			keep(server, blocks->bytes + at, blocks->list[i].end - at);
	for (int i = 0; blocks && i < server->count; i++)
		give_all(server, &server->readers[i], blocks);
	pthread_mutex_unlock(&server->lock);
	wake(server);
}

// --- the server's thread --------------------------------------------------------------

static void greet(struct server *server)
{
	int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct reader *reader = &server->readers[server->count];

	if (fd < 0)
		return;
	if (server->count == READERS_MOST) {
		close(fd);
		return;
	}
	*reader = (struct reader){ .fd = fd };
	server->count++;
	if (!append(&reader->queue, server->base.bytes + server->base.at, left(&server->base)) ||
	    !append(&reader->queue, server->recent.bytes + server->recent.at, left(&server->recent)))
		reader->gone = true;
}

static void serve(struct reader *reader)
{
	struct run *queue = &reader->queue;

	while (left(queue)) {
		ssize_t n = send(reader->fd, queue->bytes + queue->at, left(queue), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			reader->gone = errno != EAGAIN;
			return;
		}
		queue->at += n;
	}
	queue->at = queue->size = 0;
}

// A reader has nothing to say but that it goes.
static void listen_to(struct reader *reader)
{
	char words[256];
	ssize_t n = recv(reader->fd, words, sizeof(words), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		reader->gone = true;
}

static void let_go(struct reader *reader)
{
	close(reader->fd);
	free(reader->queue.bytes);
}

static void sweep(struct server *server)
{
	for (int i = 0; i < server->count;) {
		struct reader *reader = &server->readers[i];

		if (!reader->gone && !(server->ended && !left(&reader->queue))) {
			i++;
			continue;
		}
		let_go(reader);
		*reader = server->readers[--server->count];
	}
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int list(const struct server *server, struct pollfd *list)
{
	int n = 0;

	list[n++] = (struct pollfd){ .fd = server->wake, .events = POLLIN };
	list[n++] = (struct pollfd){ .fd = server->ended ? -1 : server->listener, .events = POLLIN };
	for (int i = 0; i < server->count; i++)
		list[n++] = (struct pollfd){
			.fd = server->readers[i].fd,
			.events = POLLIN | (left(&server->readers[i].queue) ? POLLOUT : 0),
		};
	return n;
}

// Under the lock: what the poll came back with, and whatever came meanwhile.
static void turn(struct server *server, const struct pollfd *events, int n)
{
	uint64_t taken;

	if (events[0].revents && read(server->wake, &taken, sizeof(taken)) < 0)
		return;
	for (int i = 2; i < n; i++)
		if (events[i].revents & (POLLIN | POLLHUP | POLLERR))
			listen_to(&server->readers[i - 2]);
	if (events[1].revents)
		greet(server);
	for (int i = 0; i < server->count; i++)
		if (!server->readers[i].gone)
			serve(&server->readers[i]);
	sweep(server);
}

static void *run(void *context)
{
	struct server *server = context;
	struct pollfd events[2 + READERS_MOST];
	int64_t end = 0;

	pthread_mutex_lock(&server->lock);
	while (!server->closing || server->count) {
		int n = list(server, events), wait = -1;

		if (server->closing) {
			end = end ? end : now_ms() + GRACE;
			wait = end > now_ms() ? (int)(end - now_ms()) : 0;
			if (!wait)
				break;
		}
		pthread_mutex_unlock(&server->lock);
		poll(events, n, wait);
		pthread_mutex_lock(&server->lock);
		turn(server, events, n);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

// --- opening and closing ----------------------------------------------------------------

static int refuse(const char *where, int error, char *why, size_t why_size)
{
	if (error == EINVAL)
		snprintf(why, why_size, "\"%.200s\" is no PORT, ADDRESS:PORT or [ADDRESS]:PORT to listen on", where);
	else
		snprintf(why, why_size, "cannot listen on %.200s for readers of the capture: %s", where,
			 strerror(error));
	return -error;
}

static struct addrinfo *resolve(const char *where)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM,
	}, *found;
	const char *colon = strrchr(where, ':'), *port = colon ? colon + 1 : where;
	char host[64] = "127.0.0.1";
	size_t size = colon ? (size_t)(colon - where) : 0;

	if (size && *where == '[' && where[size - 1] == ']') {
		where++;
		size -= 2;
	}
	if (!*port || strspn(port, "0123456789") != strlen(port) || strlen(port) > 5 ||
	    atoi(port) > 65535 || size >= sizeof(host))
		return NULL;
	if (size)
		snprintf(host, sizeof(host), "%.*s", (int)size, where);
	return getaddrinfo(host, port, &hints, &found) ? NULL : found;
}

static int listen_on(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, 16)) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int start(struct server *server, int (*in_thread)(void *of), void *of)
{
	int error = thread_start(&server->thread, "serve", in_thread, of, run, server);

	server->started = !error;
	return error;
}

int server_open(struct server **out, const char *where, int (*in_thread)(void *of), void *of, char *why,
		size_t why_size)
{
	struct addrinfo *address = resolve(where);
	struct server *server = calloc(1, sizeof(*server));
	int error = address ? -ENOMEM : -EINVAL;

	if (address && server) {
		pthread_mutex_init(&server->lock, NULL);
		server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		server->listener = listen_on(address);
		error = server->listener < 0 ? server->listener : server->wake < 0 ? -EMFILE : start(server, in_thread, of);
		if (error) {
			server_close(server);
			server = NULL;
		}
	}
	if (address)
		freeaddrinfo(address);
	if (error) {
		if (!address)
			free(server);
		return refuse(where, -error, why, why_size);
	}
	*out = server;
	return 0;
}

void server_count(struct server *server, uint64_t *readers, uint64_t *lost)
{
	pthread_mutex_lock(&server->lock);
	*readers = server->count;
	*lost = server->lost;
	pthread_mutex_unlock(&server->lock);
}

uint16_t server_port(const struct server *server)
{
	struct sockaddr_in6 address = { 0 };	// both families have the port at the same place
	socklen_t size = sizeof(address);

	if (getsockname(server->listener, (struct sockaddr *)&address, &size))
		return 0;
	return ntohs(address.sin6_port);
}

void server_close(struct server *server)
{
	if (!server)
		return;
	if (server->started) {
		pthread_mutex_lock(&server->lock);
		server->closing = server->ended = true;
		pthread_mutex_unlock(&server->lock);
		wake(server);
		pthread_join(server->thread, NULL);
	}
	for (int i = 0; i < server->count; i++)
		let_go(&server->readers[i]);
	if (server->listener >= 0)
		close(server->listener);
	if (server->wake >= 0)
		close(server->wake);
	free(server->base.bytes);
	free(server->recent.bytes);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
