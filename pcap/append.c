// SPDX-License-Identifier: GPL-3.0-or-later
// append - a record at the end of a file: whole, or not at all.

#include "pcap/append.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

// Half a record would join the next one that somebody appends, and spoil that too. What
// has another's behind it already has to stay.
static void take_back(int fd, size_t size)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat status;

	if (!size || at < (off_t)size || fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size != at)
		return;
	if (!ftruncate(fd, at - (off_t)size))
		lseek(fd, at - (off_t)size, SEEK_SET);
}

int append_whole(int fd, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, (const char *)bytes + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = errno;
			take_back(fd, done);
			return -error;
		}
		done += (size_t)n;
	}
	return 0;
}
