// SPDX-License-Identifier: GPL-3.0-or-later
// capture_world - a folder, packets to write, and files in short, for the tests of captures.
//
// Included by each of them, first.

#ifndef TESTS_CAPTURE_WORLD_H
#define TESTS_CAPTURE_WORLD_H

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

static inline int make_folder(void **state)
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

static inline int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static inline int remove_files(void **state)
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

static inline void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline uint32_t sum16(const uint8_t *bytes, size_t size)
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
static inline struct capture_packet make_udp(struct udp *udp, uint32_t mark, size_t payload)
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

static inline void send_mark(struct capture *capture, uint64_t flow, uint32_t mark)
{
	static struct udp udp;
	struct capture_packet packet = make_udp(&udp, mark, 10);

	packet.flow = flow;
	capture_packet(capture, &packet);
}

static inline struct capture *open_capture(struct capture_options options)
{
	struct capture *capture;

	if (!options.path)
		options.path = path;
	assert_int_equal(capture_open(&capture, &options, why, sizeof(why)), 0);
	return capture;
}

static inline void close_capture(struct capture *capture)
{
	assert_int_equal(capture_close(capture, why, sizeof(why)), 0);
}

static inline uint32_t add_curl_of(struct capture *capture, int32_t pid)
{
	struct capture_process process = {
		.pid = pid, .parent = 1, .uid = 1000, .start = START, .name = "curl",
		.path = "/usr/bin/curl", .arguments = "curl -s http://example.test/", .user = "ann", .container = "0123abcd",
	};

	return capture_process(capture, &process);
}

static inline uint32_t add_curl(struct capture *capture)
{
	return add_curl_of(capture, 4123);
}

static inline void add_name(struct capture *capture, const char *address, const char *name)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		capture_name(capture, (struct sockaddr *)&v4, name);
	else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
		capture_name(capture, (struct sockaddr *)&v6, name);
}

// --- reading back -------------------------------------------------------------------

static inline uint8_t *read_file(const char *name, size_t *size)
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

static inline char letter(const struct walk *walk, char *mark, size_t room)
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
static inline void expect_blocks(const char *expected)
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
static inline void run(const char *command, char *output, size_t room)
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

static inline bool have(const char *tool)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	return system(command) == 0;
}

// tshark's output without its word about root.
static inline void run_tshark(const char *name, const char *rest, char *output, size_t room)
{
	static char command[768];

	snprintf(command, sizeof(command),
		 "tshark -r %s -N n -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE %s 2>&1 "
		 "| sed '/^Running as user/d'", name, rest);
	run(command, output, room);
}

// Errors, warnings and notes; comments are of a lower severity.
#define COMPLAINTS "-Y '_ws.malformed || _ws.expert.severity > 0x100000 || _ws.short'"

#endif
