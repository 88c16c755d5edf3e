// SPDX-License-Identifier: GPL-3.0-or-later
// http - one conversation heard, and the HTTP exchanges that are in it.

#include "pcap/http.h"

#include <stdlib.h>
#include <string.h>

#include "pcap/exchange.h"
#include "pcap/http1.h"
#include "pcap/http2.h"

struct http {
	struct exchange_sink sink;
	bool over;
	size_t like;		// bytes that began as HTTP/2's preface
	struct http1 *one;
	struct http2 *two;
};

struct http *http_open(const struct http_options *options)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->sink = (struct exchange_sink){options->budget ? options->budget : 8 << 20, options->body_most,
					 options->done, options->context};
	if (options->two && !(h->two = http2_open(&h->sink)))
		h->over = true;
	return h;
}

static void over(struct http *h)
{
	h->over = true;
	http1_close(h->one);
	http2_close(h->two);
	h->one = NULL;
	h->two = NULL;
}

static void hear_two(struct http *h, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now)
{
	if (!http2_bytes(h->two, outgoing, bytes, size, now))
		over(h);
}

static void change_to_two(struct http *h, const uint8_t *bytes, size_t size, uint64_t now)
{
	h->two = http2_open(&h->sink);
	if (!h->two) {
		over(h);
		return;
	}
	http2_adopt(h->two, http1_take(h->one));
	http1_close(h->one);
	h->one = NULL;
	hear_two(h, false, bytes, size, now);
}

static void hear_one(struct http *h, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t used;

	switch (http1_bytes(h->one, outgoing, bytes, size, now, &used)) {
	case HTTP1_GOES_ON:
		break;
	case HTTP1_OVER:
		over(h);
		break;
	case HTTP1_TO_HTTP2:
		change_to_two(h, bytes + used, size - used, now);
		break;
	}
}

static void hear(struct http *h, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now)
{
	if (h->one)
		hear_one(h, outgoing, bytes, size, now);
	else if (h->two)
		hear_two(h, outgoing, bytes, size, now);
}

// The app's first bytes, until they are a preface or are none. True: all are taken.
static bool tell(struct http *h, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t before = h->like, n = 0;

	while (n < size && h->like < HTTP2_PREFACE_SIZE && bytes[n] == (uint8_t)HTTP2_PREFACE[h->like]) {
		h->like++;
		n++;
	}
	if (h->like == HTTP2_PREFACE_SIZE) {
		h->two = http2_open(&h->sink);
	} else if (n < size) {
		h->one = http1_open(&h->sink);
	} else {
		return true;
	}
	if (!h->one && !h->two)
		over(h);
	hear(h, true, (const uint8_t *)HTTP2_PREFACE, before, now);
	return false;
}

void http_bytes(struct http *h, bool outgoing, const void *bytes, size_t size, uint64_t now)
{
	if (h->over || !size)
		return;
	if (!h->one && !h->two) {
		// Whom a server speaks to first, speaks no HTTP.
		if (!outgoing)
			over(h);
		else if (tell(h, bytes, size, now))
			return;
	}
	hear(h, outgoing, bytes, size, now);
}

void http_finish(struct http *h, bool outgoing, uint64_t now)
{
	if (h->one)
		http1_finish(h->one, outgoing, now);
}

void http_close(struct http *h)
{
	if (!h)
		return;
	over(h);
	free(h);
}
