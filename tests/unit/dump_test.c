// SPDX-License-Identifier: GPL-3.0-or-later
// dump_test - rows of hex and text, and that no byte gets to a terminal raw.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pcap/dump.h"

static void as_tcpdump_does(void **state)
{
	static const char said[] = "GET /hello HTTP/1.1\r\n";
	char out[512];
	size_t used, n = dump_rows(out, sizeof(out), true, false, 0, (const uint8_t *)said, strlen(said), &used);

	(void)state;
	out[n] = 0;
	assert_int_equal(used, strlen(said));
	assert_string_equal(out, "> 0x0000:  4745 5420 2f68 656c 6c6f 2048 5454 502f  GET./hello.HTTP/\n"
				 "> 0x0010:  312e 310d 0a                             1.1..\n");
}

static void whole_rows_go_on_where_they_stopped(void **state)
{
	uint8_t bytes[100];
	char out[2 * (DUMP_ROW + 1)];
	size_t used;

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	size_t n = dump_rows(out, sizeof(out) - 1, false, false, 0x12340, bytes, sizeof(bytes), &used);
	assert_int_equal(used % DUMP_BYTES, 0);
	assert_true(used && used < sizeof(bytes));
	assert_memory_equal(out, "< 0x12340:  6161", 16);
	assert_int_equal(out[n - 1], '\n');
	assert_int_equal(dump_rows(out, DUMP_ROW, false, false, 0, bytes, sizeof(bytes), &used), 0);
	assert_int_equal(used, 0);
}

static void every_byte_is_printable(void **state)
{
	uint8_t bytes[256];
	char out[17 * (DUMP_ROW + 1)];
	size_t used;

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	size_t n = dump_rows(out, sizeof(out), true, false, UINT64_MAX - 8, bytes, sizeof(bytes), &used);
	assert_int_equal(used, 256);
	for (size_t i = 0; i < n; i++)
		assert_true(out[i] == '\n' || (out[i] >= ' ' && out[i] < 127));
}

static void each_row_ends_its_colour(void **state)
{
	uint8_t bytes[32] = {0};
	char out[3 * (DUMP_ROW + 1)];
	size_t used, rows = 0;
	size_t n = dump_rows(out, sizeof(out), false, true, UINT64_MAX - 64, bytes, sizeof(bytes), &used);

	(void)state;
	assert_int_equal(used, 32);
	out[n] = 0;
	for (char *line = out, *end; (end = strchr(line, '\n')); line = end + 1, rows++) {
		assert_memory_equal(line, "\x1b[36m< ", 7);
		assert_memory_equal(end - 4, "\x1b[0m", 4);
	}
	assert_int_equal(rows, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_tcpdump_does),
		cmocka_unit_test(whole_rows_go_on_where_they_stopped),
		cmocka_unit_test(every_byte_is_printable),
		cmocka_unit_test(each_row_ends_its_colour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
