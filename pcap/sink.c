// SPDX-License-Identifier: GPL-3.0-or-later
// sink - where a writer's records end up.

#include "pcap/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcap/target.h"

struct sink {
	int fd, folder, closed;
	char *name;
	_Atomic uint64_t packets;
	void (*take)(void *context, const struct blocks *blocks);
	void *context;
};

struct sink *sink_open(const struct sink_options *options)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->name = strdup(options->name);
	if (!sink->name) {
		free(sink);
		return NULL;
	}
	sink->fd = options->fd;
	sink->folder = options->folder;
	sink->closed = options->closed;
	sink->take = options->take;
	sink->context = options->context;
	return sink;
}

// Everything, or -errno with how much it was.
static int write_all(int fd, const uint8_t *bytes, size_t size, size_t *done)
{
	*done = 0;
	while (*done < size) {
		ssize_t n = write(fd, bytes + *done, size - *done);

		if (n >= 0) {
			*done += n;
			continue;
		}
		if (errno == EAGAIN) {	// a pipe from a parent that polls it
			struct pollfd ready = { .fd = fd, .events = POLLOUT };
			poll(&ready, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

// Takes the `excess` bytes of a cut record off the end of a plain file, if
// they are its end.
static void cut_back(int fd, size_t excess)
{
	struct stat status;
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (!excess || at < (off_t)excess || fstat(fd, &status) || !S_ISREG(status.st_mode) ||
	    status.st_size != at)
		return;
	if (!ftruncate(fd, at - (off_t)excess))
		lseek(fd, at - (off_t)excess, SEEK_SET);
}

static int close_file(struct sink *sink)
{
	int fd = sink->fd;

	sink->fd = -1;
	return fd >= 0 && close(fd) && errno != EINTR ? -errno : 0;
}

// Never waits: whoever listens there is so far behind that no name more helps.
void sink_followed(const struct sink *sink)
{
	if (sink->closed > 0)
		(void)send(sink->closed, sink->name, strlen(sink->name), MSG_DONTWAIT | MSG_NOSIGNAL);
}

int sink_next(struct sink *sink, char *name)
{
	int error = close_file(sink);

	if (error) {
		free(name);
		return error;
	}
	sink_followed(sink);
	free(sink->name);
	sink->name = name;
	sink->fd = capture_target_next(sink->folder, sink->name);
	return sink->fd < 0 ? sink->fd : 0;
}

int sink_write(struct sink *sink, const struct blocks *blocks)
{
	size_t done;
	uint64_t packets;
	int error;

	if (sink->take) {
		sink->take(sink->context, blocks);
		sink->packets += blocks->packets;
		return 0;
	}
	error = write_all(sink->fd, blocks->bytes, blocks->size, &done);
	if (!error) {
		sink->packets += blocks->packets;
		return 0;
	}
	cut_back(sink->fd, done - blocks_whole(blocks, done, &packets));
	sink->packets += packets;
	return error;
}

int sink_close(struct sink *sink)
{
	if (sink->take)
		sink->take(sink->context, NULL);
	return close_file(sink);
}

bool sink_is_live(const struct sink *sink)
{
	struct stat status;

	return sink->take || (!fstat(sink->fd, &status) && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)));
}

const char *sink_name(const struct sink *sink)
{
	return sink->name;
}

uint64_t sink_packets(const struct sink *sink)
{
	return sink->packets;
}

void sink_free(struct sink *sink)
{
	if (sink)
		free(sink->name);
	free(sink);
}
