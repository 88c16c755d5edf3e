// SPDX-License-Identifier: GPL-3.0-or-later
// tree - the processes that descend from one.
//
// /proc/PID/task/TID/children would be a shorter way, but not every kernel has
// it, and it may skip a child while another is being reaped. So all of /proc is read
// once, and whose parent is known to be in is in, until nobody is added. As
// pids wrap around, a child's may be lower than its parent's.

#include "extension/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tree_read_process(pid_t pid, struct tree_process *process)
{
	char path[32], text[1024];
	const char *open_bracket, *close_bracket;
	unsigned long long start;
	int fd, parent;
	size_t length;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';

	// The name may hold anything, brackets and spaces too: proc(5).
	open_bracket = strchr(text, '(');
	close_bracket = strrchr(text, ')');
	if (!open_bracket || !close_bracket || close_bracket < open_bracket)
		return -EPROTO;
	memset(process, 0, sizeof *process);
	length = (size_t)(close_bracket - open_bracket - 1);
	if (length >= sizeof process->name)
		length = sizeof process->name - 1;
	memcpy(process->name, open_bracket + 1, length);
	if (sscanf(close_bracket + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &process->state, &parent, &start) != 3)
		return -EPROTO;
	process->pid = pid;
	process->parent = parent;
	process->start = start;
	return 0;
}

static int read_all(struct tree_process **out)
{
	struct tree_process *all = NULL;
	int count = 0, room = 0;
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc)) && count < TREE_MAX) {
		int pid = atoi(entry->d_name);

		if (pid <= 0)
			continue;
		if (count == room) {
			int more = room ? 2 * room : 256;
			struct tree_process *bigger = reallocarray(all, (size_t)more, sizeof *all);

			if (!bigger)
				break;
			all = bigger;
			room = more;
		}
		if (!tree_read_process(pid, &all[count]))
			count++;
	}
	closedir(proc);
	*out = all;
	return count;
}

// all[0..in) is the tree so far; members move to the front as they are found.
static int gather(struct tree_process *all, int count, pid_t root)
{
	int in = 0;

	for (int next = -1; next < in; next++) {
		pid_t parent = next < 0 ? root : all[next].pid;

		for (int i = in; i < count; i++) {
			struct tree_process found = all[i];

			if (found.parent != parent || found.pid == root)
				continue;
			all[i] = all[in];
			all[in++] = found;
		}
	}
	return in;
}

int tree_read(pid_t root, struct tree_process **out)
{
	int count = read_all(out);

	return count < 0 ? count : gather(*out, count, root);
}
