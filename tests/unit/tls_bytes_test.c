// SPDX-License-Identifier: GPL-3.0-or-later
// tls_bytes_test - what goes through both ends of an interception once they agree:
// streams, half-closes, ends and breaks.

#include "tests/unit/tls_world.h"

static const struct app_options plain_app = { .sni = "good.example" };

static uint8_t pattern(size_t at)
{
	return (uint8_t)((at * 2654435761u) >> 13);
}

struct flow {
	struct tls *from, *to;
	size_t sent, got, total;
	bool over;
};

// One turn of a stream of `pattern` bytes.
static void flow_turn(struct flow *flow, size_t most)
{
	static uint8_t bytes[70000];
	ssize_t count;

	if (tls_unsent(flow->from))
		tls_flush(flow->from);
	if (flow->sent < flow->total) {
		size_t part = flow->total - flow->sent < most ? flow->total - flow->sent : most;

		for (size_t i = 0; i < part; i++)
			bytes[i] = pattern(flow->sent + i);
		count = tls_write(flow->from, bytes, part);
		assert_true(count > 0 || count == -EAGAIN);
		if (count > 0)
			flow->sent += count;
	} else {
		count = tls_finish(flow->from);
		assert_true(count == 0 || count == -EAGAIN);
	}
	while (!flow->over) {
		count = tls_read(flow->to, bytes, most);
		if (count == -EAGAIN)
			break;
		assert_true(count >= 0);
		if (count == 0)
			flow->over = true;
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern(flow->got + i));
		flow->got += count;
	}
}

static void stream(uint16_t version, size_t cut, size_t limit, size_t total, size_t most)
{
	const struct origin_options origin = { .certificate = "good", .version_max = version };
	struct world world = { 0 };
	struct flow up, down;

	world_start(&world, &plain_app, &origin, "root.crt", false);
	world_shake(&world);
	assert_int_equal(world.accept_result, 0);
	for (size_t i = 0; i < 2; i++) {
		world.queues[i].cut = cut;
		world.queues[i].limit = limit;
	}
	up = (struct flow){ world.app, world.accept, 0, 0, total, false };
	down = (struct flow){ world.accept, world.app, 0, 0, total / 2, false };
	for (size_t turn = 0; turn < 4000000 && !(up.over && down.over); turn++) {
		flow_turn(&up, most);
		flow_turn(&down, most);
	}
	assert_int_equal(up.got, total);
	assert_int_equal(down.got, total / 2);
	assert_int_equal(tls_read(world.app, &up, 1), 0);
	assert_int_equal(tls_write(world.app, &up, 1), -EPIPE);
	world_end(&world);
}

static void carries_streams_both_ways(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		stream(version, 0, 0, 1 << 20, 65536);
		stream(version, 0, 5000, 1 << 20, 65536);	// a wire of less than a record
		stream(version, 1000, 40000, 1 << 20, 20000);
		stream(version, 1, 7, 3000, 500);
	}
}

// RFC 8446 6.1: close_notify ends one direction.
static void keeps_half_closes(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .version_max = version };
		struct world world = { 0 };
		char bytes[16];

		world_start(&world, &plain_app, &origin, "root.crt", false);
		world_shake(&world);
		assert_int_equal(tls_write(world.app, "ask", 3), 3);
		assert_int_equal(tls_finish(world.app), 0);
		assert_int_equal(tls_finish(world.app), 0);
		assert_int_equal(tls_write(world.app, "x", 1), -EPIPE);
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 3);
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 0);
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(tls_write(world.accept, "answer", 6), 6);
			assert_int_equal(tls_read(world.app, bytes, sizeof(bytes)), 6);
			assert_int_equal(tls_read(world.app, bytes, sizeof(bytes)), -EAGAIN);
		}
		assert_int_equal(tls_finish(world.accept), 0);
		assert_int_equal(tls_read(world.app, bytes, sizeof(bytes)), 0);
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 0);
		assert_string_equal(tls_version(world.app), version == 0x0303 ? "TLSv1.2" : "TLSv1.3");
		world_end(&world);
	}
}

static void tells_an_end_from_a_break(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .version_max = version };
		struct world world = { 0 };
		char bytes[16];

		world_start(&world, &plain_app, &origin, "root.crt", false);
		world_shake(&world);
		assert_int_equal(tls_write(world.app, "ask", 3), 3);
		world.queues[0].ended = true;
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 3);
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), -ECONNRESET);
		// What was cut off one way goes on the other.
		assert_int_equal(tls_write(world.accept, "answer", 6), 6);
		assert_int_equal(tls_finish(world.accept), 0);
		assert_int_equal(tls_read(world.app, bytes, sizeof(bytes)), 6);
		assert_int_equal(tls_read(world.app, bytes, sizeof(bytes)), 0);
		world_end(&world);

		// A wire that takes nothing more is still read.
		world_start(&world, &plain_app, &origin, "root.crt", false);
		world_shake(&world);
		assert_int_equal(tls_write(world.app, "ask", 3), 3);
		world.queues[1].broken = true;
		assert_int_equal(tls_write(world.accept, "answer", 6), -EPIPE);
		assert_int_equal(tls_flush(world.accept), -EPIPE);
		assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 3);
		world_end(&world);
	}
}

static void finds_changed_records(void **state)
{
	const struct origin_options origin = { .certificate = "good" };
	struct world world = { 0 };
	char bytes[16];

	(void)state;
	world_start(&world, &plain_app, &origin, "root.crt", false);
	world_shake(&world);
	assert_int_equal(tls_write(world.app, "ask", 3), 3);
	world.queues[0].bytes[world.queues[0].at + 7] ^= 1;
	assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), -EPROTO);
	assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), -EPROTO);
	assert_true(strlen(tls_error(world.accept)) > 0);
	assert_int_equal(tls_read(world.app, bytes, sizeof(bytes)), -EPROTO);
	assert_int_equal(tls_alert(world.app), 20);		// bad_record_mac
	world_end(&world);
}

static void keeps_what_waits(void **state)
{
	const struct origin_options origin = { .certificate = "good" };
	static char bytes[40000];
	struct world world = { 0 };

	(void)state;
	world_start(&world, &plain_app, &origin, "root.crt", false);
	world_shake(&world);
	assert_int_equal(tls_write(world.app, bytes, 1000), 1000);
	assert_int_equal(tls_read(world.accept, bytes, 10), 10);
	assert_int_equal(tls_read(world.accept, bytes, 2000), 990);
	assert_int_equal(tls_read(world.accept, bytes, 2000), -EAGAIN);
	// A wire with no room: the first record is taken whole, the second not at all.
	world.queues[0].limit = 100;
	assert_int_equal(tls_write(world.app, bytes, sizeof(bytes)), 16384);
	assert_true(tls_unsent(world.app));
	assert_int_equal(tls_flush(world.app), -EAGAIN);
	assert_int_equal(tls_write(world.app, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(tls_finish(world.app), -EAGAIN);
	world.queues[0].limit = 0;
	assert_int_equal(tls_finish(world.app), 0);
	assert_false(tls_unsent(world.app));
	assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 16384);
	assert_int_equal(tls_read(world.accept, bytes, sizeof(bytes)), 0);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_streams_both_ways),
		cmocka_unit_test(keeps_half_closes),
		cmocka_unit_test(tells_an_end_from_a_break),
		cmocka_unit_test(finds_changed_records),
		cmocka_unit_test(keeps_what_waits),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
