// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_tcp_test - conversations, packet by packet.

#include "tests/unit/netstack_peer.h"

static void assert_segment(const struct sent *s, int flags, uint32_t seq, uint32_t ack)
{
	assert_int_equal(tcp_of(s)[13], flags);
	assert_int_equal(rd32(tcp_of(s) + 4), seq);
	assert_int_equal(rd32(tcp_of(s) + 8), ack);
}

static void call_waits_for_answer(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct peer p = peer_call(v6, 40000, 443);
		const struct sent *s;
		int before = t.count;

		assert_int_equal(t.calls, 1 + v6);
		assert_int_equal(t.app.ss_family, v6 ? AF_INET6 : AF_INET);
		assert_int_equal(ntohs(((struct sockaddr_in *)&t.app)->sin_port), 40000);
		assert_int_equal(ntohs(((struct sockaddr_in *)&t.peer)->sin_port), 443);
		p.seq--;
		peer_send(&p, SYN, NULL, 0);	// again: no second call, no answer
		netstack_flush(t.stack);
		assert_int_equal(t.calls, 1 + v6);
		assert_int_equal(t.count, before);
		assert_int_equal(netstack_answer(t.called), 0);
		assert_int_equal(netstack_answer(t.called), -EINVAL);
		s = last_sent();
		assert_int_equal(t.count, before + 1);
		assert_int_equal(tcp_of(s)[13], SYN | ACK);
		assert_int_equal(rd32(tcp_of(s) + 8), 1001);
		assert_int_equal(rd16(tcp_of(s) + 14), 65535);
		assert_int_equal(rd32(tcp_of(s) + 20), 0x02040000 | (v6 ? 1440 : 1460));
		assert_int_equal(rd32(tcp_of(s) + 24), 0x01030307);
	}
}

static void segment_size_fits_the_tunnel(void **state)
{
	static const uint16_t mtus[] = { 1280, 9000, 65520 };

	for (size_t i = 0; i < 3; i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			unsigned mss = mtus[i] - (v6 ? 60U : 40U);
			struct ear ear;

			stack_down(state);
			stack_up(i & 1, mtus[i]);
			peer_call(v6, 40000, 80);
			netstack_answer(t.called);
			assert_int_equal(rd32(tcp_of(last_sent()) + 20),
					 0x02040000 | (mss < 65475 ? mss : 65475));
			peer_open(v6, 40001, &ear);
			owner_write(ear.flow, 3000, 0);
			netstack_flush(t.stack);	// judge() looks on
			assert_int_equal(netstack_unacked(ear.flow), 3000);
		}
	}
}

static void bytes_both_ways(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct ear ear;
		struct peer p = peer_open(v6, 40000, &ear);
		struct iovec iov[4];
		size_t size;
		int before = t.count;

		peer_send(&p, ACK | PSH, "hello ", 6);
		p.seq += 6;
		peer_send(&p, ACK | PSH, "world", 5);
		p.seq += 5;
		assert_int_equal(t.count, before);	// one acknowledgement a turn
		assert_int_equal(ear.data, 2);
		netstack_peek(ear.flow, iov, 4, &size);
		assert_int_equal(size, 11);
		assert_memory_equal(iov[0].iov_base, "hello world", 11);
		netstack_flush(t.stack);
		assert_int_equal(t.count, before + 1);
		assert_segment(last_sent(), ACK, p.ack, p.seq);
		netstack_consume(ear.flow, 6);
		netstack_peek(ear.flow, iov, 4, &size);
		assert_int_equal(size, 5);
		assert_memory_equal(iov[0].iov_base, "world", 5);
		netstack_consume(ear.flow, 5);

		assert_int_equal(owner_write(ear.flow, 300, 7), 300);
		assert_int_equal(owner_write(ear.flow, 10, 7), 10);
		assert_int_equal(netstack_unacked(ear.flow), 310);
		netstack_flush(t.stack);
		assert_int_equal(t.count, before + 2);	// and one segment
		assert_segment(last_sent(), ACK | PSH, p.ack, p.seq);
		assert_int_equal(payload_of(last_sent()), 310);
		p.ack += 310;
		peer_send(&p, ACK, NULL, 0);
		assert_int_equal(ear.room, 1);
		assert_int_equal(netstack_unacked(ear.flow), 0);
		netstack_abort(ear.flow);
		assert_segment(last_sent(), RST | ACK, p.ack, p.seq);
	}
}

static void ask(struct peer *p, struct ear *ear, size_t size)
{
	static const uint8_t question[4000];

	peer_send(p, ACK | PSH, question, size);
	p->seq += (uint32_t)size;
	netstack_consume(ear->flow, size);
	netstack_flush(t.stack);
}

static void answer(struct peer *p, struct ear *ear)
{
	owner_write(ear->flow, 10, 0);
	netstack_flush(t.stack);
	assert_segment(last_sent(), ACK | PSH, p->ack, p->seq);
	p->ack += 10;
}

static void an_answer_takes_the_acknowledgement_along(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	int before = t.count;

	(void)state;
	ask(&p, &ear, 5);
	assert_int_equal(t.count, before + 1);	// not known yet who answers
	for (int n = 1; n < 5; n++) {
		answer(&p, &ear);
		assert_int_equal(t.count, before + 1 + n);
		ask(&p, &ear, 5);
		assert_int_equal(t.count, before + 1 + n);
	}
	// The second packet may be one that waited for the first to be acknowledged.
	ask(&p, &ear, 5);
	assert_segment(last_sent(), ACK, p.ack, p.seq);
	answer(&p, &ear);
	before = t.count;
	ask(&p, &ear, 5);
	assert_int_equal(t.count, before + 1);
	answer(&p, &ear);
	ask(&p, &ear, 1461);	// as good as two
	assert_segment(last_sent(), ACK, p.ack, p.seq);
	netstack_abort(ear.flow);
}

static void no_answer_is_not_waited_for(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	int before;

	(void)state;
	netstack_tick(t.stack, t.now);
	ask(&p, &ear, 5);
	answer(&p, &ear);
	before = t.count;
	ask(&p, &ear, 5);
	assert_true(netstack_deadline(t.stack) <= t.now + 5000000);
	netstack_tick(t.stack, t.now + 4999999);
	netstack_flush(t.stack);
	assert_int_equal(t.count, before);
	netstack_tick(t.stack, t.now + 5000000);
	netstack_flush(t.stack);
	assert_int_equal(t.count, before + 1);
	assert_segment(last_sent(), ACK, p.ack, p.seq);
	answer(&p, &ear);
	ask(&p, &ear, 5);	// waits again, and goes with the end
	before = t.count;
	peer_send(&p, ACK | FIN, NULL, 0);
	p.seq++;
	netstack_flush(t.stack);
	assert_int_equal(t.count, before + 1);
	assert_segment(last_sent(), ACK, p.ack, p.seq);
	netstack_abort(ear.flow);
}

static void half_close_by_the_app(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	size_t size;

	(void)state;
	peer_send(&p, ACK | FIN, "bye", 3);
	p.seq += 4;
	assert_int_equal(ear.finished, 1);
	assert_false(netstack_at_end(ear.flow));
	netstack_consume(ear.flow, 3);
	assert_true(netstack_at_end(ear.flow));
	owner_write(ear.flow, 5, 0);
	netstack_flush(t.stack);
	assert_segment(last_sent(), ACK | PSH, p.ack, p.seq);
	p.ack += 5;
	peer_send(&p, ACK, NULL, 0);
	netstack_finish(ear.flow);
	assert_int_equal(netstack_reserve(ear.flow, &(struct iovec[2]){ { 0 } }[0], &size), 0);
	netstack_flush(t.stack);
	assert_segment(last_sent(), ACK | FIN, p.ack, p.seq);
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(ear.closed, 1);
	assert_int_equal(ear.reason, 0);
}

static void half_close_by_the_owner(void **state)
{
	struct ear ear;
	struct peer p = peer_open(true, 40000, &ear);
	struct netstack_counters counters;
	struct iovec iov;
	size_t size;

	(void)state;
	owner_write(ear.flow, 5, 0);
	netstack_finish(ear.flow);
	netstack_flush(t.stack);
	assert_segment(last_sent(), ACK | PSH | FIN, p.ack, p.seq);	// with the bytes
	p.ack += 6;
	peer_send(&p, ACK, NULL, 0);
	pass(200);	// a half-closed conversation may be quiet for ever
	peer_send(&p, ACK, "late", 4);
	p.seq += 4;
	peer_send(&p, ACK | FIN, NULL, 0);
	p.seq++;
	assert_segment(last_sent(), ACK, p.ack, p.seq);
	netstack_flush(t.stack);
	assert_int_equal(ear.closed, 0);	// "late" is unread
	assert_int_equal(netstack_peek(ear.flow, &iov, 1, &size), 1);
	assert_memory_equal(iov.iov_base, "late", 4);
	netstack_consume(ear.flow, 4);
	netstack_flush(t.stack);
	assert_int_equal(ear.closed, 1);
	assert_int_equal(ear.reason, 0);
	netstack_count(t.stack, &counters);
	assert_int_equal(counters.flows, 0);
}

static void both_close_at_once(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);

	(void)state;
	netstack_finish(ear.flow);
	netstack_flush(t.stack);
	peer_send(&p, ACK | FIN, NULL, 0);	// has not seen ours
	p.seq++;
	assert_segment(last_sent(), ACK, p.ack + 1, p.seq);
	assert_int_equal(ear.finished, 1);
	assert_int_equal(ear.closed, 0);
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(ear.closed, 1);
	assert_int_equal(ear.reason, 0);
}

// An app whose reset was lost dials again from the same port.
static void call_on_a_live_flow(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	struct peer again = p;
	int before = t.count;

	(void)state;
	again.seq = p.seq + 100000;
	peer_send(&again, SYN, NULL, 0);
	assert_int_equal(t.count, before + 1);
	assert_segment(last_sent(), ACK, p.ack, p.seq);	// RFC 5961 4
	peer_send(&p, RST, NULL, 0);
	assert_int_equal(ear.closed, 1);
	peer_send(&again, SYN, NULL, 0);
	assert_int_equal(t.calls, 2);
}

// An MSS option where it has no business, and a scale in a repeated SYN.
static void options_come_once(void **state)
{
	uint8_t packet[64];
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	size_t ip = put_ip(packet, false, IPPROTO_TCP, 24, 0);

	(void)state;
	owner_write(ear.flow, 3000, 0);
	memset(packet + ip, 0, 24);
	wr16(packet + ip, p.port);
	wr16(packet + ip + 2, p.to);
	wr32(packet + ip + 4, p.seq);
	wr32(packet + ip + 8, p.ack);
	packet[ip + 12] = 0x60;
	packet[ip + 13] = ACK;
	wr16(packet + ip + 14, p.window);
	wr32(packet + ip + 20, 0x02040010);
	netstack_input(t.stack, packet, ip + 24);
	netstack_flush(t.stack);
	assert_int_equal(payload_of(last_sent()), 3000);
	assert_int_equal(last_sent()->segment, 1460);
}

static void refusals(void **state)
{
	static const struct { enum netstack_refusal how; uint8_t v4[2], v6[2]; } expected[] = {
		{ NETSTACK_NET_UNREACHABLE, { 3, 0 }, { 1, 0 } },
		{ NETSTACK_HOST_UNREACHABLE, { 3, 1 }, { 1, 3 } },
		{ NETSTACK_PORT_UNREACHABLE, { 3, 3 }, { 1, 4 } },
		{ NETSTACK_PROHIBITED, { 3, 13 }, { 1, 1 } },
		{ NETSTACK_TOO_BIG, { 3, 4 }, { 2, 0 } },
	};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		size_t header = v6 ? 40 : 20;

		peer_call(v6, 40000, 80);
		netstack_refuse(t.called, NETSTACK_RESET);
		assert_segment(last_sent(), RST | ACK, 0, 1001);
		for (size_t i = 0; i < 5; i++) {
			const struct sent *s;

			peer_call(v6, (uint16_t)(40001 + i), 80);
			netstack_refuse(t.called, expected[i].how);
			s = last_sent();
			assert_memory_equal(s->bytes + header, v6 ? expected[i].v6 : expected[i].v4, 2);
			assert_int_equal(s->bytes[header + 8] >> 4, v6 ? 6 : 4);	// the quote
			assert_int_equal(rd16(s->bytes + header + 8 + header), 40001 + i);
			assert_int_equal(rd16(s->bytes + header + 8 + header + 2), 80);
			assert_int_equal(rd32(s->bytes + header + 8 + header + 4), 1000);
			// from the destination, to the app
			assert_memory_equal(s->bytes + header - (v6 ? 16 : 4),
					    s->bytes + header + 8 + header - (v6 ? 32 : 8), v6 ? 16 : 4);
		}
	}
}

static void silence_stays_silent(void **state)
{
	struct peer p = peer_call(false, 40000, 80);
	struct netstack_counters counters;

	(void)state;
	netstack_refuse(t.called, NETSTACK_SILENCE);
	p.seq--;
	for (int i = 0; i < 6; i++) {
		pass(120);
		peer_send(&p, SYN, NULL, 0);
	}
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.count, 0);
	pass(400);
	netstack_count(t.stack, &counters);
	assert_int_equal(counters.flows, 0);
	assert_true(netstack_deadline(t.stack) == UINT64_MAX);
}

static void calls_withdrawn(void **state)
{
	struct ear first = { 0 }, second = { 0 };
	struct peer p = peer_call(false, 40000, 80);

	(void)state;
	netstack_own(t.called, &first);
	p.seq = 7000;
	peer_send(&p, SYN, NULL, 0);	// another number: another call
	assert_int_equal(first.closed, 1);
	assert_int_equal(first.reason, -ECONNRESET);
	assert_int_equal(t.calls, 2);
	netstack_own(t.called, &second);
	p.seq++;
	peer_send(&p, RST, NULL, 0);
	assert_int_equal(second.closed, 1);
	assert_int_equal(second.reason, -ECONNRESET);
	assert_int_equal(t.count, 0);
}

static void resets(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);

	(void)state;
	peer_send(&p, ACK, "unread", 6);
	p.seq += 6;
	peer_send(&p, RST, NULL, 0);
	assert_int_equal(ear.closed, 1);
	assert_int_equal(ear.reason, -ECONNRESET);
	// Nobody is there now.
	peer_send(&p, ACK, "x", 1);
	assert_segment(last_sent(), RST, p.ack, 0);
	p.seq = 5;
	peer_send(&p, FIN, "xy", 2);
	assert_segment(last_sent(), RST | ACK, 0, 8);
}

static void close_lets_bytes_out(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	struct netstack_counters counters;

	(void)state;
	owner_write(ear.flow, 400, 0);
	netstack_close(ear.flow);
	netstack_flush(t.stack);
	assert_segment(last_sent(), ACK | PSH | FIN, p.ack, p.seq);
	assert_int_equal(payload_of(last_sent()), 400);
	p.ack += 401;
	peer_send(&p, ACK, NULL, 0);
	peer_send(&p, ACK, "still", 5);
	assert_true(tcp_of(last_sent())[13] & RST);
	netstack_count(t.stack, &counters);
	assert_int_equal(counters.flows, 0);
	assert_int_equal(ear.closed + ear.data, 0);
}

static void close_forgets_an_idle_app(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	struct netstack_counters counters;

	(void)state;
	netstack_close(ear.flow);
	netstack_flush(t.stack);
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	pass(130);
	netstack_count(t.stack, &counters);
	assert_int_equal(counters.flows, 0);
	assert_int_equal(ear.closed, 0);
}

static void abort_drops_bytes(void **state)
{
	struct ear ear;
	struct peer p = peer_open(false, 40000, &ear);
	int before = t.count;

	(void)state;
	owner_write(ear.flow, 400, 0);
	netstack_abort(ear.flow);
	netstack_flush(t.stack);
	assert_int_equal(t.count, before + 1);
	assert_segment(last_sent(), RST | ACK, p.ack, p.seq);
	assert_int_equal(ear.closed, 0);
}

static void tuple_is_reused_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct ear ear;
		struct peer p = peer_open(false, 40000, &ear);

		netstack_finish(ear.flow);
		netstack_flush(t.stack);
		p.ack++;
		peer_send(&p, ACK | FIN, NULL, 0);	// the owner closed first: TIME_WAIT is ours
		p.seq++;
		assert_segment(last_sent(), ACK, p.ack, p.seq);
		netstack_flush(t.stack);
		assert_int_equal(ear.closed, 1);
		assert_int_equal(t.calls, i + 1);
	}
	assert_true(netstack_deadline(t.stack) == UINT64_MAX);
}

enum { THOUSANDS = 5000 };

static void thousands_of_flows(void **state)
{
	static struct ear ears[THOUSANDS];
	static struct peer peers[THOUSANDS];
	struct netstack_counters counters;

	(void)state;
	for (int i = 0; i < THOUSANDS; i++)
		peers[i] = peer_open(i % 2, (uint16_t)(10000 + i), &ears[i]);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < THOUSANDS; i++) {
			struct peer *p = &peers[i];

			peer_send(p, ACK, "ping", 4);
			p->seq += 4;
			netstack_consume(ears[i].flow, 4);
			owner_write(ears[i].flow, 4, 0);
			netstack_flush(t.stack);
			assert_segment(last_sent(), ACK | PSH, p->ack, p->seq);
			p->ack += 4;
			peer_send(p, ACK, NULL, 0);
		}
		pass(3);
	}
	netstack_count(t.stack, &counters);
	assert_int_equal(counters.flows, THOUSANDS);
	assert_int_equal(counters.retransmitted, 0);
	assert_true(netstack_deadline(t.stack) == UINT64_MAX);	// idle flows cost no tick
	for (int i = 0; i < THOUSANDS; i++)
		assert_int_equal(ears[i].closed, 0);
	netstack_close_all(t.stack);
	netstack_count(t.stack, &counters);
	assert_int_equal(counters.flows, 0);
}

#define PLAIN(f) cmocka_unit_test_setup_teardown(f, stack_plain, stack_down)
#define OFFLOAD(f) cmocka_unit_test_setup_teardown(f, stack_offload, stack_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(call_waits_for_answer), PLAIN(segment_size_fits_the_tunnel),
		PLAIN(bytes_both_ways), OFFLOAD(bytes_both_ways),
		PLAIN(an_answer_takes_the_acknowledgement_along), OFFLOAD(an_answer_takes_the_acknowledgement_along),
		PLAIN(no_answer_is_not_waited_for), OFFLOAD(no_answer_is_not_waited_for),
		PLAIN(half_close_by_the_app), PLAIN(half_close_by_the_owner), PLAIN(refusals),
		PLAIN(both_close_at_once), PLAIN(call_on_a_live_flow), OFFLOAD(options_come_once),
		PLAIN(silence_stays_silent), PLAIN(calls_withdrawn), PLAIN(resets),
		PLAIN(close_lets_bytes_out), PLAIN(close_forgets_an_idle_app), PLAIN(abort_drops_bytes),
		PLAIN(tuple_is_reused_at_once), OFFLOAD(thousands_of_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
