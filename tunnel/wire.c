// SPDX-License-Identifier: GPL-3.0-or-later
// wire - one side of a conversation as bytes.

#include "tunnel/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "netstack/netstack.h"
#include "tls/starttls.h"
#include "tunnel/origin.h"
#include "tunnel/tap.h"

enum { VIEWS = 32 };

static int broke(struct wire *w, int error)
{
	w->error = error;
	return error;
}

// The app's flow can go while it is being used: closed news clears `flow`.
static int app_gone(const struct wire *w)
{
	return w->error ? w->error : w->ended ? 0 : -ECONNRESET;
}

static ssize_t app_read(struct wire *w, uint8_t *bytes, size_t size)
{
	struct iovec iov[VIEWS];
	size_t all, got = 0;

	if (!w->flow)
		return app_gone(w);
	int n = netstack_peek(w->flow, iov, VIEWS, &all);
	for (int i = 0; i < n && got < size; i++) {
		size_t part = iov[i].iov_len < size - got ? iov[i].iov_len : size - got;
		memcpy(bytes + got, iov[i].iov_base, part);
		got += part;
	}
	if (got) {
		w->record->bytes[APP] += got;
		netstack_consume(w->flow, got);
		return (ssize_t)got;
	}
	if (!netstack_at_end(w->flow))
		return -EAGAIN;
	w->ended = true;
	return 0;
}

static ssize_t app_write(struct wire *w, const uint8_t *bytes, size_t size)
{
	struct iovec iov[2];
	size_t room, put = 0;

	if (!w->flow)
		return w->error ? w->error : -EPIPE;
	int n = netstack_reserve(w->flow, iov, &room);
	for (int i = 0; i < n && put < size; i++) {
		size_t part = iov[i].iov_len < size - put ? iov[i].iov_len : size - put;
		memcpy(iov[i].iov_base, bytes + put, part);
		put += part;
	}
	if (!put)
		return -EAGAIN;
	int error = netstack_commit(w->flow, put);
	if (error)
		return broke(w, error);
	w->record->bytes[ORIGIN] += put;
	return (ssize_t)put;
}

static ssize_t origin_read(struct wire *w, struct iovec *iov, int n)
{
	size_t asked = 0;
	ssize_t got;

	if (w->error)
		return w->error;
	if (w->ended)
		return 0;
	if (w->fd < 0 || !w->readable)
		return -EAGAIN;
	for (int i = 0; i < n; i++)
		asked += iov[i].iov_len;
	while ((got = readv(w->fd, iov, n)) < 0 && errno == EINTR)
		;
	if (got > 0) {
		w->readable = w->to_the_end || (size_t)got == asked;
		return got;
	}
	if (got == 0) {
		w->ended = true;
		return 0;
	}
	w->readable = false;
	return errno == EAGAIN ? -EAGAIN : broke(w, -errno);
}

static ssize_t origin_write(struct wire *w, const struct iovec *iov, int n)
{
	ssize_t put;

	if (w->error)
		return w->error;
	if (w->fd < 0 || !w->writable)
		return -EAGAIN;
	while ((put = writev(w->fd, iov, n)) < 0 && errno == EINTR)
		;
	if (put >= 0)
		return put;
	w->writable = false;
	return errno == EAGAIN ? -EAGAIN : broke(w, -errno);
}

ssize_t wire_read(struct wire *w, void *bytes, size_t size)
{
	if (w->side == APP)
		return app_read(w, bytes, size);
	return origin_read(w, &(struct iovec){bytes, size}, 1);
}

ssize_t wire_write(struct wire *w, const void *bytes, size_t size)
{
	if (w->side == APP)
		return app_write(w, bytes, size);
	return origin_write(w, &(struct iovec){(void *)bytes, size}, 1);
}

// The first `size` bytes of the views.
static void heard(const struct wire *from, const struct iovec *iov, size_t size)
{
	for (size_t part; (from->tap || from->starttls) && size; iov++, size -= part) {
		part = iov->iov_len < size ? iov->iov_len : size;
		if (from->tap)
			tap_clear(from->tap, from->record, from->side, iov->iov_base, part);
		if (from->starttls)
			starttls_origin(from->starttls, iov->iov_base, part);
	}
}

// The views that hold the first `most` bytes, the last of them cut.
static int shorten(struct iovec *iov, int n, size_t most)
{
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len >= most) {
			iov[i].iov_len = most;
			return i + 1;
		}
		most -= iov[i].iov_len;
	}
	return n;
}

static int splice_up(struct wire *app, struct wire *origin, size_t budget)
{
	struct iovec iov[VIEWS];
	size_t all, moved = 0;

	while (app->flow) {
		int n = netstack_peek(app->flow, iov, VIEWS, &all);
		if (!n || !all) {
			app->ended = netstack_at_end(app->flow);
			return 0;
		}
		if (moved >= budget)
			return 1;
		ssize_t put = origin_write(origin, iov, shorten(iov, n, budget - moved));
		if (put < 0)
			return put == -EAGAIN ? 0 : (int)put;
		moved += (size_t)put;
		app->record->bytes[APP] += (uint64_t)put;
		heard(app, iov, (size_t)put);
		netstack_consume(app->flow, (size_t)put);
	}
	return app_gone(app);
}

static int splice_down(struct wire *origin, struct wire *app, size_t budget)
{
	struct iovec iov[2];
	size_t room, moved = 0;

	while (app->flow) {
		int n = netstack_reserve(app->flow, iov, &room);
		if (!n || !room)
			return 0;
		if (moved >= budget)
			return 1;
		ssize_t got = origin_read(origin, iov, n);
		if (got <= 0)
			return got == -EAGAIN ? 0 : (int)got;
		heard(origin, iov, (size_t)got);
		int error = netstack_commit(app->flow, (size_t)got);
		if (error)
			return broke(app, error);
		moved += (size_t)got;
		app->record->bytes[ORIGIN] += (uint64_t)got;
	}
	return app->error;
}

int wire_splice(struct wire *from, struct wire *to, size_t budget)
{
	return from->side == APP ? splice_up(from, to, budget) : splice_down(from, to, budget);
}

void wire_finish(struct wire *w)
{
	if (w->finished)
		return;
	w->finished = true;
	if (w->flow)
		netstack_finish(w->flow);
	if (w->fd >= 0)
		shutdown(w->fd, SHUT_WR);
}

static void let_go(struct wire *w)
{
	w->flow = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void wire_abort(struct wire *w)
{
	if (w->flow)
		netstack_abort(w->flow);
	if (w->fd >= 0)
		origin_abort(w->fd);
	let_go(w);
}

// The kernel answers a close with a RST, and drops what it has not sent, where
// something is left unread.
static void discard(struct wire *w)
{
	char rest[4096];

	w->readable = true;
	for (int n = 0; n < 256 && wire_read(w, rest, sizeof(rest)) > 0; n++)
		;
}

void wire_close(struct wire *w)
{
	if (w->flow)
		netstack_close(w->flow);
	if (w->fd >= 0 && w->finished && !w->ended && !w->error)
		discard(w);
	let_go(w);
}
