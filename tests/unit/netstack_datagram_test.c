// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_datagram_test - UDP, echo, fragments, errors, and what is no packet.

#include "tests/unit/netstack_peer.h"

static uint8_t pattern[65536];
static uint8_t packet[65536 + 100];

static uint64_t malformed(void)
{
	struct netstack_counters counters;

	netstack_count(t.stack, &counters);
	return counters.malformed;
}

static void put_udp(uint8_t *udp, uint16_t from, uint16_t to, size_t size)
{
	wr16(udp, from);
	wr16(udp + 2, to);
	wr16(udp + 4, (uint32_t)(8 + size));
	wr16(udp + 6, 0);
	memcpy(udp + 8, pattern, size);
}

// The app's UDP datagram, in fragments of `step` bytes if it is longer.
static void app_udp(bool ipv6, size_t size, size_t step, bool backwards)
{
	static uint8_t whole[65600];
	size_t total = 8 + size, pieces = total > step ? (total + step - 1) / step : 1;

	put_udp(whole, 5000, 53, size);
	for (size_t k = 0; k < pieces; k++) {
		size_t i = backwards ? pieces - 1 - k : k, at = i * step;
		size_t part = total - at < step ? total - at : step, header;

		if (pieces == 1) {
			header = put_ip(packet, ipv6, IPPROTO_UDP, total, 0);
		} else if (ipv6) {
			header = put_ip(packet, true, IPPROTO_FRAGMENT, 8 + part, 0);
			packet[40] = IPPROTO_UDP;
			packet[41] = 0;
			wr16(packet + 42, (uint32_t)(at | (i + 1 < pieces)));
			wr32(packet + 44, 77);
			header += 8;
		} else {
			header = put_ip(packet, false, IPPROTO_UDP, part, 0);
			wr16(packet + 4, 77);
			wr16(packet + 6, (uint32_t)(at / 8 | (i + 1 < pieces ? 0x2000 : 0)));
		}
		memcpy(packet + header, whole + at, part);
		netstack_input(t.stack, packet, header + part);
	}
}

// What the stack sent since `from`, put together again by its own fields.
static size_t gather(int from, uint8_t *out)
{
	size_t total = 0;

	for (int i = from; i < t.count; i++) {
		const struct sent *s = &t.sent[i % KEPT];
		const uint8_t *ip = s->bytes;
		size_t header = header_of(s), offset = 0;

		assert_true(s->size <= 1500);
		if (s->ipv6 && ip[6] == IPPROTO_FRAGMENT) {
			offset = rd16(ip + 42) & 0xfff8;
			header += 8;
		} else if (!s->ipv6) {
			offset = (rd16(ip + 6) & 0x1fff) * 8UL;
		}
		memcpy(out + offset, ip + header, s->size - header);
		total += s->size - header;
	}
	return total;
}

static void datagrams_of_all_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 1432, 1452, 1453, 1472, 1473, 30000, 65507 };
	static uint8_t whole[65600];

	(void)state;
	for (size_t k = 0; k < 4 * sizeof(sizes) / sizeof(sizes[0]); k++) {
		bool ipv6 = k & 1;
		size_t size = sizes[k / 4], total;
		int before = t.count, heard = t.datagrams;

		app_udp(ipv6, size, 1440, k & 2);
		assert_int_equal(t.datagrams, heard + 1);
		assert_int_equal(t.last.size, size);
		assert_memory_equal(t.last.bytes, pattern, size);
		assert_int_equal(t.last.ttl, 63);
		assert_int_equal(ntohs(((struct sockaddr_in *)&t.app)->sin_port), 5000);
		assert_int_equal(ntohs(((struct sockaddr_in *)&t.peer)->sin_port), 53);

		assert_int_equal(netstack_send_datagram(t.stack, &t.last), 0);
		total = gather(before, whole);
		assert_int_equal(total, 8 + size);
		assert_int_equal(rd16(whole), 53);
		assert_int_equal(rd16(whole + 2), 5000);
		assert_int_equal(rd16(whole + 4), total);
		assert_memory_equal(whole + 8, pattern, size);
		put_ip(packet, ipv6, IPPROTO_UDP, 0, 0);
		assert_int_equal(checksum(pseudo(packet, IPPROTO_UDP, total), whole, total), 0);
	}
	t.last.size = 65508;
	t.last.bytes = pattern;
	t.app.ss_family = t.peer.ss_family = AF_INET;
	assert_int_equal(netstack_send_datagram(t.stack, &t.last), -EMSGSIZE);
}

static void udp_length_rules(void **state)
{
	size_t header = put_ip(packet, false, IPPROTO_UDP, 108, 0);

	(void)state;
	put_udp(packet + header, 0, 53, 100);	// source port 0 is allowed (RFC 768)
	wr16(packet + header + 4, 58);		// and what is behind the length is not data
	netstack_input(t.stack, packet, header + 108);
	assert_int_equal(t.datagrams, 1);
	assert_int_equal(t.last.size, 50);
	wr16(packet + header + 4, 109);
	netstack_input(t.stack, packet, header + 108);
	wr16(packet + header + 4, 7);
	netstack_input(t.stack, packet, header + 108);
	assert_int_equal(t.datagrams, 1);
	assert_int_equal(malformed(), 2);
}

static void echoes(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		size_t header = put_ip(packet, v6, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 64, 0);
		uint8_t *icmp = packet + header;
		const uint8_t *sent;

		memcpy(icmp, pattern, 64);
		icmp[0] = v6 ? 128 : 8;
		icmp[1] = 0;
		wr16(icmp + 4, 4711);
		wr16(icmp + 6, 3);
		netstack_input(t.stack, packet, header + 64);
		assert_int_equal(t.echoes, 1 + v6);
		assert_int_equal(t.count, v6);		// nothing by itself
		assert_int_equal(ntohs(((struct sockaddr_in *)&t.app)->sin_port), 4711);
		assert_int_equal(t.last.size, 64);
		t.datagram[0] = v6 ? 129 : 0;
		wr16(t.datagram + 4, 9);	// the host's identifier, not the app's
		assert_int_equal(netstack_send_echo(t.stack, &t.last), 0);
		sent = last_sent()->bytes + header;
		assert_int_equal(last_sent()->size, header + 64);
		assert_int_equal(sent[0], v6 ? 129 : 0);
		assert_int_equal(rd16(sent + 4), 4711);
		assert_int_equal(rd16(sent + 6), 3);
		assert_memory_equal(sent + 8, pattern + 8, 56);
	}
}

static void errors_quote_the_datagram(void **state)
{
	struct sockaddr_in router = { .sin_family = AF_INET };

	(void)state;
	inet_pton(AF_INET, "198.51.100.1", &router.sin_addr);
	for (int v6 = 0; v6 < 2; v6++) {
		size_t header = v6 ? 40 : 20;
		const uint8_t *icmp, *quote;

		app_udp(v6, 100, 1440, false);
		netstack_send_error(t.stack, &t.last, IPPROTO_UDP, NETSTACK_PORT_UNREACHABLE, NULL, 0);
		icmp = last_sent()->bytes + header;
		assert_int_equal(icmp[0], v6 ? 1 : 3);
		assert_int_equal(icmp[1], v6 ? 4 : 3);
		quote = icmp + 8;
		put_ip(packet, v6, IPPROTO_UDP, 108, 0);
		assert_memory_equal(quote + (v6 ? 8 : 12), packet + (v6 ? 8 : 12), v6 ? 32 : 8);
		assert_int_equal(quote[v6 ? 6 : 9], IPPROTO_UDP);
		assert_int_equal(rd16(quote + (v6 ? 4 : 2)), v6 ? 108 : 128);
		assert_int_equal(rd16(quote + header), 5000);
		assert_int_equal(rd16(quote + header + 2), 53);
		assert_memory_equal(quote + header + 8, pattern, 100);

		netstack_send_error(t.stack, &t.last, IPPROTO_UDP, NETSTACK_TOO_BIG,
				    v6 ? NULL : (struct sockaddr *)&router, 1300);
		icmp = last_sent()->bytes + header;
		assert_int_equal(icmp[0], v6 ? 2 : 3);
		assert_int_equal(v6 ? rd32(icmp + 4) : rd16(icmp + 6), 1300);
		if (!v6)
			assert_memory_equal(last_sent()->bytes + 12, &router.sin_addr, 4);
	}
}

static void group_traffic_is_ignored(void **state)
{
	static const char *const groups[] = { "224.0.0.251", "239.255.255.250", "255.255.255.255", "0.0.0.0" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t header = put_ip(packet, false, IPPROTO_UDP, 18, 0);

		put_udp(packet + header, 5353, 5353, 10);
		inet_pton(AF_INET, groups[i], packet + 16);
		netstack_input(t.stack, packet, header + 18);
	}
	// A router solicitation of the kernel's, and an MLD report (hop by hop first).
	put_ip(packet, true, IPPROTO_ICMPV6, 8, 0);
	inet_pton(AF_INET6, "ff02::2", packet + 24);
	memset(packet + 40, 0, 8);
	packet[40] = 133;
	netstack_input(t.stack, packet, 48);
	put_ip(packet, true, IPPROTO_HOPOPTS, 36, 0);
	inet_pton(AF_INET6, "ff02::16", packet + 24);
	netstack_input(t.stack, packet, 76);
	assert_int_equal(t.datagrams + t.echoes + t.calls + t.count, 0);
	assert_int_equal(malformed(), 0);
}

static void fragments_out_of_order(void **state)
{
	static uint8_t udp[48];
	size_t header;

	(void)state;
	put_udp(udp, 5000, 53, 40);
	for (int i = 0; i < 3; i++) {	// 16 at 16, again (overlap: dropped), at 8 (overlaps)
		header = put_ip(packet, false, IPPROTO_UDP, 16, 0);
		wr16(packet + 6, 0x2000 | (i < 2 ? 2 : 1));
		memcpy(packet + header, udp + 16, 16);
		netstack_input(t.stack, packet, header + 16);
	}
	header = put_ip(packet, false, IPPROTO_UDP, 16, 0);
	wr16(packet + 6, 4);
	memcpy(packet + header, udp + 32, 16);
	netstack_input(t.stack, packet, header + 16);
	assert_int_equal(t.datagrams, 0);
	wr16(packet + 6, 0x2000);
	memcpy(packet + header, udp, 16);
	netstack_input(t.stack, packet, header + 16);
	assert_int_equal(t.datagrams, 1);
	assert_memory_equal(t.last.bytes, pattern, 40);
}

static void half_datagrams_are_forgotten(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {	// more than are kept
		size_t header = put_ip(packet, i & 1, i & 1 ? IPPROTO_FRAGMENT : IPPROTO_UDP, 1008, 0);

		if (i & 1) {
			packet[40] = IPPROTO_UDP;
			wr16(packet + 42, 1);
			wr32(packet + 44, (uint32_t)i);
		} else {
			wr16(packet + 4, (uint32_t)i);
			wr16(packet + 6, 0x2000);
		}
		netstack_input(t.stack, packet, header + 1008);
	}
	assert_true(netstack_deadline(t.stack) != UINT64_MAX);
	pass(70);
	assert_true(netstack_deadline(t.stack) == UINT64_MAX);
	assert_int_equal(t.count, 0);
}

// Every packet cut short at every length, and with every byte of its headers
// changed: no news of a whole packet where there is none, and no crash.
static void malformed_packets(void **state)
{
	size_t size;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		peer_call(v6, 40000, 80);
		size = put_ip(packet, v6, IPPROTO_TCP, 20, 0);
		memset(packet + size, 0, 20);
		wr16(packet + size, 40001);
		wr16(packet + size + 2, 80);
		packet[size + 12] = 0x50;
		packet[size + 13] = SYN;
		for (size_t cut = 0; cut < size + 20; cut++)
			netstack_input(t.stack, packet, cut);
		assert_int_equal(t.calls, 1 + v6);
		assert_int_equal(malformed(), (size + 20) + (v6 ? 42 : 0));
		packet[size + 12] = 0x40;
		netstack_input(t.stack, packet, size + 20);
		packet[size + 12] = 0x60;	// longer than the packet
		netstack_input(t.stack, packet, size + 20);
		assert_int_equal(t.calls, 1 + v6);
		assert_int_equal(malformed(), (size + 22) + (v6 ? 42 : 0));
	}
	packet[0] = 0x50;
	netstack_input(t.stack, packet, 60);
	for (size_t at = 0; at < 60; at++) {
		for (int value = 0; value < 256; value++) {
			size = put_ip(packet, false, IPPROTO_TCP, 20, 0);
			packet[size + 12] = 0x50;
			packet[at] = (uint8_t)value;
			netstack_input(t.stack, packet, size + 20);
		}
	}
	netstack_flush(t.stack);
}

static void one_at_a_time(void **state)
{
	struct netstack_options options = { .news = &test_news, .mtu = 1500 };
	struct netstack *second;

	(void)state;
	assert_int_equal(netstack_open(&second, &options), -EBUSY);
	assert_null(second);
	netstack_free(t.stack);
	options.mtu = 1279;
	assert_int_equal(netstack_open(&t.stack, &options), -EINVAL);
	options.mtu = 1280;
	assert_int_equal(netstack_open(&t.stack, &options), 0);
}

#define PLAIN(f) cmocka_unit_test_setup_teardown(f, stack_plain, stack_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(datagrams_of_all_sizes), PLAIN(udp_length_rules), PLAIN(echoes),
		PLAIN(errors_quote_the_datagram), PLAIN(group_traffic_is_ignored),
		PLAIN(fragments_out_of_order), PLAIN(half_datagrams_are_forgotten),
		PLAIN(malformed_packets), PLAIN(one_at_a_time),
	};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 2654435761U >> 11);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
