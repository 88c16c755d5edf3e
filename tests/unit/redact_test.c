// SPDX-License-Identifier: GPL-3.0-or-later
// redact_test - no secret comes out, and all else does, however the bytes come.

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
#include "pcap/redact.h"

static uint8_t out[2][65536];	// the origin's, the app's
static size_t size[2];
static size_t step;

static void put(void *context, bool outgoing, const uint8_t *bytes, size_t n)
{
	(void)context;
	memcpy(out[outgoing] + size[outgoing], bytes, n);
	size[outgoing] += n;
}

static struct redact *begin(bool two)
{
	size[0] = size[1] = 0;
	return redact_open(&(struct redact_options){.two = two, .put = put});
}

static void give(struct redact *r, bool outgoing, const void *bytes, size_t n)
{
	size_t each = step ? step : n;

	for (size_t at = 0; at < n; at += each)
		redact_bytes(r, outgoing, (const uint8_t *)bytes + at, n - at < each ? n - at : each);
}

static void say(struct redact *r, bool outgoing, const char *text)
{
	give(r, outgoing, text, strlen(text));
}

static void expect(bool outgoing, const char *text)
{
	out[outgoing][size[outgoing]] = 0;
	assert_string_equal((char *)out[outgoing], text);
}

static void lines(void **state)
{
	struct redact *r = begin(false);

	(void)state;
	say(r, true, "PUT / HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Basic abc\r\nCookie :a=b\r\n\tmore of it\r\nX-Cookie: c\r\n"
		     "Proxy-Authorization:  x:y\r\nCookie:\r\nCookie2: d\r\n\r\nbody: cookie: e\r\n");
	expect(true, "PUT / HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: *********\r\nCookie :***\r\n***********\r\nX-Cookie: c\r\n"
		     "Proxy-Authorization:  ***\r\nCookie:\r\nCookie2: d\r\n\r\nbody: cookie: e\r\n");
	say(r, false, "HTTP/1.1 200 OK\nset-cookie: a=b; Path=/\nUpgrade: h2,h2c\n\nPRI");
	expect(false, "HTTP/1.1 200 OK\nset-cookie: ***********\nUpgrade: h2,h2c\n\nPRI");
	redact_close(r);
}

static void not_the_preface(void **state)
{
	struct redact *r = begin(false);

	(void)state;
	say(r, true, "PRINT\r\nCookie: a\r\n");
	expect(true, "PRINT\r\nCookie: *\r\n");
	redact_close(r);
}

static void what_is_not_followed_is_left_out(void **state)
{
	struct redact *r = begin(false);

	(void)state;
	say(r, false, "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\nsecret");
	say(r, true, "secret");
	out[0][size[0]] = 0;
	assert_null(strstr((char *)out[0], "secret"));
	assert_int_equal(size[1], 0);
	redact_close(r);
	r = begin(true);
	say(r, true, "GET / HTTP/1.1\r\nsecret");
	give(r, false, "\0\0\2\1\4\0\0\0\1\xff\xff secret", 18);
	assert_int_equal(size[0] + size[1], 0);
	redact_close(r);
	r = begin(true);
	give(r, false, "\0\0\2\1\4\0\0\0\1\xff\xff secret", 18);
	say(r, true, "PRI * HTTP/2.0\r\n");
	assert_int_equal(size[0] + size[1], 0);
	redact_close(r);
}

// --- HTTP/2: what comes out is read by the observer ---------------------------

static char found[4096];

static void note(void *context, struct exchange *e)
{
	char *url = exchange_url(e, "https", "fallback");
	size_t n = strlen(found);

	(void)context;
	n += (size_t)snprintf(found + n, sizeof(found) - n, "%s %d %llu", url, e->status, (unsigned long long)e->said[RESPONSE].size);
	for (int side = REQUEST; side <= RESPONSE; side++)
		for (size_t i = 0; i < e->said[side].count; i++)
			if (e->said[side].fields[i].name[0] != ':')
				n += (size_t)snprintf(found + n, sizeof(found) - n, " %s=%.40s", e->said[side].fields[i].name,
						      e->said[side].fields[i].value);
	snprintf(found + n, sizeof(found) - n, "\n");
	free(url);
	exchange_close(e);
}

static size_t frame(uint8_t *to, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t n)
{
	uint8_t head[9] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, (uint8_t)stream};

	memcpy(to, head, 9);
	if (n)
		memcpy(to + 9, payload, n);
	return 9 + n;
}

#define NV(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0}

static void header_blocks(void **state)
{
	static char large[14000];	// coded, 12,250 bytes each
	static uint8_t bytes[65536], block[40000];
	nghttp2_hd_deflater *app, *origin;
	struct redact *r = begin(true);
	size_t n = 0;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	nghttp2_nv asked[] = {NV(":method", "GET"), NV(":authority", "h"), NV(":path", "/a"), NV("cookie", "user-secret"),
			      NV("authorization", "Bearer secret"), NV("kept", "secretless")};
	nghttp2_nv answer[] = {NV(":status", "200"), NV("set-cookie", large), NV("large", large)};
	assert_int_equal(nghttp2_hd_deflate_new(&app, 4096), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&origin, 4096), 0);
	n = strlen(strcpy((char *)bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
	n += frame(bytes + n, 4, 0, 0, "\0\1\0\0\0\0", 6);
	give(r, true, bytes, n);
	n = frame(bytes, 4, 0, 0, NULL, 0);
	n += frame(bytes + n, 4, 1, 0, NULL, 0);	// the origin's table is none from here on
	give(r, false, bytes, n);
	assert_int_equal(nghttp2_hd_deflate_change_table_size(origin, 0), 0);
	for (uint32_t stream = 1; stream <= 3; stream += 2) {	// the second comes from the table
		size_t part = (size_t)nghttp2_hd_deflate_hd(app, block + 5, sizeof(block) - 5, asked, 6);
		n = frame(bytes, 1, 1 | 32, stream, block, 5 + 1);
		n += frame(bytes + n, 9, 4, stream, block + 6, part - 1);
		give(r, true, bytes, n);
		part = (size_t)nghttp2_hd_deflate_hd(origin, block, sizeof(block), answer, 3);
		n = frame(bytes, 1, 0, stream, block, 16000);
		n += frame(bytes + n, 9, 4, stream, block + 16000, part - 16000);
		n += frame(bytes + n, 0, 1, stream, "body", 4);
		give(r, false, bytes, n);
	}
	redact_close(r);
	nghttp2_hd_deflate_del(app);
	nghttp2_hd_deflate_del(origin);

	found[0] = 0;
	struct http *http = http_open(&(struct http_options){.two = true, .done = note});
	// A decoder hears of a table's size where it did before.
	http_bytes(http, true, out[1], 24 + 9 + 6, 1);
	http_bytes(http, false, out[0], 18, 1);
	http_bytes(http, true, out[1] + 39, size[1] - 39, 1);
	http_bytes(http, false, out[0] + 18, size[0] - 18, 1);
	http_close(http);
#define STARS "****************************************"
#define EXES "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define EACH "https://h/a 200 4 cookie=*********** authorization=************* kept=secretless set-cookie=" STARS " large=" EXES "\n"
	assert_string_equal(found, EACH EACH);
}

#define EITHER(test)                                                                               \
	static void test##_in_bytes(void **state)                                                  \
	{                                                                                          \
		step = 1;                                                                          \
		test(state);                                                                       \
		step = 0;                                                                          \
	}
EITHER(lines)
EITHER(not_the_preface)
EITHER(what_is_not_followed_is_left_out)
EITHER(header_blocks)

int main(void)
{
#define BOTH(test) cmocka_unit_test(test), cmocka_unit_test(test##_in_bytes)
	const struct CMUnitTest tests[] = {
		BOTH(lines),
		BOTH(not_the_preface),
		BOTH(what_is_not_followed_is_left_out),
		BOTH(header_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
