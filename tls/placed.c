// SPDX-License-Identifier: GPL-3.0-or-later
// placed - the authority's files: put in place whole and once, and never replaced.
//
// Each is written aside and put in place with a call that fails where one is: of two
// that are written at once the first stands, and both writers go on with that.

#include "tls/placed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/pem.h"

enum { FILE_MAX = 65536 };

__attribute__((format(printf, 4, 5)))
static int refuse(char *why, size_t why_size, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above
	vsnprintf(why, why_size, format, arguments);
	va_end(arguments);
	return error;
}

// For the user alone (XDG base directory: 0700).
int placed_folder(const char *folder, char *why, size_t why_size)
{
	char *path = strdup(folder);
	struct stat status;
	int error = 0;

	if (!path)
		return refuse(why, why_size, -ENOMEM, "out of memory");
	for (char *at = path + 1; !error; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char was = *at;

		*at = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			error = errno;
		*at = was;
		if (was == '\0')
			break;
	}
	free(path);
	if (error)
		return refuse(why, why_size, -error, "cannot make the folder %s: %s", folder, strerror(error));
	if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode))
		return refuse(why, why_size, -ENOTDIR, "%s is not a folder", folder);
	if (status.st_mode & 022)
		return refuse(why, why_size, -EPERM,
			      "others can write into %s, which holds apptap's authority: chmod 700 %s",
			      folder, folder);
	return 0;
}

// Puts `temporary` at `path` unless something is there. Not every file system
// has hard links.
static int place(const char *temporary, const char *path)
{
	if (link(temporary, path) == 0)
		return 0;
	if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP && errno != EACCES)
		return -errno;
	return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ? 0 : -errno;
}

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t put = write(fd, text, left);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		text += put;
		left -= put;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

// So that the name survives a crash as well as the bytes do.
static void sync_folder(const char *path)
{
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int fd;

	if (slash) {
		*slash = '\0';
		fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			fsync(fd);
			close(fd);
		}
	}
	free(folder);
}

int placed_write(const char *path, mode_t mode, const char *text, char *why, size_t why_size)
{
	char *temporary = NULL;
	int fd, error;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return refuse(why, why_size, -ENOMEM, "out of memory");
	fd = mkostemp(temporary, O_CLOEXEC);		// O_EXCL, 0600
	if (fd < 0) {
		error = -errno;
		free(temporary);
		return refuse(why, why_size, error, "cannot write %s: %s", path, strerror(-error));
	}
	error = write_all(fd, text);
	if (!error && fchmod(fd, mode) != 0)
		error = -errno;
	close(fd);
	if (!error)
		error = place(temporary, path);
	unlink(temporary);
	free(temporary);
	if (error && error != -EEXIST)
		return refuse(why, why_size, error, "cannot write %s: %s", path, strerror(-error));
	sync_folder(path);
	return 0;
}

int placed_read(const char *path, bool secret, char **text, size_t *size, char *why, size_t why_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int error = 0;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0) {
		error = -errno;
		return refuse(why, why_size, error, "cannot read %s: %s", path, strerror(-error));
	}
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		error = refuse(why, why_size, -EINVAL, "%s is not a file", path);
	else if (secret && (status.st_mode & 077))
		error = refuse(why, why_size, -EPERM,
			       "others can read %s, the key of apptap's authority: chmod 600 %s, or "
			       "remove the folder if they may have", path, path);
	if (!error) {
		*text = pem_load(fd, FILE_MAX, size);
		if (!*text) {
			error = -errno;
			refuse(why, why_size, error, "cannot read %s: %s", path, strerror(-error));
		}
	}
	close(fd);
	return error;
}
