// SPDX-License-Identifier: GPL-3.0-or-later
// tls_tap - a small tap on loopback: one TCP connection opened with tls/.
//
// Included by the tests of tls/ that set it between real programs. Blocking on
// poll(), one connection at a time; the hall does this properly.

#ifndef TESTS_TLS_TAP_H
#define TESTS_TLS_TAP_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/authority.h"
#include "tls/hello.h"
#include "tls/tls.h"

struct tap_side {
	int fd;
	const uint8_t *first;	// bytes read before there was an end
	size_t first_size;
	FILE *keylog;
};

static ssize_t tap_read(void *context, void *bytes, size_t size)
{
	struct tap_side *side = context;
	ssize_t got;

	if (side->first_size > 0) {
		size_t part = size < side->first_size ? size : side->first_size;

		memcpy(bytes, side->first, part);
		side->first += part;
		side->first_size -= part;
		return part;
	}
	got = recv(side->fd, bytes, size, MSG_DONTWAIT);
	return got < 0 ? -errno : got;
}

static ssize_t tap_write(void *context, const void *bytes, size_t size)
{
	ssize_t put = send(((struct tap_side *)context)->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return put < 0 ? -errno : put;
}

static void tap_secret(void *context, const char *line)
{
	FILE *keylog = ((struct tap_side *)context)->keylog;

	if (keylog) {
		fprintf(keylog, "%s\n", line);
		fflush(keylog);
	}
}

static const struct tls_wire tap_wire = { tap_read, tap_write, tap_secret };

static int tap_listen(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(*port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return -1;
	*port = ntohs(address.sin_port);
	return fd;
}

static int tap_dial(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

// Until the end has shaken hands: 0 or -errno.
static int tap_shake(struct tls *end, int fd)
{
	for (;;) {
		int result = tls_handshake(end);
		struct pollfd wait = { fd, POLLIN | (tls_unsent(end) ? POLLOUT : 0), 0 };

		if (result != -EAGAIN)
			return result;
		if (poll(&wait, 1, 10000) <= 0)
			return -ETIMEDOUT;
	}
}

struct tap_flow {
	struct tls *from, *to;
	uint8_t bytes[65536];
	size_t at, size;
	bool ended, finished, silent;
};

// One turn of one direction. False when it broke.
static bool tap_flow(struct tap_flow *flow)
{
	if (flow->at == flow->size && !flow->ended) {
		ssize_t got = tls_read(flow->from, flow->bytes, sizeof(flow->bytes));
		int tickets = tls_pass_tickets(flow->from, flow->to);

		if ((got < 0 && got != -EAGAIN) || (tickets && tickets != -EAGAIN))
			return false;
		flow->silent = got == -EAGAIN;
		if (got == 0)
			flow->ended = true;
		if (got > 0) {
			flow->at = 0;
			flow->size = got;
		}
	}
	while (flow->at < flow->size) {
		ssize_t put = tls_write(flow->to, flow->bytes + flow->at, flow->size - flow->at);

		if (put == -EAGAIN)
			return true;
		if (put < 0)
			return false;
		flow->at += put;
	}
	if (flow->ended && !flow->finished) {
		int result = tls_finish(flow->to);

		if (result && result != -EAGAIN)
			return false;
		flow->finished = result == 0;
	}
	return tls_flush(flow->to) == 0 || tls_unsent(flow->to);
}

static bool tap_can_read(const struct tap_flow *flow)
{
	return flow->at == flow->size && !flow->ended;
}

static void tap_relay(struct tls *app, struct tls *origin, int app_fd, int origin_fd)
{
	struct tap_flow *up = calloc(1, sizeof(*up)), *down = calloc(1, sizeof(*down));

	up->from = down->to = app;
	up->to = down->from = origin;
	while (tap_flow(up) && tap_flow(down) && !(up->finished && down->finished)) {
		struct pollfd wait[2] = {
			{ app_fd, (tap_can_read(up) ? POLLIN : 0) | (tls_unsent(app) ? POLLOUT : 0), 0 },
			{ origin_fd, (tap_can_read(down) ? POLLIN : 0) | (tls_unsent(origin) ? POLLOUT : 0), 0 },
		};

		if ((!up->silent && tap_can_read(up)) || (!down->silent && tap_can_read(down)))
			continue;
		if (poll(wait, 2, 10000) <= 0)
			break;
	}
	free(up);
	free(down);
}

// What one connection came to.
struct tap_report {
	int hello, connect, accept;	// 0 or -errno
	enum tls_trust trust;
	char text[200], version[16], cipher[64], group[24], alpn[64];
	char app_cipher[64], app_group[24];
	int alert;
	bool resumed, origin_resumed;
};

static void tap_note(struct tap_report *report, const struct tls *origin, const struct tls *app)
{
	if (origin && !report->connect) {
		report->trust = tls_verdict(origin);
		report->origin_resumed = tls_resumed(origin);
		snprintf(report->version, sizeof(report->version), "%s", tls_version(origin));
		snprintf(report->cipher, sizeof(report->cipher), "%s", tls_cipher(origin));
		snprintf(report->group, sizeof(report->group), "%s", tls_group(origin));
		snprintf(report->alpn, sizeof(report->alpn), "%s", tls_alpn(origin));
		snprintf(report->text, sizeof(report->text), "%s", tls_verdict_text(origin));
	} else if (origin) {
		snprintf(report->text, sizeof(report->text), "%s", tls_error(origin));
	}
	if (app && !report->accept) {
		report->resumed = tls_resumed(app);
		snprintf(report->app_cipher, sizeof(report->app_cipher), "%s", tls_cipher(app));
		snprintf(report->app_group, sizeof(report->app_group), "%s", tls_group(app));
	}
	if (app && report->accept) {
		report->alert = tls_alert(app);
		snprintf(report->text, sizeof(report->text), "%s", tls_error(app));
	}
}

// Serves the one connection that comes next on `listener`.
static void tap_serve(struct tls_house *house, int listener, uint16_t origin_port, FILE *keylog,
		      struct tap_report *report)
{
	static uint8_t first[HELLO_SIZE_MAX];
	struct tap_side app_side = { .keylog = keylog }, origin_side = { .keylog = keylog };
	struct tls *app = NULL, *origin = NULL;
	struct hello hello;
	enum hello_verdict verdict = HELLO_MORE;
	size_t size = 0;
	int one = 1;

	struct pollfd call = { listener, POLLIN, 0 };

	memset(report, 0, sizeof(*report));
	report->hello = -ETIMEDOUT;
	if (poll(&call, 1, 5000) <= 0)		// the client did not come
		return;
	app_side.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(app_side.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (verdict == HELLO_MORE) {
		ssize_t got = recv(app_side.fd, first + size, sizeof(first) - size, 0);

		if (got <= 0)
			break;
		size += got;
		verdict = hello_read(first, size, &hello);
	}
	report->hello = verdict == HELLO_WHOLE ? 0 : -EPROTO;
	app_side.first = first;
	app_side.first_size = size;
	origin_side.fd = tap_dial(origin_port);
	if (report->hello == 0 && origin_side.fd >= 0) {
		report->connect = tls_connect(&origin, house, &hello, "127.0.0.1", origin_port, &tap_wire,
					      &origin_side);
		if (!report->connect)
			report->connect = tap_shake(origin, origin_side.fd);
		if (!report->connect)
			report->accept = tls_accept(&app, house, &hello, origin, &tap_wire, &app_side);
		if (app)
			report->accept = tap_shake(app, app_side.fd);
		tap_note(report, origin, app);
		if (app && !report->accept)
			tap_relay(app, origin, app_side.fd, origin_side.fd);
	}
	tls_close(app);
	tls_close(origin);
	shutdown(app_side.fd, SHUT_WR);
	close(app_side.fd);
	close(origin_side.fd);
}

#endif
