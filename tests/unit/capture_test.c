// SPDX-License-Identifier: GPL-3.0-or-later
// capture_test - whole captures, read back by us, by libpcap and by the tools.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pcap/capture.h"
#include "tests/unit/pcapng_walk.h"

#define START UINT64_C(1700000000123456789)
#define FAR (UINT64_MAX - 1)

static char folder[] = "/tmp/capture_test.XXXXXX", path[64], classic_path[64];
static char why[512];

static int make_folder(void **state)
{
	(void)state;
	umask(022);
	signal(SIGPIPE, SIG_DFL);	// the writer's thread must not need it ignored
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/out.pcapng", folder);
	snprintf(classic_path, sizeof(classic_path), "%s/out.pcap", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int remove_files(void **state)
{
	(void)state;
	unlink(path);
	unlink(classic_path);
	return 0;
}

// --- packets to write -------------------------------------------------------------

enum { HEADERS = 28 };

struct udp {
	uint8_t bytes[65535];
	struct iovec iov;
};

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint32_t sum16(const uint8_t *bytes, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

// A UDP packet as a tunnel with checksum offload gives it: the pseudo-header's
// sum stands where the checksum is to be. `mark` is its payload's first word.
static struct capture_packet make_udp(struct udp *udp, uint32_t mark, size_t payload)
{
	uint8_t *ip = udp->bytes;
	uint8_t pseudo[12] = { 10, 0, 0, 1, 10, 0, 0, 2, 0, 17 };

	memset(ip, 0, HEADERS);
	memset(ip + HEADERS, mark & 0xff, payload);
	memcpy(ip + HEADERS, &mark, 4);
	ip[0] = 0x45;
	put16(ip + 2, HEADERS + payload);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, pseudo, 8);
	put16(ip + 10, ~sum16(ip, 20));
	put16(ip + 20, 4096);
	put16(ip + 22, 8192);
	put16(ip + 24, 8 + payload);
	put16(pseudo + 10, 8 + payload);
	put16(ip + 26, sum16(pseudo, 12));
	udp->iov = (struct iovec){ ip, HEADERS + payload };
	return (struct capture_packet){
		.time = START + mark, .outgoing = true, .iov = &udp->iov, .count = 1,
		.size = HEADERS + payload, .sum_start = 20, .sum_offset = 6,
	};
}

static void send_mark(struct capture *capture, uint64_t flow, uint32_t mark)
{
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, mark, 10);

	packet.flow = flow;
	capture_packet(capture, &packet);
}

static struct capture *open_capture(struct capture_options options)
{
	struct capture *capture;

	if (!options.path)
		options.path = path;
	assert_int_equal(capture_open(&capture, &options, why, sizeof(why)), 0);
	return capture;
}

static void close_capture(struct capture *capture)
{
	assert_int_equal(capture_close(capture, why, sizeof(why)), 0);
}

static uint32_t add_curl(struct capture *capture)
{
	struct capture_process process = {
		.pid = 4123, .parent = 1, .uid = 1000, .start = START, .name = "curl",
		.path = "/usr/bin/curl", .arguments = "-s http://example.test/", .user = "ann",
	};

	return capture_process(capture, &process);
}

static void add_name(struct capture *capture, const char *address, const char *name)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		capture_name(capture, (struct sockaddr *)&v4, name);
	else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
		capture_name(capture, (struct sockaddr *)&v6, name);
}

// --- reading back -------------------------------------------------------------------

static uint8_t *read_file(const char *name, size_t *size)
{
	struct stat status;
	uint8_t *bytes;
	int fd = open(name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	bytes = malloc(status.st_size + 1);
	assert_int_equal(read(fd, bytes, status.st_size), status.st_size);
	close(fd);
	*size = status.st_size;
	return bytes;
}

static char letter(const struct walk *walk, char *mark, size_t room)
{
	switch (walk->type) {
	case WALK_SECTION:
		return 'S';
	case WALK_INTERFACE:
		return 'I';
	case WALK_PROCESS:
		return 'P';
	case WALK_NAMES:
		return 'N';
	case WALK_STATISTICS:
		return 'T';
	case WALK_SECRETS:
		snprintf(mark, room, "%.*s", (int)walk32(walk->body + 4), walk->body + 8);
		return 'K';
	default:
		snprintf(mark, room, "%u", walk32(walk->data + 20 + HEADERS));
		return 'p';
	}
}

// The file in short: a letter a block (lower case p is a packet) with a
// packet's mark or the secrets' lines behind it. Fails on a bad file.
static void expect_blocks(const char *expected)
{
	struct walk walk = { 0 };
	char text[4096] = "", mark[512];
	size_t at = 0;
	uint8_t *bytes = read_file(path, &walk.size);

	walk.bytes = bytes;
	while (walk_next(&walk)) {
		*mark = 0;
		char kind = letter(&walk, mark, sizeof(mark));
		at += snprintf(text + at, sizeof(text) - at, "%s%c%s", at ? " " : "", kind, mark);
	}
	if (walk.bad)
		fail_msg("%s before byte %zu", walk.bad, walk.at);
	assert_string_equal(text, expected);
	free(bytes);
}

// What the command prints, errors as well.
static void run(const char *command, char *output, size_t room)
{
	FILE *pipe = popen(command, "r");
	size_t size;

	assert_non_null(pipe);
	size = fread(output, 1, room - 1, pipe);
	output[size] = 0;
	int status = pclose(pipe);
	if (status)
		fail_msg("%s: status %d: %s", command, status, output);
}

static bool have(const char *tool)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	return system(command) == 0;
}

// --- whole files --------------------------------------------------------------------

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
	expect_blocks("S I I P N N p1 p2 p3 p4 T T");
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
						"(ann, started 2023-11-14T22:13:20Z)"));
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

// tshark's output without its word about root.
static void run_tshark(const char *name, const char *rest, char *output, size_t room)
{
	static char command[768];

	snprintf(command, sizeof(command),
		 "tshark -r %s -N n -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE %s 2>&1 "
		 "| sed '/^Running as user/d'", name, rest);
	run(command, output, room);
}

#define FIELDS "-T fields -E separator=, -E quote=n -e frame.interface_name -e frame.comment " \
	"-e sll.pkttype -e frame.p2p_dir -e ip.checksum.status -e udp.checksum.status -e ip.dst_host"

// Errors, warnings and notes; comments are of a lower severity.
#define COMPLAINTS "-Y '_ws.malformed || _ws.expert.severity > 0x100000 || _ws.short'"

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

static void processes_are_bounded(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .path = "/dev/null" });

	(void)state;
	for (uint32_t i = 1; i <= 65536; i++)
		assert_int_equal(add_curl(capture), i);
	assert_int_equal(add_curl(capture), 0);
	close_capture(capture);
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

// --- secrets ------------------------------------------------------------------------

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

// --- the writer's troubles ------------------------------------------------------------

// Feeds until the capture is dead; within a bound, or the test fails.
static void feed_to_death(struct capture *capture)
{
	struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 60000);

	for (int i = 0; !capture_error(capture); i++) {
		assert_true(i < 10000);
		if (capture_full(capture) || i > 100) {
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
		capture_packet(capture, &packet);
	}
	assert_false(capture_full(capture));
}

static void a_full_disk_ends_the_capture(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .path = "/dev/full" });
	struct capture_counters count;

	(void)state;
	capture_hold(capture, 1);
	send_mark(capture, 1, 1);
	feed_to_death(capture);
	assert_string_equal(capture_error(capture), "cannot write /dev/full: No space left on device; "
						    "the capture ends at packet 0");
	// All is taken from now on, and nothing kept.
	send_mark(capture, 1, 2);
	capture_secret(capture, 1, "secret");
	capture_secret(capture, 2, "secret");
	capture_hold(capture, 2);
	capture_release(capture, 1);
	add_name(capture, "10.0.0.1", "name");
	assert_int_equal(add_curl(capture), 0);
	capture_count(capture, &count);
	assert_int_equal(count.packets, 0);
	assert_int_equal(capture_close(capture, why, sizeof(why)), -ENOSPC);
	assert_string_equal(why, "cannot write /dev/full: No space left on device; "
				 "the capture ends at packet 0");
}

// An error that only the last write meets is told too.
static void a_full_disk_at_the_end(void **state)
{
	struct capture *capture = open_capture((struct capture_options){ .path = "/dev/full" });

	(void)state;
	assert_int_equal(capture_close(capture, why, sizeof(why)), -ENOSPC);
	assert_non_null(strstr(why, "No space left"));
}

static void expect_whole_file_of(uint64_t packets)
{
	struct walk walk = { 0 };
	uint64_t seen = 0;
	uint8_t *bytes = read_file(path, &walk.size);

	walk.bytes = bytes;
	while (walk_next(&walk))
		seen += walk.type == WALK_PACKET;
	if (walk.bad)
		fail_msg("%s", walk.bad);
	assert_int_equal(seen, packets);
	assert_true(seen > 0);
	free(bytes);
}

// In a child: limits and mounts are the whole process's.
static void expect_child_is_well(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static int fill_up(int error)
{
	struct capture *capture = NULL;
	struct capture_counters count;

	setenv("CMOCKA_TEST_ABORT", "1", 1);	// a child must not go on with other tests
	capture = open_capture((struct capture_options){ 0 });
	feed_to_death(capture);
	capture_count(capture, &count);
	if (capture_close(capture, why, sizeof(why)) != error)
		return 1;
	expect_whole_file_of(count.packets);
	return 0;
}

// A write that a limit cuts short leaves no cut block behind.
static void a_file_that_is_full_ends_whole(void **state)
{
	(void)state;
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = { 500001, 500001 };

		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(fill_up(-EFBIG));
	}
	expect_child_is_well(child);
}

static void a_disk_that_is_full_ends_whole(void **state)
{
	(void)state;
	pid_t child = fork();
	if (!child) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", folder, "tmpfs", 0, "size=600k"))
			_exit(77);
		_exit(fill_up(-ENOSPC));
	}
	expect_child_is_well(child);
}

static void a_closed_pipe_ends_the_capture(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .flush_each = true,
	});
	close(pair[0]);
	feed_to_death(capture);
	assert_non_null(strstr(capture_error(capture), "cannot write standard output: Broken pipe; "));
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EPIPE);
	assert_int_equal(fcntl(pair[1], F_GETFD), -1);	// taken over, so closed
}

// A live reader sees a packet before anything else happens.
static void a_packet_does_not_wait_for_company(void **state)
{
	(void)state;
	for (int each = 0; each < 2; each++) {
		static uint8_t bytes[65536];
		size_t size = 0;
		int pair[2];

		assert_int_equal(pipe(pair), 0);
		struct capture *capture = open_capture((struct capture_options){
			.path = "-", .descriptor = pair[1], .flush_each = each,
		});
		for (uint32_t mark = 1; mark <= 3; mark++) {
			struct walk walk = { .bytes = bytes };
			uint32_t last = 0;

			send_mark(capture, 0, mark);
			while (last != mark) {
				struct pollfd ready = { .fd = pair[0], .events = POLLIN };

				assert_int_equal(poll(&ready, 1, 10000), 1);
				size += read(pair[0], bytes + size, sizeof(bytes) - size);
				walk = (struct walk){ .bytes = bytes, .size = size };
				while (walk_next(&walk))
					if (walk.type == WALK_PACKET)
						last = walk32(walk.data + 20 + HEADERS);
				assert_null(walk.bad);
			}
		}
		close_capture(capture);
		close(pair[0]);
	}
}

// Full from the queue's size on; no longer full at half of it, and the event
// says so, once.
static void a_full_queue_empties(void **state)
{
	static uint8_t bytes[1 << 20];
	struct pollfd event = { .events = POLLIN };
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, 1, 1400);
	int pair[2], sent = 0;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .queue = 1 << 20,
	});
	event.fd = capture_fd(capture);
	assert_false(capture_full(capture));
	for (; !capture_full(capture); sent++) {
		assert_true(sent < 10000);
		capture_packet(capture, &packet);
	}
	assert_true(sent > 500);
	assert_int_equal(poll(&event, 1, 0), 0);
	capture_packet(capture, &packet);	// is taken all the same
	sent++;

	while (!poll(&event, 1, 0))
		assert_true(read(pair[0], bytes, 4096) > 0);
	assert_false(capture_full(capture));
	capture_wake(capture);
	assert_int_equal(poll(&event, 1, 0), 0);
	capture_wake(capture);			// nothing there: no harm

	close(pair[0]);
	assert_int_equal(capture_close(capture, why, sizeof(why)), -EPIPE);
}

// --- many packets -----------------------------------------------------------------------

enum { MANY = 100000, READER_ROOM = 64 << 20 };

struct reader {
	int fd;
	uint8_t *bytes;
	size_t size;
};

static void *read_all(void *argument)
{
	struct reader *reader = argument;
	ssize_t n;

	while ((n = read(reader->fd, reader->bytes + reader->size, READER_ROOM - reader->size)) > 0)
		reader->size += n;
	return NULL;
}

static void start_reading(struct reader *reader, pthread_t *thread)
{
	reader->bytes = malloc(READER_ROOM);
	assert_int_equal(pthread_create(thread, NULL, read_all, reader), 0);
}

// 100,000 packets of many sizes through a small queue into a pipe that may say
// EAGAIN and that nobody reads before the queue is full, with flows held here
// and there: none is lost, and each flow's order is the order of sending.
static void many_packets_keep_their_order(void **state)
{
	static struct udp udp;
	static uint32_t last[8];
	struct reader reader = { 0 };
	struct walk walk = { 0 };
	pthread_t thread;
	uint32_t seen = 0;
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	reader.fd = pair[0];
	struct capture *capture = open_capture((struct capture_options){
		.path = "-", .descriptor = pair[1], .queue = 600000, .hold_bytes = 20000,
	});
	for (uint32_t mark = 1; mark <= MANY; mark++) {
		struct pollfd event = { .fd = capture_fd(capture), .events = POLLIN };
		size_t payload = mark % 1000 ? 4 + mark % 200 : 60000;
		struct capture_packet packet = make_udp(&udp, mark, payload);

		packet.flow = mark % 8;
		if (mark % 777 == 0)
			capture_hold(capture, packet.flow);
		capture_packet(capture, &packet);
		if (mark % 999 == 0)
			capture_release(capture, packet.flow);
		while (capture_full(capture)) {
			if (!reader.bytes)
				start_reading(&reader, &thread);
			assert_int_equal(poll(&event, 1, 10000), 1);
			capture_wake(capture);
		}
	}
	assert_non_null(reader.bytes);
	close_capture(capture);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(pair[0]);

	walk.bytes = reader.bytes;
	walk.size = reader.size;
	while (walk_next(&walk)) {
		if (walk.type != WALK_PACKET)
			continue;
		uint32_t mark = walk32(walk.data + 20 + HEADERS);
		assert_true(mark > last[mark % 8]);
		last[mark % 8] = mark;
		seen++;
	}
	assert_null(walk.bad);
	assert_int_equal(seen, MANY);
	free(reader.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_sample_in_blocks, remove_files),
		cmocka_unit_test_teardown(texts_of_a_process, remove_files),
		cmocka_unit_test_teardown(libpcap_reads_both_formats, remove_files),
		cmocka_unit_test_teardown(tshark_reads_both_formats, remove_files),
		cmocka_unit_test_teardown(other_tools_read_both_formats, remove_files),
		cmocka_unit_test_teardown(a_file_is_private, remove_files),
		cmocka_unit_test_teardown(other_kinds_of_file, remove_files),
		cmocka_unit_test_teardown(bad_opens_are_told, remove_files),
		cmocka_unit_test_teardown(a_filter_chooses, remove_files),
		cmocka_unit_test_teardown(a_snapshot_length_cuts, remove_files),
		cmocka_unit_test_teardown(odd_input_is_harmless, remove_files),
		cmocka_unit_test_teardown(processes_are_bounded, remove_files),
		cmocka_unit_test_teardown(a_name_is_said_once, remove_files),
		cmocka_unit_test_teardown(held_packets_stand_behind_their_secrets, remove_files),
		cmocka_unit_test_teardown(secrets_of_a_flow_not_held_are_written_at_once, remove_files),
		cmocka_unit_test_teardown(flows_are_held_each_for_itself, remove_files),
		cmocka_unit_test_teardown(a_hold_ends_in_time, remove_files),
		cmocka_unit_test_teardown(a_hold_is_bounded_in_bytes, remove_files),
		cmocka_unit_test_teardown(all_holds_are_bounded_in_bytes, remove_files),
		cmocka_unit_test_teardown(secrets_are_bounded, remove_files),
		cmocka_unit_test_teardown(classic_holds_nothing, remove_files),
		cmocka_unit_test_teardown(a_full_disk_ends_the_capture, remove_files),
		cmocka_unit_test_teardown(a_full_disk_at_the_end, remove_files),
		cmocka_unit_test_teardown(a_file_that_is_full_ends_whole, remove_files),
		cmocka_unit_test_teardown(a_disk_that_is_full_ends_whole, remove_files),
		cmocka_unit_test_teardown(a_closed_pipe_ends_the_capture, remove_files),
		cmocka_unit_test_teardown(a_packet_does_not_wait_for_company, remove_files),
		cmocka_unit_test_teardown(a_full_queue_empties, remove_files),
		cmocka_unit_test_teardown(many_packets_keep_their_order, remove_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
