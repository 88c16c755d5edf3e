// SPDX-License-Identifier: GPL-3.0-or-later
// relay - bytes between the two sides of a conversation.

#include "tunnel/relay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls.h"
#include "tunnel/tap.h"

// A conversation's share of a turn, bytes each way: enough to fill a window,
// little enough that a thousand others are not kept waiting.
enum { SHARE = 1 << 20, RECORD = 16384 };

// Plain bytes on their way through; one thread, so one for all.
static uint8_t scratch[RECORD];

// --- without TLS ------------------------------------------------------------

static int pump_bytes(struct relay *r, enum side from)
{
	struct relay_direction *d = &r->from[from];

	if (d->over)
		return 0;
	int n = wire_splice(&r->wire[from], &r->wire[!from], SHARE);
	if (n == 0 && r->wire[from].ended) {
		// What ends last is closed at once: RELAY_OVER.
		if (!r->from[!from].over)
			wire_finish(&r->wire[!from]);
		tap_clear_finish(r->tap, r->wire[from].record, from);
		d->over = true;
	}
	return n;
}

// --- with TLS ---------------------------------------------------------------

static int keep(struct relay_direction *d, const uint8_t *bytes, size_t size)
{
	if (!d->left && !(d->left = malloc(RECORD)))
		return -ENOMEM;
	memmove(d->left, bytes, size);
	d->left_size = (uint32_t)size;
	return 0;
}

// All of `bytes` to the end, or what it does not take is kept.
static int put(struct relay_direction *d, struct tls *to, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = tls_write(to, bytes, size);
		if (n == -EAGAIN)
			return keep(d, bytes, size);
		if (n < 0)
			return (int)n;
		bytes += n;
		size -= (size_t)n;
	}
	d->left_size = 0;
	return 0;
}

// Can the end take another record? 0, -EAGAIN, or -errno.
static int clear(struct relay_direction *d, struct tls *to)
{
	if (d->left_size) {
		assert(d->left);
		int error = put(d, to, d->left, d->left_size);
		if (error)
			return error;
		if (d->left_size)
			return -EAGAIN;
		free(d->left);
		d->left = NULL;
	}
	return tls_unsent(to) ? tls_flush(to) : 0;
}

// Behind a close_notify only the FIN is of interest.
static int drain(struct wire *w)
{
	for (;;) {
		ssize_t n = wire_read(w, scratch, sizeof(scratch));
		if (n <= 0)
			return (int)n;
	}
}

static void end_plain(struct relay *r, enum side from)
{
	wire_finish(&r->wire[!from]);
	tap_plain_finish(r->tap, r->wire[from].record, from);
	r->from[from].over = true;
}

static int pass_end(struct relay *r, enum side from)
{
	struct relay_direction *d = &r->from[from];

	if (d->notify_due) {
		int error = tls_finish(r->tls[!from]);
		if (error)
			return error;
		d->notify_due = false;
	}
	int error = drain(&r->wire[from]);
	if (!error)
		end_plain(r, from);
	return error;
}

// What that side sent was no close_notify: the other hears the same alert, before the end.
static void pass_alert(struct relay *r, enum side from)
{
	int alert = tls_alert(r->tls[from]);

	if (alert > 0)
		(void)tls_abort(r->tls[!from], alert);
}

static int pump_records(struct relay *r, enum side from)
{
	struct relay_direction *d = &r->from[from];
	struct tls *in = r->tls[from], *out = r->tls[!from];

	for (size_t moved = 0; !d->over; ) {
		int error = clear(d, out);
		if (error)
			return error;
		if (d->notified)
			return pass_end(r, from);
		if (moved >= SHARE)
			return 1;
		ssize_t n = tls_read(in, scratch, sizeof(scratch));
		error = from == ORIGIN ? tls_pass_tickets(in, out) : 0;
		if (error && error != -EAGAIN)
			return error;
		if (n > 0) {
			moved += (size_t)n;
			d->plain += (uint64_t)n;
			tap_plain(r->tap, r->wire[from].record, from, scratch, (size_t)n);
			error = put(d, out, scratch, (size_t)n);
			if (error)
				return error;
		} else if (n == 0) {
			d->notified = d->notify_due = true;
		} else if (n == -ECONNRESET && r->wire[from].ended && !r->wire[from].error) {
			end_plain(r, from);
		} else {
			if (n == -EPROTO)
				pass_alert(r, from);
			return (int)n;
		}
	}
	return 0;
}

// ---------------------------------------------------------------------------

enum relay_state relay_pump(struct relay *r)
{
	bool more = false;

	for (int from = APP; from <= ORIGIN; from++) {
		int n = r->tls[APP] ? pump_records(r, (enum side)from) : pump_bytes(r, (enum side)from);
		if (n == 1)
			more = true;
		else if (n < 0 && n != -EAGAIN) {
			// Neither wire broke: it was what was said over it.
			if (!r->wire[APP].error && !r->wire[ORIGIN].error)
				r->wire[from].error = n;
			return RELAY_BROKEN;
		}
	}
	if (r->from[APP].over && r->from[ORIGIN].over)
		return RELAY_OVER;
	return more ? RELAY_MORE : RELAY_WAITING;
}

void relay_close(struct relay *r)
{
	free(r->from[APP].left);
	free(r->from[ORIGIN].left);
}
