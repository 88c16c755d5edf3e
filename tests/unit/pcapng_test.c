// SPDX-License-Identifier: GPL-3.0-or-later
// pcapng_test - the encoders' bytes against what the formats' texts say.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pcap/blocks.h"
#include "pcap/checksum.h"
#include "pcap/classic.h"
#include "pcap/frame.h"
#include "pcap/hold.h"
#include "pcap/names.h"
#include "pcap/pcapng.h"
#include "pcap/text.h"
#include "tests/unit/pcapng_walk.h"

#define LE32(n) (n) & 0xff, (n) >> 8 & 0xff, (n) >> 16 & 0xff, (n) >> 24 & 0xff

// Blocks are in the machine's order; the tables below are little-endian.
static int skip_on_big_endian(void)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	skip();
#endif
	return 0;
}

static void expect_bytes(struct blocks *blocks, const uint8_t *bytes, size_t size)
{
	skip_on_big_endian();
	assert_int_equal(blocks->size, size);
	assert_memory_equal(blocks->bytes, bytes, size);
	blocks_free(blocks);
}

static void section_block(void **state)
{
	static const uint8_t expected[] = {
		0x0a, 0x0d, 0x0d, 0x0a, LE32(64), 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		1, 0, 5, 0, 'c', 'u', 'r', 'l', 's', 0, 0, 0,
		3, 0, 5, 0, 'L', 'i', 'n', 'u', 'x', 0, 0, 0,
		4, 0, 4, 0, 't', 'e', 's', 't',
		0, 0, 0, 0, LE32(64),
	};
	struct pcapng_section section = { .comment = "curls", .os = "Linux", .application = "test" };
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_section(&blocks, &section), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void section_block_without_options(void **state)
{
	static const uint8_t expected[] = {
		0x0a, 0x0d, 0x0d, 0x0a, LE32(28), 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, LE32(28),
	};
	struct pcapng_section section = { 0 };
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_section(&blocks, &section), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void interface_block(void **state)
{
	static const uint8_t expected[] = {
		LE32(1), LE32(52), 0x14, 0x01, 0, 0, LE32(262144),
		2, 0, 7, 0, 'c', 'u', 'r', 'l', '[', '1', ']', 0,
		9, 0, 1, 0, 9, 0, 0, 0,
		11, 0, 4, 0, 0, 't', 'c', 'p',
		0, 0, 0, 0, LE32(52),
	};
	struct pcapng_interface interface = {
		.linktype = SLL2_LINKTYPE, .snaplen = FRAME_MOST, .name = "curl[1]", .filter = "tcp",
	};
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_interface(&blocks, &interface), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void process_block(void **state)
{
	static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	static const uint8_t expected[] = {
		0x01, 0, 0, 0x80, LE32(48), LE32(4123),
		2, 0, 4, 0, 'c', 'u', 'r', 'l',
		4, 0, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		0, 0, 0, 0, LE32(48),
	};
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_process(&blocks, 4123, "curl", uuid), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void packet_block(void **state)
{
	static const uint8_t expected[] = {
		LE32(6), LE32(88), LE32(2), LE32(0x01020304), LE32(0x05060708), LE32(25), LE32(25),
		0x08, 0x00, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x45, 1, 2, 3, 4, 0, 0, 0,
		1, 0, 2, 0, 'h', 'i', 0, 0,
		2, 0, 4, 0, LE32(2),
		0x01, 0x80, 4, 0, LE32(1),
		0, 0, 0, 0, LE32(88),
	};
	static const uint8_t ip[] = { 0x45, 1, 2, 3, 4 };
	struct iovec iov[2] = { { (void *)ip, 2 }, { (void *)(ip + 2), 3 } };
	struct frame frame = {
		.time = 0x0102030405060708, .iov = iov, .count = 2, .size = 5, .kept = 5,
	};
	struct pcapng_packet packet = {
		.interface = 2, .process = 1, .outgoing = true, .comment = "hi",
	};
	struct blocks blocks = { 0 };

	(void)state;
	frame_link(&frame, SLL2_LINKTYPE, true, -1, "");
	assert_int_equal(pcapng_packet(&blocks, &packet, &frame), 0);
	assert_int_equal(blocks.packets, 1);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void secrets_block(void **state)
{
	static const uint8_t expected[] = {
		LE32(10), LE32(24), 'K', 'S', 'L', 'T', LE32(3), 'a', ' ', '\n', 0, LE32(24),
	};
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_secrets(&blocks, "a \n", 3), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void name_block(void **state)
{
	static const uint8_t expected[] = {
		LE32(4), LE32(36), 1, 0, 14, 0, 127, 0, 0, 1,
		'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0, 0, 0,
		0, 0, 0, 0, LE32(36),
	};
	static const uint8_t address[] = { 127, 0, 0, 1 };
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_name(&blocks, address, 4, "localhost"), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

// The draft's example of isb_starttime, in units of ns.
static void statistics_block(void **state)
{
	static const uint8_t expected[] = {
		LE32(5), LE32(88), LE32(1), 0x97, 0xc3, 0x04, 0x00, 0xaa, 0x47, 0xca, 0x64,
		2, 0, 8, 0, 0x96, 0xc3, 0x04, 0x00, 0x73, 0x89, 0x6a, 0x65,
		3, 0, 8, 0, 0x97, 0xc3, 0x04, 0x00, 0xaa, 0x47, 0xca, 0x64,
		4, 0, 8, 0, LE32(100), LE32(0),
		5, 0, 8, 0, LE32(0), LE32(0),
		6, 0, 8, 0, LE32(99), LE32(0),
		0, 0, 0, 0, LE32(88),
	};
	struct pcapng_statistics statistics = {
		.interface = 1, .first = 0x0004c396656a8973, .last = 0x0004c39764ca47aa,
		.received = 100, .accepted = 99,
	};
	struct blocks blocks = { 0 };

	(void)state;
	assert_int_equal(pcapng_statistics(&blocks, &statistics), 0);
	expect_bytes(&blocks, expected, sizeof(expected));
}

static void classic_bytes(void **state)
{
	static const uint8_t expected[] = {
		0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, LE32(0), LE32(0), LE32(262144), LE32(276),
		LE32(7), LE32(5), LE32(22), LE32(24),
		0x86, 0xdd, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x60, 1,
	};
	static const uint8_t ip[] = { 0x60, 1, 2, 3 };
	struct iovec iov = { (void *)ip, 4 };
	struct frame frame = {
		.time = 7000000005, .iov = &iov, .count = 1, .size = 4, .kept = 2,
	};
	struct blocks blocks = { 0 };
	struct classic *classic;

	(void)state;
	frame_link(&frame, SLL2_LINKTYPE, false, -1, "");
	assert_int_equal(classic_open(&classic, &blocks, SLL2_LINKTYPE, FRAME_MOST), 0);
	assert_int_equal(classic_packet(classic, &blocks, &frame), 0);
	classic_close(classic);
	assert_int_equal(blocks.packets, 1);
	expect_bytes(&blocks, expected, sizeof(expected));
}

// An option holds 65,535 bytes at most; what is longer is cut, not wrapped.
static void long_text_is_cut(void **state)
{
	char *comment = malloc(200001);
	struct pcapng_section section = { .comment = comment };
	struct blocks blocks = { 0 };
	size_t size = 0;

	(void)state;
	memset(comment, 'x', 200000);
	comment[200000] = 0;
	assert_int_equal(pcapng_section(&blocks, &section), 0);

	struct walk walk = { .bytes = blocks.bytes, .size = blocks.size };
	assert_true(walk_next(&walk));
	assert_non_null(walk_option(&walk, 1, &size));
	assert_int_equal(size, 65532);
	free(comment);
	blocks_free(&blocks);
}

static void text_is_made_clean(void **state)
{
	static const struct { const char *from, *to; } table[] = {
		{ "plain", "plain" },
		{ "two\nlines", "two\nlines" },
		{ "\x1b[31m\x7f", "?[31m?" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xff\xc3", "??" },			// never; cut short
		{ "\xc0\xaf", "??" },			// too long a form
		{ "\xe0\x80\x80", "???" },
		{ "\xed\xa0\x80", "???" },		// a surrogate
		{ "\xf4\x90\x80\x80", "????" },		// past U+10FFFF
		{ "\xe2\x82z", "??z" },
	};
	char clean[64];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		size_t size = strlen(table[i].from);

		assert_int_equal(size, strlen(table[i].to));
		text_clean(clean, table[i].from, size);
		assert_memory_equal(clean, table[i].to, size);
	}
	assert_int_equal(text_cut("ab\xc3\xa9", 4), 4);
	assert_int_equal(text_cut("ab\xc3\xa9", 3), 2);
	assert_int_equal(text_cut("ab\xe2\x82\xac", 4), 2);
	assert_int_equal(text_cut("abc", 3), 3);
}

// The example of RFC 1071 section 3: the sum is ddf2.
static void checksum_of_the_rfc(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	static const uint8_t answer[] = { 0x22, 0x0d };
	struct checksum sum = { 0 };

	(void)state;
	checksum_add(&sum, bytes, sizeof(bytes));
	uint16_t word = checksum_word(&sum, CHECKSUM_UDP);
	assert_memory_equal(&word, answer, 2);
}

// One packet in 65,536: UDP has no 0, TCP and ICMP have no 0xffff.
static void checksum_of_nothing_left(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff };
	struct checksum sum = { 0 };

	(void)state;
	checksum_add(&sum, bytes, sizeof(bytes));
	assert_int_equal(checksum_word(&sum, CHECKSUM_UDP), 0xffff);
	assert_int_equal(checksum_word(&sum, 16), 0);
	assert_int_equal(checksum_word(&sum, 2), 0);
}

static uint16_t slow_checksum(const uint8_t *bytes, size_t size)
{
	uint32_t sum = 0;
	uint8_t answer[2];
	uint16_t word;

	for (size_t i = 0; i < size; i++) {
		sum += i & 1 ? bytes[i] : bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	sum = ~sum & 0xffff;
	sum += !sum * 0xffff;
	answer[0] = sum >> 8;
	answer[1] = sum;
	memcpy(&word, answer, 2);
	return word;
}

static void checksum_in_any_pieces(void **state)
{
	uint8_t bytes[1000], copy[1001];

	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		size_t size = rand() % sizeof(bytes), done = 0;
		struct checksum sum = { 0 };

		for (size_t i = 0; i < size; i++)
			bytes[i] = round % 3 ? rand() : round % 2 ? 0xff : 0;
		while (done < size) {
			size_t n = 1 + rand() % (size - done);
			if (rand() % 2) {
				copy[done + n] = 0x5a;
				checksum_copy(&sum, copy + done, bytes + done, n);
				assert_memory_equal(copy + done, bytes + done, n);
				assert_int_equal(copy[done + n], 0x5a);
			} else {
				checksum_add(&sum, bytes + done, n);
			}
			done += n;
		}
		assert_int_equal(checksum_word(&sum, CHECKSUM_UDP), slow_checksum(bytes, size));
	}
}

// No carry may be lost in 64 KB of the highest bytes.
static void checksum_of_a_super_packet(void **state)
{
	size_t size = 65535;
	uint8_t *bytes = malloc(2 * size);
	struct checksum sum = { 0 };

	(void)state;
	memset(bytes, 0xff, size);
	checksum_add(&sum, bytes, size);
	assert_int_equal(checksum_word(&sum, CHECKSUM_UDP), slow_checksum(bytes, size));
	sum = (struct checksum){ 0 };
	checksum_copy(&sum, bytes + size, bytes, size);
	assert_int_equal(checksum_word(&sum, CHECKSUM_UDP), slow_checksum(bytes, size));
	free(bytes);
}

// A packet that asks for a checksum gets the same one whether it is kept whole
// or cut, in one piece or in many.
static void checksum_of_a_frame(void **state)
{
	uint8_t ip[101], whole[101];
	struct iovec one = { ip, 101 };
	struct iovec many[4] = { { ip, 21 }, { ip + 21, 0 }, { ip + 21, 2 }, { ip + 23, 78 } };

	(void)state;
	for (size_t i = 0; i < sizeof(ip); i++)
		ip[i] = i * 37 + 1;
	memcpy(whole, ip, sizeof(ip));
	uint16_t word = slow_checksum(ip + 20, 81);
	memcpy(whole + 26, &word, 2);

	for (int cut = 0; cut < 2; cut++) {
		for (int pieces = 0; pieces < 2; pieces++) {
			struct frame frame = { .link_size = SLL2_SIZE,
				.iov = pieces ? many : &one, .count = pieces ? 4 : 1,
				.size = 101, .kept = cut ? 60 : 101, .sum_start = 20, .sum_offset = 6,
			};
			struct pcapng_packet packet = { .process = -1 };
			struct blocks first = { 0 }, blocks = { 0 };

			assert_int_equal(pcapng_packet(&first, &packet, &frame), 0);
			assert_int_equal(blocks_append(&blocks, &first), 0);
			assert_int_equal(blocks_append(&blocks, &first), 0);
			assert_memory_equal(blocks.bytes + 28 + SLL2_SIZE, whole, frame.kept);
			assert_memory_equal(blocks.bytes + first.size + 28 + SLL2_SIZE, whole,
					    frame.kept);
			assert_int_equal(blocks.packets, 2);
			blocks_free(&first);
			blocks_free(&blocks);
		}
	}
}

// A caller's offsets that point outside are no reason to write there.
static void checksum_outside_is_left_alone(void **state)
{
	static const uint16_t table[][2] = { { 8, 0 }, { 7, 0 }, { 2, 5 }, { 65535, 65535 }, { 4, 65535 } };
	uint8_t ip[8] = { 0x45, 1, 2, 3, 4, 5, 6, 7 };
	struct iovec iov = { ip, 8 };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct frame frame = { .link_size = SLL2_SIZE,
			.iov = &iov, .count = 1, .size = 8, .kept = 8,
			.sum_start = table[i][0], .sum_offset = table[i][1],
		};
		struct pcapng_packet packet = { .process = -1 };
		struct blocks blocks = { 0 };

		assert_int_equal(pcapng_packet(&blocks, &packet, &frame), 0);
		assert_memory_equal(blocks.bytes + 28 + SLL2_SIZE, ip, 8);
		blocks_free(&blocks);
	}
}

static void whole_records(void **state)
{
	struct blocks blocks = { 0 };
	uint64_t packets;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_non_null(blocks_reserve(&blocks, 10));
		blocks_commit(&blocks, 10, i != 1);
	}
	assert_int_equal(blocks_whole(&blocks, 9, &packets), 0);
	assert_int_equal(packets, 0);
	assert_int_equal(blocks_whole(&blocks, 10, &packets), 10);
	assert_int_equal(packets, 1);
	assert_int_equal(blocks_whole(&blocks, 29, &packets), 20);
	assert_int_equal(packets, 1);
	assert_int_equal(blocks_whole(&blocks, 30, &packets), 30);
	assert_int_equal(packets, 2);
	blocks_free(&blocks);
}

static void held_flows_keep_their_order(void **state)
{
	struct hold *hold = hold_open();

	(void)state;
	assert_null(hold_oldest(hold));
	for (uint64_t flow = 1; flow <= 10000; flow++)
		assert_non_null(hold_add(hold, flow * 4096, flow));
	assert_int_equal(hold_count(hold), 10000);
	assert_int_equal(hold_add(hold, 4096, 99)->deadline, 1);
	assert_null(hold_find(hold, 1));
	for (uint64_t flow = 1; flow <= 10000; flow += 2)
		hold_remove(hold, hold_find(hold, flow * 4096));
	for (uint64_t flow = 2; flow <= 10000; flow += 2) {
		assert_int_equal(hold_oldest(hold)->flow, flow * 4096);
		hold_remove(hold, hold_oldest(hold));
	}
	assert_int_equal(hold_count(hold), 0);
	hold_add(hold, 7, 7);
	hold_close(hold);
	hold_close(NULL);
}

static void names_once(void **state)
{
	static struct capture_names names;
	uint8_t address[4] = { 10, 0, 0, 1 };

	(void)state;
	assert_true(capture_names_add(&names, address, 4, "a.example"));
	assert_false(capture_names_add(&names, address, 4, "a.example"));
	assert_true(capture_names_add(&names, address, 4, "b.example"));
	address[3] = 2;
	assert_true(capture_names_add(&names, address, 4, "a.example"));
	for (int i = 0; i < 3 * NAMES_MOST; i++) {
		address[1] = i >> 8;
		address[2] = i;
		capture_names_add(&names, address, 4, "c.example");
		assert_false(capture_names_add(&names, address, 4, "c.example"));
	}
	assert_true(names.count <= NAMES_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(section_block),
		cmocka_unit_test(section_block_without_options),
		cmocka_unit_test(interface_block),
		cmocka_unit_test(process_block),
		cmocka_unit_test(packet_block),
		cmocka_unit_test(secrets_block),
		cmocka_unit_test(name_block),
		cmocka_unit_test(statistics_block),
		cmocka_unit_test(classic_bytes),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(text_is_made_clean),
		cmocka_unit_test(checksum_of_the_rfc),
		cmocka_unit_test(checksum_of_nothing_left),
		cmocka_unit_test(checksum_in_any_pieces),
		cmocka_unit_test(checksum_of_a_super_packet),
		cmocka_unit_test(checksum_of_a_frame),
		cmocka_unit_test(checksum_outside_is_left_alone),
		cmocka_unit_test(whole_records),
		cmocka_unit_test(held_flows_keep_their_order),
		cmocka_unit_test(names_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
