// SPDX-License-Identifier: GPL-3.0-or-later
// hello_test - the ClientHello reader, on hellos that are built here and cut up.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tls/hello.h"

enum { ROOM = 2 * HELLO_SIZE_MAX };

// What the hello under test is made of; NULL extensions: none at all.
struct recipe {
	uint16_t record_version, legacy;
	const uint8_t *extensions;
	size_t extensions_size;
	size_t record_size;	// 0: one record
};

static uint8_t *put16(uint8_t *at, size_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
	return at + 2;
}

// The handshake message.
static size_t message(const struct recipe *recipe, uint8_t *out)
{
	uint8_t *at = out + 4;

	at = put16(at, recipe->legacy);
	memset(at, 0x5a, 32);
	at += 32;
	*at++ = 32;
	memset(at, 0xc3, 32);
	at += 32;
	at = put16(at, 6);
	at = put16(at, 0x3a3a);		// GREASE
	at = put16(at, 0x1301);
	at = put16(at, 0xc02b);
	*at++ = 1;
	*at++ = 0;
	if (recipe->extensions) {
		at = put16(at, recipe->extensions_size);
		memcpy(at, recipe->extensions, recipe->extensions_size);
		at += recipe->extensions_size;
	}
	out[0] = 1;
	out[1] = (at - out - 4) >> 16;
	put16(out + 2, (at - out - 4) & 0xffff);
	return at - out;
}

static size_t build(const struct recipe *recipe, uint8_t *out)
{
	static uint8_t body[ROOM];
	size_t size = message(recipe, body), each = recipe->record_size ? recipe->record_size : size;
	uint8_t *at = out;

	for (size_t done = 0; done < size; done += each) {
		size_t part = size - done < each ? size - done : each;

		*at++ = 22;
		at = put16(at, recipe->record_version);
		at = put16(at, part);
		memcpy(at, body + done, part);
		at += part;
	}
	return at - out;
}

// Browser's fare, GREASE included.
static const uint8_t browser[] = {
	0x0a, 0x0a, 0, 0,					// GREASE, empty
	0, 0, 0, 16, 0, 14, 0, 0, 11, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm',
	0, 16, 0, 14, 0, 12, 2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1',
	0, 43, 0, 7, 6, 0x7a, 0x7a, 3, 4, 3, 3,
	0, 45, 0, 2, 1, 1,
	0xfe, 0x0d, 0, 4, 1, 2, 3, 4,				// ECH
	0, 42, 0, 0,						// early data
	0x1a, 0x1a, 0, 1, 0,					// GREASE, one byte
	0, 41, 0, 3, 9, 9, 9,					// PSK, last
};

static const struct recipe browser_recipe = {
	.record_version = 0x0301, .legacy = 0x0303,
	.extensions = browser, .extensions_size = sizeof(browser),
};

static void assert_browser(const struct hello *hello, size_t size)
{
	static const char alpn[] = "\x02h2\x08http/1.1";

	assert_string_equal(hello->sni, "example.com");
	assert_int_equal(hello->alpn_size, sizeof(alpn) - 1);
	assert_memory_equal(hello->alpn, alpn, sizeof(alpn) - 1);
	assert_int_equal(hello->version_min, 0x0303);
	assert_int_equal(hello->version_max, 0x0304);
	assert_true(hello->psk);
	assert_true(hello->ecdsa);
	assert_true(hello->early_data);
	assert_true(hello->encrypted_client_hello);
	assert_false(hello->quic_parameters);
	assert_int_equal(hello->size, size);
}

// Read from memory that ends where the bytes do, so that a sanitizer sees a step
// too far.
static enum hello_verdict read_exactly(const uint8_t *bytes, size_t size, struct hello *hello)
{
	uint8_t *copy = malloc(size ? size : 1);
	enum hello_verdict verdict;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	verdict = hello_read(copy, size, hello);
	free(copy);
	return verdict;
}

static uint8_t wire[ROOM];

static void reads_a_browsers(void **state)
{
	struct hello hello;
	size_t size = build(&browser_recipe, wire);

	(void)state;
	assert_int_equal(read_exactly(wire, size, &hello), HELLO_WHOLE);
	assert_browser(&hello, size);
	// What comes behind is not part of it.
	wire[size] = 0x14;
	assert_int_equal(read_exactly(wire, size + 1, &hello), HELLO_WHOLE);
	assert_browser(&hello, size);
}

static void wants_more_for_every_prefix(void **state)
{
	static const size_t cuts[] = { 0, 1, 2, 3, 4, 5, 17, 64, 100 };

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		struct recipe recipe = browser_recipe;
		struct hello hello;
		size_t size;

		recipe.record_size = cuts[i];
		size = build(&recipe, wire);
		for (size_t part = 0; part < size; part++)
			assert_int_equal(read_exactly(wire, part, &hello), HELLO_MORE);
		assert_int_equal(read_exactly(wire, size, &hello), HELLO_WHOLE);
		assert_browser(&hello, size);
	}
}

static void reads_one_over_many_records(void **state)
{
	static uint8_t extensions[40000];
	struct recipe recipe = browser_recipe;
	struct hello hello;
	size_t size;

	(void)state;
	// A huge key share, as of the post-quantum kind, in front of the rest.
	memset(extensions, 0, sizeof(extensions));
	put16(extensions, 51);
	put16(extensions + 2, sizeof(extensions) - 4 - sizeof(browser));
	put16(extensions + 4, sizeof(extensions) - 6 - sizeof(browser));
	put16(extensions + 6, 0x11ec);
	put16(extensions + 8, sizeof(extensions) - 10 - sizeof(browser));
	memcpy(extensions + sizeof(extensions) - sizeof(browser), browser, sizeof(browser));
	recipe.extensions = extensions;
	recipe.extensions_size = sizeof(extensions);
	recipe.record_size = 16384;
	size = build(&recipe, wire);
	for (size_t part = 0; part < size; part += 997)
		assert_int_equal(read_exactly(wire, part, &hello), HELLO_MORE);
	assert_int_equal(read_exactly(wire, size - 1, &hello), HELLO_MORE);
	assert_int_equal(read_exactly(wire, size, &hello), HELLO_WHOLE);
	assert_browser(&hello, size);
	assert_int_equal(hello.shares.count, 1);
	assert_int_equal(hello.shares.list[0], 0x11ec);
}

static void knows_what_is_not_tls(void **state)
{
	static const struct { const char *bytes; size_t size; } others[] = {
		{ "G", 1 }, { "GET / HTTP/1.1\r\n", 16 }, { "SSH-2.0-", 8 }, { "\x17", 1 },
		{ "\x80\x2e\x01\x03\x01", 5 },			// SSLv2 hello
		{ "\x16\x02", 2 }, { "\x16\x03\x05", 3 }, { "\x16\x03\x01\x41", 4 },
		{ "\x16\x03\x01\x40\x01", 5 },			// over 2^14
		{ "\x16\x03\x01\x00\x00", 5 },			// empty
		{ "\x16\x03\x01\x00\x30\x02", 6 },		// a ServerHello
		{ "\x16\x03\x01\x00\x30\x01\x01", 7 },		// 64 KB and more
		{ "\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x00", 11 },	// SSL 3.0
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		const uint8_t *bytes = (const uint8_t *)others[i].bytes;
		struct hello hello;

		assert_int_equal(read_exactly(bytes, others[i].size, &hello), HELLO_NOT);
		if (others[i].size > 1)
			assert_int_equal(read_exactly(bytes, 0, &hello), HELLO_MORE);
	}
}

static void reads_versions(void **state)
{
	static const struct {
		uint16_t record, legacy;
		uint8_t versions[16];
		size_t size;		// of `versions`, the extension's body
		enum hello_verdict verdict;
		uint16_t min, max;
	} table[] = {
		{ 0x0300, 0x0303, { 0 }, 0, HELLO_WHOLE, 0x0301, 0x0303 },
		{ 0x0301, 0x0301, { 0 }, 0, HELLO_WHOLE, 0x0301, 0x0301 },
		{ 0x0303, 0x0304, { 0 }, 0, HELLO_WHOLE, 0x0301, 0x0303 },
		{ 0x0304, 0x0303, { 2, 3, 4 }, 3, HELLO_WHOLE, 0x0304, 0x0304 },
		{ 0x0301, 0x0303, { 8, 3, 4, 3, 3, 3, 2, 3, 1 }, 9, HELLO_WHOLE, 0x0301, 0x0304 },
		{ 0x0301, 0x0303, { 4, 0xea, 0xea, 3, 3 }, 5, HELLO_WHOLE, 0x0303, 0x0303 },
		{ 0x0301, 0x0303, { 4, 0x7f, 28, 3, 5 }, 5, HELLO_NOT, 0, 0 },
		{ 0x0301, 0x0303, { 3, 3, 4, 3 }, 4, HELLO_NOT, 0, 0 },		// odd
		{ 0x0301, 0x0303, { 4, 3, 4 }, 3, HELLO_NOT, 0, 0 },		// over
		{ 0x0301, 0x0303, { 2, 3, 4, 9 }, 4, HELLO_NOT, 0, 0 },		// under
		{ 0x0301, 0x0300, { 0 }, 0, HELLO_NOT, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		uint8_t extensions[32] = { 0, 43 };
		struct recipe recipe = {
			.record_version = table[i].record, .legacy = table[i].legacy,
			.extensions = table[i].size ? extensions : NULL,
			.extensions_size = 4 + table[i].size,
		};
		struct hello hello = { 0 };

		put16(extensions + 2, table[i].size);
		memcpy(extensions + 4, table[i].versions, table[i].size);
		assert_int_equal(read_exactly(wire, build(&recipe, wire), &hello), table[i].verdict);
		assert_int_equal(hello.version_min, table[i].min);
		assert_int_equal(hello.version_max, table[i].max);
	}
}

static enum hello_verdict with(uint16_t type, const void *body, size_t size, struct hello *hello)
{
	static uint8_t extensions[2048];
	struct recipe recipe = { 0x0301, 0x0303, extensions, 4 + size, 0 };

	put16(extensions, type);
	put16(extensions + 2, size);
	memcpy(extensions + 4, body, size);
	memset(hello, 0, sizeof(*hello));
	return read_exactly(wire, build(&recipe, wire), hello);
}

static enum hello_verdict with_name(const char *name, size_t size, struct hello *hello)
{
	uint8_t body[1024];

	put16(body, size + 3);
	body[2] = 0;
	put16(body + 3, size);
	memcpy(body + 5, name, size);
	return with(0, body, size + 5, hello);
}

static void judges_names(void **state)
{
	static const char *const good[] = { "a", "xn--bcher-kva.example", "A_b.c", "1.example", "a.b." };
	static const char *const odd[] = { "1.2.3.4", "::1", "[::1]", "a b", "a\x7f", "caf\xc3\xa9", "a/b" };
	char longest[257];
	struct hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(with_name(good[i], strlen(good[i]), &hello), HELLO_WHOLE);
		assert_string_equal(hello.sni, good[i]);
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		assert_int_equal(with_name(odd[i], strlen(odd[i]), &hello), HELLO_WHOLE);
		assert_string_equal(hello.sni, "");
	}
	assert_int_equal(with_name("good.com\0.evil.com", 18, &hello), HELLO_WHOLE);
	assert_string_equal(hello.sni, "");
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(with_name(longest, 255, &hello), HELLO_WHOLE);
	assert_int_equal(strlen(hello.sni), 255);
	assert_int_equal(with_name(longest, 256, &hello), HELLO_WHOLE);
	assert_string_equal(hello.sni, "");
	// Lengths that do not add up.
	assert_int_equal(with(0, "\x00\x05\x00\x00\x01" "a", 6, &hello), HELLO_NOT);
	assert_int_equal(with(0, "\x00\x04\x00\x00\x02" "a", 6, &hello), HELLO_NOT);
	assert_int_equal(with(0, "\x00", 1, &hello), HELLO_NOT);
	// A type of name that is not a host's goes before.
	assert_int_equal(with(0, "\x00\x08\x07\x00\x01z\x00\x00\x01" "a", 10, &hello), HELLO_WHOLE);
	assert_string_equal(hello.sni, "a");
}

static void cuts_alpn_at_a_whole_entry(void **state)
{
	uint8_t body[2 + 40 * 11];
	struct hello hello;

	(void)state;
	put16(body, 40 * 11);
	for (int i = 0; i < 40; i++) {
		body[2 + i * 11] = 10;
		memset(body + 3 + i * 11, 'a' + i % 26, 10);
	}
	assert_int_equal(with(16, body, sizeof(body), &hello), HELLO_WHOLE);
	assert_int_equal(hello.alpn_size, 23 * 11);	// 253 of 255
	assert_memory_equal(hello.alpn, body + 2, 23 * 11);
	assert_int_equal(with(16, "\x00\x03\x02h2", 5, &hello), HELLO_WHOLE);
	assert_int_equal(with(16, "\x00\x03\x03h2", 5, &hello), HELLO_NOT);
	assert_int_equal(with(16, "\x00\x01\x00", 3, &hello), HELLO_NOT);
	assert_int_equal(with(16, "\x00\x04\x02h2", 5, &hello), HELLO_NOT);
}

static void notes_quic(void **state)
{
	struct hello hello;

	(void)state;
	assert_int_equal(with(57, "", 0, &hello), HELLO_WHOLE);
	assert_true(hello.quic_parameters);
}

// No byte changed, and no cut, makes it read past the end (the sanitizer says)
// or call a piece whole.
static void survives_changed_bytes(void **state)
{
	struct hello hello;
	size_t size = build(&browser_recipe, wire);

	(void)state;
	for (size_t at = 0; at < size; at++) {
		uint8_t was = wire[at];

		for (unsigned flip = 1; flip < 256; flip <<= 1) {
			wire[at] = was ^ flip;
			if (read_exactly(wire, size, &hello) == HELLO_WHOLE)
				assert_int_equal(hello.size, size);
			assert_int_not_equal(read_exactly(wire, size / 2, &hello), HELLO_WHOLE);
		}
		wire[at] = was;
	}
}

static void gives_up_at_the_limit(void **state)
{
	static uint8_t extensions[65500];
	struct recipe recipe = { 0x0301, 0x0303, extensions, sizeof(extensions), 1 };
	static uint8_t long_wire[6 * 70000];
	struct hello hello;
	size_t size;

	(void)state;
	put16(extensions, 21);
	put16(extensions + 2, sizeof(extensions) - 4);
	size = build(&recipe, long_wire);
	assert_true(size > HELLO_SIZE_MAX);
	assert_int_equal(hello_read(long_wire, HELLO_SIZE_MAX - 1, &hello), HELLO_NOT);
	recipe.extensions_size = 30000;
	put16(extensions + 2, 30000 - 4);
	build(&recipe, long_wire);		// one byte a record: six on the wire
	assert_int_equal(hello_read(long_wire, HELLO_SIZE_MAX - 1, &hello), HELLO_MORE);
	assert_int_equal(hello_read(long_wire, HELLO_SIZE_MAX, &hello), HELLO_NOT);
}

static void reads_what_is_offered(void **state)
{
	uint8_t many[2 + 2 * 100];
	struct hello hello;

	(void)state;
	assert_int_equal(with(10, "\x00\x06\x1a\x1a\x00\x1d\x00\x17", 8, &hello), HELLO_WHOLE);
	assert_true(hello.groups.given);
	assert_int_equal(hello.groups.count, 3);
	assert_int_equal(hello.groups.list[1], 0x001d);
	assert_false(hello.shares.given);
	assert_int_equal(hello.suite_count, 3);
	assert_int_equal(hello.suites[2], 0xc02b);
	assert_int_equal(with(51, "\x00\x0b\x1a\x1a\x00\x01\x00\x00\x1d\x00\x02zz", 13, &hello), HELLO_WHOLE);
	assert_int_equal(hello.shares.count, 2);
	assert_int_equal(hello.shares.list[1], 0x001d);
	assert_int_equal(with(51, "\x00\x00", 2, &hello), HELLO_WHOLE);	// asks to be asked
	assert_true(hello.shares.given);
	assert_int_equal(with(13, "\x00\x02\x08\x04", 4, &hello), HELLO_WHOLE);
	assert_int_equal(hello.signatures.list[0], 0x0804);
	assert_false(hello.ecdsa);
	assert_int_equal(with(13, "\x00\x04\x08\x04\x04\x03", 6, &hello), HELLO_WHOLE);
	assert_true(hello.ecdsa);
	// Longer than is kept.
	memset(many, 7, sizeof(many));
	put16(many, 2 * 100);
	assert_int_equal(with(10, many, sizeof(many), &hello), HELLO_WHOLE);
	assert_int_equal(hello.groups.count, HELLO_NUMBERS_MAX);
	// Lengths that do not fit.
	assert_int_equal(with(10, "\x00\x03\x00\x1d\x00", 5, &hello), HELLO_NOT);
	assert_int_equal(with(10, "\x00\x04\x00\x1d", 4, &hello), HELLO_NOT);
	assert_int_equal(with(10, "\x00", 1, &hello), HELLO_NOT);
	assert_int_equal(with(51, "\x00\x04\x00\x1d\x00\x01", 6, &hello), HELLO_NOT);
	assert_int_equal(with(51, "\x00\x03\x00\x1d\x00", 5, &hello), HELLO_NOT);
}

static void knows_who_would_resume(void **state)
{
	struct hello hello;

	(void)state;
	assert_int_equal(with(35, "", 0, &hello), HELLO_WHOLE);
	assert_true(hello.tickets);
	assert_true(hello.resumes);		// there is a session id, and no TLS 1.3
	assert_int_equal(with(43, "\x04\x03\x04\x03\x03", 5, &hello), HELLO_WHOLE);
	assert_false(hello.resumes);
	assert_false(hello.tickets);
	assert_int_equal(with(35, "x", 1, &hello), HELLO_WHOLE);
	assert_true(hello.resumes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_browsers),
		cmocka_unit_test(wants_more_for_every_prefix),
		cmocka_unit_test(reads_one_over_many_records),
		cmocka_unit_test(knows_what_is_not_tls),
		cmocka_unit_test(reads_versions),
		cmocka_unit_test(judges_names),
		cmocka_unit_test(cuts_alpn_at_a_whole_entry),
		cmocka_unit_test(notes_quic),
		cmocka_unit_test(survives_changed_bytes),
		cmocka_unit_test(gives_up_at_the_limit),
		cmocka_unit_test(reads_what_is_offered),
		cmocka_unit_test(knows_who_would_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
