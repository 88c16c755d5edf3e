// SPDX-License-Identifier: GPL-3.0-or-later
// packet_test - views of packets built by hand, and cut anywhere.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/packet.h"

// 192.0.2.1:40000 to 198.51.100.7:443, SYN, no options, no payload
static const uint8_t syn4[] = {
	0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7,
	0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
};

// [2001:db8::1]:5353 to [2001:db8::2]:53 behind a destination options header, 3 bytes
static const uint8_t udp6[] = {
	0x60, 0, 0, 0, 0, 19, 60, 64,
	0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	17, 0, 1, 4, 0, 0, 0, 0,
	0x14, 0xe9, 0, 53, 0, 11, 0, 0, 'a', 'b', 'c',
};

static void reads_tcp(void **state)
{
	struct packet p;
	char text[ADDRESS_TEXT];

	(void)state;
	assert_int_equal(packet_read(&p, syn4, sizeof(syn4)), 0);
	assert_int_equal(p.protocol, IPPROTO_TCP);
	assert_int_equal(p.tcp_flags, TH_SYN);
	assert_string_equal(address_text(&p.from, text), "192.0.2.1:40000");
	assert_string_equal(address_text(&p.to, text), "198.51.100.7:443");
	assert_int_equal(p.payload_size, 0);
}

static void reads_udp_behind_extensions(void **state)
{
	struct packet p;
	char text[ADDRESS_TEXT];

	(void)state;
	assert_int_equal(packet_read(&p, udp6, sizeof(udp6)), 0);
	assert_int_equal(p.protocol, IPPROTO_UDP);
	assert_string_equal(address_text(&p.from, text), "[2001:db8::1]:5353");
	assert_string_equal(address_text(&p.to, text), "[2001:db8::2]:53");
	assert_int_equal(p.payload_size, 3);
	assert_memory_equal(p.payload, "abc", 3);
}

static void reads_pings(void **state)
{
	uint8_t ping[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 8, 0, 0, 0, 0x12, 0x34};
	struct packet p;

	(void)state;
	assert_int_equal(packet_read(&p, ping, sizeof(ping)), 0);
	assert_int_equal(address_port(&p.from), 0x1234);
	assert_int_equal(address_port(&p.to), 0);
	ping[20] = 0;
	assert_int_equal(packet_read(&p, ping, sizeof(ping)), 0);
	assert_int_equal(address_port(&p.from), 0);
	assert_int_equal(address_port(&p.to), 0x1234);
}

static void later_fragments_have_no_ports(void **state)
{
	uint8_t cut[sizeof(syn4)];
	struct packet p;

	(void)state;
	memcpy(cut, syn4, sizeof(cut));
	cut[7] = 1;
	assert_int_equal(packet_read(&p, cut, sizeof(cut)), 0);
	assert_true(p.fragment);
	assert_int_equal(address_port(&p.from), 0);
}

// Every prefix is refused whole, or read as a head; from memory of just that
// size, so that a sanitizer sees a byte too far.
static void refuses_every_cut(void **state)
{
	const struct { const uint8_t *bytes; size_t size; } all[] = {{syn4, sizeof(syn4)}, {udp6, sizeof(udp6)}};
	struct packet p;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t n = 0; n < all[i].size; n++) {
			uint8_t *exact = malloc(n + !n);
			assert_non_null(exact);
			memcpy(exact, all[i].bytes, n);
			assert_int_equal(packet_read(&p, exact, n), -EBADMSG);
			(void)packet_read_head(&p, exact, n);
			free(exact);
		}
	assert_int_equal(packet_read_head(&p, udp6, sizeof(udp6) - 2), 0);
	assert_int_equal(p.payload_size, 1);
}

static void refuses_lies(void **state)
{
	uint8_t lie[sizeof(syn4)];
	struct packet p;

	(void)state;
	memcpy(lie, syn4, sizeof(lie));
	lie[0] = 0x44;		// a header of 16 bytes
	assert_int_equal(packet_read(&p, lie, sizeof(lie)), -EBADMSG);
	memcpy(lie, syn4, sizeof(lie));
	lie[32] = 0xf0;		// a TCP header of 60 bytes
	assert_int_equal(packet_read(&p, lie, sizeof(lie)), -EBADMSG);
	memcpy(lie, syn4, sizeof(lie));
	lie[0] = 0x55;
	assert_int_equal(packet_read(&p, lie, sizeof(lie)), -EBADMSG);
}

static void knows_addresses(void **state)
{
	struct packet p;
	union address a = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000009)}};
	union address one = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};

	(void)state;
	assert_false(address_equal(&a, &one));
	a.v4.sin_addr.s_addr = htonl(0xe00000fb);
	assert_true(address_is_multicast(&a));
	assert_int_equal(packet_read(&p, syn4, sizeof(syn4)), 0);
	assert_false(address_is_multicast(&p.to));
	assert_false(address_equal(&p.from, &p.to));
	assert_int_not_equal(address_hash(&p.from), address_hash(&p.to));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_tcp),
		cmocka_unit_test(reads_udp_behind_extensions),
		cmocka_unit_test(reads_pings),
		cmocka_unit_test(later_fragments_have_no_ports),
		cmocka_unit_test(refuses_every_cut),
		cmocka_unit_test(refuses_lies),
		cmocka_unit_test(knows_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
