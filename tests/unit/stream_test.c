// SPDX-License-Identifier: GPL-3.0-or-later
// stream_test - plaintext as TCP conversations, read back by tshark.

#include "tests/unit/capture_world.h"

#define TELL "-T fields -E separator=, -E occurrence=a "

static struct sockaddr_storage app, peer;

static void set_addresses(const char *app_host, uint16_t app_port, const char *peer_host, uint16_t peer_port)
{
	struct { const char *host; uint16_t port; struct sockaddr_storage *to; } rows[] = {
		{ app_host, app_port, &app }, { peer_host, peer_port, &peer },
	};

	for (int i = 0; i < 2; i++) {
		struct sockaddr_in *v4 = (void *)rows[i].to;
		struct sockaddr_in6 *v6 = (void *)rows[i].to;

		memset(rows[i].to, 0, sizeof(*rows[i].to));
		if (inet_pton(AF_INET, rows[i].host, &v4->sin_addr) == 1) {
			v4->sin_family = AF_INET;
			v4->sin_port = htons(rows[i].port);
		} else {
			assert_int_equal(inet_pton(AF_INET6, rows[i].host, &v6->sin6_addr), 1);
			v6->sin6_family = AF_INET6;
			v6->sin6_port = htons(rows[i].port);
		}
	}
}

static struct stream *open_plain(struct capture *capture, uint32_t process, const char *protocol)
{
	struct capture_plain plain = {
		.time = START, .process = process, .app = (void *)&app, .peer = (void *)&peer,
		.protocol = protocol, .comment = "plaintext of a flow",
	};

	return capture_plain_open(capture, &plain);
}

// Plaintext and nothing else.
static struct capture *open_alone(struct capture_options options)
{
	struct capture *capture;

	if (!options.plain_path)
		options.plain_path = path;
	assert_int_equal(capture_open(&capture, &options, why, sizeof(why)), 0);
	return capture;
}

static void say(struct stream *stream, bool outgoing, const char *text)
{
	capture_plain_data(stream, outgoing, text, strlen(text), START + 1000);
}

static void expect_tshark(const char *rest, const char *expected)
{
	static char output[16384];

	run_tshark(path, rest, output, sizeof(output));
	assert_string_equal(output, expected);
}

static void expect_sound(void)
{
	// Notes, warnings, errors; a SYN is worth a "chat" to it, an end always a note or more.
	expect_tshark("-Y '(_ws.expert.severity > 0x200000 && tcp.flags.fin == 0 && tcp.flags.reset == 0) "
		      "|| _ws.short'", "");
	expect_tshark("-o tcp.check_checksum:TRUE -Y 'tcp.checksum.status != 1 || tcp.analysis.flags "
		      "|| _ws.malformed'", "");
}

static void http_on_both_halves(void **state)
{
	static const struct { const char *app, *peer; uint32_t segment; } rows[] = {
		{ "10.0.0.1", "192.0.2.7", 0 }, { "2001:db8::1", "2001:db8::2", 0 },
		{ "10.0.0.1", "192.0.2.7", 20 }, { "2001:db8::1", "2001:db8::2", 1220 },
	};

	(void)state;
	if (!have("tshark"))
		skip();
	for (int i = 0; i < 4; i++) {
		struct capture *capture = open_alone((struct capture_options){
			.plain_segment = rows[i].segment,
		});
		uint32_t curl = add_curl(capture);

		set_addresses(rows[i].app, 40000, rows[i].peer, 443);
		struct stream *stream = open_plain(capture, curl, NULL);
		say(stream, true, "GET /one HTTP/1.1\r\nHost: x.test\r\n\r\n");
		say(stream, false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
		capture_plain_finish(stream, true, START + 2000);
		capture_plain_finish(stream, true, START + 2000);
		say(stream, false, "");
		capture_plain_finish(stream, false, START + 3000);
		capture_plain_reset(stream, false, START + 3000);
		capture_plain_close(stream);
		close_capture(capture);
		expect_sound();
		expect_tshark("-Y http.request " TELL "-e http.request.uri -e tcp.dstport -e frame.interface_name",
			      "/one,80,curl[4123] plaintext\n");
		expect_tshark("-Y http.response " TELL "-e http.response.code -e http.file_data", "200,hello\n");
		expect_tshark("-Y 'tcp.flags.fin == 1' " TELL "-e tcp.srcport", "40000\n80\n");
		expect_tshark("-Y 'frame.number == 1' " TELL "-e frame.comment -e tcp.flags.syn",
			      "plaintext of a flow,1\n");
	}
}

// No window fills up and no byte is lost on the way of 70 MB in one direction.
static void much_in_one_direction(void **state)
{
	struct capture *capture = open_alone((struct capture_options){ 0 });
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
	static uint8_t bytes[200000];

	(void)state;
	if (!have("tshark"))
		skip();
	set_addresses("10.0.0.1", 40000, "192.0.2.7", 9999);
	struct stream *stream = open_plain(capture, 0, NULL);
	for (int i = 0; i < 350; i++) {
		capture_plain_data(stream, false, bytes, sizeof(bytes), START + i);
		while (capture_full(capture)) {
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
	}
	capture_plain_reset(stream, true, START + 400);
	say(stream, true, "too late");
	capture_plain_close(stream);
	close_capture(capture);
	expect_sound();
	expect_tshark("-Y 'tcp.flags.reset == 1' " TELL "-e tcp.ack -e tcp.srcport", "70000001,40000\n");
}

static void beside_the_packets(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .plain_path = path, .rotate_size = 1 });
	uint32_t curl = add_curl(capture);
	struct capture_counters count;

	(void)state;
	set_addresses("10.0.0.1", 40000, "10.0.0.2", 443);
	send_mark(capture, 0, 1);
	struct stream *stream = open_plain(capture, curl, NULL);
	capture_count(capture, &count);
	assert_int_equal(count.packets, 1);
	assert_int_equal(count.plain, 3);
	capture_plain_close(stream);
	close_capture(capture);
	for (int i = 1; i <= 3; i++) {
		char name[80];
		struct walk walk = { 0 };
		int interfaces = 0, processes = 0;

		snprintf(name, sizeof(name), "%s%d", path, i);
		uint8_t *bytes = read_file(name, &walk.size);
		walk.bytes = bytes;
		while (walk_next(&walk)) {
			interfaces += walk.type == WALK_INTERFACE;
			processes += walk.type == WALK_PROCESS;
			if (walk.type == WALK_PACKET)
				assert_int_equal(walk.interface, 1);
		}
		assert_null(walk.bad);
		assert_int_equal(interfaces, 2);
		assert_int_equal(processes, 1);
		free(bytes);
		unlink(name);
	}
}

static void one_process_block_for_both(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .plain_path = path });
	uint32_t curl = add_curl(capture);
	static struct udp udp;
	struct walk walk = { 0 };
	int interfaces = 0, processes = 0;

	(void)state;
	set_addresses("10.0.0.1", 40000, "10.0.0.2", 443);
	capture_plain_close(open_plain(capture, curl, NULL));
	struct capture_packet packet = make_udp(&udp, 1, 10);
	packet.process = curl;
	capture_packet(capture, &packet);
	close_capture(capture);
	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk)) {
		interfaces += walk.type == WALK_INTERFACE;
		processes += walk.type == WALK_PROCESS;
	}
	assert_null(walk.bad);
	assert_int_equal(interfaces, 3);
	assert_int_equal(processes, 1);
	free(bytes);
}

static void ports_are_those_readers_know(void **state)
{
	static const uint16_t own[][2] = { { 4443, 8080 }, { 443, 81 }, { 0, 0 } };
	static const struct { uint16_t from; const char *protocol; bool ours; uint16_t to; } rows[] = {
		{ 443, NULL, false, 80 }, { 993, NULL, false, 143 }, { 995, NULL, false, 110 },
		{ 465, NULL, false, 25 }, { 587, NULL, false, 25 }, { 636, NULL, false, 389 },
		{ 4443, NULL, false, 4443 }, { 4443, "h2", false, 80 }, { 4443, "http/1.1", false, 80 },
		{ 4443, "imap", false, 4443 }, { 4443, "h2", true, 8080 }, { 443, NULL, true, 81 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct capture *capture = open_alone((struct capture_options){
			.plain_ports = rows[i].ours ? own : NULL,
		});
		struct walk walk = { 0 };

		set_addresses("10.0.0.1", 40000, "10.0.0.2", rows[i].from);
		capture_plain_close(open_plain(capture, 0, rows[i].protocol));
		close_capture(capture);
		uint8_t *bytes = read_file(path, &walk.size);
		walk.bytes = bytes;
		while (walk_next(&walk) && walk.type != WALK_PACKET)
			;
		assert_int_equal(walk.type, WALK_PACKET);
		assert_int_equal(walk.data[20 + 22] << 8 | walk.data[20 + 23], rows[i].to);
		free(bytes);
	}
}

static void what_is_not_wanted_is_no_stream(void **state)
{
	static const int32_t pids[] = { 7, 0 };
	struct capture *capture = open_capture((struct capture_options){ 0 });

	(void)state;
	set_addresses("10.0.0.1", 40000, "10.0.0.2", 443);
	assert_false(capture_wants_plain(capture));
	assert_null(open_plain(capture, 0, NULL));
	close_capture(capture);

	capture = open_alone((struct capture_options){ .filter = "tcp port 443" });
	struct stream *stream = open_plain(capture, 0, NULL);
	assert_non_null(stream);
	capture_plain_close(stream);
	set_addresses("10.0.0.1", 40000, "10.0.0.2", 80);
	assert_null(open_plain(capture, 0, NULL));
	set_addresses("10.0.0.1", 40000, "2001:db8::1", 443);
	assert_null(open_plain(capture, 0, NULL));
	close_capture(capture);

	capture = open_alone((struct capture_options){ .only_pids = pids });
	set_addresses("10.0.0.1", 40000, "10.0.0.2", 443);
	assert_null(open_plain(capture, add_curl(capture), NULL));
	close_capture(capture);
}

static void a_classic_file_of_plaintext(void **state)
{
	static char command[256], output[4096];
	struct capture *capture = open_alone((struct capture_options){ .plain_path = classic_path });

	(void)state;
	if (!have("tcpdump"))
		skip();
	set_addresses("10.0.0.1", 40000, "10.0.0.2", 443);
	struct stream *stream = open_plain(capture, 0, NULL);
	say(stream, true, "GET / HTTP/1.0\r\n\r\n");
	capture_plain_close(stream);
	close_capture(capture);
	snprintf(command, sizeof(command), "tcpdump -vvnr %s 2>&1 | grep -c 'cksum.*correct'", classic_path);
	run(command, output, sizeof(output));
	assert_string_equal(output, "4\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(http_on_both_halves, remove_files),
		cmocka_unit_test_teardown(much_in_one_direction, remove_files),
		cmocka_unit_test_teardown(beside_the_packets, remove_files),
		cmocka_unit_test_teardown(one_process_block_for_both, remove_files),
		cmocka_unit_test_teardown(ports_are_those_readers_know, remove_files),
		cmocka_unit_test_teardown(what_is_not_wanted_is_no_stream, remove_files),
		cmocka_unit_test_teardown(a_classic_file_of_plaintext, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
