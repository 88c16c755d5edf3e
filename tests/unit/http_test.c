// SPDX-License-Identifier: GPL-3.0-or-later
// http_test - exchanges heard in conversations, given whole and a byte at a time.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "pcap/exchange.h"
#include "pcap/http.h"

// What was found, a line each.
static char found[65536];
static size_t step;	// bytes given at a time; 0: all

static void note(void *context, struct exchange *e)
{
	char *url = exchange_url(e, "https", "fallback");
	size_t n = strlen(found);

	(void)context;
	snprintf(found + n, sizeof(found) - n, "%s %s %d %llu '%.*s'%s\n", e->method ? e->method : "-", url, e->status,
		 (unsigned long long)e->said[RESPONSE].size, (int)e->said[RESPONSE].kept,
		 e->said[RESPONSE].body ? (const char *)e->said[RESPONSE].body : "",
		 e->said[RESPONSE].ended ? "" : " cut");
	free(url);
	exchange_close(e);
}

static struct http *begin(size_t body_most)
{
	found[0] = 0;
	return http_open(&(struct http_options){.body_most = body_most, .done = note});
}

static void say_bytes(struct http *http, bool outgoing, const void *bytes, size_t size)
{
	size_t each = step ? step : size;

	for (size_t at = 0; at < size; at += each)
		http_bytes(http, outgoing, (const uint8_t *)bytes + at, size - at < each ? size - at : each, 7);
}

static void say(struct http *http, bool outgoing, const char *text)
{
	say_bytes(http, outgoing, text, strlen(text));
}

#define EITHER(test)                                                                               \
	static void test##_in_bytes(void **state)                                                  \
	{                                                                                          \
		step = 1;                                                                          \
		test(state);                                                                       \
		step = 0;                                                                          \
	}

// --- HTTP/1 -----------------------------------------------------------------

static void pipelined(void **state)
{
	struct http *http = begin(5);

	(void)state;
	say(http, true, "HEAD /a HTTP/1.1\r\nHost: x:1\r\n\r\nPUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
			"GET http://y/c HTTP/1.1\r\nHost: y\r\n\r\nGET /d HTTP/1.1\r\n\r\n");
	say(http, false, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
			 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\nT: 1\r\n\r\n"
			 "HTTP/1.0 200 OK\r\n\r\nto the end");
	http_finish(http, false, 9);
	http_close(http);
	assert_string_equal(found, "HEAD https://x:1/a 200 0 ''\nPUT https://x/b 204 0 ''\nGET http://y/c 200 9 'wikip'\n"
				   "GET https://fallback/d 200 10 'to th'\n");
}
EITHER(pipelined)

static void cut_short(void **state)
{
	struct http *http = begin(100);

	(void)state;
	say(http, true, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	say(http, false, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf");
	assert_string_equal(found, "");
	http_close(http);
	assert_string_equal(found, "GET https://x/a 200 4 'half' cut\nGET https://x/b 0 0 '' cut\n");
}
EITHER(cut_short)

// An upload that is refused: told of once all of it was said, and the next one is heard.
static void answered_before_the_end(void **state)
{
	struct http *http = begin(100);

	(void)state;
	say(http, true, "PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
	say(http, false, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
	assert_string_equal(found, "");
	say(http, true, "67890GET /next HTTP/1.1\r\nHost: x\r\n\r\nPUT /bigger HTTP/1.1\r\nHost: x\r\n"
			"Content-Length: 10\r\n\r\n12345");
	assert_string_equal(found, "PUT https://x/big 413 2 'no'\n");
	say(http, false, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyesHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
	assert_string_equal(found, "PUT https://x/big 413 2 'no'\nGET https://x/next 200 3 'yes'\n");
	http_close(http);
	assert_string_equal(found, "PUT https://x/big 413 2 'no'\nGET https://x/next 200 3 'yes'\n"
				   "PUT https://x/bigger 403 0 ''\n");
}
EITHER(answered_before_the_end)

static void ends_with_another_protocol(void **state)
{
	static const char *const ends[][2] = {
		{"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"CONNECT y:443 HTTP/1.1\r\nHost: y:443\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
	};
	static const char *const expected[] = {"GET https://x/ws 101 0 ''\n", "CONNECT y:443 200 0 ''\n"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct http *http = begin(100);
		say(http, true, ends[i][0]);
		say(http, false, ends[i][1]);
		say(http, false, "GET / HTTP/1.1\r\n\r\n");
		say(http, true, "GET / HTTP/1.1\r\n\r\n");
		http_close(http);
		assert_string_equal(found, expected[i]);
	}
}
EITHER(ends_with_another_protocol)

static void goes_on_where_upgrade_is_declined(void **state)
{
	struct http *http = begin(100);

	(void)state;
	for (int i = 0; i < 2; i++) {
		say(http, true, "GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
		say(http, false, "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nz");
	}
	http_close(http);
	assert_string_equal(found, "GET https://x/up 200 1 'z'\nGET https://x/up 200 1 'z'\n");
}
EITHER(goes_on_where_upgrade_is_declined)

static void what_is_no_http_is_left_alone(void **state)
{
	static const char *const none[] = {"EHLO x\r\n", "PRI * HTTP/2.0\r\n\r\nSMx", "\x16\x03\x01", "GET / HTTP/1.1\r\nbad head\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct http *http = begin(100);
		say(http, true, none[i]);
		say(http, true, "GET / HTTP/1.1\r\n\r\n");
		say(http, false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		http_close(http);
		assert_null(strstr(found, "200"));
	}
	struct http *http = begin(100);
	say(http, false, "220 ready\r\n");
	say(http, true, "GET / HTTP/1.1\r\n\r\n");
	http_close(http);
	assert_string_equal(found, "");
}
EITHER(what_is_no_http_is_left_alone)

static void budget_is_kept(void **state)
{
	static char head[40000];
	struct http *http;

	(void)state;
	found[0] = 0;
	http = http_open(&(struct http_options){.budget = 20000, .body_most = 1 << 20, .done = note});
	say(http, true, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	say(http, false, "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n");
	for (int i = 0; i < 40; i++)
		http_bytes(http, false, head, 1000, 7);
	assert_non_null(strstr(found, "GET https://x/a 200 40000 ''\n"));
	memset(head, 'h', sizeof(head) - 1);
	say(http, true, "GET / HTTP/1.1\r\nHost: ");
	say(http, true, head);
	say(http, true, "\r\n\r\n");
	say(http, false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_null(strstr(found, "200 0"));
	http_close(http);
}

// --- HTTP/2 -----------------------------------------------------------------

struct side {
	nghttp2_hd_deflater *deflater;
	uint8_t out[65536];
	size_t size;
};

static void frame(struct side *s, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size)
{
	uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, type, flags,
			   0, 0, (uint8_t)(stream >> 8), (uint8_t)stream};

	memcpy(s->out + s->size, head, 9);
	if (size)
		memcpy(s->out + s->size + 9, payload, size);
	s->size += 9 + size;
}

// "name value" pairs; `parts`: HEADERS and so many CONTINUATIONs.
static void head(struct side *s, uint32_t stream, bool last, int parts, const char *const (*fields)[2], size_t count)
{
	nghttp2_nv nv[16];
	uint8_t block[4096];

	for (size_t i = 0; i < count; i++)
		nv[i] = (nghttp2_nv){(uint8_t *)fields[i][0], (uint8_t *)fields[i][1], strlen(fields[i][0]),
				     strlen(fields[i][1]), 0};
	size_t size = (size_t)nghttp2_hd_deflate_hd(s->deflater, block, sizeof(block), nv, count), at = 0;
	for (int i = 0; i < parts; i++) {
		size_t part = i == parts - 1 ? size - at : size / (size_t)parts;
		frame(s, i ? 9 : 1, (uint8_t)((i == parts - 1 ? 4 : 0) | (!i && last ? 1 : 0)), stream, block + at, part);
		at += part;
	}
}

#define HEAD(s, stream, last, parts, ...)                                                          \
	do {                                                                                       \
		static const char *const f_[][2] = {__VA_ARGS__};                                  \
		head(s, stream, last, parts, f_, sizeof(f_) / sizeof(*f_));                        \
	} while (0)

static void flush(struct http *http, bool outgoing, struct side *s)
{
	say_bytes(http, outgoing, s->out, s->size);
	s->size = 0;
}

static struct side app, origin;

static struct http *begin_two(void)
{
	assert_int_equal(nghttp2_hd_deflate_new(&app.deflater, 4096), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&origin.deflater, 4096), 0);
	app.size = origin.size = 0;
	struct http *http = begin(100);
	say(http, true, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	frame(&app, 4, 0, 0, NULL, 0);
	frame(&origin, 4, 0, 0, NULL, 0);
	frame(&app, 4, 1, 0, NULL, 0);
	frame(&origin, 4, 1, 0, NULL, 0);
	return http;
}

static void end_two(struct http *http)
{
	http_close(http);
	nghttp2_hd_deflate_del(app.deflater);
	nghttp2_hd_deflate_del(origin.deflater);
}

static void interleaved_streams(void **state)
{
	struct http *http = begin_two();

	(void)state;
	HEAD(&app, 1, true, 3, {":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/one"}, {"cookie", "a=b"});
	HEAD(&app, 3, false, 1, {":method", "POST"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/two"});
	frame(&app, 0, 9, 3, "\x03" "body\0\0\0", 8);
	flush(http, true, &app);
	HEAD(&origin, 3, false, 1, {":status", "103"}, {"link", "x"});
	HEAD(&origin, 3, false, 1, {":status", "201"}, {"content-type", "text/plain"});
	HEAD(&origin, 1, false, 2, {":status", "200"});
	frame(&origin, 0, 0, 1, "one", 3);
	frame(&origin, 0, 8, 3, "\x02two..", 6);
	frame(&origin, 0, 0, 3, NULL, 0);
	HEAD(&origin, 3, true, 1, {"trailer", "1"});
	frame(&origin, 0, 1, 1, "!", 1);
	flush(http, false, &origin);
	HEAD(&app, 5, true, 1, {":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/reset"});
	flush(http, true, &app);
	frame(&origin, 3, 0, 5, "\0\0\0\1", 4);
	flush(http, false, &origin);
	assert_string_equal(found, "POST https://h/two 201 3 'two'\nGET https://h/one 200 4 'one!'\nGET https://h/reset 0 0 '' cut\n");
	end_two(http);
}
EITHER(interleaved_streams)

static void answered_before_the_body(void **state)
{
	struct http *http = begin_two();

	(void)state;
	HEAD(&app, 1, false, 1, {":method", "PUT"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/early"});
	flush(http, true, &app);
	HEAD(&origin, 1, true, 1, {":status", "403"});
	flush(http, false, &origin);
	assert_string_equal(found, "");
	frame(&app, 0, 1, 1, "late", 4);
	flush(http, true, &app);
	assert_string_equal(found, "PUT https://h/early 403 0 ''\n");
	end_two(http);
}
EITHER(answered_before_the_body)

// A table that the origin allows to be larger is in use from its acknowledgement on.
static void tables_change_size(void **state)
{
	struct http *http = begin_two();

	(void)state;
	frame(&origin, 4, 0, 0, "\0\1\0\0\0\0", 6);
	flush(http, false, &origin);
	HEAD(&app, 1, true, 1, {":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/one"}, {"x", "kept"});
	frame(&app, 4, 1, 0, NULL, 0);
	assert_int_equal(nghttp2_hd_deflate_change_table_size(app.deflater, 0), 0);
	HEAD(&app, 3, true, 1, {":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/two"}, {"x", "kept"});
	flush(http, true, &app);
	end_two(http);
	assert_non_null(strstr(found, "GET https://h/one"));
	assert_non_null(strstr(found, "GET https://h/two"));
}
EITHER(tables_change_size)

static void pushed(void **state)
{
	struct http *http = begin_two();
	nghttp2_nv nv[] = {{(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0}, {(uint8_t *)":path", (uint8_t *)"/p", 5, 2, 0}};
	uint8_t block[128] = {0, 0, 0, 2};

	(void)state;
	HEAD(&app, 1, true, 1, {":method", "GET"}, {":authority", "h"}, {":path", "/one"});
	flush(http, true, &app);
	size_t n = (size_t)nghttp2_hd_deflate_hd(origin.deflater, block + 4, sizeof(block) - 4, nv, 2);
	frame(&origin, 5, 0, 1, block, 5);
	frame(&origin, 9, 4, 1, block + 5, n - 1);
	HEAD(&origin, 2, true, 1, {":status", "200"});
	HEAD(&origin, 1, true, 1, {":status", "404"});
	flush(http, false, &origin);
	assert_string_equal(found, "GET https://fallback/p 200 0 ''\nGET https://h/one 404 0 ''\n");
	end_two(http);
}
EITHER(pushed)

// With ALPN the origin's settings need not wait for the preface.
static void agreed_on(void **state)
{
	struct http *http;

	(void)state;
	end_two(begin_two());
	assert_int_equal(nghttp2_hd_deflate_new(&app.deflater, 4096), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&origin.deflater, 4096), 0);
	app.size = origin.size = 0;
	found[0] = 0;
	http = http_open(&(struct http_options){.two = true, .done = note});
	frame(&origin, 4, 0, 0, NULL, 0);
	flush(http, false, &origin);
	say(http, true, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	HEAD(&app, 1, true, 1, {":method", "GET"}, {":authority", "h"}, {":path", "/"});
	flush(http, true, &app);
	HEAD(&origin, 1, true, 1, {":status", "200"});
	flush(http, false, &origin);
	assert_string_equal(found, "GET https://h/ 200 0 ''\n");
	end_two(http);
}
EITHER(agreed_on)

static void upgraded_from_one(void **state)
{
	struct http *http;

	(void)state;
	end_two(begin_two());
	assert_int_equal(nghttp2_hd_deflate_new(&app.deflater, 4096), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&origin.deflater, 4096), 0);
	app.size = origin.size = 0;
	http = begin(100);
	say(http, true, "GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n");
	memcpy(origin.out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 71);
	origin.size = 71;
	frame(&origin, 4, 0, 0, NULL, 0);
	HEAD(&origin, 1, false, 1, {":status", "200"});
	frame(&origin, 0, 1, 1, "two", 3);
	flush(http, false, &origin);
	say(http, true, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	HEAD(&app, 3, true, 1, {":method", "GET"}, {":authority", "h"}, {":path", "/then"});
	flush(http, true, &app);
	end_two(http);
	assert_string_equal(found, "GET https://x/up 200 3 'two'\nGET https://h/then 0 0 '' cut\n");
}
EITHER(upgraded_from_one)

int main(void)
{
#define BOTH(test) cmocka_unit_test(test), cmocka_unit_test(test##_in_bytes)
	const struct CMUnitTest tests[] = {
		BOTH(pipelined),
		BOTH(cut_short),
		BOTH(answered_before_the_end),
		BOTH(ends_with_another_protocol),
		BOTH(goes_on_where_upgrade_is_declined),
		BOTH(what_is_no_http_is_left_alone),
		cmocka_unit_test(budget_is_kept),
		BOTH(interleaved_streams),
		BOTH(answered_before_the_body),
		BOTH(tables_change_size),
		BOTH(pushed),
		BOTH(agreed_on),
		BOTH(upgraded_from_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
