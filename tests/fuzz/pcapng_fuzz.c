// SPDX-License-Identifier: GPL-3.0-or-later
// pcapng_fuzz - any sequence of calls makes a file that two readers accept.
//
// The input is a program: a byte says which call, the next ones what with. The
// file goes to memory, or a ring of files to a folder in it; an independent walker
// and libpcap then read each, and both must find as many packets, over all files,
// as the capture says it took. (A third, capinfos, is a program: it reads what
// tests/unit/pcapng_written_test.c has written by this.)

#include <fcntl.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcap/capture.h"
#include "tests/unit/pcapng_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t take(struct input *input, size_t bytes)
{
	uint32_t value = 0;

	for (; bytes && input->left; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

// Up to `most` of the next bytes as text, which ends at a zero.
static const char *take_text(struct input *input, char *text, size_t most)
{
	size_t size = take(input, 1) % most;

	if (size > input->left)
		size = input->left;
	memcpy(text, input->at, size);
	text[size] = 0;
	input->at += size;
	input->left -= size;
	return text;
}

static void call_packet(struct capture *capture, struct input *input)
{
	static uint8_t bytes[400000];
	char comment[64];
	uint32_t how = take(input, 1);
	size_t size = how & 1 ? take(input, 1) : take(input, 3) % sizeof(bytes);
	size_t first = size ? take(input, 1) % (size + 1) : 0;
	struct iovec iov[2] = { { bytes, first }, { bytes + first, size - first } };
	struct capture_packet packet = {
		.time = (uint64_t)take(input, 4) << 30 | take(input, 4),
		.process = take(input, 1) % 8,
		.flow = take(input, 1) % 8,
		.outgoing = how & 2,
		.iov = iov,
		.count = 2,
		.size = how & 4 ? size : size / 2,
		.sum_start = how & 8 ? take(input, 2) : 0,
		.sum_offset = how & 8 ? take(input, 2) : 0,
		.comment = how & 16 ? take_text(input, comment, sizeof(comment)) : NULL,
	};

	bytes[0] = take(input, 1);
	capture_packet(capture, &packet);
}

static void call_process(struct capture *capture, struct input *input)
{
	char name[64], path[64], arguments[256], user[64];
	struct capture_process process = {
		.pid = take(input, 4), .uid = take(input, 4),
		.start = (uint64_t)take(input, 4) << 32 | take(input, 4),
		.name = take(input, 1) & 1 ? take_text(input, name, sizeof(name)) : NULL,
		.path = take(input, 1) & 1 ? take_text(input, path, sizeof(path)) : NULL,
		.arguments = take(input, 1) & 1 ? take_text(input, arguments, sizeof(arguments)) : NULL,
		.user = take(input, 1) & 1 ? take_text(input, user, sizeof(user)) : NULL,
	};

	capture_process(capture, &process);
}

static void call_name(struct capture *capture, struct input *input)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	char name[256];

	v4.sin_addr.s_addr = take(input, 1);
	v6.sin6_addr.s6_addr[15] = take(input, 1);
	capture_name(capture, take(input, 1) & 1 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		     take_text(input, name, sizeof(name)));
}

static struct stream *streams[4];

static void call_stream(struct capture *capture, struct input *input)
{
	static uint8_t bytes[70000];
	struct sockaddr_in app = { .sin_family = AF_INET, .sin_port = take(input, 1) }, peer = app;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = app.sin_port };
	uint32_t how = take(input, 1);
	struct stream **stream = &streams[how % 4];
	bool v6 = how & 4, outgoing = how & 8;
	struct capture_plain plain = {
		.time = take(input, 4), .process = take(input, 1) % 8,
		.app = v6 ? (void *)&six : (void *)&app, .peer = v6 ? (void *)&six : (void *)&peer,
		.protocol = how & 16 ? "h2" : NULL, .comment = how & 32 ? "c" : NULL,
	};

	if (!*stream)
		*stream = capture_plain_open(capture, &plain);
	if (!*stream)
		return;
	switch (how >> 6) {
	case 0:
		capture_plain_finish(*stream, outgoing, plain.time);
		break;
	case 1:
		capture_plain_reset(*stream, outgoing, plain.time);
		capture_plain_close(*stream);
		*stream = NULL;
		break;
	default:
		capture_plain_data(*stream, outgoing, bytes, take(input, 3) % sizeof(bytes), plain.time);
	}
}

static void close_streams(void)
{
	for (int i = 0; i < 4; i++) {
		capture_plain_close(streams[i]);
		streams[i] = NULL;
	}
}

static void call(struct capture *capture, struct input *input)
{
	char line[256];
	uint32_t flow;

	switch (take(input, 1) % 12) {
	case 0:
		call_process(capture, input);
		break;
	case 1:
		call_name(capture, input);
		break;
	case 2:
		capture_hold(capture, take(input, 1) % 8);
		break;
	case 3:
		flow = take(input, 1) % 8;
		capture_secret(capture, flow, take_text(input, line, sizeof(line)));
		break;
	case 4:
		capture_release(capture, take(input, 1) % 8);
		break;
	case 5:
		capture_tick(capture, take(input, 1) & 1 ? capture_deadline(capture) : 0);
		break;
	case 6:
		capture_turn(capture, (uint64_t)take(input, 4) << 30);
		break;
	case 7:
		capture_forget(capture, take(input, 1) % 8);
		break;
	case 8:
		call_stream(capture, input);
		break;
	default:
		call_packet(capture, input);
	}
}

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static uint64_t count_by_walker(const uint8_t *bytes, size_t size)
{
	struct walk walk = { .bytes = bytes, .size = size };
	uint64_t packets = 0;

	while (walk_next(&walk))
		packets += walk.type == WALK_PACKET;
	require(!walk.bad, walk.bad);
	return packets;
}

static uint64_t count_by_libpcap(const uint8_t *bytes, size_t size)
{
	char error[PCAP_ERRBUF_SIZE];
	FILE *file = fmemopen((void *)bytes, size, "rb");
	pcap_t *pcap = pcap_fopen_offline(file, error);
	struct pcap_pkthdr *header;
	const u_char *data;
	uint64_t packets = 0;
	int result;

	require(pcap, error);
	while ((result = pcap_next_ex(pcap, &header, &data)) == 1)
		packets++;
	require(result == PCAP_ERROR_BREAK, pcap_geterr(pcap));
	pcap_close(pcap);
	return packets;
}

// Who else wants a file that is whole, and how many packets it has.
static void (*written)(const uint8_t *bytes, size_t size, uint64_t packets);

// How many packets both find in the file.
static uint64_t check(int file, bool classic)
{
	struct stat status;
	uint8_t *bytes;
	uint64_t packets;

	require(!fstat(file, &status), "fstat");
	bytes = malloc(status.st_size + 1);
	require(pread(file, bytes, status.st_size, 0) == status.st_size, "pread");
	packets = count_by_libpcap(bytes, status.st_size);
	if (!classic)
		require(count_by_walker(bytes, status.st_size) == packets, "walker counts otherwise");
	if (written)
		written(bytes, status.st_size, packets);
	free(bytes);
	return packets;
}

// The close may have begun another: of a flow that was held until then.
static uint64_t check_ring(const char *path, uint64_t files, bool classic)
{
	uint64_t packets = 0;

	for (uint64_t i = 0;; i++) {
		char name[128], number[24] = "";

		if (i)
			snprintf(number, sizeof(number), "%llu", (unsigned long long)i);
		snprintf(name, sizeof(name), "%s%s", path, number);
		int file = open(name, O_RDONLY | O_CLOEXEC);
		if (file < 0) {
			require(i >= files, name);
			return packets;
		}
		packets += check(file, classic);
		close(file);
		unlink(name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	uint32_t how = take(&input, 1);
	int memory = memfd_create("capture", MFD_CLOEXEC);
	char comment[128], why[256], path[64];
	bool ring = how & 64;

	snprintf(path, sizeof(path), "/dev/shm/apptap-fuzz.%d", getpid());
	struct capture_options options = {
		.path = ring ? path : "-",
		.rotate_size = ring ? take(&input, 2) : 0,
		.packets = ring && how & 128 ? 20 : 0,
		.plain_path = how & 128 ? ring ? path : "-" : NULL,
		.plain_segment = how & 128 ? 1 + take(&input, 2) : 0,
		.format = how & 1 ? CAPTURE_CLASSIC : CAPTURE_PCAPNG,
		.comment = take_text(&input, comment, sizeof(comment)),
		.filter = how & 2 ? "ip6 or udp" : NULL,
		.snaplen = how & 4 ? take(&input, 2) : 0,
		.flush_each = how & 8,
		.queue = how & 16 ? 1 : 0,
		.hold_bytes = how & 32 ? 1000 : 0,
		.descriptor = dup(memory),
	};
	struct capture *capture;
	struct capture_counters count;

	require(!capture_open(&capture, &options, why, sizeof(why)), why);
	for (int i = 0; input.left && i < 200; i++)
		call(capture, &input);
	close_streams();
	capture_count(capture, &count);
	require(!capture_close(capture, why, sizeof(why)), why);
	uint64_t seen = ring ? check_ring(path, count.files, how & 1) : check(memory, how & 1);
	require(seen == count.packets + count.plain, "the files have other packets than were taken");
	if (ring)
		close(options.descriptor);
	close(memory);
	return 0;
}
