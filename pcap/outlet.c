// SPDX-License-Identifier: GPL-3.0-or-later
// outlet - one way out of a capture: a file or a ring of them, and the flows that
// are held back from it.
//
// A packet goes frame > encoder (the section's) > run of records, and the run is
// either the writer's open chunk or, while its flow is held, the flow's own. What
// else enters the file (interfaces, names, secrets of flows not held) goes to the
// writer at once, so it always stands before the packets it is about.
//
// When a process's place in the roster goes to another, what is held of the former's
// is let go first, and what was counted of it is written.
//
// What is held is bounded thrice: a flow by hold_time and hold_bytes, all of
// them together by the size of the queue and by HELD_MOST. Beyond any of these
// the oldest (or the flow itself) is let go as it is, and counted.

#include "pcap/outlet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcap/frame.h"
#include "pcap/hold.h"
#include "pcap/section.h"
#include "pcap/target.h"
#include "pcap/writer.h"

enum { HELD_MOST = 65536 /* flows */, NAME_MOST = 4096 };

struct outlet {
	struct outlet_options options;
	struct writer *writer;
	struct section *section;	// the present file's
	struct hold *hold;
	struct ring ring;
	uint64_t file_packets, last_time, held_too_long;
	int folder;
	bool ending, over;
};

// --- files ------------------------------------------------------------------------

static void begin_file(struct outlet *outlet)
{
	char name[NAME_MOST];
	struct blocks header = { 0 }, *to;

	if (writer_stopped(outlet->writer))
		return;
	section_end(outlet->section, outlet->writer);
	outlet->file_packets = 0;

	int error = ring_name(&outlet->ring, name, sizeof(name));
	if (!error)
		error = section_begin(outlet->section, &header);
	if (!error)
		writer_next(outlet->writer, name);
	to = writer_begin(outlet->writer);
	if (to)
		writer_end(outlet->writer, error ? error : blocks_append(to, &header));
	blocks_free(&header);
}

// A file without a packet is not left behind: the next would be as full.
static void turn_if_due(struct outlet *outlet)
{
	if (!outlet->file_packets || outlet->folder < 0)
		return;
	switch (ring_step(&outlet->ring, outlet->last_time, writer_size(outlet->writer))) {
	case RING_STAY:
		return;
	case RING_NEXT:
		begin_file(outlet);
		return;
	case RING_OVER:
		outlet->over = true;
		outlet_end(outlet);
		return;
	}
}

void outlet_turn(struct outlet *outlet, uint64_t time)
{
	if (outlet->ending || outlet->folder < 0)
		return;
	ring_turn(&outlet->ring, time);
	begin_file(outlet);
}

// --- held flows -----------------------------------------------------------------

static void end_if_due(struct outlet *outlet)
{
	if (!outlet->ending || hold_count(outlet->hold) || writer_stopped(outlet->writer))
		return;
	section_end(outlet->section, outlet->writer);
	writer_end_early(outlet->writer, outlet->over);
}

static void let_go(struct outlet *outlet, struct held *held)
{
	if (held->blocks.size && !outlet->ending)
		turn_if_due(outlet);
	section_secrets(outlet->section, outlet->writer, held->flow, held->secrets, held->secrets_size);
	section_let_go(outlet->section, outlet->writer, &held->blocks);
	outlet->file_packets += held->blocks.packets;
	hold_remove(outlet->hold, held);
	end_if_due(outlet);
}

static void let_go_early(struct outlet *outlet, struct held *held)
{
	outlet->held_too_long++;
	let_go(outlet, held);
}

// The old format has no secrets to wait for.
void outlet_hold(struct outlet *outlet, uint64_t flow, uint64_t now)
{
	if (!flow || outlet->options.classic || outlet->ending || writer_stopped(outlet->writer))
		return;
	if (hold_count(outlet->hold) >= HELD_MOST && !hold_find(outlet->hold, flow))
		let_go_early(outlet, hold_oldest(outlet->hold));
	// Without memory the flow is not held, which loses its decryption only.
	hold_add(outlet->hold, flow, now + outlet->options.hold_time);
}

void outlet_secret(struct outlet *outlet, uint64_t flow, const char *line)
{
	size_t size = strcspn(line, "\n");
	struct held *held = hold_find(outlet->hold, flow);

	if (!size || outlet->options.classic || writer_stopped(outlet->writer))
		return;
	if (held && !hold_secret(held, line, size))
		return;

	// Too early is as good as in time.
	char *copy = strndup(line, size + 1);
	if (!copy)
		return;
	copy[size] = '\n';
	section_secrets(outlet->section, outlet->writer, flow, copy, size + 1);
	free(copy);
}

void outlet_release(struct outlet *outlet, uint64_t flow)
{
	struct held *held = hold_find(outlet->hold, flow);

	if (held)
		let_go(outlet, held);
}

void outlet_name(struct outlet *outlet, const void *address, size_t size, const char *name)
{
	section_name(outlet->section, outlet->writer, address, size, name);
}

void outlet_forget(struct outlet *outlet, uint64_t flow)
{
	section_forget_secrets(outlet->section, flow);
}

uint64_t outlet_deadline(const struct outlet *outlet)
{
	const struct held *held = hold_oldest(outlet->hold);

	return held ? held->deadline : UINT64_MAX;
}

void outlet_tick(struct outlet *outlet, uint64_t now)
{
	struct held *held;

	while ((held = hold_oldest(outlet->hold)) && held->deadline <= now)
		let_go_early(outlet, held);
}

// What `held` grew by is checked against the bounds.
static void keep_bounds(struct outlet *outlet, struct held *held, size_t grown)
{
	hold_grew(outlet->hold, grown);
	if (held->blocks.size > outlet->options.hold_bytes)
		let_go_early(outlet, held);
	while (hold_bytes(outlet->hold) > outlet->options.queue)
		let_go_early(outlet, hold_oldest(outlet->hold));
}

// --- packets --------------------------------------------------------------------

static bool put_held(struct outlet *outlet, struct held *held, const struct capture_packet *packet,
		     const struct frame *frame, struct source *source)
{
	size_t before = held->blocks.size;

	if (section_hold(outlet->section, &held->blocks, source, packet, frame)) {
		let_go_early(outlet, held);	// no memory to hold it in
		return false;
	}
	keep_bounds(outlet, held, held->blocks.size - before);
	return true;
}

static bool put(struct outlet *outlet, const struct capture_packet *packet, const struct frame *frame,
		struct source *source)
{
	turn_if_due(outlet);
	section_repeat_secrets(outlet->section, outlet->writer, packet->flow);
	if (outlet->ending)
		return false;
	section_packet(outlet->section, outlet->writer, source, packet, frame);
	outlet->file_packets++;
	return true;
}

static void put_link(const struct outlet *outlet, struct frame *frame, const struct capture_packet *packet)
{
	const struct capture_process *process = roster_find(outlet->options.roster, packet->process);

	frame_link(frame, outlet->options.identity.linktype, packet->outgoing, process ? process->pid : -1,
		   process ? process->name : "");
}

bool outlet_packet(struct outlet *outlet, const struct capture_packet *packet, size_t size, bool plain)
{
	uint32_t kept_most = outlet->options.kept_most;
	struct source *source;
	struct held *held = packet->flow ? hold_find(outlet->hold, packet->flow) : NULL;
	struct frame frame = {
		.time = packet->time, .iov = packet->iov, .count = packet->count, .size = size,
		.kept = size < kept_most ? size : kept_most,
		.sum_start = packet->sum_start, .sum_offset = packet->sum_offset,
	};

	if (outlet->ending || writer_stopped(outlet->writer))
		return false;
	outlet->last_time = packet->time;
	put_link(outlet, &frame, packet);
	source = section_source(outlet->section, packet->process, plain);
	if (!source)
		return false;
	if (held && put_held(outlet, held, packet, &frame, source))
		return true;
	return put(outlet, packet, &frame, source);
}

void outlet_passed_over(struct outlet *outlet, uint32_t process)
{
	struct source *source = section_source(outlet->section, process, false);

	if (source)
		source->received++;
}

static void forget_source(struct outlet *outlet, struct source *source)
{
	struct held *held;

	// It may be any flow's; the oldest have waited longest.
	while (source->held && (held = hold_oldest(outlet->hold)))
		let_go_early(outlet, held);
	section_forget_source(outlet->section, outlet->writer, source);
}

void outlet_forget_process(struct outlet *outlet, uint32_t process)
{
	for (int plain = 0; plain < 2; plain++) {
		struct source *source = section_leaving(outlet->section, process, plain);

		if (source)
			forget_source(outlet, source);
	}
}

// --- news -----------------------------------------------------------------------

void outlet_end(struct outlet *outlet)
{
	outlet->ending = true;
	end_if_due(outlet);
}

bool outlet_over(const struct outlet *outlet)
{
	return outlet->over;
}

bool outlet_ended(const struct outlet *outlet)
{
	return outlet->ending && writer_ended(outlet->writer);
}

bool outlet_stopped(const struct outlet *outlet)
{
	return outlet->ending || writer_stopped(outlet->writer);
}

bool outlet_full(const struct outlet *outlet)
{
	return writer_full(outlet->writer);
}

const char *outlet_error(const struct outlet *outlet)
{
	return writer_error(outlet->writer);
}

uint64_t outlet_written(const struct outlet *outlet)
{
	return writer_packets(outlet->writer);
}

uint64_t outlet_files(const struct outlet *outlet)
{
	return section_files(outlet->section);
}

uint64_t outlet_held_too_long(const struct outlet *outlet)
{
	return outlet->held_too_long;
}

// --- opening and closing ------------------------------------------------------------

static int refuse(int error, char *why, size_t why_size)
{
	snprintf(why, why_size, "cannot begin a capture: %s", strerror(-error));
	return error;
}

static int start(struct outlet *outlet, const struct blocks *header, char *why, size_t why_size)
{
	const struct outlet_options *options = &outlet->options;
	char name[NAME_MOST] = "readers";
	struct blocks *to;
	struct writer_options writer = {
		.sink = { .fd = -1, .folder = -1, .closed = options->closed, .name = name,
			  .take = options->take, .context = options->context },
		.queue = options->queue, .event = options->event, .flush_each = options->flush_each,
		.in_thread = options->in_thread, .of = options->of,
	};
	int error = options->take ? 0 : ring_name(&outlet->ring, name, sizeof(name));

	if (error)
		return refuse(error, why, why_size);
	if (!options->take) {
		writer.sink.name = capture_target_name(name);
		writer.sink.fd = capture_target_open(name, options->descriptor, why, why_size);
		if (writer.sink.fd < 0)
			return writer.sink.fd;
		if (options->owner_uid)
			capture_target_give(writer.sink.fd, options->owner_uid, options->owner_gid);
		writer.sink.folder = outlet->folder = strcmp(name, "-") ? capture_target_folder(name) : -1;
	}
	error = writer_open(&outlet->writer, &writer);
	if (error) {
		if (writer.sink.fd >= 0 && writer.sink.fd != options->descriptor)
			close(writer.sink.fd);
		return refuse(error, why, why_size);
	}
	to = writer_begin(outlet->writer);
	if (to)
		writer_end(outlet->writer, blocks_append(to, header));
	return 0;
}

static void release(struct outlet *outlet)
{
	writer_free(outlet->writer);
	section_close(outlet->section);
	hold_close(outlet->hold);
	if (outlet->folder >= 0)
		close(outlet->folder);
	free(outlet);
}

int outlet_open(struct outlet **out, const struct outlet_options *options, char *why, size_t why_size)
{
	struct outlet *outlet = calloc(1, sizeof(*outlet));
	struct blocks header = { 0 };

	if (!outlet)
		return refuse(-ENOMEM, why, why_size);
	outlet->options = *options;
	outlet->folder = -1;
	outlet->ring = options->ring;
	outlet->ring.name = options->path;
	ring_begin(&outlet->ring, options->now);
	outlet->hold = hold_open();
	outlet->section = section_open(options->roster, &outlet->options.identity, options->classic);

	int error = outlet->hold && outlet->section ? section_begin(outlet->section, &header) : -ENOMEM;
	error = error ? refuse(error, why, why_size) : start(outlet, &header, why, why_size);
	blocks_free(&header);
	if (error) {
		release(outlet);
		return error;
	}
	*out = outlet;
	return 0;
}

int outlet_close(struct outlet *outlet, char *why, size_t why_size)
{
	struct held *held;
	int error;

	if (!outlet)
		return 0;
	while ((held = hold_oldest(outlet->hold)))
		let_go(outlet, held);
	section_end(outlet->section, outlet->writer);
	error = writer_finish(outlet->writer);
	if (error)
		snprintf(why, why_size, "%s", writer_error(outlet->writer));
	release(outlet);
	return error;
}
