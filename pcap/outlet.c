// SPDX-License-Identifier: GPL-3.0-or-later
// outlet - one way out of a capture: a file or a ring of them, and what the
// present one has been told already.
//
// A packet goes frame > encoder > run of records, and the run is either the
// writer's open chunk or, while its flow is held, the flow's own. What else
// enters the file (interfaces, names, secrets of flows not held) goes to the
// writer at once, so it always stands before the packets it is about.
//
// A held packet does not know yet which file it will be in: it is encoded with
// its source's place, which is turned into the file's interface when it is let go.
// When another process gets the place, what is held of the former's is let go
// first, and what was counted of it is written.
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

#include "pcap/classic.h"
#include "pcap/frame.h"
#include "pcap/hold.h"
#include "pcap/names.h"
#include "pcap/pcapng.h"
#include "pcap/secrets.h"
#include "pcap/sources.h"
#include "pcap/target.h"
#include "pcap/writer.h"

enum { HELD_MOST = 65536 /* flows */, NAME_MOST = 4096 };

struct outlet {
	struct outlet_options options;
	struct writer *writer;
	struct classic *classic;	// NULL: pcapng
	struct hold *hold;
	struct secrets *secrets;
	struct capture_names names;
	struct blocks said;		// all name records, for the next file
	struct ring ring;
	struct sources *sources;
	unsigned file;
	uint64_t file_packets, last_time, held_too_long;
	int folder;
	bool ending, over;
};

// --- what a file is told beside its packets -------------------------------------------

// The old format has nothing but packets: NULL, as from a writer that has stopped.
static struct blocks *begin_news(struct outlet *outlet)
{
	return outlet->classic ? NULL : writer_begin(outlet->writer);
}

// It has an interface in the present file from here.
static void declare(struct outlet *outlet, struct source *source)
{
	if (source->interface)
		return;

	struct blocks *to = begin_news(outlet);
	int error = sources_declare(outlet->sources, source, to);
	if (to)
		writer_end(outlet->writer, error);
}

static void write_statistics(struct outlet *outlet)
{
	struct blocks *to = begin_news(outlet);

	if (to)
		writer_end(outlet->writer, sources_statistics(outlet->sources, to));
}

static void write_secrets(struct outlet *outlet, const char *lines, size_t size)
{
	struct blocks *to = size ? writer_begin(outlet->writer) : NULL;

	if (to)
		writer_end(outlet->writer, pcapng_secrets(to, lines, size));
}

static void new_secrets(struct outlet *outlet, uint64_t flow, const char *lines, size_t size)
{
	write_secrets(outlet, lines, size);
	if (size)
		secrets_add(outlet->secrets, flow, lines, size, outlet->file);
}

// A flow that goes on in another file than the one that has its secrets.
static void repeat_secrets(struct outlet *outlet, uint64_t flow)
{
	struct secret *secret = outlet->file ? secrets_find(outlet->secrets, flow) : NULL;

	if (!secret || secret->file == outlet->file)
		return;
	secret->file = outlet->file;
	write_secrets(outlet, secret->lines, secret->size);
}

void outlet_name(struct outlet *outlet, const void *address, size_t size, const char *name)
{
	struct blocks *to;

	if (outlet->classic || !capture_names_add(&outlet->names, address, size, name))
		return;
	if (outlet->names.count == 1)	// it has started anew
		blocks_empty(&outlet->said);
	if (pcapng_name(&outlet->said, address, size, name))
		return;
	to = writer_begin(outlet->writer);
	if (to)
		writer_end(outlet->writer, pcapng_name(to, address, size, name));
}

// --- files ------------------------------------------------------------------------

// What every file begins with.
static int make_header(struct outlet *outlet, struct blocks *to)
{
	const struct identity *identity = &outlet->options.identity;
	int error;

	if (outlet->options.classic) {
		classic_close(outlet->classic);
		outlet->classic = NULL;
		error = sources_begin(outlet->sources, NULL);
		return error ? error : classic_open(&outlet->classic, to, identity->linktype, identity->snaplen);
	}
	error = identity_section(identity, to);
	if (!error)
		error = sources_begin(outlet->sources, to);
	return error ? error : blocks_append(to, &outlet->said);
}

static void begin_file(struct outlet *outlet)
{
	char name[NAME_MOST];
	struct blocks header = { 0 }, *to;

	if (writer_stopped(outlet->writer))
		return;
	write_statistics(outlet);
	outlet->file_packets = 0;
	outlet->file++;

	int error = ring_name(&outlet->ring, name, sizeof(name));
	if (!error)
		error = make_header(outlet, &header);
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

static void renumber(struct outlet *outlet, struct blocks *blocks)
{
	size_t at = 0;

	for (size_t i = 0; i < blocks->count; at = blocks->list[i++].end) {
		uint8_t *block = blocks->bytes + at;
		struct source *source;

		if (!pcapng_is_packet(block))
			continue;
		source = sources_at(outlet->sources, pcapng_interface_of(block));
		source->held--;
		declare(outlet, source);
		source_count(source, pcapng_time_of(block));
		pcapng_renumber(block, source->interface - 1, (int64_t)source->process_block - 1);
	}
}

static void end_if_due(struct outlet *outlet)
{
	if (!outlet->ending || hold_count(outlet->hold) || writer_stopped(outlet->writer))
		return;
	write_statistics(outlet);
	writer_end_early(outlet->writer, outlet->over);
}

static void let_go(struct outlet *outlet, struct held *held)
{
	struct blocks *to;

	if (held->blocks.size && !outlet->ending)
		turn_if_due(outlet);
	new_secrets(outlet, held->flow, held->secrets, held->secrets_size);
	renumber(outlet, &held->blocks);
	to = held->blocks.size ? writer_begin(outlet->writer) : NULL;
	if (to)
		writer_end(outlet->writer, blocks_append(to, &held->blocks));
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
	if (!flow || outlet->classic || outlet->ending || writer_stopped(outlet->writer))
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

	if (!size || outlet->classic || writer_stopped(outlet->writer))
		return;
	if (held && !hold_secret(held, line, size))
		return;

	// Too early is as good as in time.
	char *copy = strndup(line, size + 1);
	if (!copy)
		return;
	copy[size] = '\n';
	new_secrets(outlet, flow, copy, size + 1);
	free(copy);
}

void outlet_release(struct outlet *outlet, uint64_t flow)
{
	struct held *held = hold_find(outlet->hold, flow);

	if (held)
		let_go(outlet, held);
}

void outlet_forget(struct outlet *outlet, uint64_t flow)
{
	secrets_forget(outlet->secrets, flow);
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

static int encode(struct outlet *outlet, struct blocks *to, const struct capture_packet *packet,
		  const struct frame *frame, uint32_t interface, int64_t process)
{
	struct pcapng_packet described = {
		.interface = interface, .process = process,
		.outgoing = packet->outgoing, .comment = packet->comment,
	};

	if (outlet->classic)
		return classic_packet(outlet->classic, to, frame);
	return pcapng_packet(to, &described, frame);
}

static bool put_held(struct outlet *outlet, struct held *held, const struct capture_packet *packet,
		     const struct frame *frame, struct source *source)
{
	size_t before = held->blocks.size;

	if (encode(outlet, &held->blocks, packet, frame, sources_place(outlet->sources, source),
		   source->process ? 0 : -1)) {
		let_go_early(outlet, held);	// no memory to hold it in
		return false;
	}
	source->held++;
	keep_bounds(outlet, held, held->blocks.size - before);
	return true;
}

static bool put(struct outlet *outlet, const struct capture_packet *packet, const struct frame *frame,
		struct source *source)
{
	struct blocks *to;

	turn_if_due(outlet);
	repeat_secrets(outlet, packet->flow);
	if (outlet->ending)
		return false;
	declare(outlet, source);
	source_count(source, packet->time);
	to = writer_begin(outlet->writer);
	if (to)
		writer_end(outlet->writer, encode(outlet, to, packet, frame, source->interface - 1,
						  (int64_t)source->process_block - 1));
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
	source = sources_find(outlet->sources, packet->process, plain);
	if (!source)
		return false;
	if (held && put_held(outlet, held, packet, &frame, source))
		return true;
	return put(outlet, packet, &frame, source);
}

void outlet_passed_over(struct outlet *outlet, uint32_t process)
{
	struct source *source = sources_find(outlet->sources, process, false);

	if (source)
		source->received++;
}

static void forget_source(struct outlet *outlet, struct source *source)
{
	struct held *held;
	struct blocks *to;

	// It may be any flow's; the oldest have waited longest.
	while (source->held && (held = hold_oldest(outlet->hold)))
		let_go_early(outlet, held);
	to = begin_news(outlet);
	if (to)
		writer_end(outlet->writer, source_statistics(source, to));
	*source = (struct source){ 0 };
}

void outlet_forget_process(struct outlet *outlet, uint32_t process)
{
	for (int plain = 0; plain < 2; plain++) {
		struct source *source = sources_standing(outlet->sources, process, plain);

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
	return outlet->file + 1;
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
	classic_close(outlet->classic);
	hold_close(outlet->hold);
	secrets_close(outlet->secrets);
	sources_close(outlet->sources);
	blocks_free(&outlet->said);
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
	outlet->secrets = secrets_open();
	outlet->sources = sources_open(options->roster, &outlet->options.identity);

	int error = outlet->hold && outlet->secrets && outlet->sources ? make_header(outlet, &header) : -ENOMEM;
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
	write_statistics(outlet);
	error = writer_finish(outlet->writer);
	if (error)
		snprintf(why, why_size, "%s", writer_error(outlet->writer));
	release(outlet);
	return error;
}
