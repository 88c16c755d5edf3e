// SPDX-License-Identifier: GPL-3.0-or-later
// names_test - names from DNS answers: RFC 1035 section 4.

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/names.h"

// www.example.com: a CNAME to example.com, then its A 192.0.2.80
static const uint8_t answer[] = {
	0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0,
	3, 'w', 'w', 'w', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1,
	0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 16,
	0xc0, 16, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80,
};

static char last[300];
static int count;

static void learned(void *context, const union address *address, const char *name)
{
	char host[ADDRESS_TEXT];

	(void)context;
	count++;
	snprintf(last, sizeof(last), "%s %s", address_host(address, host), name);
}

static union address host(const char *text, uint16_t port)
{
	union address a = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET, text, &a.v4.sin_addr), 1);
	return a;
}

static void keeps_the_name_that_was_asked_for(void **state)
{
	struct names *names = names_open();
	union address web = host("192.0.2.80", 443), other = host("192.0.2.81", 443);

	(void)state;
	count = 0;
	names_read(names, answer, sizeof(answer), learned, NULL);
	assert_int_equal(count, 1);
	assert_string_equal(last, "192.0.2.80 www.example.com");
	assert_string_equal(names_find(names, &web), "www.example.com");
	assert_null(names_find(names, &other));
	names_close(names);
}

static void queries_teach_nothing(void **state)
{
	struct names *names = names_open();
	uint8_t query[sizeof(answer)];

	(void)state;
	memcpy(query, answer, sizeof(query));
	query[2] = 0x01;
	count = 0;
	names_read(names, query, sizeof(query), learned, NULL);
	assert_int_equal(count, 0);
	names_close(names);
}

static void any_cut_or_flip_is_harmless(void **state)
{
	struct names *names = names_open();

	(void)state;
	for (size_t n = 0; n < sizeof(answer); n++) {
		uint8_t *exact = malloc(n + !n);
		assert_non_null(exact);
		memcpy(exact, answer, n);
		names_read(names, exact, n, learned, NULL);
		free(exact);
	}
	for (size_t n = 0; n < sizeof(answer); n++) {
		uint8_t flipped[sizeof(answer)];
		memcpy(flipped, answer, sizeof(answer));
		flipped[n] ^= 0xff;
		names_read(names, flipped, sizeof(flipped), learned, NULL);
	}
	names_close(names);
}

static void is_bounded(void **state)
{
	struct names *names = names_open();
	uint8_t many[sizeof(answer)];
	union address late = host("10.1.0.0", 0), early = host("10.0.0.1", 0);

	(void)state;
	memcpy(many, answer, sizeof(many));
	for (uint32_t i = 0; i <= 0x10000; i++) {
		uint32_t a = htonl(0x0a000000 + i);
		memcpy(many + sizeof(many) - 4, &a, 4);
		names_read(names, many, sizeof(many), learned, NULL);
	}
	assert_non_null(names_find(names, &early));
	assert_null(names_find(names, &late));
	names_close(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_name_that_was_asked_for),
		cmocka_unit_test(queries_teach_nothing),
		cmocka_unit_test(any_cut_or_flip_is_harmless),
		cmocka_unit_test(is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
