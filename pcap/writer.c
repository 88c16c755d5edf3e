// SPDX-License-Identifier: GPL-3.0-or-later
// writer - a thread that writes records to a descriptor, behind a bounded queue.
//
// The caller encodes into the open chunk, under the lock, which nobody else
// wants but once a chunk. A chunk of CHUNK bytes is queued; the thread writes
// it with one call, outside the lock, and gives it back for the next.
//
// A live reader must see a packet soon, yet a wake-up a packet would cost more
// than the packet, and one a chunk still several hundredths of all that is done
// for the bytes in it. So the thread, woken by the first bytes, lingers: until
// BATCH bytes wait, and then writes what is queued until none is; or for a while,
// and then takes the open chunk too, however little is in it: LINGER for a file,
// which nobody reads meanwhile in haste, LINGER_LIVE for a pipe and its like, whose
// reader has delays of its own. While it writes, company gathers of itself. With
// flush_each it never lingers. No timer runs while there is nothing to write.
//
// A caller that is faster than the file soon has the queue as full as it may be, and
// then each chunk it fills is one that has left the caches long ago, as has what the
// thread writes. So it is told to wait from STEADY bytes on already, as long as the
// thread gets on. Once it has been stuck in one chunk for longer than STALL, as when a
// disk has its moments, the queue takes all that it is allowed; and for a live reader,
// who may pause, at any time.
//
// A chunk may begin another file: the thread then closes the one it has and
// opens that, so that the caller never waits for a disk.
//
// Who touches what: `chunks`, `pending`, `since`, `state`, `closing`, `failure` under the
// lock; the chunk being written, `sink` and `sentence` the thread alone, until
// `dead` (released after them) or the join says that it is done. `full`,
// `stopped`, `dead` and `ended` are read without the lock; `before` and `size`
// are the caller's.
//
// A failure ends the file: the thread leaves its sentence, sets `dead` and ends.

#include "pcap/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pcap/chunks.h"
#include "pcap/thread.h"

enum {
	BATCH = 1024 * 1024,
	STEADY = 4 * 1024 * 1024,
	STALL = 20 * 1000 * 1000,	// ns
	LINGER = 40 * 1000 * 1000,	// ns
	LINGER_LIVE = 10 * 1000 * 1000,
	NS_PER_S = 1000 * 1000 * 1000,
};

struct writer {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	pthread_t thread;
	bool started, closing, done, flush_each, live;
	enum { BUSY, IDLE, LINGERING } state;
	bool draining, late;		// what is queued is due; what is open, too
	int failure;			// the caller's side's: -errno
	struct chunks chunks;
	size_t before;			// the open chunk's size when begun
	uint64_t size;			// of the present file, on the caller's side
	size_t pending, limit;		// bytes
	uint64_t since;			// ns when the present chunk was taken

	atomic_bool full, stopped, dead, ended;
	int event;
	struct sink *sink;
	int error;			// -errno that ended the file
	char sentence[512];
};

// --- the thread -------------------------------------------------------------------

static void notify(const struct writer *writer)
{
	uint64_t one = 1;

	// Fails only when the event stands already.
	if (write(writer->event, &one, sizeof(one)) < 0)
		return;
}

// Under the lock, so that the caller's side cannot call a dead writer full.
static void die(struct writer *writer, int error)
{
	writer->error = error;
	snprintf(writer->sentence, sizeof(writer->sentence),
		 "cannot write %.300s: %s; the capture ends at packet %llu", sink_name(writer->sink),
		 strerror(-error), (unsigned long long)sink_packets(writer->sink));
	atomic_store(&writer->stopped, true);
	atomic_store(&writer->full, false);
	atomic_store(&writer->dead, true);
	notify(writer);
}

static int write_chunk(struct writer *writer, struct chunk *chunk)
{
	if (chunk->file) {
		int error = sink_next(writer->sink, chunk->file);

		chunk->file = NULL;
		if (error)
			return error;
	}
	return sink_write(writer->sink, &chunk->blocks);
}

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct timespec linger_end(const struct writer *writer)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += writer->live ? LINGER_LIVE : LINGER;
	if (end.tv_nsec >= NS_PER_S) {
		end.tv_nsec -= NS_PER_S;
		end.tv_sec++;
	}
	return end;
}

static bool in_a_hurry(const struct writer *writer)
{
	return writer->flush_each || writer->closing || writer->failure || writer->full;
}

static struct chunk *due_chunk(struct writer *writer)
{
	bool all = writer->late || in_a_hurry(writer);

	writer->draining |= all || writer->pending >= BATCH;
	if (chunks_any_queued(&writer->chunks))
		return writer->draining ? chunks_take_queued(&writer->chunks) : NULL;
	writer->draining = false;
	if (!all || !chunks_any_open(&writer->chunks))
		return NULL;
	writer->late = false;
	return chunks_take_open(&writer->chunks);
}

// The next chunk to write, when its time has come; NULL: that was all. Under
// the lock, which the waits let go.
static struct chunk *next_chunk(struct writer *writer)
{
	struct timespec end = { 0 };
	struct chunk *chunk;

	while (!(chunk = due_chunk(writer))) {
		if (chunks_any_queued(&writer->chunks) || chunks_any_open(&writer->chunks)) {
			if (!end.tv_sec && !end.tv_nsec)
				end = linger_end(writer);
			writer->state = LINGERING;
			writer->late = pthread_cond_timedwait(&writer->wanted, &writer->lock, &end) == ETIMEDOUT;
		} else if (writer->closing || writer->failure) {
			return NULL;
		} else {
			chunks_trim(&writer->chunks);
			writer->late = false;
			writer->state = IDLE;
			pthread_cond_wait(&writer->wanted, &writer->lock);
		}
		writer->state = BUSY;
	}
	writer->since = clock_now();
	return chunk;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void recycle(struct writer *writer, struct chunk *chunk)
{
	writer->pending -= chunk->blocks.size;
	chunks_give(&writer->chunks, chunk);
	if (writer->full && writer->pending <= (writer->live ? writer->limit : least(writer->limit, STEADY)) / 2) {
		atomic_store(&writer->full, false);
		notify(writer);
	}
}

static void *run(void *argument)
{
	struct writer *writer = argument;
	struct chunk *chunk;
	int error = 0;

	pthread_mutex_lock(&writer->lock);
	while (!error && (chunk = next_chunk(writer))) {
		pthread_mutex_unlock(&writer->lock);
		error = write_chunk(writer, chunk);
		pthread_mutex_lock(&writer->lock);
		recycle(writer, chunk);
	}
	if (!error)
		error = writer->failure;
	int late = sink_close(writer->sink);
	if (error || late)
		die(writer, error ? error : late);
	else if (writer->done)
		sink_followed(writer->sink);
	atomic_store(&writer->ended, true);
	notify(writer);
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

// --- the caller's side --------------------------------------------------------------

static void wake_thread(struct writer *writer)
{
	if (writer->state == BUSY)
		return;
	writer->state = BUSY;	// as good as: one call is enough
	pthread_cond_signal(&writer->wanted);
}

static void fail(struct writer *writer, int error)
{
	if (!writer->failure)
		writer->failure = error;
	atomic_store(&writer->stopped, true);
	wake_thread(writer);
}

static bool has_enough(const struct writer *writer)
{
	return writer->pending >= writer->limit ||
	       (writer->pending >= STEADY && !writer->live && clock_now() - writer->since < STALL);
}

struct blocks *writer_begin(struct writer *writer)
{
	struct chunk *open;

	if (atomic_load(&writer->stopped))
		return NULL;
	pthread_mutex_lock(&writer->lock);
	open = chunks_open(&writer->chunks);
	if (!open) {
		fail(writer, -ENOMEM);
		pthread_mutex_unlock(&writer->lock);
		return NULL;
	}
	writer->before = open->blocks.size;
	return &open->blocks;
}

void writer_end(struct writer *writer, int error)
{
	size_t size = writer->chunks.open->blocks.size;

	writer->pending += size - writer->before;
	writer->size += size - writer->before;
	if (!writer->full && !writer->stopped && has_enough(writer))
		atomic_store(&writer->full, true);
	if (error)
		fail(writer, error);
	if (size >= CHUNK)
		chunks_queue_open(&writer->chunks);
	if (size && (writer->state == IDLE || writer->pending >= BATCH || in_a_hurry(writer)))
		wake_thread(writer);
	pthread_mutex_unlock(&writer->lock);
}

// An open chunk that is empty has begun no file yet: every begun file gets its
// section at once.
void writer_next(struct writer *writer, const char *name)
{
	struct chunk *open;

	if (atomic_load(&writer->stopped))
		return;
	pthread_mutex_lock(&writer->lock);
	if (chunks_any_open(&writer->chunks))
		chunks_queue_open(&writer->chunks);
	open = chunks_open(&writer->chunks);
	if (open) {
		free(open->file);
		open->file = strdup(name);
	}
	if (!open || !open->file)
		fail(writer, -ENOMEM);
	writer->size = 0;
	wake_thread(writer);
	pthread_mutex_unlock(&writer->lock);
}

uint64_t writer_size(const struct writer *writer)
{
	return writer->size;
}

void writer_end_early(struct writer *writer, bool done)
{
	pthread_mutex_lock(&writer->lock);
	atomic_store(&writer->stopped, true);
	writer->closing = true;
	writer->done = done;
	wake_thread(writer);
	pthread_mutex_unlock(&writer->lock);
}

bool writer_ended(const struct writer *writer)
{
	return atomic_load(&writer->ended);
}

bool writer_stopped(const struct writer *writer)
{
	return atomic_load(&writer->stopped);
}

bool writer_full(const struct writer *writer)
{
	return atomic_load(&writer->full);
}

const char *writer_error(const struct writer *writer)
{
	return atomic_load(&writer->dead) ? writer->sentence : NULL;
}

uint64_t writer_packets(const struct writer *writer)
{
	return sink_packets(writer->sink);
}

// --- opening and closing --------------------------------------------------------------

static int init_lock(struct writer *writer)
{
	pthread_condattr_t clock;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->wanted, &clock);
	pthread_condattr_destroy(&clock);
	return 0;
}

static int start(struct writer *writer, const struct writer_options *options)
{
	int error = thread_start(&writer->thread, "capture", options->in_thread, options->of, run, writer);

	writer->started = !error;
	return error;
}

int writer_open(struct writer **out, const struct writer_options *options)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int error = -ENOMEM;

	if (!writer)
		return error;
	init_lock(writer);
	chunks_init(&writer->chunks);
	writer->limit = options->queue;
	writer->flush_each = options->flush_each;
	writer->event = options->event;
	writer->sink = sink_open(&options->sink);
	if (!writer->sink)
		goto fail;
	writer->live = sink_is_live(writer->sink);
	error = start(writer, options);
	if (error)
		goto fail;
	*out = writer;
	return 0;

fail:
	writer_free(writer);
	return error;
}

int writer_finish(struct writer *writer)
{
	if (writer->started) {
		pthread_mutex_lock(&writer->lock);
		writer->closing = true;
		wake_thread(writer);
		pthread_mutex_unlock(&writer->lock);
		pthread_join(writer->thread, NULL);
		writer->started = false;
	}
	return writer->error;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	writer_finish(writer);
	chunks_free(&writer->chunks);
	pthread_cond_destroy(&writer->wanted);
	pthread_mutex_destroy(&writer->lock);
	sink_free(writer->sink);
	free(writer);
}
