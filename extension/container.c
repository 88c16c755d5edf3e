// SPDX-License-Identifier: GPL-3.0-or-later
// container - the container that a process's control groups put it in.

#include "extension/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ID_DIGITS = 64, ID_SHOWN = 12 };

void container_cgroup(pid_t pid, char text[CONTAINER_CGROUP_MAX])
{
	size_t used = 0;
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && used < CONTAINER_CGROUP_MAX - 1 && (n = read(fd, text + used, CONTAINER_CGROUP_MAX - 1 - used)) > 0)
		used += (size_t)n;
	if (fd >= 0)
		close(fd);
	text[used] = '\0';
}

// Among words that these part, one of just so many digits.
static const char *find_id(const char *part, size_t size)
{
	for (size_t at = 0, word; at < size; at += word + 1) {
		word = strcspn(part + at, "-_:./\n");
		if (word == ID_DIGITS && strspn(part + at, "0123456789abcdef") >= word)
			return part + at;
	}
	return NULL;
}

static void keep(char out[CONTAINER_SIZE], const char *text, size_t size)
{
	if (size >= CONTAINER_SIZE)
		size = CONTAINER_SIZE - 1;
	memcpy(out, text, size);
	out[size] = '\0';
}

// podman's conmon stands outside, in a group that is named after the container, and
// LXC's monitor likewise.
static void read_line(const char *line, size_t size, char out[CONTAINER_SIZE])
{
	static const char payload[] = "lxc.payload.", conmon[] = "libpod-conmon-";
	const char *end = line + size, *id;
	bool after_lxc = false;

	for (const char *part = line; part < end; part += size + 1) {
		size = strcspn(part, "/\n");
		if (!strncmp(part, conmon, sizeof conmon - 1))
			continue;
		if ((id = find_id(part, size)) && id < part + size)
			keep(out, id, ID_SHOWN);
		else if (size > sizeof payload - 1 && !strncmp(part, payload, sizeof payload - 1))
			keep(out, part + sizeof payload - 1, size - (sizeof payload - 1));
		else if (after_lxc && size)
			keep(out, part, size);
		after_lxc = size == 3 && !strncmp(part, "lxc", 3);
	}
}

bool container_name(const char *cgroup, char out[CONTAINER_SIZE])
{
	*out = '\0';
	for (const char *line = cgroup; *line; line += line[0] == '\n') {
		size_t size = strcspn(line, "\n");

		read_line(line, size, out);
		if (*out)
			return true;
		line += size;
	}
	return false;
}
