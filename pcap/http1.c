// SPDX-License-Identifier: GPL-3.0-or-later
// http1 - HTTP/1 as somebody hears it who says nothing.

#include "pcap/http1.h"

#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pcap/exchange.h"

// Requests that wait at a time.
enum { WAITING_MOST = 256 };

// A header that has come in part.
struct partial {
	char *name, *value;
	size_t name_size, value_size;
	bool in_value;
};

struct http1 {
	struct exchange_sink *sink;
	http_parser parser[2];		// REQUEST, RESPONSE
	struct partial partial[2];
	struct exchange *asked;		// the request that is being said; in the list too, unless
	bool answered;			// its response has ended already
	struct exchange *first, **end;
	int waiting;
	bool to_http2;
	uint64_t now;
};

static int which_of(const http_parser *p)
{
	return p->type == HTTP_REQUEST ? REQUEST : RESPONSE;
}

// The exchange that the parser's message belongs to.
static struct exchange *of(const http_parser *p)
{
	const struct http1 *h = p->data;

	return which_of(p) == REQUEST ? h->asked : h->first;
}

// --- heads ------------------------------------------------------------------

static int flush_field(struct http1 *h, int which, struct exchange *e)
{
	struct partial *f = &h->partial[which];
	int error = 0;

	if (f->name_size)
		error = exchange_field(e, which, f->name, f->name_size, f->value ? f->value : "", f->value_size);
	f->name_size = f->value_size = 0;
	f->in_value = false;
	return error;
}

// The parser bounds a head (80 KiB), and so what is gathered here.
static int gather(char **text, size_t *size, const char *at, size_t more)
{
	char *grown = realloc(*text, *size + more + 1);

	if (!grown)
		return -ENOMEM;
	memcpy(grown + *size, at, more);
	*text = grown;
	*size += more;
	return 0;
}

static int on_begin(http_parser *p)
{
	struct http1 *h = p->data;

	if (which_of(p) == RESPONSE) {
		if (!h->first)
			return -1;
		h->first->said[RESPONSE].began = h->now;
		return 0;
	}
	h->asked = h->waiting < WAITING_MOST ? exchange_open(h->sink, h->now) : NULL;
	if (!h->asked)
		return -1;
	*h->end = h->asked;
	h->end = &h->asked->next;
	h->waiting++;
	return 0;
}

static int on_target(http_parser *p, const char *at, size_t size)
{
	return exchange_text(of(p), &of(p)->target, at, size);
}

static int on_reason(http_parser *p, const char *at, size_t size)
{
	return exchange_text(of(p), &of(p)->reason, at, size);
}

static int on_name(http_parser *p, const char *at, size_t size)
{
	struct partial *f = &((struct http1 *)p->data)->partial[which_of(p)];

	if (f->in_value && flush_field(p->data, which_of(p), of(p)))
		return -1;
	return gather(&f->name, &f->name_size, at, size);
}

static int on_value(http_parser *p, const char *at, size_t size)
{
	struct partial *f = &((struct http1 *)p->data)->partial[which_of(p)];

	f->in_value = true;
	return gather(&f->value, &f->value_size, at, size);
}

static const char *version_of(const http_parser *p)
{
	return p->http_major == 1 && p->http_minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

static bool is(const struct exchange *e, const char *method)
{
	return e->method && !strcmp(e->method, method);
}

// The parser's answers: 0: as it thinks; 1: no body; 2: nor anything behind it; -1: enough.
static int on_head(http_parser *p)
{
	struct exchange *e = of(p);

	if (flush_field(p->data, which_of(p), e))
		return -1;
	if (which_of(p) == REQUEST) {
		const char *method = http_method_str(p->method);
		e->version = version_of(p);
		return exchange_text(e, &e->method, method, strlen(method));
	}
	e->status = p->status_code;
	if (is(e, "CONNECT") && p->status_code / 100 == 2)
		return 2;
	return is(e, "HEAD");
}

// --- bodies, and the end ----------------------------------------------------

static int on_body(http_parser *p, const char *at, size_t size)
{
	exchange_body(of(p), which_of(p), at, size, ((struct http1 *)p->data)->sink->body_most);
	return 0;
}

static struct exchange *take_first(struct http1 *h)
{
	struct exchange *e = h->first;

	h->first = e->next;
	if (!h->first)
		h->end = &h->first;
	h->waiting--;
	e->next = NULL;
	return e;
}

static void done(struct http1 *h, struct exchange *e)
{
	h->sink->done(h->sink->context, e);
}

// Of a request that was answered before its end.
static struct exchange *take_answered(struct http1 *h)
{
	struct exchange *e = h->answered ? h->asked : NULL;

	h->answered = false;
	h->asked = NULL;
	return e;
}

static bool agrees_to_http2(const http_parser *p)
{
	const char *to = p->upgrade && p->status_code == 101 ? exchange_find(of(p), RESPONSE, "upgrade") : NULL;

	return to && !strcasecmp(to, "h2c");
}

static int on_end(http_parser *p)
{
	struct http1 *h = p->data;
	struct exchange *e = of(p);

	if (flush_field(h, which_of(p), e))
		return -1;
	if (which_of(p) == REQUEST) {
		e->said[REQUEST].ended = h->now;
		e = take_answered(h);
		if (e)
			done(h, e);
		return 0;
	}
	h->to_http2 = agrees_to_http2(p);
	if (h->to_http2 || (p->status_code / 100 == 1 && p->status_code != 101)) {
		exchange_forget(e, RESPONSE);
		return 0;
	}
	e->said[RESPONSE].ended = h->now;
	take_first(h);
	// An answer before the end of what was asked, as to an upload that is refused: some say the
	// rest all the same, and then ask again.
	h->answered = h->asked == e;
	if (!h->answered)
		done(h, e);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin, .on_url = on_target, .on_status = on_reason, .on_header_field = on_name,
	.on_header_value = on_value, .on_headers_complete = on_head, .on_body = on_body,
	.on_message_complete = on_end,
};

// ---------------------------------------------------------------------------

struct http1 *http1_open(struct exchange_sink *sink)
{
	struct http1 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->sink = sink;
	h->end = &h->first;
	http_parser_init(&h->parser[REQUEST], HTTP_REQUEST);
	http_parser_init(&h->parser[RESPONSE], HTTP_RESPONSE);
	h->parser[REQUEST].data = h->parser[RESPONSE].data = h;
	return h;
}

enum http1_state http1_bytes(struct http1 *h, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now,
			     size_t *used)
{
	http_parser *p = &h->parser[outgoing ? REQUEST : RESPONSE];

	h->now = now;
	*used = 0;
	while (*used < size) {
		size_t n = http_parser_execute(p, &settings, (const char *)bytes + *used, size - *used);
		*used += n;
		if (HTTP_PARSER_ERRNO(p) != HPE_OK)
			return HTTP1_OVER;
		if (!p->upgrade)
			continue;
		if (!outgoing)
			return h->to_http2 ? HTTP1_TO_HTTP2 : HTTP1_OVER;
		// Only asked for. Whether it comes to that, the response says.
		p->upgrade = 0;
		if (!n)
			return HTTP1_OVER;
	}
	return HTTP1_GOES_ON;
}

void http1_finish(struct http1 *h, bool outgoing, uint64_t now)
{
	http_parser *p = &h->parser[outgoing ? REQUEST : RESPONSE];

	h->now = now;
	if (HTTP_PARSER_ERRNO(p) == HPE_OK)
		http_parser_execute(p, &settings, NULL, 0);
}

struct exchange *http1_take(struct http1 *h)
{
	if (h->first && h->first == h->asked)
		h->asked = NULL;
	return h->first ? take_first(h) : NULL;
}

void http1_close(struct http1 *h)
{
	if (!h)
		return;
	struct exchange *answered = take_answered(h);
	if (answered)
		done(h, answered);
	while (h->first)
		done(h, take_first(h));
	for (int i = REQUEST; i <= RESPONSE; i++) {
		free(h->partial[i].name);
		free(h->partial[i].value);
	}
	free(h);
}
