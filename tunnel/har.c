// SPDX-License-Identifier: GPL-3.0-or-later
// har - HTTP exchanges as a HAR 1.2 file: the file, entry by entry.

#include "tunnel/har.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tunnel/har_entry.h"
#include "tunnel/log.h"

static const char head[] = "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"apptap\",\"version\":\"" APPTAP_VERSION
			   "\"},\"pages\":[],\"entries\":[\n";
static const char tail[] = "\n]}}\n";

struct har {
	int fd, error;
	bool seeks;
	char *path;
	off_t end;			// of the entries
	unsigned long entries;
};

static int put(struct har *h, const char *text, size_t size)
{
	for (size_t at = 0; at < size; ) {
		ssize_t n = h->seeks ? pwrite(h->fd, text + at, size - at, h->end + (off_t)at) : write(h->fd, text + at, size - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

// A write that outlives us.
struct writing {
	struct har *har;
	const char *text;
	size_t size;
	int error;
};

static int write_apart(void *of)
{
	struct writing *w = of;

	w->error = put(w->har, w->text, w->size);
	return 0;
}

static bool on_one_page(const struct har *h, size_t size)
{
	off_t page = sysconf(_SC_PAGESIZE);

	return h->end / page == (h->end + (off_t)size - 1) / page;
}

// The other process shares our memory, and we wait for it as for a vfork(2): a SIGKILL
// for us is none for it.
static int put_whole(struct har *h, const char *text, size_t size)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	struct writing writing = {.har = h, .text = text, .size = size};
	pid_t child = -1;
	int status = 0;

	if (h->seeks && !on_one_page(h, size))
		child = clone(write_apart, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &writing);
	if (child < 0)
		return put(h, text, size);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? writing.error : put(h, text, size);
}

static int begin(struct har *h)
{
	char text[sizeof(head) + sizeof(tail)];

	h->seeks = lseek(h->fd, 0, SEEK_CUR) >= 0;
	snprintf(text, sizeof(text), "%s%s", head, h->seeks ? tail + 1 : "");
	int error = put(h, text, strlen(text));
	h->end = sizeof(head) - 1;
	return error;
}

int har_open(struct har **out, const char *path, char *why, size_t why_size)
{
	struct har *h = calloc(1, sizeof(*h));
	int error = -ENOMEM;

	if (h) {
		h->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
		h->path = strdup(path);
		error = h->fd < 0 ? -errno : h->path ? begin(h) : -ENOMEM;
	}
	if (!error) {
		*out = h;
		return 0;
	}
	snprintf(why, why_size, "cannot write the HAR file %s: %s", path, strerror(-error));
	har_close(h, NULL, 0);
	return error;
}

int har_close(struct har *h, char *why, size_t why_size)
{
	if (!h)
		return 0;
	if (!h->error && !h->seeks && h->fd >= 0)
		h->error = put(h, tail, sizeof(tail) - 1);
	if (h->fd >= 0 && close(h->fd) && !h->error)
		h->error = -errno;
	int error = h->error;
	if (error && why)
		snprintf(why, why_size, "the HAR file %s is incomplete: %s", h->path, strerror(-error));
	free(h->path);
	free(h);
	return error;
}

// Of an entry that found no room nothing stays, and the end that it overwrote comes
// back, for which there was room before.
static void take_back(struct har *h)
{
	const char *end = h->entries ? tail : tail + 1;

	if (h->seeks && !ftruncate(h->fd, h->end))
		(void)put(h, end, strlen(end));
}

static void write_entry(struct har *h, const char *entry)
{
	char *text;
	int n = asprintf(&text, "%s%s%s", h->entries ? ",\n" : "", entry, h->seeks ? tail : "");

	h->error = n < 0 ? -ENOMEM : put_whole(h, text, (size_t)n);
	if (!h->error) {
		h->entries++;
		h->end += n - (h->seeks ? (int)sizeof(tail) - 1 : 0);
	} else {
		take_back(h);
		log_error("cannot write the HAR file %s: %s; it ends here", h->path, strerror(-h->error));
	}
	if (n >= 0)
		free(text);
}

void har_add(struct har *h, const struct flow *f, const struct exchange *e, const char *url)
{
	char *entry = h->error ? NULL : har_entry(f, e, url);

	if (entry)
		write_entry(h, entry);
	free(entry);
}
