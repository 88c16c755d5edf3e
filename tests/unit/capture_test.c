// SPDX-License-Identifier: GPL-3.0-or-later
// capture_test - whole captures, read back by us, by libpcap and by the tools.

#include "tests/unit/capture_world.h"

static void write_sample(const char *name)
{
	struct capture *capture = open_capture((struct capture_options){
		.path = name, .application = "apptap test", .comment = "curl -s http://example.test/",
		.filter = "ip",
	});
	uint32_t curl = add_curl(capture);
	static struct udp udp;

	assert_int_equal(curl, 1);
	add_name(capture, "10.0.0.2", "example.test");
	add_name(capture, "2001:db8::1", "six.example.test");
	for (uint32_t mark = 1; mark <= 4; mark++) {
		struct capture_packet packet = make_udp(&udp, mark, mark == 4 ? 65507 : 10 + mark);

		packet.process = mark & 1 ? curl : 0;
		packet.outgoing = mark < 3;
		packet.comment = mark == 1 ? "curl[4123]: caf\xc3\xa9" : NULL;
		capture_packet(capture, &packet);
	}
	close_capture(capture);
}

static void a_sample_in_blocks(void **state)
{
	(void)state;
	write_sample(path);
	expect_blocks("S I N N I P p1 p2 p3 p4 T T");
}

static void texts_of_a_process(void **state)
{
	struct walk walk = { 0 };
	int seen = 0;

	(void)state;
	write_sample(path);
	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk)) {
		if (walk.type == WALK_SECTION) {
			assert_true(walk_says(&walk, 1, "curl -s http://example.test/"));
			assert_true(walk_says(&walk, 4, "apptap test"));
			seen++;
		} else if (walk.type == WALK_INTERFACE && walk.interfaces == 2) {
			assert_true(walk_says(&walk, 2, "curl[4123]"));
			assert_true(walk_says(&walk, 3, "/usr/bin/curl -s http://example.test/ "
						"(ann, started 2023-11-14T22:13:20Z, parent 1, container 0123abcd)"));
			seen++;
		} else if (walk.type == WALK_PROCESS) {
			assert_int_equal(walk32(walk.body), 4123);
			assert_true(walk_says(&walk, 2, "curl"));
			seen++;
		}
	}
	assert_null(walk.bad);
	assert_int_equal(seen, 3);
	free(bytes);
}

static void expect_sample_by_libpcap(const char *name)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(name, PCAP_TSTAMP_PRECISION_NANO, error);
	struct pcap_pkthdr *header;
	const u_char *data;

	if (!pcap)
		fail_msg("%s", error);
	assert_int_equal(pcap_datalink(pcap), DLT_LINUX_SLL2);
	for (uint32_t mark = 1; mark <= 4; mark++) {
		uint32_t size = 20 + HEADERS + (mark == 4 ? 65507 : 10 + mark);

		assert_int_equal(pcap_next_ex(pcap, &header, &data), 1);
		assert_int_equal(header->ts.tv_sec * UINT64_C(1000000000) + header->ts.tv_usec,
				 START + mark);
		assert_int_equal(header->caplen, size);
		assert_int_equal(header->len, size);
		assert_int_equal(data[10], mark < 3 ? 4 : 0);
		assert_int_equal(walk32(data + 20 + HEADERS), mark);
	}
	assert_int_equal(pcap_next_ex(pcap, &header, &data), PCAP_ERROR_BREAK);
	pcap_close(pcap);
}

static void libpcap_reads_both_formats(void **state)
{
	(void)state;
	write_sample(path);
	expect_sample_by_libpcap(path);
	write_sample(classic_path);
	expect_sample_by_libpcap(classic_path);
}

#define FIELDS "-T fields -E separator=, -E quote=n -e frame.interface_name -e frame.comment " \
	"-e sll.pkttype -e frame.p2p_dir -e ip.checksum.status -e udp.checksum.status -e ip.dst_host"

// Checksums are verified (status 1: good), nothing is malformed, nothing is
// said on standard error.
static void tshark_reads_both_formats(void **state)
{
	static char output[4096];

	(void)state;
	if (!have("tshark"))
		skip();
	write_sample(path);
	run_tshark(path, FIELDS, output, sizeof(output));
	assert_string_equal(output, "curl[4123],curl[4123]: caf\xc3\xa9,4,0,1,1,example.test\n"
				    "apptap,,4,0,1,1,example.test\n"
				    "curl[4123],,0,1,1,1,example.test\n"
				    "apptap,,0,1,1,1,example.test\n");
	run_tshark(path, COMPLAINTS, output, sizeof(output));
	assert_string_equal(output, "");

	write_sample(classic_path);
	run_tshark(classic_path, FIELDS, output, sizeof(output));
	assert_string_equal(output, ",,4,,1,1,10.0.0.2\n,,4,,1,1,10.0.0.2\n"
				    ",,0,,1,1,10.0.0.2\n,,0,,1,1,10.0.0.2\n");
	run_tshark(classic_path, COMPLAINTS, output, sizeof(output));
	assert_string_equal(output, "");
}

// The process is in each packet, also where the file has no interfaces.
static void pktap_names_the_process(void **state)
{
	static char command[256], output[4096];

	(void)state;
	if (!have("tshark") || !have("tcpdump"))
		skip();
	for (int classic = 0; classic < 2; classic++) {
		const char *name = classic ? classic_path : path;
		struct capture *capture = open_capture((struct capture_options){ .path = name, .pktap = true });
		static struct udp udp;
		struct capture_packet packet = make_udp(&udp, 1, 10);

		packet.process = add_curl(capture);
		capture_packet(capture, &packet);
		packet.process = 0;
		packet.outgoing = false;
		capture_packet(capture, &packet);
		close_capture(capture);
		run_tshark(name, "-T fields -E separator=, -e pktap.pid -e pktap.cmdname -e pktap.flags -e udp.length "
			   "-e udp.checksum.status", output, sizeof(output));
		assert_string_equal(output, "4123,curl,0x00000002,18,1\n4294967295,,0x00000001,18,1\n");
		run_tshark(name, COMPLAINTS, output, sizeof(output));
		assert_string_equal(output, "");
		snprintf(command, sizeof(command), "tcpdump -nr %s 2>&1 | grep -c UDP", name);
		run(command, output, sizeof(output));
		assert_string_equal(output, "2\n");
	}
}

static void other_tools_read_both_formats(void **state)
{
	static char command[512], output[4096];

	(void)state;
	if (!have("capinfos") || !have("tcpdump"))
		skip();
	for (int classic = 0; classic < 2; classic++) {
		const char *name = classic ? classic_path : path;

		write_sample(name);
		snprintf(command, sizeof(command), "capinfos -c -E %s 2>&1", name);
		run(command, output, sizeof(output));
		assert_non_null(strstr(output, "Number of packets:   4\n"));
		assert_non_null(strstr(output, "Linux cooked-mode capture v2"));
		assert_null(strstr(output, "corrupt"));
		snprintf(command, sizeof(command), "tcpdump -vvnr %s 2>&1 | grep -c 'udp sum ok'", name);
		run(command, output, sizeof(output));
		assert_string_equal(output, "4\n");
	}
}

static void a_file_is_private(void **state)
{
	struct stat status;

	(void)state;
	close_capture(open_capture((struct capture_options){ 0 }));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	expect_blocks("S I");

	// One that stands keeps its mode, and nothing of its content.
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(truncate(path, 100000), 0);
	close_capture(open_capture((struct capture_options){ 0 }));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	expect_blocks("S I");
}

// A symbolic link is followed; a fifo has its reader.
static void other_kinds_of_file(void **state)
{
	static uint8_t bytes[4096];
	struct stat status;
	char name[80];

	(void)state;
	snprintf(name, sizeof(name), "%s/other.pcap", folder);
	assert_int_equal(symlink(path, name), 0);
	close_capture(open_capture((struct capture_options){ .path = name,
							     .format = CAPTURE_PCAPNG }));
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	expect_blocks("S I");
	unlink(name);

	assert_int_equal(mkfifo(name, 0600), 0);
	int fd = open(name, O_RDONLY | O_NONBLOCK);
	struct capture *capture = open_capture((struct capture_options){ .path = name });
	send_mark(capture, 0, 1);
	close_capture(capture);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 24 + 16 + 20 + HEADERS + 10);
	close(fd);
	unlink(name);
}

static void expect_refusal(struct capture_options options, int error, const char *words)
{
	struct capture *capture;

	*why = 0;
	assert_int_equal(capture_open(&capture, &options, why, sizeof(why)), error);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void bad_opens_are_told(void **state)
{
	struct stat status;
	int pair[2];

	(void)state;
	expect_refusal((struct capture_options){ .path = "/nowhere/out.pcapng" }, -ENOENT,
		       "cannot write /nowhere/out.pcapng: No such file or directory; make its folder");
	expect_refusal((struct capture_options){ .path = folder }, -EISDIR, "name a file in it");
	expect_refusal((struct capture_options){ .path = "-", .descriptor = 9999 }, -EBADF,
		       "standard output");
	assert_int_equal(pipe(pair), 0);
	expect_refusal((struct capture_options){ .path = "-", .descriptor = pair[0] }, -EBADF,
		       "standard output");
	close(pair[0]);
	close(pair[1]);

	// A file is not emptied for a filter that is wrong.
	close_capture(open_capture((struct capture_options){ 0 }));
	expect_refusal((struct capture_options){ .path = path, .filter = "tcp and" }, -EINVAL,
		       "capture filter \"tcp and\": ");
	assert_int_equal(stat(path, &status), 0);
	assert_true(status.st_size > 0);
}

static void a_filter_chooses(void **state)
{
	struct capture *capture = open_capture((struct capture_options){
		.filter = "udp and dst host 10.0.0.2 and udp[8] == 3",
	});
	struct capture_counters count;
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 3, 10);
	struct iovec halves[2] = { { udp.bytes, 21 }, { udp.bytes + 21, HEADERS + 10 - 21 } };

	(void)state;
	for (uint32_t mark = 1; mark <= 4; mark++)
		send_mark(capture, 0, mark);
	packet.iov = halves;
	packet.count = 2;
	capture_packet(capture, &packet);
	capture_count(capture, &count);
	assert_int_equal(count.packets, 2);
	assert_int_equal(count.filtered, 3);
	assert_int_equal(count.bytes, 2 * (HEADERS + 10));
	close_capture(capture);
	expect_blocks("S I p3 p3 T");
}

static void a_snapshot_length_cuts(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .snaplen = 40 });
	static struct udp udp, whole;
	struct capture_packet packet = make_udp(&udp, 9, 1000);
	struct walk walk = { 0 };
	int packets = 0;

	(void)state;
	memcpy(whole.bytes, udp.bytes, sizeof(udp.bytes));
	put16(whole.bytes + 26, ~sum16(whole.bytes + 20, 1008));
	capture_packet(capture, &packet);
	close_capture(capture);

	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk)) {
		if (walk.type != WALK_PACKET)
			continue;
		assert_int_equal(walk.snaplen, 60);
		assert_int_equal(walk.captured, 60);
		assert_int_equal(walk.original, 20 + HEADERS + 1000);
		assert_memory_equal(walk.data + 20, whole.bytes, 40);
		packets++;
	}
	assert_null(walk.bad);
	assert_int_equal(packets, 1);
	free(bytes);
}

// What cannot be is taken without harm.
static void odd_input_is_harmless(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .queue = 1 << 20 });
	static uint8_t huge[300000] = { 0x60 };
	struct iovec none = { NULL, 0 }, much = { huge, sizeof(huge) };
	struct iovec split[2] = { { NULL, 0 }, { huge, 4 } };
	struct sockaddr unix_address = { .sa_family = AF_UNIX };
	struct capture_process nameless = { .pid = -1 };

	(void)state;
	capture_packet(capture, &(struct capture_packet){ .iov = &none, .count = 1, .size = 10 });
	capture_packet(capture, &(struct capture_packet){ .iov = &none, .count = 0, .size = 10 });
	capture_packet(capture, &(struct capture_packet){ .iov = split, .count = 2, .size = 99,
							  .process = 77 });
	capture_packet(capture, &(struct capture_packet){ .iov = &much, .count = 1,
							  .size = sizeof(huge) });
	capture_name(capture, &unix_address, "name");
	add_name(capture, "10.0.0.1", "");
	capture_secret(capture, 1, "");
	capture_release(capture, 1);
	capture_hold(capture, 0);
	capture_tick(capture, FAR);
	assert_int_equal(capture_process(capture, &nameless), 1);
	close_capture(capture);
	assert_int_equal(capture_close(NULL, why, sizeof(why)), 0);

	struct walk walk = { 0 };
	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk))
		;
	assert_null(walk.bad);
	free(bytes);
}

static void describe_as(const char *path_of, const char *arguments, const char *description)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });
	struct capture_process process = { .pid = 7, .uid = 5, .name = "n", .path = path_of, .arguments = arguments };
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 10);
	struct walk walk = { 0 };
	bool said = false;

	packet.process = capture_process(capture, &process);
	capture_packet(capture, &packet);
	close_capture(capture);
	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk))
		said |= walk.type == WALK_INTERFACE && walk_says(&walk, 3, description);
	if (!said)
		fail_msg("no interface says \"%s\"", description);
	free(bytes);
}

// Its path once, and one line.
static void a_command_is_readable(void **state)
{
	static char many[9000], cut[5000];

	(void)state;
	describe_as("/usr/bin/curl", "curl -s x", "/usr/bin/curl -s x (uid 5)");
	describe_as("/usr/bin/curl", "/usr/bin/curl", "/usr/bin/curl (uid 5)");
	describe_as("/usr/bin/curl", "curly x", "/usr/bin/curl: curly x (uid 5)");
	describe_as("/usr/bin/python3.11", "python3 -c  \n\tprint(1)\n", "/usr/bin/python3.11: python3 -c print(1) (uid 5)");
	describe_as(NULL, "a b", "n: a b (uid 5)");
	describe_as("", NULL, "n (uid 5)");
	memset(many, 'x', sizeof(many) - 1);
	memcpy(many, "n ", 2);
	memset(cut, 'x', 4092);
	memcpy(cut, "n ", 2);
	strcpy(cut + 4092, "... (uid 5)");
	describe_as("", many, cut);
}

// A process is an interface once it has packets, and what the filter passed over before counts.
static void who_has_no_packets_is_not_told(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .filter = "greater 100" });
	uint32_t first = add_curl_of(capture, 1), second = add_curl_of(capture, 2);
	static struct udp udp;
	struct walk walk = { 0 };
	uint64_t received = 0;
	size_t size;

	(void)state;
	for (uint32_t mark = 1; mark <= 5; mark++) {
		struct capture_packet packet = make_udp(&udp, mark, mark == 4 ? 200 : 10);

		packet.process = mark % 2 ? first : second;
		capture_packet(capture, &packet);
	}
	close_capture(capture);
	expect_blocks("S I I P p4 T");
	uint8_t *bytes = read_file(path, &walk.size);
	walk.bytes = bytes;
	while (walk_next(&walk)) {
		if (walk.type == WALK_INTERFACE && walk.interfaces == 2)
			assert_true(walk_says(&walk, 2, "curl[2]"));
		if (walk.type == WALK_STATISTICS)
			memcpy(&received, walk_option(&walk, 4, &size), sizeof(received));
	}
	assert_int_equal(received, 2);
	free(bytes);
}

static void a_name_is_said_once(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ 0 });

	(void)state;
	add_name(capture, "10.0.0.1", "a.test");
	add_name(capture, "10.0.0.1", "a.test");
	send_mark(capture, 0, 1);
	add_name(capture, "10.0.0.1", "b.test");
	add_name(capture, "::1", "a.test");
	close_capture(capture);
	expect_blocks("S I N p1 N N T");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_sample_in_blocks, remove_files),
		cmocka_unit_test_teardown(texts_of_a_process, remove_files),
		cmocka_unit_test_teardown(libpcap_reads_both_formats, remove_files),
		cmocka_unit_test_teardown(tshark_reads_both_formats, remove_files),
		cmocka_unit_test_teardown(pktap_names_the_process, remove_files),
		cmocka_unit_test_teardown(other_tools_read_both_formats, remove_files),
		cmocka_unit_test_teardown(a_file_is_private, remove_files),
		cmocka_unit_test_teardown(other_kinds_of_file, remove_files),
		cmocka_unit_test_teardown(bad_opens_are_told, remove_files),
		cmocka_unit_test_teardown(a_filter_chooses, remove_files),
		cmocka_unit_test_teardown(a_snapshot_length_cuts, remove_files),
		cmocka_unit_test_teardown(odd_input_is_harmless, remove_files),
		cmocka_unit_test_teardown(a_command_is_readable, remove_files),
		cmocka_unit_test_teardown(who_has_no_packets_is_not_told, remove_files),
		cmocka_unit_test_teardown(a_name_is_said_once, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
