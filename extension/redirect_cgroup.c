// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_cgroup - the root of the control groups (version 2), wherever it is mounted.
//
// On hybrid systems that is /sys/fs/cgroup/unified; on ones that know version 1 alone it
// is mounted nowhere, but every process is in that hierarchy all the same. Then it
// is mounted for the one who holds the descriptor, and at no path at all.

#include "extension/redirect_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// mountinfo writes blanks in paths as "\040".
static void unescape(char *text)
{
	char *out = text;

	for (; *text; out++) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*out = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
			text += 4;
		} else {
			*out = *text++;
		}
	}
	*out = '\0';
}

// The whole hierarchy where that is mounted, else as much of it as there is.
static int open_mounted(void)
{
	char line[4096], root[2048], place[2048];
	size_t shortest = sizeof root;
	int fd = -ENOENT;
	FILE *file = fopen("/proc/self/mountinfo", "re");

	while (file && fgets(line, sizeof line, file)) {
		int next;

		if (!strstr(line, " - cgroup2 ") || sscanf(line, "%*s %*s %*s %2047s %2047s", root, place) != 2 ||
		    strlen(root) >= shortest)
			continue;
		unescape(place);
		next = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			continue;
		if (fd >= 0)
			close(fd);
		fd = next;
		shortest = strlen(root);
	}
	if (file)
		fclose(file);
	return fd;
}

static int open_own(void)
{
	int context = (int)syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC), fd = -1;

	if (context < 0)
		return -errno;
	if (!syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		fd = -errno;
	close(context);
	return fd;
}

int redirect_cgroup_open(void)
{
	int fd = open_mounted();

	return fd >= 0 ? fd : open_own();
}
