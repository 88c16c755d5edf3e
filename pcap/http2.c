// SPDX-License-Identifier: GPL-3.0-or-later
// http2 - HTTP/2 as somebody hears it who says nothing.
//
// A side's SETTINGS_HEADER_TABLE_SIZE is a promise about what it will decode, so
// the *other* side's table changes, and does so at that side's acknowledgement, which
// stands in order with its header blocks.

#include "pcap/http2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/exchange.h"

enum {
	FRAME_HEAD = 9,
	PAYLOAD_MOST = 16384,		// of a frame that has to be there whole
	STREAMS_MOST = 512,		// kept at a time; the others pass unseen
	TABLE_MOST = 1 << 20,
	SETTINGS_MOST = 16,		// not acknowledged yet
	HEAD_MOST = 256 << 10,		// a header list's bytes that are kept
};

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };

struct frame {
	uint32_t size, stream;
	uint8_t type, flags;
};

// What comes from one side.
struct direction {
	nghttp2_hd_inflater *inflater;
	size_t preface;			// bytes of it that are still to come
	uint8_t head[FRAME_HEAD];
	size_t head_size;
	struct frame frame;
	uint8_t payload[PAYLOAD_MOST];
	size_t got;			// of the frame's payload
	uint32_t pad;			// behind a DATA frame's bytes
	// A header block whose end has not come.
	bool in_block, block_ends_stream, block_promises;
	uint32_t block_carrier, block_stream;
	uint32_t opened;		// the latest stream that this side began
	size_t block_size;
	// The other side's table sizes that its next acknowledgements are for.
	uint32_t promised[SETTINGS_MOST];
	int promises;
};

struct http2 {
	struct exchange_sink *sink;
	struct direction from[2];	// REQUEST: the app
	struct exchange *streams;
	int count;
	uint64_t now;
};

#define UNCHANGED UINT32_MAX

static uint32_t number(const uint8_t *at, int size)
{
	uint32_t n = 0;

	while (size--)
		n = n << 8 | *at++;
	return n;
}

// --- streams ----------------------------------------------------------------

static struct exchange **place(struct http2 *h, uint32_t stream)
{
	struct exchange **at = &h->streams;

	while (*at && (*at)->stream != stream)
		at = &(*at)->next;
	return at;
}

static struct exchange *begin(struct http2 *h, uint32_t stream)
{
	struct exchange *e = h->count < STREAMS_MOST ? exchange_open(h->sink, h->now) : NULL;

	if (!e)
		return NULL;
	e->stream = stream;
	e->version = "HTTP/2.0";
	e->next = h->streams;
	h->streams = e;
	h->count++;
	return e;
}

static void end(struct http2 *h, struct exchange **at)
{
	struct exchange *e = *at;

	*at = e->next;
	e->next = NULL;
	h->count--;
	h->sink->done(h->sink->context, e);
}

// An origin may have said all before the request's body comes.
static void end_side(struct http2 *h, int side, uint32_t stream)
{
	struct exchange **at = place(h, stream);

	if (!*at)
		return;
	(*at)->said[side].ended = h->now;
	if ((*at)->said[!side].ended)
		end(h, at);
}

// --- header blocks ----------------------------------------------------------

static bool keep(struct http2 *h, int side, struct exchange *e, const nghttp2_nv *nv)
{
	struct direction *d = &h->from[side];

	d->block_size += nv->namelen + nv->valuelen + 32;
	if (d->block_size > HEAD_MOST)
		return false;
	if (nv->namelen == 7 && !memcmp(nv->name, ":method", 7) && !e->method)
		return !exchange_text(e, &e->method, nv->value, nv->valuelen);
	if (nv->namelen == 5 && !memcmp(nv->name, ":path", 5) && !e->target)
		return !exchange_text(e, &e->target, nv->value, nv->valuelen);
	if (nv->namelen == 7 && !memcmp(nv->name, ":status", 7) && nv->valuelen == 3)
		e->status = (nv->value[0] - '0') * 100 + (nv->value[1] - '0') * 10 + nv->value[2] - '0';
	return !exchange_field(e, side, nv->name, nv->namelen, nv->value, nv->valuelen);
}

static bool inflate(struct http2 *h, int side, struct exchange *e, int into, const uint8_t *at, size_t size, bool last)
{
	nghttp2_hd_inflater *inflater = h->from[side].inflater;

	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, size, last);

		if (n < 0)
			return false;
		at += n;
		size -= (size_t)n;
		if ((flags & NGHTTP2_HD_INFLATE_EMIT) && e && !keep(h, into, e, &nv))
			return false;
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			return !nghttp2_hd_inflate_end_headers(inflater);
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !size)
			return !last;
	}
}

static void end_block(struct http2 *h, int side)
{
	struct direction *d = &h->from[side];
	struct exchange *e = *place(h, d->block_stream);

	d->in_block = false;
	if (!e)
		return;
	if (side == RESPONSE && e->status / 100 == 1 && !d->block_ends_stream)
		exchange_forget(e, RESPONSE);
	else if (d->block_ends_stream)
		end_side(h, side, d->block_stream);
}

static bool read_block(struct http2 *h, int side, const uint8_t *at, size_t size)
{
	struct direction *d = &h->from[side];
	struct exchange *e = *place(h, d->block_stream);
	bool last = d->frame.flags & END_HEADERS, promise = d->block_promises;

	if (e && side == RESPONSE && !promise && !e->said[RESPONSE].began)
		e->said[RESPONSE].began = h->now;
	if (!inflate(h, side, e, promise ? REQUEST : side, at, size, last))
		return false;
	if (last && promise) {
		d->in_block = false;
		if (e)
			e->said[REQUEST].ended = h->now;
	} else if (last) {
		end_block(h, side);
	}
	return true;
}

static bool begin_block(struct http2 *h, int side, const uint8_t *at, size_t size)
{
	struct direction *d = &h->from[side];
	const struct frame *f = &d->frame;
	size_t pad = 0;

	if (f->flags & PADDED) {
		if (!size)
			return false;
		pad = *at++;
		size--;
	}
	size_t skip = f->type == PUSH_PROMISE ? 4 : f->flags & HAS_PRIORITY ? 5 : 0;
	if (size < skip + pad || !f->stream)
		return false;
	d->block_stream = f->type == PUSH_PROMISE ? number(at, 4) & INT32_MAX : f->stream;
	d->block_ends_stream = f->type == HEADERS && (f->flags & END_STREAM);
	d->block_size = 0;
	d->in_block = true;
	d->block_carrier = f->stream;
	d->block_promises = f->type == PUSH_PROMISE;
	// A promise's request comes from the side that will answer it. Numbers only grow
	// (RFC 9113 section 5.1.1): others are trailers, also of what is over.
	if (d->block_stream > d->opened && d->block_promises == (side == RESPONSE)) {
		d->opened = d->block_stream;
		if (!*place(h, d->block_stream))
			begin(h, d->block_stream);
	}
	return read_block(h, side, at + skip, size - skip - pad);
}

static bool go_on_block(struct http2 *h, int side, const uint8_t *at, size_t size)
{
	struct direction *d = &h->from[side];

	if (!d->in_block || d->frame.stream != d->block_carrier)
		return false;
	return read_block(h, side, at, size);
}

// --- settings ---------------------------------------------------------------

static bool read_settings(struct http2 *h, int side, const uint8_t *at, size_t size)
{
	struct direction *mine = &h->from[side], *others = &h->from[!side];
	uint32_t table = UNCHANGED;

	if (mine->frame.flags & ACK) {
		if (size || !mine->promises)
			return !size;
		table = mine->promised[0];
		mine->promises--;
		memmove(mine->promised, mine->promised + 1, (size_t)mine->promises * sizeof(*mine->promised));
		return table == UNCHANGED || !nghttp2_hd_inflate_change_table_size(mine->inflater, table);
	}
	if (size % 6 || others->promises == SETTINGS_MOST)
		return false;
	for (; size; at += 6, size -= 6)
		if (number(at, 2) == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
			table = number(at + 2, 4);
	if (table != UNCHANGED && table > TABLE_MOST)
		return false;
	others->promised[others->promises++] = table;
	return true;
}

// --- frames -----------------------------------------------------------------

static bool read_frame(struct http2 *h, int side)
{
	struct direction *d = &h->from[side];
	const struct frame *f = &d->frame;

	if (d->in_block && f->type != CONTINUATION)
		return false;
	switch (f->type) {
	case HEADERS:
		return begin_block(h, side, d->payload, f->size);
	case PUSH_PROMISE:
		return side == RESPONSE && begin_block(h, side, d->payload, f->size);
	case CONTINUATION:
		return go_on_block(h, side, d->payload, f->size);
	case SETTINGS:
		return read_settings(h, side, d->payload, f->size);
	case RST_STREAM:
		if (*place(h, f->stream))
			end(h, place(h, f->stream));
		return true;
	default:
		return true;
	}
}

// DATA is taken as it comes: a padding's length, bytes, the padding.
static bool read_data(struct http2 *h, int side, const uint8_t *at, size_t size)
{
	struct direction *d = &h->from[side];
	struct exchange *e = *place(h, d->frame.stream);
	uint32_t from = (uint32_t)d->got;

	if ((d->frame.flags & PADDED) && !from) {
		d->pad = *at++;
		size--;
		from = 1;
		if (d->pad >= d->frame.size)
			return false;
	}
	uint32_t until = d->frame.size - d->pad;
	if (e && from < until)
		exchange_body(e, side, at, size < until - from ? size : until - from, h->sink->body_most);
	return true;
}

static bool end_frame(struct http2 *h, int side)
{
	struct direction *d = &h->from[side];
	bool fine = true;

	if (d->frame.type != DATA)
		fine = read_frame(h, side);
	else if (d->frame.flags & END_STREAM)
		end_side(h, side, d->frame.stream);
	d->head_size = d->got = d->pad = 0;
	return fine;
}

static bool begin_frame(struct direction *d)
{
	const uint8_t *at = d->head;

	d->frame = (struct frame){.size = number(at, 3), .type = at[3], .flags = at[4],
				  .stream = number(at + 5, 4) & INT32_MAX};
	d->got = d->pad = 0;
	if (d->frame.type == DATA)
		return !d->in_block && d->frame.stream && (d->frame.size || !(d->frame.flags & PADDED));
	// Of those that are not known nothing is kept.
	return d->frame.size <= PAYLOAD_MOST || d->frame.type > CONTINUATION;
}

static bool read_payload(struct http2 *h, int side, const uint8_t *at, size_t size)
{
	struct direction *d = &h->from[side];

	if (d->frame.type == DATA) {
		if (!read_data(h, side, at, size))
			return false;
	} else if (d->frame.size <= PAYLOAD_MOST && size) {
		memcpy(d->payload + d->got, at, size);
	}
	d->got += size;
	return d->got < d->frame.size || end_frame(h, side);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool http2_bytes(struct http2 *h, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now)
{
	int side = outgoing ? REQUEST : RESPONSE;
	struct direction *d = &h->from[side];

	h->now = now;
	while (size) {
		size_t part;

		if (d->preface) {
			part = least(size, d->preface);
			if (memcmp(bytes, &HTTP2_PREFACE[HTTP2_PREFACE_SIZE - d->preface], part) != 0)
				return false;
			d->preface -= part;
		} else if (d->head_size < FRAME_HEAD) {
			part = least(size, FRAME_HEAD - d->head_size);
			memcpy(d->head + d->head_size, bytes, part);
			d->head_size += part;
			if (d->head_size == FRAME_HEAD && (!begin_frame(d) || (!d->frame.size && !end_frame(h, side))))
				return false;
		} else {
			part = least(size, d->frame.size - d->got);
			if (!read_payload(h, side, bytes, part))
				return false;
		}
		bytes += part;
		size -= part;
	}
	return true;
}

// ---------------------------------------------------------------------------

struct http2 *http2_open(struct exchange_sink *sink)
{
	struct http2 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->sink = sink;
	h->from[REQUEST].preface = HTTP2_PREFACE_SIZE;
	if (!nghttp2_hd_inflate_new(&h->from[REQUEST].inflater) && !nghttp2_hd_inflate_new(&h->from[RESPONSE].inflater))
		return h;
	http2_close(h);
	return NULL;
}

void http2_adopt(struct http2 *h, struct exchange *e)
{
	e->stream = 1;
	e->next = h->streams;
	h->streams = e;
	h->count++;
}

void http2_close(struct http2 *h)
{
	if (!h)
		return;
	while (h->streams)
		end(h, &h->streams);
	for (int i = REQUEST; i <= RESPONSE; i++)
		if (h->from[i].inflater)
			nghttp2_hd_inflate_del(h->from[i].inflater);
	free(h);
}
