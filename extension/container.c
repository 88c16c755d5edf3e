// SPDX-License-Identifier: GPL-3.0-or-later
// container - the container that a process's control groups put it in.

#include "extension/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

// Lines are "ID:CONTROLLERS:PATH", without controllers in the unified hierarchy: cgroups(7). Where
// version 2 is not in use all are in its root; engines make groups of the same path for each
// controller of version 1.
char *container_group(const char *text)
{
	const char *unified = "", *version_1 = "", *names, *path;

	for (const char *line = text; (names = strchr(line, ':')) && (path = strchr(++names, ':')); line = strchrnul(path, '\n')) {
		if (path == names)
			unified = path + 1;
		else if (memmem(names, (size_t)(path - names), "pids", 4))
			version_1 = path + 1;
	}
	path = (unified[0] && unified[1] && unified[1] != '\n') || !*version_1 ? unified : version_1;
	return strndup(path, strcspn(path, "\n"));
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

static int hex(char digit)
{
	const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

// As systemd writes names: "\x2d" is a hyphen. systemd.unit(5)
static void keep(char out[CONTAINER_SIZE], const char *text, size_t size)
{
	const char *end = text + size;
	size_t used = 0;

	while (text < end && used < CONTAINER_SIZE - 1) {
		bool escaped = end - text >= 4 && text[0] == '\\' && text[1] == 'x' && hex(text[2]) >= 0 && hex(text[3]) >= 0;

		out[used++] = (char)(escaped ? hex(text[2]) * 16 + hex(text[3]) : text[0]);
		text += escaped ? 4 : 1;
	}
	out[used] = '\0';
}

static bool begins(const char *part, size_t size, const char *with)
{
	return size >= strlen(with) && !strncmp(part, with, strlen(with));
}

// A container's name, where it has no such digits.
static bool find_name(const char **part, size_t *size)
{
	static const struct {
		const char *before, *after;
	} shapes[] = {
		{"lxc.payload.", ""}, {"systemd-nspawn@", ".service"}, {"machine-", ".scope"},
		{"crun-", ".scope"}, {"runc-", ".scope"},
	};

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		size_t before = strlen(shapes[i].before), after = strlen(shapes[i].after);

		if (*size <= before + after || strncmp(*part, shapes[i].before, before) != 0 ||
		    strncmp(*part + *size - after, shapes[i].after, after) != 0)
			continue;
		*part += before;
		*size -= before + after;
		return true;
	}
	return false;
}

// podman's conmon stands outside, in a group that is named after the container, and
// LXC's monitor and systemd-nspawn likewise. A virtual machine is none.
static void read_line(const char *line, size_t size, char out[CONTAINER_SIZE])
{
	const char *end = line + size, *id, *name;
	bool after_lxc = false;

	for (const char *part = line; part < end; part += size + 1) {
		size_t length = size = strcspn(part, "/\n");

		name = part;
		if (begins(part, size, "libpod-conmon-") || begins(part, size, "machine-qemu\\x2d"))
			continue;
		if ((id = find_id(part, size)) && id < part + size)
			keep(out, id, ID_SHOWN);
		else if (find_name(&name, &length) || (after_lxc && size))
			keep(out, name, length);
		else if (part + size == end && size == 10 && begins(part, size, "supervisor"))
			*out = '\0';
		after_lxc = size == 3 && begins(part, size, "lxc");
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
