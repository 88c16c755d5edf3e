// SPDX-License-Identifier: GPL-3.0-or-later
// starttls_test - conversations of each protocol up to their ClientHello, in all cuts.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tls/starttls.h"

// The smallest hello that there is: TLS 1.2, one suite.
static const uint8_t hello_wire[] = {
	22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3,
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
	0, 0, 2, 0xc0, 0x2f, 1, 0,
};

struct turn {
	char who;		// 'A'pp, 'O'rigin, 0: the hello follows
	const char *bytes;
	size_t size;		// 0: strlen()
};

struct transcript {
	const char *name;
	uint16_t port;
	struct turn turns[8];
};

#define BINARY(bytes) bytes, sizeof(bytes) - 1

#define MYSQL_GREETING "\x4a\0\0\0\x0a" "5.5.5-10.11.6-MariaDB\0" "\1\0\0\0" "abcdefgh\0\xfe\xff\x2d\2\0\xff\x81"
#define MYSQL_REQUEST "\x20\0\0\1\x85\xae\x3f\0\0\0\0\1\x2d" \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const struct transcript transcripts[] = {
	{ "smtp", 25, { { 'O', "220 mx.test ESMTP\r\n", 0 }, { 'A', "EHLO me\r\n", 0 },
		{ 'O', "250-mx.test\r\n250 STARTTLS\r\n", 0 }, { 'A', "STARTTLS\r\n", 0 }, { 'O', "220 go\r\n", 0 } } },
	{ "lmtp", 2003, { { 'O', "220 mx.test LMTP\r\n", 0 }, { 'A', "LHLO me\r\n", 0 },
		{ 'O', "250 STARTTLS\r\n", 0 }, { 'A', "STARTTLS\r\n", 0 }, { 'O', "220 go\r\n", 0 } } },
	{ "imap", 143, { { 'O', "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", 0 },
		{ 'A', "a1 starttls\r\n", 0 }, { 'O', "a1 OK begin\r\n", 0 } } },
	{ "pop3", 110, { { 'O', "+OK ready\r\n", 0 }, { 'A', "STLS\r\n", 0 }, { 'O', "+OK begin\r\n", 0 } } },
	{ "ftp", 21, { { 'O', "220 (vsFTPd 3.0.3)\r\n", 0 }, { 'A', "AUTH TLS\r\n", 0 }, { 'O', "234 Proceed.\r\n", 0 } } },
	{ "xmpp", 5222, { { 'A', "<?xml version='1.0'?><stream:stream to='a'>", 0 },
		{ 'O', "<stream:features><starttls/></stream:features>", 0 },
		{ 'A', "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", 0 }, { 'O', "<proceed/>", 0 } } },
	{ "ldap", 389, { { 'A', BINARY("0\x1d\2\1\1w\x18\x80\x16" "1.3.6.1.4.1.1466.20037") },
		{ 'O', BINARY("0\x0c\2\1\1x\7\x0a\1\0\4\0\4\0") } } },
	{ "postgresql", 5432, { { 'A', BINARY("\0\0\0\x08\x04\xd2\x16\x2f") }, { 'O', "S", 0 } } },
	{ "mysql", 3306, { { 'O', BINARY(MYSQL_GREETING) }, { 'A', BINARY(MYSQL_REQUEST) } } },
	{ "nntp", 119, { { 'O', "200 news.test ready\r\n", 0 }, { 'A', "STARTTLS\r\n", 0 }, { 'O', "382 go\r\n", 0 } } },
	{ "sieve", 4190, { { 'O', "\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n", 0 },
		{ 'A', "STARTTLS\r\n", 0 }, { 'O', "OK\r\n", 0 } } },
	{ "connect", 3128, { { 'A', "CONNECT a.test:443 HTTP/1.1\r\n\r\n", 0 }, { 'O', "HTTP/1.1 200 OK\r\n\r\n", 0 } } },
	{ "", 7777, { { 'A', "upgrade?\n", 0 }, { 'O', "yes\n", 0 } } },
	{ "", 443, { { 0, NULL, 0 } } },
};

// Shows a turn in pieces of `each` bytes.
static void show(struct starttls *starttls, const struct turn *turn, size_t each)
{
	size_t size = turn->size ? turn->size : strlen(turn->bytes), begin = 0, end = 0, hello;

	while (end < size) {
		enum starttls_verdict verdict;

		end = size - end < each ? size : end + each;
		verdict = turn->who == 'O' ? starttls_origin(starttls, turn->bytes + begin, end - begin) :
					     starttls_app(starttls, turn->bytes + begin, end - begin, &hello);
		if (verdict == STARTTLS_HELD) {
			assert_int_equal(hello, 0);
			continue;
		}
		assert_int_equal(verdict, STARTTLS_CLEAR);
		begin = end;
	}
	assert_int_equal(begin, size);
}

static void sees_each_in_all_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(transcripts) / sizeof(*transcripts); i++) {
		for (size_t each = 1; each <= 128; each++) {
			struct starttls starttls = starttls_open(transcripts[i].port);
			size_t hello;

			for (const struct turn *turn = transcripts[i].turns; turn->who; turn++)
				show(&starttls, turn, each);
			for (size_t end = each; end < sizeof(hello_wire); end += each) {
				assert_int_equal(starttls_app(&starttls, hello_wire, end, &hello), STARTTLS_HELD);
				assert_int_equal(hello, 0);
			}
			assert_int_equal(starttls_app(&starttls, hello_wire, sizeof(hello_wire), &hello), STARTTLS_HELLO);
			assert_int_equal(hello, 0);
			assert_string_equal(starttls_protocol(&starttls), transcripts[i].name);
			assert_int_equal(starttls_app(&starttls, "x", 1, &hello), STARTTLS_NEVER);
		}
	}
}

// The app's SSLRequest and hello in one piece, the hello whole or not.
static void sees_mysql_in_one_piece(void **state)
{
	enum { REQUEST = sizeof(MYSQL_REQUEST) - 1 };
	uint8_t both[REQUEST + sizeof(hello_wire)];

	(void)state;
	assert_int_equal(REQUEST, 36);
	memcpy(both, MYSQL_REQUEST, REQUEST);
	memcpy(both + REQUEST, hello_wire, sizeof(hello_wire));
	for (size_t cut = REQUEST + 1; cut <= sizeof(both); cut++) {
		struct starttls starttls = starttls_open(0);
		size_t hello;

		starttls_origin(&starttls, MYSQL_GREETING, sizeof(MYSQL_GREETING) - 1);
		assert_int_equal(starttls_app(&starttls, both, cut, &hello),
				 cut == sizeof(both) ? STARTTLS_HELLO : STARTTLS_HELD);
		assert_int_equal(hello, REQUEST);
		if (cut < sizeof(both)) {
			assert_int_equal(starttls_app(&starttls, both + REQUEST, sizeof(hello_wire), &hello), STARTTLS_HELLO);
			assert_int_equal(hello, 0);
		}
	}
}

// A login without CLIENT_SSL, and an SSLRequest that no greeting asked for.
static void leaves_other_mysql_alone(void **state)
{
	char login[] = MYSQL_REQUEST;
	struct starttls starttls = starttls_open(3306);
	size_t hello;

	(void)state;
	assert_int_equal(starttls_app(&starttls, login, 36, &hello), STARTTLS_CLEAR);
	assert_string_equal(starttls_protocol(&starttls), "");
	starttls = starttls_open(3306);
	login[5] &= ~8;
	starttls_origin(&starttls, MYSQL_GREETING, sizeof(MYSQL_GREETING) - 1);
	assert_int_equal(starttls_app(&starttls, login, 36, &hello), STARTTLS_CLEAR);
	assert_int_equal(starttls_app(&starttls, hello_wire, sizeof(hello_wire), &hello), STARTTLS_CLEAR);
}

// In the middle of a turn it is data, and so is what was let go.
static void looks_only_at_boundaries(void **state)
{
	struct starttls starttls = starttls_open(0);
	size_t hello;

	(void)state;
	assert_int_equal(starttls_app(&starttls, "data", 4, &hello), STARTTLS_CLEAR);
	assert_int_equal(starttls_app(&starttls, hello_wire, sizeof(hello_wire), &hello), STARTTLS_CLEAR);
	starttls_origin(&starttls, "more", 4);
	assert_int_equal(starttls_app(&starttls, "\x16", 1, &hello), STARTTLS_HELD);
	assert_int_equal(starttls_app(&starttls, "\x16x", 2, &hello), STARTTLS_CLEAR);
	starttls_origin(&starttls, "more", 4);
	assert_int_equal(starttls_app(&starttls, "\x16", 1, &hello), STARTTLS_HELD);
	starttls_origin(&starttls, "early", 5);
	assert_int_equal(starttls_app(&starttls, "", 0, &hello), STARTTLS_HELD);
	assert_int_equal(starttls_release(&starttls, "\x16", 1), STARTTLS_CLEAR);
	assert_int_equal(starttls_app(&starttls, hello_wire, sizeof(hello_wire), &hello), STARTTLS_CLEAR);
}

static void ends_its_watch(void **state)
{
	static const char bulk[STARTTLS_WINDOW];
	struct starttls starttls = starttls_open(0);
	size_t hello;

	(void)state;
	assert_int_equal(starttls_origin(&starttls, bulk, sizeof(bulk)), STARTTLS_CLEAR);
	assert_int_equal(starttls_app(&starttls, "x", 1, &hello), STARTTLS_NEVER);
	assert_int_equal(starttls_origin(&starttls, "x", 1), STARTTLS_NEVER);
	starttls = starttls_open(0);
	for (int i = 0; i < STARTTLS_TURNS; i++) {
		assert_int_equal(starttls_app(&starttls, "x", 1, &hello), STARTTLS_CLEAR);
		assert_int_equal(starttls_origin(&starttls, "x", 1), STARTTLS_CLEAR);
	}
	assert_int_equal(starttls_app(&starttls, "x", 1, &hello), STARTTLS_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_each_in_all_cuts),
		cmocka_unit_test(sees_mysql_in_one_piece),
		cmocka_unit_test(leaves_other_mysql_alone),
		cmocka_unit_test(looks_only_at_boundaries),
		cmocka_unit_test(ends_its_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
