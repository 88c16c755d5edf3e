// SPDX-License-Identifier: GPL-3.0-or-later
// opening - a capture's ways out, from what was asked for; and their end.
//
// All that can be refused without a file is refused first. The one clock read here is
// what the first file is named by.

#include "pcap/ways.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "pcap/filter.h"
#include "pcap/frame.h"
#include "pcap/server.h"

enum {
	QUEUE_DEFAULT = 32 << 20,
	HOLD_BYTES_DEFAULT = 256 << 10,
	KEPT_MOST = FRAME_MOST - LINK_MOST,
};
#define HOLD_TIME_DEFAULT (10 * NS_PER_S)

static uint64_t clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

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
		.now = options->now ? options->now : clock_now(),
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
	}
	capture->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (failed || capture->event < 0) {
		snprintf(why, why_size, "cannot begin a capture: %s", strerror(failed ? ENOMEM : errno));
		return failed ? -ENOMEM : -errno;
	}
	return filter ? capture_filter_open(&capture->filter, filter, why, why_size) : 0;
}

// A ring is of files.
static void turn(struct outlet_options *out, const char *path, const struct capture_options *options)
{
	out->path = path;
	out->descriptor = options->descriptor;
	if (!strcmp(path, "-"))
		return;
	out->closed = options->closed;
	out->owner_uid = options->owner_uid;
	out->owner_gid = options->owner_gid;
	out->ring = (struct ring){ .size = options->rotate_size, .seconds = options->rotate_seconds,
				   .files = options->files };
}

static int open_packets(struct capture *capture, const struct capture_options *options, char *why,
			size_t why_size)
{
	struct outlet_options out;

	if (!options->path)
		return 0;
	describe(capture, options, &out);
	turn(&out, options->path, options);
	out.classic = wants_classic(options, options->path);
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
	turn(&out, options->plain_path, options);
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

static void refuse(struct capture *capture, enum way way, int error, const char *words)
{
	if (!error)
		return;
	capture->refused[way] = error;
	capture->words[way] = strdup(words);
	memset(capture->takes[way], 0, sizeof(capture->takes[way]));
}

// One file that cannot be had is no reason to go without the other.
static int open_files(struct capture *capture, const struct capture_options *options, char *why,
		      size_t why_size)
{
	char words[512];
	int error = open_plain(capture, options, words, sizeof(words));

	refuse(capture, PLAIN, error, words);
	error = open_packets(capture, options, words, sizeof(words));
	refuse(capture, PACKETS, error, words);
	if (capture->out[PACKETS] || capture->out[PLAIN] || capture->out[SERVED]) {
		// It is ours, used or not.
		if (capture->refused[PLAIN] && !strcmp(options->plain_path, "-"))
			close(options->descriptor);
		return 0;
	}
	error = capture->refused[PACKETS] ? capture->refused[PACKETS] : capture->refused[PLAIN];
	if (error)
		snprintf(why, why_size, "%s", words);
	return error;
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
	for (int way = 0; way < WAYS; way++)
		free(capture->words[way]);
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
		error = open_files(capture, options, why, why_size);
	if (error) {
		EACH_WAY(capture, outlet)
			outlet_close(outlet, NULL, 0);
		release(capture);
		return error;
	}
	*out = capture;
	return 0;
}

// Of each way what nobody has heard yet, in one text.
int capture_close_counting(struct capture *capture, uint64_t *lost, char *why, size_t why_size)
{
	int error = 0;
	size_t size = 0;
	uint64_t readers;

	if (!capture)
		return 0;
	if (why_size)
		*why = 0;
	for (int way = 0; way < WAYS; way++) {
		char words[512] = "";
		int one = capture->refused[way];

		if (capture->out[way])
			one = outlet_close(capture->out[way], words, sizeof(words));
		else if (one && capture->words[way])
			snprintf(words, sizeof(words), "%s", capture->words[way]);
		error = error ? error : one;
		if (one && !capture->told[way] && size < why_size)
			size += (size_t)snprintf(why + size, why_size - size, "%s%s", size ? "; " : "", words);
	}
	// The writers have handed over all that there was.
	if (lost && capture->server)
		server_count(capture->server, &readers, lost);
	release(capture);
	return error;
}

int capture_close(struct capture *capture, char *why, size_t why_size)
{
	return capture_close_counting(capture, NULL, why, why_size);
}
