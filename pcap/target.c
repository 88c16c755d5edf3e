// SPDX-License-Identifier: GPL-3.0-or-later
// target - the descriptor behind the name that a capture goes to.

#include "pcap/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *capture_target_name(const char *path)
{
	return strcmp(path, "-") ? path : "standard output";
}

static bool is_no_plain_file(const char *path)
{
	struct stat status;

	return !strcmp(path, "-") || (!stat(path, &status) && !S_ISREG(status.st_mode));
}

static bool in_one_folder(const char *one, const char *other)
{
	int a = capture_target_folder(one), b = capture_target_folder(other);
	struct stat of_a, of_b;
	bool same = a >= 0 && b >= 0 && !fstat(a, &of_a) && !fstat(b, &of_b) && of_a.st_dev == of_b.st_dev &&
		    of_a.st_ino == of_b.st_ino;

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return same;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool capture_target_meets(const char *path, const char *other)
{
	const char *name = last_part(path), *behind = last_part(other);
	size_t size = strlen(name);

	if (!strcmp(path, other) || strncmp(name, behind, size) != 0 || is_no_plain_file(path) || is_no_plain_file(other))
		return false;
	behind += size;
	return !behind[strspn(behind, "0123456789")] && in_one_folder(path, other);
}

static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
		return "; make its folder first, or name another";
	case EACCES:
	case EPERM:
	case EROFS:
		return "; name a file where you may write";
	case EISDIR:
		return "; name a file in it";
	case ENOSPC:
	case EDQUOT:
		return "; make room, or name a file elsewhere";
	default:
		return "";
	}
}

static int refuse(const char *path, int error, char *why, size_t why_size)
{
	snprintf(why, why_size, "cannot write %s: %s%s", capture_target_name(path),
		 strerror(error), advice(error));
	return -error;
}

static int check_given(const char *path, int descriptor, char *why, size_t why_size)
{
	int flags = fcntl(descriptor, F_GETFL);

	if (flags < 0)
		return refuse(path, errno, why, why_size);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return refuse(path, EBADF, why, why_size);
	return descriptor;
}

static int open_at(int folder, const char *name)
{
	return openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
}

int capture_target_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == path ? strdup("/") : slash ? strndup(path, slash - path) : strdup(".");
	int fd = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int error = errno;

	free(folder);
	return fd < 0 ? -error : fd;
}

// A file of the ring that root made, and that we, nobody by now, come round to.
int capture_target_next(int folder, const char *path)
{
	const char *name = last_part(path);
	int fd = open_at(folder, name);

	if (fd < 0 && errno == EACCES && !unlinkat(folder, name, 0))
		fd = open_at(folder, name);
	return fd < 0 ? -errno : fd;
}

void capture_target_give(int fd, uint32_t uid, uint32_t gid)
{
	struct stat status;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return;
	// It stays as it is where this fails: the next file will say what is wrong.
	if (fchown(fd, uid, gid))
		return;
}

int capture_target_open(const char *path, int descriptor, char *why, size_t why_size)
{
	if (!strcmp(path, "-"))
		return check_given(path, descriptor, why, why_size);

	int fd = open_at(AT_FDCWD, path);
	return fd < 0 ? refuse(path, errno, why, why_size) : fd;
}
