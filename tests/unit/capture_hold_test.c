// SPDX-License-Identifier: GPL-3.0-or-later
// capture_hold_test - packets that wait for their secrets.

#include "tests/unit/capture_world.h"

static void held_packets_stand_behind_their_secrets(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });

	(void)state;
	capture_hold(capture, 7);
	capture_hold(capture, 7);
	send_mark(capture, 7, 1);
	send_mark(capture, 8, 2);	// others do not wait
	send_mark(capture, 0, 3);
	send_mark(capture, 7, 4);
	capture_secret(capture, 7, "one");
	capture_secret(capture, 7, "two\n");
	send_mark(capture, 7, 5);
	capture_release(capture, 7);
	send_mark(capture, 7, 6);
	capture_release(capture, 7);
	close_capture(capture);
	expect_blocks("S I p2 p3 Kone\ntwo\n p1 p4 p5 p6 T");
}

static void secrets_of_a_flow_not_held_are_written_at_once(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });

	(void)state;
	send_mark(capture, 7, 1);
	capture_secret(capture, 7, "late");
	send_mark(capture, 7, 2);
	close_capture(capture);
	expect_blocks("S I p1 Klate\n p2 T");
}

static void flows_are_held_each_for_itself(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });

	(void)state;
	capture_hold(capture, 1);
	capture_hold(capture, 2);
	capture_hold(capture, 3);
	for (uint32_t mark = 1; mark <= 6; mark++)
		send_mark(capture, 1 + mark % 3, mark);
	capture_secret(capture, 2, "two");
	capture_secret(capture, 3, "three");
	capture_release(capture, 3);
	capture_release(capture, 1);	// nothing to tell: no TLS after all
	close_capture(capture);		// lets 2 go
	expect_blocks("S I Kthree\n p2 p5 p3 p6 Ktwo\n p1 p4 T");
}

static void a_hold_ends_in_time(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .hold_time = 1000000 });
	struct capture_counters count;

	(void)state;
	assert_int_equal(capture_deadline(capture), UINT64_MAX);
	capture_hold(capture, 1);
	uint64_t first = capture_deadline(capture);
	capture_hold(capture, 2);
	assert_int_equal(capture_deadline(capture), first);
	assert_true(first < UINT64_MAX);

	send_mark(capture, 1, 1);
	capture_secret(capture, 1, "half");
	send_mark(capture, 2, 2);
	capture_tick(capture, first - 1);
	assert_int_equal(capture_deadline(capture), first);
	send_mark(capture, 0, 3);
	capture_tick(capture, FAR);
	assert_int_equal(capture_deadline(capture), UINT64_MAX);
	send_mark(capture, 1, 4);
	capture_secret(capture, 1, "other half");
	capture_release(capture, 1);
	capture_count(capture, &count);
	assert_int_equal(count.held_too_long, 2);
	assert_int_equal(count.packets, 4);
	close_capture(capture);
	expect_blocks("S I p3 Khalf\n p1 p2 p4 Kother half\n T");
}

static void a_hold_is_bounded_in_bytes(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .hold_bytes = 300 });
	struct capture_counters count;

	(void)state;
	capture_hold(capture, 1);
	for (uint32_t mark = 1; mark <= 5; mark++)
		send_mark(capture, 1, mark);
	send_mark(capture, 2, 6);
	capture_count(capture, &count);
	assert_int_equal(count.held_too_long, 1);
	close_capture(capture);
	expect_blocks("S I p1 p2 p3 p4 p5 p6 T");
}

// All flows together hold no more than the queue's size; the oldest goes.
static void all_holds_are_bounded_in_bytes(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .queue = 1000 });
	struct capture_counters count;

	(void)state;
	for (uint32_t flow = 1; flow <= 12; flow++) {
		capture_hold(capture, flow);
		send_mark(capture, flow, flow);
	}
	send_mark(capture, 99, 99);
	capture_count(capture, &count);
	assert_int_equal(count.held_too_long, 3);
	close_capture(capture);
	expect_blocks("S I p1 p2 p3 p99 p4 p5 p6 p7 p8 p9 p10 p11 p12 T");
}

static void secrets_are_bounded(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });
	char *line = malloc(60001);
	struct walk walk = { 0 };
	size_t secrets = 0, packets = 0;

	(void)state;
	memset(line, 'x', 60000);
	line[60000] = 0;
	capture_hold(capture, 1);
	send_mark(capture, 1, 1);
	for (int i = 0; i < 5; i++)
		capture_secret(capture, 1, line);
	close_capture(capture);
	free(line);

	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk)) {
		packets += walk.type == WALK_PACKET;
		if (walk.type == WALK_SECRETS) {
			assert_int_equal(packets, 0);
			secrets += walk32(walk.body + 4);
		}
	}
	assert_null(walk.bad);
	assert_int_equal(secrets, 5 * 60001);
	assert_int_equal(packets, 1);
	free(bytes);
}

// The old format has nothing to wait for.
static void classic_holds_nothing(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .path = classic_path });
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;

	(void)state;
	assert_int_equal(add_curl(capture), 1);
	capture_hold(capture, 1);
	assert_int_equal(capture_deadline(capture), UINT64_MAX);
	for (uint32_t mark = 1; mark <= 3; mark++)
		send_mark(capture, mark & 1, mark);
	capture_secret(capture, 1, "secret");
	add_name(capture, "10.0.0.1", "name");
	capture_release(capture, 1);
	close_capture(capture);

	pcap_t *pcap = pcap_open_offline(classic_path, error);
	assert_non_null(pcap);
	for (uint32_t mark = 1; mark <= 3; mark++) {
		assert_int_equal(pcap_next_ex(pcap, &header, &data), 1);
		assert_int_equal(walk32(data + 20 + HEADERS), mark);
	}
	assert_int_equal(pcap_next_ex(pcap, &header, &data), PCAP_ERROR_BREAK);
	pcap_close(pcap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(held_packets_stand_behind_their_secrets, remove_files),
		cmocka_unit_test_teardown(secrets_of_a_flow_not_held_are_written_at_once, remove_files),
		cmocka_unit_test_teardown(flows_are_held_each_for_itself, remove_files),
		cmocka_unit_test_teardown(a_hold_ends_in_time, remove_files),
		cmocka_unit_test_teardown(a_hold_is_bounded_in_bytes, remove_files),
		cmocka_unit_test_teardown(all_holds_are_bounded_in_bytes, remove_files),
		cmocka_unit_test_teardown(secrets_are_bounded, remove_files),
		cmocka_unit_test_teardown(classic_holds_nothing, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
