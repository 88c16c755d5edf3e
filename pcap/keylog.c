// SPDX-License-Identifier: GPL-3.0-or-later
// keylog - secrets appended to a file in NSS key log form.
//
// One write a line, at the end of the file, so that several programs may share
// one log, and a reader that follows it sees whole lines.

#include "pcap/keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcap/append.h"

enum { KEYLOG_LINE = 1024 };	// three words, the longest of 128 hex digits

struct keylog {
	int fd;
	int error;	// the first; what came after it would lie behind a gap
};

static int refuse(const char *path, int error, const char *words, char *why, size_t why_size)
{
	snprintf(why, why_size, "cannot append secrets to %s: %s", path, words);
	return -error;
}

// Whoever reads the log reads the traffic. Pipes and devices keep nothing.
static int check_private(int fd, const char *path, char *why, size_t why_size)
{
	struct stat status;

	if (fstat(fd, &status))
		return refuse(path, errno, strerror(errno), why, why_size);
	if (!S_ISREG(status.st_mode))
		return 0;
	if (status.st_uid != geteuid())
		return refuse(path, EPERM, "it belongs to another user; name another file", why,
			      why_size);
	if (status.st_mode & (S_IRWXG | S_IRWXO))
		return refuse(path, EPERM, "others may read or write it; chmod 600 it, or name another file",
			      why, why_size);
	return 0;
}

int keylog_open(struct keylog **out, const char *path, char *why, size_t why_size)
{
	struct keylog *keylog = calloc(1, sizeof(*keylog));
	int error;

	if (!keylog)
		return refuse(path, ENOMEM, strerror(ENOMEM), why, why_size);
	keylog->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	error = keylog->fd < 0 ? refuse(path, errno, strerror(errno), why, why_size) :
				 check_private(keylog->fd, path, why, why_size);
	if (error) {
		keylog_close(keylog);
		return error;
	}
	*out = keylog;
	return 0;
}

static int write_line(int fd, const char *line, size_t length)
{
	char text[KEYLOG_LINE + 1];

	if (length > KEYLOG_LINE)
		return -EMSGSIZE;
	memcpy(text, line, length);
	text[length] = '\n';
	return append_whole(fd, text, length + 1);
}

int keylog_write(struct keylog *keylog, const char *line)
{
	size_t length = strlen(line);

	if (!length || strchr(line, '\n'))
		return -EINVAL;
	if (!keylog->error)
		keylog->error = write_line(keylog->fd, line, length);
	return keylog->error;
}

int keylog_close(struct keylog *keylog)
{
	int error;

	if (!keylog)
		return 0;
	error = keylog->error;
	if (keylog->fd >= 0 && close(keylog->fd) && errno != EINTR && !error)
		error = -errno;
	free(keylog);
	return error;
}
