// SPDX-License-Identifier: GPL-3.0-or-later
// capture - what was seen, as a file that Wireshark opens already decrypted.
//
// Here is decided what is captured: filter, processes, count. What was taken
// goes to every way out (outlet), each of which has its own file, its own
// writer, and says for itself what its readers have to know.
//
// The clocks read here are capture_hold()'s, for its deadline, and the one that
// the first file is named by.

#include "pcap/capture.h"

#include <errno.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "pcap/filter.h"
#include "pcap/frame.h"
#include "pcap/identity.h"
#include "pcap/outlet.h"
#include "pcap/roster.h"
#include "pcap/server.h"
#include "pcap/stream.h"

enum {
	QUEUE_DEFAULT = 32 << 20,
	HOLD_BYTES_DEFAULT = 256 << 10,
	KEPT_MOST = FRAME_MOST - LINK_MOST,
};
#define NS_PER_S UINT64_C(1000000000)
#define HOLD_TIME_DEFAULT (10 * NS_PER_S)

enum way { PACKETS, PLAIN, SERVED, WAYS };

// What goes that way.
enum kind { WIRE, PLAINTEXT, KINDS };

struct capture {
	struct outlet *out[WAYS];	// NULL: not wanted
	bool takes[WAYS][KINDS];
	struct server *server;
	struct capture_filter *filter;
	struct roster roster;
	bool *unwanted;			// by a process's number; NULL: all are wanted
	int event;
	uint64_t packets_most;
	const int32_t *only_pids;
	const char *const *only_names;
	const uint16_t (*plain_ports)[2];
	uint32_t plain_segment;
	struct capture_counters counters;
	char *application, *comment, *expression;
};

#define EACH_WAY(capture, outlet)                                                                  \
	for (struct outlet *const *at_ = (capture)->out, *(outlet); at_ < (capture)->out + WAYS; at_++) \
		if (((outlet) = *at_))

#define EACH_WAY_OF(capture, kind, outlet)                                                         \
	EACH_WAY(capture, outlet)                                                                  \
		if ((capture)->takes[at_ - (capture)->out][kind])

static bool stopped(const struct capture *capture)
{
	EACH_WAY(capture, outlet)
		if (!outlet_stopped(outlet))
			return false;
	return true;
}

// --- processes --------------------------------------------------------------------

static bool has_name(const struct capture_process *process, const char *pattern)
{
	const char *path = process->path ? process->path : "", *slash = strrchr(path, '/');

	return (process->name && !fnmatch(pattern, process->name, 0)) ||
	       (slash && !fnmatch(pattern, slash + 1, 0));
}

static bool wanted(const struct capture *capture, const struct capture_process *process)
{
	if (!capture->only_pids && !capture->only_names)
		return true;
	for (const int32_t *pid = capture->only_pids; pid && *pid; pid++)
		if (*pid == process->pid)
			return true;
	for (const char *const *name = capture->only_names; name && *name; name++)
		if (has_name(process, *name))
			return true;
	return false;
}

static void note_wanted(struct capture *capture, uint32_t number, bool is)
{
	if (capture->unwanted && number)
		capture->unwanted[number] = !is;
}

static bool of_wanted(const struct capture *capture, uint32_t number)
{
	return !capture->unwanted || !capture->unwanted[roster_find(&capture->roster, number) ? number : 0];
}

uint32_t capture_process(struct capture *capture, const struct capture_process *process)
{
	bool is = wanted(capture, process);
	uint32_t number;

	if (stopped(capture))
		return 0;
	number = roster_add(&capture->roster, process);
	note_wanted(capture, number, is);
	if (number && is)
		EACH_WAY_OF(capture, WIRE, outlet)
			outlet_process(outlet, number);
	return number;
}

// --- held flows -----------------------------------------------------------------

static uint64_t clock_now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

// Plaintext needs no secrets.
void capture_hold(struct capture *capture, uint64_t flow)
{
	uint64_t now = clock_now(CLOCK_MONOTONIC);

	EACH_WAY_OF(capture, WIRE, outlet)
		outlet_hold(outlet, flow, now);
}

void capture_secret(struct capture *capture, uint64_t flow, const char *line)
{
	EACH_WAY_OF(capture, WIRE, outlet)
		outlet_secret(outlet, flow, line);
}

void capture_release(struct capture *capture, uint64_t flow)
{
	EACH_WAY(capture, outlet)
		outlet_release(outlet, flow);
}

void capture_forget(struct capture *capture, uint64_t flow)
{
	EACH_WAY(capture, outlet)
		outlet_forget(outlet, flow);
}

uint64_t capture_deadline(const struct capture *capture)
{
	uint64_t least = UINT64_MAX;

	EACH_WAY(capture, outlet)
		if (outlet_deadline(outlet) < least)
			least = outlet_deadline(outlet);
	return least;
}

void capture_tick(struct capture *capture, uint64_t now)
{
	EACH_WAY(capture, outlet)
		outlet_tick(outlet, now);
}

// --- packets --------------------------------------------------------------------

static size_t size_of(const struct iovec *iov, int count, size_t most)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size < most ? size : most;
}

static bool admit(struct capture *capture, const struct capture_packet *packet, size_t size)
{
	if (!capture->filter ||
	    capture_filter_matches(capture->filter, packet->iov, packet->count, size))
		return true;
	EACH_WAY(capture, outlet)
		outlet_passed_over(outlet, packet->process);
	return false;
}

void capture_packet(struct capture *capture, const struct capture_packet *packet)
{
	size_t size = size_of(packet->iov, packet->count, packet->size);
	bool taken = false;

	if (!size || stopped(capture))
		return;
	if (!of_wanted(capture, packet->process) || !admit(capture, packet, size)) {
		capture->counters.filtered++;
		return;
	}
	EACH_WAY_OF(capture, WIRE, outlet)
		taken |= outlet_packet(outlet, packet, size, false);
	if (!taken)
		return;
	capture->counters.packets++;
	capture->counters.bytes += size;
	if (capture->counters.packets == capture->packets_most)
		EACH_WAY(capture, outlet)
			outlet_end(outlet);
}

// --- plaintext --------------------------------------------------------------------

bool capture_wants_plain(const struct capture *capture)
{
	for (int way = 0; way < WAYS; way++)
		if (capture->takes[way][PLAINTEXT])
			return true;
	return false;
}

static void put_plain(void *context, const struct capture_packet *packet)
{
	struct capture *capture = context;
	size_t size = size_of(packet->iov, packet->count, packet->size);

	bool taken = false;

	EACH_WAY_OF(capture, PLAINTEXT, outlet)
		taken |= outlet_packet(outlet, packet, size, true);
	capture->counters.plain += taken;
}

struct probe {
	const struct capture *capture;
	bool asked, taken;
};

static void ask(void *context, const struct capture_packet *packet)
{
	struct probe *probe = context;

	if (!probe->asked)
		probe->taken = capture_filter_matches(probe->capture->filter, packet->iov, packet->count,
						      packet->size);
	probe->asked = true;
}

static bool takes_plain(const struct capture *capture, struct stream_options options)
{
	struct probe probe = { .capture = capture };
	struct stream *stream;

	if (!capture->filter)
		return true;
	options.put = ask;
	options.context = &probe;
	stream = stream_open(&options);
	if (stream)
		stream_begin(stream, 0, NULL);
	stream_close(stream);
	return probe.taken;
}

static uint16_t port_of(const struct sockaddr *address)
{
	// Both families have it at the same place.
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

static uint16_t plain_port(const struct capture *capture, uint16_t port, const char *protocol)
{
	uint16_t other;

	for (const uint16_t (*row)[2] = capture->plain_ports; row && **row; row++)
		if ((*row)[0] == port)
			return (*row)[1];
	other = stream_port(port, protocol);
	return other ? other : port;
}

struct stream *capture_plain_open(struct capture *capture, const struct capture_plain *plain)
{
	struct stream_options options = {
		.app = plain->app, .peer = plain->peer, .port = port_of(plain->peer),
		.segment = capture->plain_segment, .process = plain->process,
		.put = put_plain, .context = capture,
	};
	struct stream *stream;

	if (!capture_wants_plain(capture) || stopped(capture) || !of_wanted(capture, plain->process) ||
	    !takes_plain(capture, options))
		return NULL;
	options.port = plain_port(capture, options.port, plain->protocol);
	stream = stream_open(&options);
	if (stream)
		stream_begin(stream, plain->time, plain->comment);
	return stream;
}

void capture_plain_data(struct stream *stream, bool outgoing, const void *bytes, size_t size, uint64_t time)
{
	stream_data(stream, outgoing, bytes, size, time);
}

void capture_plain_finish(struct stream *stream, bool outgoing, uint64_t time)
{
	stream_finish(stream, outgoing, time);
}

void capture_plain_reset(struct stream *stream, bool outgoing, uint64_t time)
{
	stream_reset(stream, outgoing, time);
}

void capture_plain_close(struct stream *stream)
{
	stream_close(stream);
}

// --- names ----------------------------------------------------------------------

void capture_name(struct capture *capture, const struct sockaddr *address, const char *name)
{
	const void *bytes;
	size_t size;

	if (address->sa_family == AF_INET) {
		bytes = &((const struct sockaddr_in *)address)->sin_addr;
		size = 4;
	} else if (address->sa_family == AF_INET6) {
		bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
		size = 16;
	} else {
		return;
	}
	if (!name || !*name)
		return;
	EACH_WAY(capture, outlet)
		outlet_name(outlet, bytes, size, name);
}

// --- flow control and news --------------------------------------------------------

void capture_turn(struct capture *capture, uint64_t time)
{
	if (capture->out[PACKETS])
		outlet_turn(capture->out[PACKETS], time);
}

bool capture_done(const struct capture *capture)
{
	EACH_WAY(capture, outlet)
		if (!outlet_ended(outlet))
			return false;
	return true;
}

bool capture_full(const struct capture *capture)
{
	EACH_WAY(capture, outlet)
		if (outlet_full(outlet))
			return true;
	return false;
}

int capture_fd(const struct capture *capture)
{
	return capture->event;
}

void capture_wake(struct capture *capture)
{
	uint64_t count;

	// Nothing there is fine too.
	if (read(capture->event, &count, sizeof(count)) < 0)
		return;
}

const char *capture_error(const struct capture *capture)
{
	EACH_WAY(capture, outlet)
		if (outlet_error(outlet))
			return outlet_error(outlet);
	return NULL;
}

void capture_count(const struct capture *capture, struct capture_counters *out)
{
	const struct outlet *packets = capture->out[PACKETS];

	*out = capture->counters;
	if (capture->server)
		server_count(capture->server, &out->readers, &out->lost);
	if (!packets)
		return;
	out->held_too_long = outlet_held_too_long(packets);
	out->files = outlet_files(packets);
	if (outlet_error(packets))
		out->packets = outlet_written(packets);
}

// --- opening and closing ------------------------------------------------------------

static bool wants_classic(const struct capture_options *options, const char *path)
{
	const char *suffix = strrchr(path, '.');

	if (options->format != CAPTURE_BY_NAME)
		return options->format == CAPTURE_CLASSIC;
	return suffix && !strcmp(suffix, ".pcap");
}

// What every way out is told alike.
static void describe(const struct capture *capture, const struct capture_options *options,
		     struct outlet_options *out)
{
	*out = (struct outlet_options){
		.event = capture->event,
		.flush_each = options->flush_each,
		.now = options->now ? options->now : clock_now(CLOCK_REALTIME),
		.roster = &capture->roster,
		.kept_most = options->snaplen && options->snaplen < KEPT_MOST ? options->snaplen : KEPT_MOST,
		.queue = options->queue ? options->queue : QUEUE_DEFAULT,
		.hold_time = options->hold_time ? options->hold_time : HOLD_TIME_DEFAULT,
		.hold_bytes = options->hold_bytes ? options->hold_bytes : HOLD_BYTES_DEFAULT,
		.in_thread = options->in_thread, .of = options->of,
	};
	identity_read(&out->identity);
	out->identity.linktype = options->pktap ? PKTAP_LINKTYPE : SLL2_LINKTYPE;
	out->identity.snaplen = out->kept_most == KEPT_MOST ? FRAME_MOST :
				out->kept_most + (options->pktap ? PKTAP_SIZE : SLL2_SIZE);
	out->identity.application = capture->application;
	out->identity.comment = capture->comment;
	out->identity.filter = capture->expression;
}

static char *copy_of(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

// All that needs no file yet: a file is not emptied for an open that fails.
static int prepare(struct capture *capture, const struct capture_options *options, char *why,
		   size_t why_size)
{
	const char *filter = options->filter && *options->filter ? options->filter : NULL;
	bool failed = false;

	capture->packets_most = options->packets;
	capture->only_pids = options->only_pids;
	capture->only_names = options->only_names;
	capture->application = copy_of(options->application, &failed);
	capture->comment = copy_of(options->comment, &failed);
	capture->expression = copy_of(filter, &failed);
	if (options->only_pids || options->only_names) {
		capture->unwanted = calloc(ROSTER_MOST + 1, sizeof(bool));
		failed |= !capture->unwanted;
		if (!failed)
			capture->unwanted[0] = true;
	}
	capture->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (failed || capture->event < 0) {
		snprintf(why, why_size, "cannot begin a capture: %s", strerror(failed ? ENOMEM : errno));
		return failed ? -ENOMEM : -errno;
	}
	return filter ? capture_filter_open(&capture->filter, filter, why, why_size) : 0;
}

static int open_packets(struct capture *capture, const struct capture_options *options, char *why,
			size_t why_size)
{
	struct outlet_options out;

	if (!options->path)
		return 0;
	describe(capture, options, &out);
	out.path = options->path;
	out.descriptor = options->descriptor;
	out.closed = options->closed;
	out.owner_uid = options->owner_uid;
	out.owner_gid = options->owner_gid;
	out.classic = wants_classic(options, options->path);
	out.ring = (struct ring){ .size = options->rotate_size, .seconds = options->rotate_seconds,
				  .files = options->files };
	capture->takes[PACKETS][WIRE] = true;
	return outlet_open(&capture->out[PACKETS], &out, why, why_size);
}

// Uncut, as there is no other link type or length to agree with; what the
// filter said of the conversation is no filter over these packets.
static int open_plain(struct capture *capture, const struct capture_options *options, char *why,
		      size_t why_size)
{
	struct outlet_options out;

	capture->plain_ports = options->plain_ports;
	capture->plain_segment = options->plain_segment;
	if (!options->plain_path)
		return 0;
	if (options->path && !strcmp(options->path, options->plain_path)) {
		capture->takes[PACKETS][PLAINTEXT] = true;
		return 0;
	}
	describe(capture, options, &out);
	out.path = options->plain_path;
	out.descriptor = options->descriptor;
	out.classic = wants_classic(options, options->plain_path);
	out.kept_most = KEPT_MOST;
	out.identity.snaplen = FRAME_MOST;
	out.identity.filter = NULL;
	capture->takes[PLAIN][PLAINTEXT] = true;
	return outlet_open(&capture->out[PLAIN], &out, why, why_size);
}

// Plaintext too, if that is wanted at all.
static int open_served(struct capture *capture, const struct capture_options *options, char *why,
		       size_t why_size)
{
	struct outlet_options out;

	if (!options->serve)
		return 0;

	int error = server_open(&capture->server, options->serve, options->in_thread, options->of, why,
				why_size);
	if (error)
		return error;
	describe(capture, options, &out);
	out.take = server_take;
	out.context = capture->server;
	capture->takes[SERVED][WIRE] = true;
	capture->takes[SERVED][PLAINTEXT] = options->plain_path != NULL;
	return outlet_open(&capture->out[SERVED], &out, why, why_size);
}

static void release(struct capture *capture)
{
	server_close(capture->server);
	capture_filter_close(capture->filter);
	roster_close(&capture->roster);
	if (capture->event >= 0)
		close(capture->event);
	free(capture->unwanted);
	free(capture->application);
	free(capture->comment);
	free(capture->expression);
	free(capture);
}

int capture_open(struct capture **out, const struct capture_options *options, char *why,
		 size_t why_size)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture) {
		snprintf(why, why_size, "cannot begin a capture: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	capture->event = -1;

	int error = prepare(capture, options, why, why_size);
	if (!error)
		error = open_served(capture, options, why, why_size);
	if (!error)
		error = open_plain(capture, options, why, why_size);
	if (!error)
		error = open_packets(capture, options, why, why_size);
	if (error) {
		EACH_WAY(capture, outlet)
			outlet_close(outlet, NULL, 0);
		release(capture);
		return error;
	}
	*out = capture;
	return 0;
}

int capture_close(struct capture *capture, char *why, size_t why_size)
{
	int error = 0;

	if (!capture)
		return 0;
	EACH_WAY(capture, outlet) {
		char words[512];
		int one = outlet_close(outlet, words, sizeof(words));

		if (one && !error)
			snprintf(why, why_size, "%s", words);
		error = error ? error : one;
	}
	release(capture);
	return error;
}
