// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_window_test - how much of a conversation is under way, packet by packet.

#include "tests/unit/netstack_peer.h"

static void super_packets(void **state)
{
	static uint8_t big[60000];
	struct ear ear;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct peer p = peer_open(v6, 40000, &ear);
		unsigned mss = v6 ? 1440 : 1460, whole = (65535U - (v6 ? 60 : 40)) / mss * mss;
		struct iovec iov[4];
		const struct sent *s;
		size_t size;
		int before;

		for (size_t i = 0; i < sizeof(big); i++)
			big[i] = (uint8_t)(i * 7);
		peer_send(&p, ACK, big, sizeof(big));
		p.seq += sizeof(big);
		assert_int_equal(netstack_peek(ear.flow, iov, 4, &size), 1);
		assert_int_equal(size, sizeof(big));
		assert_memory_equal(iov[0].iov_base, big, sizeof(big));
		netstack_consume(ear.flow, size);
		netstack_flush(t.stack);

		before = t.count;
		assert_int_equal(owner_write(ear.flow, 150000, 0), 150000);
		netstack_flush(t.stack);
		assert_int_equal(t.count, before + 3);
		s = &t.sent[before % KEPT];
		assert_int_equal(payload_of(s), whole);
		assert_int_equal(s->segment, mss);
		assert_int_equal(s->header_size, v6 ? 60 : 40);
		assert_int_equal(s->sum_start, v6 ? 40 : 20);
		assert_int_equal(s->sum_offset, 16);
		for (size_t i = 0; i < whole; i++)
			assert_int_equal(s->bytes[s->header_size + i], (uint8_t)i);
		p.ack += 150000;
		peer_send(&p, ACK, NULL, 0);
		assert_int_equal(netstack_unacked(ear.flow), 0);
		owner_write(ear.flow, mss, 0);
		netstack_flush(t.stack);
		assert_int_equal(last_sent()->segment, 0);	// a packet as it is
		netstack_abort(ear.flow);
	}
}

static void plain_packets_fit(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	int before = t.count;

	(void)state;
	owner_write(ear.flow, 20000, 0);
	netstack_flush(t.stack);
	assert_int_equal(t.count, before + 14);
	for (int i = before; i < t.count; i++) {
		assert_true(t.sent[i % KEPT].size <= 1500);
		assert_int_equal(t.sent[i % KEPT].segment, 0);
		assert_int_equal(t.sent[i % KEPT].sum_start, 0);	// and judge() summed it
	}
	p.ack += 20000;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(netstack_unacked(ear.flow), 0);
}

static uint32_t window_said(void)
{
	return (uint32_t)rd16(tcp_of(last_sent()) + 14) << 7;
}

static void back_pressure(void **state)
{
	static uint8_t chunk[32768];
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	size_t sent = 0, size;

	(void)state;
	peer_send(&p, ACK, chunk, 1);
	p.seq++;
	netstack_consume(ear.flow, 1);
	netstack_flush(t.stack);
	assert_int_equal(window_said(), 1024 * 1024);
	for (int i = 0; i < 40 && window_said() > 0; i++) {
		uint32_t part = window_said() < sizeof(chunk) ? window_said() : sizeof(chunk);

		peer_send(&p, ACK, chunk, part);
		p.seq += part;
		sent += part;
		netstack_flush(t.stack);
	}
	assert_int_equal(sent, 1024 * 1024);
	assert_int_equal(window_said(), 0);
	peer_send(&p, ACK, chunk, 100);	// more than was asked for: not taken
	netstack_peek(ear.flow, NULL, 0, &size);
	assert_int_equal(size, sent);
	netstack_consume(ear.flow, size / 2);
	netstack_flush(t.stack);
	assert_int_equal(window_said(), 512 * 1024);
	netstack_consume(ear.flow, size / 2);
	netstack_flush(t.stack);
	assert_int_equal(window_said(), 1024 * 1024);
}

// An end needs no room: neither that of data which fill the window, nor alone behind a full one.
static void end_at_the_window(void **state)
{
	static uint8_t bytes[65000];

	(void)state;
	for (int alone = 0; alone < 2; alone++) {
		struct ear ear;
		struct peer p = peer_open(false, (uint16_t)(40000 + alone), &ear);
		size_t left = 1024 * 1024, size;

		peer_send(&p, ACK, bytes, 1);
		p.seq++;
		netstack_consume(ear.flow, 1);
		netstack_flush(t.stack);
		for (size_t part; left; left -= part) {
			part = left < sizeof(bytes) ? left : sizeof(bytes);
			peer_send(&p, part < left || alone ? ACK : ACK | FIN, bytes, part);
			p.seq += (uint32_t)part;
		}
		if (alone)
			peer_send(&p, ACK | FIN, NULL, 0);
		netstack_flush(t.stack);
		assert_int_equal(rd32(tcp_of(last_sent()) + 8), p.seq + 1);
		assert_int_equal(window_said(), 0);
		assert_int_equal(ear.finished, 1);
		netstack_peek(ear.flow, NULL, 0, &size);
		assert_int_equal(size, 1024 * 1024);
		netstack_abort(ear.flow);
	}
}

// What does not come in order does not open the window.
static void end_beyond_a_gap(void **state)
{
	static uint8_t bytes[1000];
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);

	(void)state;
	peer_send(&p, ACK, bytes, 1);
	p.seq++;
	netstack_consume(ear.flow, 1);
	netstack_flush(t.stack);
	for (int i = 0; i < 3; i++) {
		p.seq += 1024 * 1024 - (uint32_t)sizeof(bytes);
		peer_send(&p, ACK | FIN, bytes, sizeof(bytes));
		p.seq -= 1024 * 1024 - (uint32_t)sizeof(bytes);
		netstack_flush(t.stack);
		assert_int_equal(rd32(tcp_of(last_sent()) + 8), p.seq);
		assert_int_equal(window_said(), 1024 * 1024);
	}
	assert_int_equal(ear.finished, 0);
}

static void ring_is_bounded(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	size_t done = owner_write(ear.flow, 10000000, 0), size;
	struct iovec iov[2];

	(void)state;
	assert_true(done >= 512 * 1024 && done <= 1024 * 1024);
	netstack_flush(t.stack);
	assert_int_equal(netstack_reserve(ear.flow, iov, &size), 0);
	assert_int_equal(ear.room, 0);
	p.ack += (512 * 1024) / 1460 * 1460;	// its window, in whole packets
	peer_send(&p, ACK, NULL, 0);
	assert_true(ear.room > 0);
	assert_true(netstack_reserve(ear.flow, iov, &size) > 0);
}

static void rings_share_the_cache(void **state)
{
	struct ear ears[3];
	size_t done[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		peer_open(false, (uint16_t)(40000 + i), &ears[i]);
		done[i] = owner_write(ears[i].flow, 10000000, 0);
	}
	assert_int_equal(done[0], 1024 * 1024);
	assert_int_equal(done[1], 1024 * 1024);
	assert_int_equal(done[2], 512 * 1024);
	netstack_abort(ears[0].flow);
	assert_int_equal(owner_write(ears[2].flow, 10000000, 0), 512 * 1024);
}

static void small_window_is_filled(void **state)
{
	struct ear ear;
	struct peer p;
	uint32_t got = 0;

	(void)state;
	t.window = 80;	// times 128: 10,240 bytes, 7 packets of 1460
	p = peer_open(false, 40000, &ear);
	owner_write(ear.flow, 50000, 0);
	for (int i = 0; i < 40 && got < 50000; i++) {
		netstack_flush(t.stack);
		assert_true(payload_of(last_sent()) <= 10240);
		got += (uint32_t)payload_of(last_sent());
		p.ack += (uint32_t)payload_of(last_sent());
		peer_send(&p, ACK, NULL, 0);
	}
	assert_int_equal(got, 50000);	// and no timer was needed
}

static void closed_window_is_probed(void **state)
{
	struct ear ear;
	struct peer p;
	int probes = 0;

	(void)state;
	t.window = 0;
	p = peer_open(false, 40000, &ear);
	owner_write(ear.flow, 100000, 0);
	netstack_flush(t.stack);
	for (int i = 0; i < 4000; i++) {
		int before = t.count;

		pass(1);
		if (t.count > before) {
			probes++;
			assert_int_equal(payload_of(last_sent()), 1);
			peer_send(&p, ACK, NULL, 0);	// still closed
		}
	}
	assert_true(probes > 20);
	assert_int_equal(ear.closed, 0);
	p.window = 4096;
	peer_send(&p, ACK, NULL, 0);
	netstack_flush(t.stack);
	assert_true(netstack_unacked(ear.flow) == 100000);
	p.ack += 100000;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(netstack_unacked(ear.flow), 0);
}

static void last_byte_by_probe(void **state)
{
	struct ear ear;
	struct peer p;

	(void)state;
	t.window = 0;
	p = peer_open(false, 40000, &ear);
	owner_write(ear.flow, 1, 0);
	netstack_flush(t.stack);
	pass(5);	// the probe carries the byte, and the app takes it
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(netstack_unacked(ear.flow), 0);
	pass(300);
	assert_int_equal(ear.closed, 0);
}

static void retransmission(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	struct netstack_counters counters;
	int before;

	(void)state;
	owner_write(ear.flow, 100000, 0);
	netstack_flush(t.stack);
	before = t.count;
	pass(12);
	assert_true(t.count > before);
	assert_int_equal(rd32(tcp_of(&t.sent[before % KEPT]) + 4), p.ack);
	netstack_count(t.stack, &counters);
	assert_true(counters.retransmitted > 0);
	p.ack += 100000;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(netstack_unacked(ear.flow), 0);
	owner_write(ear.flow, 500, 0);
	netstack_flush(t.stack);
	assert_int_equal(payload_of(last_sent()), 500);
	pass(8000);	// and now the app is gone
	assert_int_equal(ear.closed, 1);
	assert_int_equal(ear.reason, -ETIMEDOUT);
}

static void many_closed_windows(void **state)
{
	enum { FLOWS = 300 };	// more timer calls a tick than lwIP's 8-bit count has
	static struct ear ears[FLOWS];
	int before;

	(void)state;
	t.window = 0;
	for (int i = 0; i < FLOWS; i++) {
		peer_open(false, (uint16_t)(10000 + i), &ears[i]);
		owner_write(ears[i].flow, 10, 0);
	}
	netstack_flush(t.stack);
	before = t.count;
	pass(4);
	assert_int_equal(t.count - before, FLOWS);	// each probed once
}

#define PLAIN(f) cmocka_unit_test_setup_teardown(f, stack_plain, stack_down)
#define OFFLOAD(f) cmocka_unit_test_setup_teardown(f, stack_offload, stack_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OFFLOAD(super_packets), PLAIN(plain_packets_fit), OFFLOAD(back_pressure),
		OFFLOAD(end_at_the_window), OFFLOAD(end_beyond_a_gap),
		OFFLOAD(ring_is_bounded), OFFLOAD(rings_share_the_cache),
		OFFLOAD(small_window_is_filled), OFFLOAD(closed_window_is_probed),
		OFFLOAD(last_byte_by_probe), OFFLOAD(retransmission), PLAIN(retransmission),
		OFFLOAD(many_closed_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
