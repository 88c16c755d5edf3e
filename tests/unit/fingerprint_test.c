// SPDX-License-Identifier: GPL-3.0-or-later
// fingerprint_test - hellos off the wire against what tshark says of them, and the
// examples of the specifications.
//
// The hellos were captured between openssl or curl and openssl s_server; JA3 and
// JA3S are tshark 4.0's words, JA4 and JA4S those of a separate reading of the
// specification.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tls/fingerprint.h"

enum { ROOM = 4096 };

struct vector {
	const char *name, *wire, *ja3, *ja4;
};

static const struct vector apps[] = {
	{ "openssl s_client, TLS 1.3",
		"160301014801000144030369c299653ef443b1be84daf64043e3950863d3cf639bde9544f71452331d7fe620e1c48bba"
		"8a4ec8bd253bb9a50c944a0137726e64ef0a205d65b6fea150643ad7003e130213031301c02cc030009fcca9cca8ccaa"
		"c02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000bd"
		"0000000e000c0000096c6f63616c686f7374000b000403000102000a00160014001d0017001e00190018010001010102"
		"01030104002300000010000e000c02683208687474702f312e310016000000170000000d002a00280403050306030807"
		"08080809080a080b080408050806040105010601030303010302040205020602002b0009080304030303020301002d00"
		"020101003300260024001d002078bf19a3a6dc1983e1e863d8b3e229df9a9606c77520f8fac433ab1c1836d154",
		"5a1edc7f170af1014fc65c994878e63c", "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4" },
	{ "openssl s_client, TLS 1.2, no SNI",
		"16030100b7010000b30303791c8edaf01a77eaf03e7c3472f26ccfedfee110ba7a9e7f7836b8770a5c96df000038c02c"
		"c030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c"
		"0035002f00ff01000052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d"
		"002a0028040305030603080708080809080a080b080408050806040105010601030303010302040205020602",
		"fbe7e189e37a07ee33706f86bc746344", "t12i280600_d943125447b4_e7e480e5a997" },
	{ "openssl s_client, TLS 1.2, ALPN",
		"16030100d8010000d40303906fe749e117e6fc2d17b16505173f9cc6b4b4ba590eaa3854ce39ec01250c32000038c02c"
		"c030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c"
		"0035002f00ff010000730000000e000c0000096c6f63616c686f7374000b000403000102000a000c000a001d0017001e"
		"00190018002300000010000b000908687474702f312e310016000000170000000d002a00280403050306030807080808"
		"09080a080b080408050806040105010601030303010302040205020602",
		"22558766122974704364c9c75c5cce0a", "t12d2808h1_d943125447b4_e7e480e5a997" },
	{ "openssl s_client, P-521",
		"16030101430100013f03038f1ee5cc9f3c18c4778c0ccdbde8c9c3e826709a24aa5a9f4a77f30e24b3029f20f984f496"
		"00dc84cd07696955770a71edeb579859d563c21a1132239302553b80000813021303130100ff010000ee0000000e000c"
		"0000096c6f63616c686f7374000b000403000102000a0006000400190017002300000016000000170000000d001e001c"
		"040305030603080708080809080a080b080408050806040105010601002b0003020304002d000201010033008b008900"
		"1900850400add7f69c40a609875ffeb42be31de5f44f42e0d7426999b9e221679a19334bb4d6782fb7cc20066bcb21e3"
		"32c159be173281fa8d4626dc843547c2225933110c77008d02313da83698ee331476f3068e86806f6af751dedf61ffc4"
		"5002c20d1ec38054704c22c65775595a8bfae88ede960720a0fff2210e2628d670e95b911d12b268",
		"a546be7805df8666dd27151a171a7121", "t13d041000_16476d049b0b_78f1d400d464" },
	{ "curl",
		"1603010200010001fc030339e857f16049d34914fb8cac7f6d3804b9ad805572bf83be3c0dcb69d0f3741720acea330b"
		"71dcf301147e0db057c8f4714029d004f2b775bc9438011e8687c537003e130213031301c02cc030009fcca9cca8ccaa"
		"c02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff01000175"
		"0000000e000c0000096c6f63616c686f7374000b000403000102000a00160014001d0017001e00190018010001010102"
		"010301040010000e000c02683208687474702f312e31001600000017000000310000000d002a00280403050306030807"
		"08080809080a080b080408050806040105010601030303010302040205020602002b0009080304030303020301002d00"
		"020101003300260024001d00209d8c47e24988230be04afa91d7ff3d962a3777022cbcdba6ae0f3cc8a1ca3c38001500"
		"b40000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		"00000000000000000000000000000000000000000000000000000000000000000000000000",
		"0149f47eabf9a20d0893e2a44e5a6323", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6" },
};

static const struct vector origins[] = {
	{ "openssl s_client, TLS 1.3",
		"160303007a0200007603039d707c95ca4f41581b3354d93b40efffc1e5763eebcdc211ef610b8a3cf19b5820e1c48bba"
		"8a4ec8bd253bb9a50c944a0137726e64ef0a205d65b6fea150643ad7130200002e002b0002030400330024001d002000"
		"87da164a58127a11992ea76e7d31c38b95e6f439483b77153caa8c7400c32f",
		"15af977ce25de452b96affa2addb1036", "t130200_1302_a56c5b993250" },
	{ "openssl s_client, TLS 1.2, no SNI",
		"16030300410200003d030362dc9f594fd8e11e95b7d918f31d8af0e0933ae383fa00b9444f574e4752440100c02c0000"
		"15ff01000100000b0004030001020023000000170000",
		"abade5a4a7f42baf54766e5d108283b6", "t120400_c02c_12a20535f9be" },
	{ "openssl s_client, TLS 1.2, ALPN",
		"16030300500200004c0303f15df16256c1981380857815d7d0f61b04da46415ed32de7444f574e4752440100c02c0000"
		"24ff01000100000b000403000102002300000010000b000908687474702f312e3100170000",
		"e195432758194ce2d482396b82e0d48e", "t1205h1_c02c_1ece00aee4e9" },
	{ "openssl s_client, P-521",
		"16030300df020000db0303ed9211202fbb64521c71a3b03095b326c2d06e03f6eedf6c2ab753dbf7a2a9b720f984f496"
		"00dc84cd07696955770a71edeb579859d563c21a1132239302553b801302000093002b00020304003300890019008504"
		"0094c90db9a0576be274a7fd0ddb3c2db972813de71b5eba64056c0558a8dd879fff858613bc43988ee796d0d361c7b7"
		"56a1b9bead958cf66e222dcce92824715a7c00cbafe1f4401939af231628bb14701f0153cc85092846f86b175712d6cf"
		"fd274ffa5bee3fc2a7cc5eb396bdf5c1dbbcd2c51b0dc13e14a8a02d60b80f4b2a40e2d6",
		"15af977ce25de452b96affa2addb1036", "t130200_1302_a56c5b993250" },
	{ "curl",
		"160303007a020000760303393f5f6bea5462a662caa61460ca79607d64e5e741f8be21fedfe649880eb11920acea330b"
		"71dcf301147e0db057c8f4714029d004f2b775bc9438011e8687c537130200002e002b0002030400330024001d002070"
		"915c0534d1a0fbf6c7fad7eb11e909b05ed3e82dd7e8f6ee4efcc95f4baa77",
		"15af977ce25de452b96affa2addb1036", "t130200_1302_a56c5b993250" },
};

static size_t unhex(const char *text, uint8_t *out)
{
	size_t size = strlen(text) / 2;

	assert_true(size <= ROOM);
	for (size_t i = 0; i < size; i++) {
		unsigned value;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &value), 1);
		out[i] = value;
	}
	return size;
}

// The one record at `wire` in records of `each` bytes.
static size_t cut(const uint8_t *wire, size_t size, size_t each, uint8_t *out)
{
	uint8_t *to = out;

	for (size_t done = 5; done < size; done += each) {
		size_t part = size - done < each ? size - done : each;

		memcpy(to, wire, 3);
		to[3] = part >> 8;
		to[4] = part & 255;
		memcpy(to + 5, wire + done, part);
		to += 5 + part;
	}
	return to - out;
}

static void knows_apps(void **state)
{
	uint8_t wire[ROOM], pieces[6 * ROOM];

	(void)state;
	for (size_t i = 0; i < sizeof(apps) / sizeof(*apps); i++) {
		struct fingerprint_app out = { 0 };
		size_t size = unhex(apps[i].wire, wire);

		for (size_t part = 0; part < size; part++)
			assert_int_equal(fingerprint_app(wire, part, &out), HELLO_MORE);
		assert_int_equal(fingerprint_app(wire, size, &out), HELLO_WHOLE);
		assert_string_equal(out.ja3, apps[i].ja3);
		assert_string_equal(out.ja4, apps[i].ja4);
		memset(&out, 0, sizeof(out));
		size = cut(wire, size, 1, pieces);
		assert_int_equal(fingerprint_app(pieces, size, &out), HELLO_WHOLE);
		assert_string_equal(out.ja3, apps[i].ja3);
		assert_string_equal(out.ja4, apps[i].ja4);
	}
}

static void knows_origins(void **state)
{
	uint8_t wire[ROOM], pieces[6 * ROOM];

	(void)state;
	for (size_t i = 0; i < sizeof(origins) / sizeof(*origins); i++) {
		struct fingerprint_origin out = { 0 };
		size_t size = unhex(origins[i].wire, wire);

		for (size_t part = 0; part < size; part++)
			assert_int_equal(fingerprint_origin(wire, part, &out), HELLO_MORE);
		assert_int_equal(fingerprint_origin(wire, size, &out), HELLO_WHOLE);
		assert_string_equal(out.ja3s, origins[i].ja3);
		assert_string_equal(out.ja4s, origins[i].ja4);
		memset(&out, 0, sizeof(out));
		size = cut(wire, size, 7, pieces);
		assert_int_equal(fingerprint_origin(pieces, size, &out), HELLO_WHOLE);
		assert_string_equal(out.ja4s, origins[i].ja4);
	}
}

// --- made up --------------------------------------------------------------------

// A hello of one record around `suites` (with their length, and what is behind
// them) and `extensions` (without).
static size_t build(uint8_t type, const char *suites, const char *extensions, uint8_t *out)
{
	uint8_t *at = out + 9;
	size_t size;

	*at++ = 3;
	*at++ = 3;
	memset(at, 0x11, 32);
	at += 32;
	*at++ = 0;
	at += unhex(suites, at);
	size = unhex(extensions, at + 2);
	*at++ = size >> 8;
	*at++ = size & 255;
	at += size;
	size = at - out - 9;
	memcpy(out, (uint8_t[]){ 22, 3, 3, (size + 4) >> 8, (size + 4) & 255, type, 0, size >> 8, size & 255 }, 9);
	return at - out;
}

// JA4's own example, its lists out of order and with GREASE between.
static void knows_the_example_of_ja4(void **state)
{
	static const char suites[] = "0020" "6a6a" "1301" "1302" "1303" "c02b" "c02f" "c02c" "c030" "cca9" "cca8"
		"c013" "c014" "009c" "009d" "002f" "0035" "0100";
	static const char extensions[] =
		"fafa0000" "001b0000" "00000000" "003300020000" "0010000e000c02683208687474702f312e31"
		"44690000" "00170000" "002d0000"
		"000d00140012" "7a7a" "0403" "0804" "0401" "0503" "0805" "0501" "0806" "0601"
		"00050000" "00230000" "00120000" "002b0007060a0a03040303" "ff010000" "000b00020100"
		"000a00060004" "2a2a" "001d" "00150000";
	struct fingerprint_app out;
	uint8_t wire[ROOM];

	(void)state;
	// hello_read() refuses an empty server_name: one with a name.
	char with_name[sizeof(extensions) + 64], *name;
	strcpy(with_name, extensions);
	name = strstr(with_name, "00000000" "0033");
	snprintf(name, with_name + sizeof(with_name) - name, "%s%s", "0000000600040000" "0161",
		 strstr(extensions, "00000000" "0033") + 8);
	assert_int_equal(fingerprint_app(wire, build(1, suites, with_name, wire), &out), HELLO_WHOLE);
	assert_string_equal(out.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

static void knows_the_example_of_ja4s(void **state)
{
	struct fingerprint_origin out;
	uint8_t wire[ROOM];

	(void)state;
	assert_int_equal(fingerprint_origin(wire, build(2, "c03000", "00050000" "00170000" "ff010000" "00000000", wire),
					    &out), HELLO_WHOLE);
	assert_string_equal(out.ja4s, "t120400_c030_4e8089b08790");
}

static void names_protocols(void **state)
{
	static const struct { const char *extension, *name; } table[] = {
		{ "00100004" "0002" "0168", "hh" }, { "00100004" "0002" "01ab", "ab" },
		{ "00100005" "0003" "02abcd", "ad" }, { "00100005" "0003" "0230ab", "3b" },
		{ "00100005" "0003" "022d61", "21" },
	};
	struct fingerprint_app out;
	uint8_t wire[ROOM];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		assert_int_equal(fingerprint_app(wire, build(1, "0002c02b0100", table[i].extension, wire), &out), HELLO_WHOLE);
		assert_memory_equal(out.ja4 + 8, table[i].name, 2);
		// ALPN alone is counted and not hashed.
		assert_string_equal(out.ja4 + 23, "_000000000000");
	}
}

static void waits_behind_a_retry(void **state)
{
	static const char retry[] = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
	uint8_t wire[2 * ROOM];
	struct fingerprint_origin out;
	size_t first = build(2, "130100", "002b00020304" "003300020017", wire), size;

	(void)state;
	unhex(retry, wire + 11);
	assert_int_equal(fingerprint_origin(wire, first, &out), HELLO_MORE);
	memcpy(wire + first, (uint8_t[]){ 20, 3, 3, 0, 1, 1 }, 6);
	assert_int_equal(fingerprint_origin(wire, first + 6, &out), HELLO_MORE);
	size = first + 6 + build(2, "c03000", "00050000" "00170000" "ff010000" "00000000", wire + first + 6);
	assert_int_equal(fingerprint_origin(wire, size, &out), HELLO_WHOLE);
	assert_string_equal(out.ja4s, "t120400_c030_4e8089b08790");
}

static void says_no(void **state)
{
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 40 };
	struct fingerprint_origin origin;
	struct fingerprint_app app;
	uint8_t wire[ROOM];

	(void)state;
	assert_int_equal(fingerprint_origin(alert, 1, &origin), HELLO_NOT);
	assert_int_equal(fingerprint_origin(alert, sizeof(alert), &origin), HELLO_NOT);
	assert_int_equal(fingerprint_origin("220 hello", 9, &origin), HELLO_NOT);
	assert_int_equal(fingerprint_app("EHLO", 4, &app), HELLO_NOT);
	// Groups longer than their extension.
	assert_int_equal(fingerprint_app(wire, build(1, "0002c02b0100", "000a00020004", wire), &app), HELLO_NOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_apps),
		cmocka_unit_test(knows_origins),
		cmocka_unit_test(knows_the_example_of_ja4),
		cmocka_unit_test(knows_the_example_of_ja4s),
		cmocka_unit_test(names_protocols),
		cmocka_unit_test(waits_behind_a_retry),
		cmocka_unit_test(says_no),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
