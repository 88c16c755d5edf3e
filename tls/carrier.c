// SPDX-License-Identifier: GPL-3.0-or-later
// carrier - an end's bytes on their way between wolfSSL and the wire.
//
// wolfSSL asks for a record's five bytes of header, then for its body, and is given no more
// than that: it would take more for an error. So a record would cost two system calls; read
// ahead it costs a fraction of one. The buffer goes back as soon as it is empty: it always is
// once wolfSSL has answered that it wants more, because it takes parts of a record to itself.

#include "tls/carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	AHEAD = 1 << 16,
	OUT_MAX = 1 << 20,	// only a peer that never reads its answers gets there
};

void carrier_open(struct carrier *carrier, const struct tls_wire *wire, void *context,
		  struct carrier_spare *spare)
{
	*carrier = (struct carrier){ .wire = *wire, .context = context, .spare = spare };
}

// --- reading ----------------------------------------------------------------

static bool borrow(struct carrier *carrier)
{
	carrier->in = carrier->spare->buffer ? carrier->spare->buffer : malloc(AHEAD);
	carrier->spare->buffer = NULL;
	return carrier->in;
}

static void give_back(struct carrier *carrier)
{
	if (carrier->spare->buffer)
		free(carrier->in);
	else
		carrier->spare->buffer = carrier->in;
	carrier->in = NULL;
	carrier->in_at = carrier->in_size = 0;
}

static size_t ask(struct carrier *carrier, void *bytes, size_t size)
{
	ssize_t got;

	if (carrier->ended || carrier->read_error)
		return 0;
	got = carrier->wire.read(carrier->context, bytes, size);
	if (got > 0) {
		carrier->heard = true;
		return (size_t)got;
	}
	if (got == 0)
		carrier->ended = true;
	else if (got != -EAGAIN)
		carrier->read_error = (int)got;
	return 0;
}

static void remember(struct carrier *carrier, const void *bytes, size_t size)
{
	size_t fresh = size < sizeof(carrier->last) ? size : sizeof(carrier->last);
	size_t old = sizeof(carrier->last) - fresh;

	memmove(carrier->last, carrier->last + fresh, old);
	memcpy(carrier->last + old, (const uint8_t *)bytes + size - fresh, fresh);
}

size_t carrier_read(struct carrier *carrier, void *bytes, size_t size)
{
	size_t got = size;

	if (!carrier->in && !borrow(carrier)) {
		carrier->read_error = -ENOMEM;
		return 0;
	}
	if (carrier->in_at == carrier->in_size) {
		carrier->in_at = 0;
		carrier->in_size = ask(carrier, carrier->in, AHEAD);
	}
	if (got > carrier->in_size - carrier->in_at)
		got = carrier->in_size - carrier->in_at;
	memcpy(bytes, carrier->in + carrier->in_at, got);
	carrier->in_at += got;
	if (carrier->in_at == carrier->in_size)
		give_back(carrier);
	if (got)
		remember(carrier, bytes, got);
	return got;
}

// --- writing ----------------------------------------------------------------

// Bytes that the wire took, 0 when it is full or broken.
static size_t offer(struct carrier *carrier, const uint8_t *bytes, size_t size)
{
	size_t taken = 0;

	while (taken < size && !carrier->write_error) {
		ssize_t put = carrier->wire.write(carrier->context, bytes + taken, size - taken);

		if (put <= 0) {
			if (put < 0 && put != -EAGAIN)
				carrier->write_error = (int)put;
			break;
		}
		taken += (size_t)put;
	}
	return taken;
}

static void keep(struct carrier *carrier, const uint8_t *bytes, size_t size)
{
	if (carrier->out_size + size > carrier->out_room) {
		size_t room = carrier->out_size + size;
		uint8_t *more = room > OUT_MAX ? NULL : realloc(carrier->out, room);

		if (!more) {
			carrier->write_error = -ENOBUFS;
			return;
		}
		carrier->out = more;
		carrier->out_room = room;
	}
	memcpy(carrier->out + carrier->out_size, bytes, size);
	carrier->out_size += size;
}

void carrier_write(struct carrier *carrier, const void *bytes, size_t size)
{
	size_t taken = carrier->out_size == 0 ? offer(carrier, bytes, size) : 0;

	if (taken < size && !carrier->write_error)
		keep(carrier, (const uint8_t *)bytes + taken, size - taken);
}

bool carrier_unsent(const struct carrier *carrier)
{
	return carrier->out_size > 0;
}

int carrier_flush(struct carrier *carrier)
{
	if (carrier->out_size > 0) {
		carrier->out_at += offer(carrier, carrier->out + carrier->out_at,
					 carrier->out_size - carrier->out_at);
		if (carrier->out_at == carrier->out_size || carrier->write_error) {
			free(carrier->out);
			carrier->out = NULL;
			carrier->out_at = carrier->out_size = carrier->out_room = 0;
		}
	}
	if (carrier->write_error)
		return carrier->write_error;
	return carrier->out_size > 0 ? -EAGAIN : 0;
}

// ---------------------------------------------------------------------------

void carrier_close(struct carrier *carrier)
{
	free(carrier->in);
	free(carrier->out);
}

void carrier_spare_free(struct carrier_spare *spare)
{
	free(spare->buffer);
}
