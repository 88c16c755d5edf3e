// SPDX-License-Identifier: GPL-3.0-or-later
// capture - what was seen, as a file that Wireshark opens already decrypted.
//
// A packet goes filter > frame > encoder > run of records, and the run is
// either the writer's open chunk or, while its flow is held, the flow's own.
// What else enters the file (processes, names, secrets of flows not held) goes
// to the writer at once, so it always stands before the packets it is about.
//
// What is held is bounded thrice: a flow by hold_time and hold_bytes, all of
// them together by the size of the queue and by HELD_MOST. Beyond any of these
// the oldest (or the flow itself) is let go as it is, and counted.
//
// The one clock read here is capture_hold()'s, for its deadline.

#include "pcap/capture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pcap/classic.h"
#include "pcap/filter.h"
#include "pcap/frame.h"
#include "pcap/hold.h"
#include "pcap/identity.h"
#include "pcap/names.h"
#include "pcap/pcapng.h"
#include "pcap/target.h"
#include "pcap/writer.h"

enum {
	QUEUE_DEFAULT = 32 << 20,
	HOLD_BYTES_DEFAULT = 256 << 10,
	HELD_MOST = 65536,	// flows
	PROCESSES_MOST = 65536,
	KEPT_MOST = FRAME_MOST - SLL2_SIZE,
};
#define NS_PER_S UINT64_C(1000000000)
#define HOLD_TIME_DEFAULT (10 * NS_PER_S)

// 0 is nobody's; each process has one.
struct interface {
	uint64_t received, accepted, first, last;
};

struct capture {
	struct writer *writer;
	struct classic *classic;	// NULL: pcapng
	struct capture_filter *filter;
	struct hold *hold;
	struct capture_names names;
	struct interface *interfaces;
	uint32_t interface_count, interface_room;
	uint32_t kept_most;		// IP bytes
	uint64_t hold_time;
	size_t hold_bytes, held_most;
	struct capture_counters counters;
	struct identity identity;
	char *expression;
};

// --- interfaces -----------------------------------------------------------------

static int add_interface(struct capture *capture)
{
	if (capture->interface_count == capture->interface_room) {
		uint32_t room = capture->interface_room ? 2 * capture->interface_room : 16;
		struct interface *list = realloc(capture->interfaces, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		capture->interfaces = list;
		capture->interface_room = room;
	}
	capture->interfaces[capture->interface_count++] = (struct interface){ 0 };
	return 0;
}

uint32_t capture_process(struct capture *capture, const struct capture_process *process)
{
	struct blocks *to;

	if (capture->interface_count > PROCESSES_MOST || writer_stopped(capture->writer) ||
	    add_interface(capture))
		return 0;
	if (!capture->classic && (to = writer_begin(capture->writer)))
		writer_end(capture->writer,
			   identity_process(&capture->identity, to, process));
	return capture->interface_count - 1;
}

// --- held flows -----------------------------------------------------------------

static void write_secrets(struct capture *capture, const char *lines, size_t size)
{
	struct blocks *to = size ? writer_begin(capture->writer) : NULL;

	if (to)
		writer_end(capture->writer, pcapng_secrets(to, lines, size));
}

static void let_go(struct capture *capture, struct held *held)
{
	struct blocks *to;

	write_secrets(capture, held->secrets, held->secrets_size);
	to = held->blocks.size ? writer_begin(capture->writer) : NULL;
	if (to)
		writer_end(capture->writer, blocks_append(to, &held->blocks));
	hold_remove(capture->hold, held);
}

static void let_go_early(struct capture *capture, struct held *held)
{
	capture->counters.held_too_long++;
	let_go(capture, held);
}

static uint64_t clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

// The old format has no secrets to wait for.
void capture_hold(struct capture *capture, uint64_t flow)
{
	if (!flow || capture->classic || writer_stopped(capture->writer))
		return;
	if (hold_count(capture->hold) >= HELD_MOST && !hold_find(capture->hold, flow))
		let_go_early(capture, hold_oldest(capture->hold));
	// Without memory the flow is not held, which loses its decryption only.
	hold_add(capture->hold, flow, clock_now() + capture->hold_time);
}

void capture_secret(struct capture *capture, uint64_t flow, const char *line)
{
	size_t size = strcspn(line, "\n");
	struct held *held = hold_find(capture->hold, flow);

	if (!size || capture->classic || writer_stopped(capture->writer))
		return;
	if (held && !hold_secret(held, line, size))
		return;

	// Too early is as good as in time.
	char *copy = strndup(line, size + 1);
	if (!copy)
		return;
	copy[size] = '\n';
	write_secrets(capture, copy, size + 1);
	free(copy);
}

void capture_release(struct capture *capture, uint64_t flow)
{
	struct held *held = hold_find(capture->hold, flow);

	if (held)
		let_go(capture, held);
}

uint64_t capture_deadline(const struct capture *capture)
{
	const struct held *held = hold_oldest(capture->hold);

	return held ? held->deadline : UINT64_MAX;
}

void capture_tick(struct capture *capture, uint64_t now)
{
	struct held *held;

	while ((held = hold_oldest(capture->hold)) && held->deadline <= now)
		let_go_early(capture, held);
}

// --- packets --------------------------------------------------------------------

static size_t size_of(const struct iovec *iov, int count, size_t most)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size < most ? size : most;
}

// The version nibble stands in the first byte of the first piece that has one.
static const uint8_t *first_byte(const struct capture_packet *packet)
{
	int i = 0;

	while (!packet->iov[i].iov_len)
		i++;
	return packet->iov[i].iov_base;
}

static int encode(struct capture *capture, struct blocks *to, uint32_t interface,
		  const struct capture_packet *packet, const struct frame *frame)
{
	struct pcapng_packet described = {
		.interface = interface,
		.process = (int64_t)interface - 1,
		.outgoing = packet->outgoing,
		.comment = packet->comment,
	};

	if (capture->classic)
		return classic_packet(capture->classic, to, frame);
	return pcapng_packet(to, &described, frame);
}

static bool admit(struct capture *capture, struct interface *interface,
		  const struct capture_packet *packet, size_t size)
{
	interface->received++;
	if (capture->filter &&
	    !capture_filter_matches(capture->filter, packet->iov, packet->count, size)) {
		capture->counters.filtered++;
		return false;
	}
	if (!interface->accepted++)
		interface->first = packet->time;
	interface->last = packet->time;
	capture->counters.packets++;
	capture->counters.bytes += size;
	return true;
}

// What `held` grew by is checked against the bounds.
static void keep_bounds(struct capture *capture, struct held *held, size_t grown)
{
	hold_grew(capture->hold, grown);
	if (held->blocks.size > capture->hold_bytes)
		let_go_early(capture, held);
	while (hold_bytes(capture->hold) > capture->held_most)
		let_go_early(capture, hold_oldest(capture->hold));
}

static void put(struct capture *capture, uint32_t interface, const struct capture_packet *packet,
		const struct frame *frame)
{
	struct held *held = packet->flow ? hold_find(capture->hold, packet->flow) : NULL;
	struct blocks *to;

	if (held) {
		size_t before = held->blocks.size;

		if (!encode(capture, &held->blocks, interface, packet, frame)) {
			keep_bounds(capture, held, held->blocks.size - before);
			return;
		}
		let_go_early(capture, held);	// no memory to hold it in
	}
	to = writer_begin(capture->writer);
	if (to)
		writer_end(capture->writer, encode(capture, to, interface, packet, frame));
}

void capture_packet(struct capture *capture, const struct capture_packet *packet)
{
	uint32_t interface = packet->process < capture->interface_count ? packet->process : 0;
	size_t size = size_of(packet->iov, packet->count, packet->size);
	struct frame frame = {
		.time = packet->time, .iov = packet->iov, .count = packet->count, .size = size,
		.kept = size < capture->kept_most ? size : capture->kept_most,
		.sum_start = packet->sum_start, .sum_offset = packet->sum_offset,
	};

	if (!size || writer_stopped(capture->writer) ||
	    !admit(capture, &capture->interfaces[interface], packet, size))
		return;
	sll2_header(frame.link, packet->outgoing, first_byte(packet), 1);
	put(capture, interface, packet, &frame);
}

// --- names ----------------------------------------------------------------------

void capture_name(struct capture *capture, const struct sockaddr *address, const char *name)
{
	const void *bytes;
	size_t size;
	struct blocks *to;

	if (address->sa_family == AF_INET) {
		bytes = &((const struct sockaddr_in *)address)->sin_addr;
		size = 4;
	} else if (address->sa_family == AF_INET6) {
		bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
		size = 16;
	} else {
		return;
	}
	if (!name || !*name || capture->classic || !capture_names_add(&capture->names, bytes, size, name))
		return;
	to = writer_begin(capture->writer);
	if (to)
		writer_end(capture->writer, pcapng_name(to, bytes, size, name));
}

// --- flow control and news --------------------------------------------------------

bool capture_full(const struct capture *capture)
{
	return writer_full(capture->writer);
}

int capture_fd(const struct capture *capture)
{
	return writer_event(capture->writer);
}

void capture_wake(struct capture *capture)
{
	uint64_t count;

	// Nothing there is fine too.
	if (read(capture_fd(capture), &count, sizeof(count)) < 0)
		return;
}

const char *capture_error(const struct capture *capture)
{
	return writer_error(capture->writer);
}

void capture_count(const struct capture *capture, struct capture_counters *out)
{
	*out = capture->counters;
	if (writer_error(capture->writer))
		out->packets = writer_packets(capture->writer);
}

// --- opening and closing ------------------------------------------------------------

static bool wants_classic(const struct capture_options *options)
{
	const char *suffix = strrchr(options->path, '.');

	if (options->format != CAPTURE_BY_NAME)
		return options->format == CAPTURE_CLASSIC;
	return suffix && !strcmp(suffix, ".pcap");
}

static void set_bounds(struct capture *capture, const struct capture_options *options)
{
	capture->kept_most = options->snaplen && options->snaplen < KEPT_MOST ? options->snaplen :
									       KEPT_MOST;
	capture->identity.snaplen = capture->kept_most + SLL2_SIZE;
	capture->held_most = options->queue ? options->queue : QUEUE_DEFAULT;
	capture->hold_time = options->hold_time ? options->hold_time : HOLD_TIME_DEFAULT;
	capture->hold_bytes = options->hold_bytes ? options->hold_bytes : HOLD_BYTES_DEFAULT;
}

// All that needs no file yet: a file is not emptied for an open that fails.
static int prepare(struct capture *capture, struct blocks *header,
		   const struct capture_options *options, char *why, size_t why_size)
{
	int error = 0;

	set_bounds(capture, options);
	capture->hold = hold_open();
	if (!capture->hold || add_interface(capture))
		error = -ENOMEM;
	if (!error && options->filter && *options->filter) {
		error = capture_filter_open(&capture->filter, options->filter, why, why_size);
		if (error)
			return error;
		capture->expression = strdup(options->filter);
		capture->identity.filter = capture->expression;
	}
	if (!error)
		error = wants_classic(options) ?
				classic_open(&capture->classic, header, capture->identity.snaplen) :
				identity_begin(&capture->identity, header, options);
	if (error)
		snprintf(why, why_size, "cannot begin a capture: %s", strerror(-error));
	return error;
}

static int start(struct capture *capture, const struct blocks *header,
		 const struct capture_options *options, char *why, size_t why_size)
{
	struct writer_options writer = {
		.fd = capture_target_open(options->path, options->descriptor, why, why_size),
		.name = capture_target_name(options->path),
		.queue = capture->held_most,
		.flush_each = options->flush_each,
	};
	struct blocks *to;

	if (writer.fd < 0)
		return writer.fd;

	int error = writer_open(&capture->writer, &writer);
	if (error) {
		if (writer.fd != options->descriptor)
			close(writer.fd);
		snprintf(why, why_size, "cannot begin a capture: %s", strerror(-error));
		return error;
	}
	to = writer_begin(capture->writer);
	if (to)
		writer_end(capture->writer, blocks_append(to, header));
	return 0;
}

static void release(struct capture *capture)
{
	writer_free(capture->writer);
	classic_close(capture->classic);
	capture_filter_close(capture->filter);
	hold_close(capture->hold);
	free(capture->interfaces);
	free(capture->expression);
	free(capture);
}

int capture_open(struct capture **out, const struct capture_options *options, char *why,
		 size_t why_size)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	struct blocks header = { 0 };
	int error = -ENOMEM;

	if (!capture) {
		snprintf(why, why_size, "cannot begin a capture: %s", strerror(-error));
		return error;
	}
	error = prepare(capture, &header, options, why, why_size);
	if (!error)
		error = start(capture, &header, options, why, why_size);
	blocks_free(&header);
	if (error) {
		release(capture);
		return error;
	}
	*out = capture;
	return 0;
}

// Nothing is ever dropped, and the file says so.
static void write_statistics(struct capture *capture)
{
	for (uint32_t i = 0; i < capture->interface_count; i++) {
		const struct interface *interface = &capture->interfaces[i];
		struct pcapng_statistics statistics = {
			.interface = i, .first = interface->first, .last = interface->last,
			.received = interface->received, .accepted = interface->accepted,
		};
		struct blocks *to = interface->accepted ? writer_begin(capture->writer) : NULL;

		if (to)
			writer_end(capture->writer, pcapng_statistics(to, &statistics));
	}
}

int capture_close(struct capture *capture, char *why, size_t why_size)
{
	struct held *held;
	int error;

	if (!capture)
		return 0;
	while ((held = hold_oldest(capture->hold)))
		let_go(capture, held);
	if (!capture->classic)
		write_statistics(capture);
	error = writer_finish(capture->writer);
	if (error)
		snprintf(why, why_size, "%s", writer_error(capture->writer));
	release(capture);
	return error;
}
