// SPDX-License-Identifier: GPL-3.0-or-later
// capture - what was seen, as a file that Wireshark opens already decrypted.
//
// Here is decided what is captured: filter, processes, count. What was taken
// goes to every way out (outlet), each of which has its own file, its own
// writer, and says for itself what its readers have to know.
//
// The one clock read here is capture_hold()'s, for its deadline.

#include "pcap/capture.h"

#include <fnmatch.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pcap/filter.h"
#include "pcap/server.h"
#include "pcap/stream.h"
#include "pcap/ways.h"

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

static bool of_wanted(const struct capture *capture, uint32_t number)
{
	if (!capture->unwanted)
		return true;
	return roster_find(&capture->roster, number) && !capture->unwanted[roster_place(number)];
}

static uint32_t add(struct capture *capture, const struct capture_process *process)
{
	uint32_t leaving = roster_leaving(&capture->roster), number;

	if (leaving)
		EACH_WAY(capture, outlet)
			outlet_forget_process(outlet, leaving);
	number = roster_add(&capture->roster, process);
	if (capture->unwanted && number)
		capture->unwanted[roster_place(number)] = !wanted(capture, process);
	return number;
}

uint32_t capture_process(struct capture *capture, const struct capture_process *process)
{
	uint32_t number;

	if (stopped(capture))
		return 0;
	number = roster_same(&capture->roster, process);
	return number ? number : add(capture, process);
}

bool capture_knows(const struct capture *capture, uint32_t number)
{
	return roster_find(&capture->roster, number);
}

// --- held flows -----------------------------------------------------------------

static uint64_t clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

// Plaintext needs no secrets.
void capture_hold(struct capture *capture, uint64_t flow)
{
	uint64_t now = clock_now();

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

static void end(struct capture *capture)
{
	EACH_WAY(capture, outlet)
		outlet_end(outlet);
}

void capture_packet(struct capture *capture, const struct capture_packet *packet)
{
	size_t size = size_of(packet->iov, packet->count, packet->size);
	bool taken = false;

	if (!size || stopped(capture))
		return;
	roster_use(&capture->roster, packet->process);
	if (!of_wanted(capture, packet->process) || !admit(capture, packet, size)) {
		capture->counters.filtered++;
		return;
	}
	EACH_WAY_OF(capture, WIRE, outlet)
		taken |= outlet_packet(outlet, packet, size, false);
	if (capture->out[PACKETS] && outlet_over(capture->out[PACKETS]))
		end(capture);
	if (!taken)
		return;
	capture->counters.packets++;
	capture->counters.bytes += size;
	if (capture->counters.packets == capture->packets_most)
		end(capture);
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

	roster_use(&capture->roster, packet->process);
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

void capture_plain_owner(struct stream *stream, uint32_t process)
{
	stream_owner(stream, process);
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
	EACH_WAY(capture, outlet)
		outlet_turn(outlet, time);
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

const char *capture_news(struct capture *capture)
{
	for (int way = 0; way < WAYS; way++) {
		const char *words = capture->refused[way] ? capture->words[way] :
				    capture->out[way] ? outlet_error(capture->out[way]) : NULL;

		if (!words || capture->told[way])
			continue;
		capture->told[way] = true;
		return words;
	}
	return NULL;
}

void capture_count(const struct capture *capture, struct capture_counters *out)
{
	const struct outlet *packets = capture->out[PACKETS];

	*out = capture->counters;
	if (capture->server)
		server_count(capture->server, &out->readers, &out->lost);
	if (capture->out[PLAIN])
		out->plain_files = outlet_files(capture->out[PLAIN]);
	if (!packets)
		return;
	out->held_too_long = outlet_held_too_long(packets);
	out->files = outlet_files(packets);
	if (outlet_error(packets))
		out->packets = outlet_written(packets);
}
