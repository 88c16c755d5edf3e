// SPDX-License-Identifier: GPL-3.0-or-later
// decode_test - bodies of each encoding, cut, bounded and broken.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "pcap/decode.h"

static uint8_t plain[100000], coded[120000];

static size_t encode(int bits)
{
	z_stream z = {.next_in = plain, .avail_in = sizeof(plain), .next_out = coded, .avail_out = sizeof(coded)};

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * i >> 7);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return sizeof(coded) - z.avail_out;
}

static void each_encoding(void **state)
{
	static const struct { const char *name; int bits; } rows[] = {
		{"gzip", 31}, {"X-GZIP", 31}, {"deflate", 15}, {"Deflate", -15},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t size = encode(rows[i].bits), n;
		bool whole;
		uint8_t *out = decode_body(rows[i].name, coded, size, sizeof(plain) + 1, &n, &whole);
		assert_int_equal(n, sizeof(plain));
		assert_memory_equal(out, plain, n);
		assert_true(whole);
		free(out);
		out = decode_body(rows[i].name, coded, size / 2, 1 << 20, &n, &whole);
		assert_true(n && n < sizeof(plain) && !whole);
		assert_memory_equal(out, plain, n);
		free(out);
		out = decode_body(rows[i].name, coded, size, 1000, &n, &whole);
		assert_int_equal(n, 1000);
		assert_false(whole);
		free(out);
	}
}

static void none(void **state)
{
	size_t n;
	bool whole;

	(void)state;
	assert_null(decode_body("gzip", (const uint8_t *)"plain text", 10, 100, &n, &whole));
	assert_null(decode_body("br", (const uint8_t *)"plain text", 10, 100, &n, &whole));
	assert_null(decode_body(NULL, (const uint8_t *)"plain text", 10, 100, &n, &whole));
	assert_null(decode_body("gzip", NULL, 0, 100, &n, &whole));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_encoding),
		cmocka_unit_test(none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
