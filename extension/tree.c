// SPDX-License-Identifier: GPL-3.0-or-later
// tree - the processes that descend from one.
//
// The sure way reads all of /proc once; whose parent is known to be in is in,
// until nobody is added (as pids wrap around, a child's may be lower than its
// parent's). The quick way follows /proc/PID/task/TID/children: not every kernel has
// it, and proc(5) warns that it may skip a child while another is being reaped.

#include "extension/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KERNEL_THREAD = 0x00200000 };	// PF_KTHREAD, linux/sched.h of the kernel itself

int tree_read_process(pid_t pid, struct tree_process *process)
{
	char path[32], text[1024];
	const char *open_bracket, *close_bracket;
	unsigned long long start;
	unsigned int flags;
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
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &process->state, &parent, &flags, &start) != 4)
		return -EPROTO;
	process->pid = pid;
	process->parent = parent;
	process->start = start;
	process->kernel = flags & KERNEL_THREAD;
	return 0;
}

struct list {
	struct tree_process *all;
	int count, room;
};

static void add(struct list *list, pid_t pid)
{
	if (list->count == list->room) {
		int more = list->room ? 2 * list->room : 64;
		struct tree_process *bigger;

		if (more > TREE_MAX)
			return;
		bigger = reallocarray(list->all, (size_t)more, sizeof *bigger);
		if (!bigger)
			return;
		list->all = bigger;
		list->room = more;
	}
	if (!tree_read_process(pid, &list->all[list->count]))
		list->count++;
}

static int read_all(struct list *list)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc)))
		if (atoi(entry->d_name) > 0)
			add(list, atoi(entry->d_name));
	closedir(proc);
	return 0;
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

int tree_read_all(struct tree_process **out)
{
	struct list list = {0};
	int error = read_all(&list);

	*out = list.all;
	return error ? error : list.count;
}

int tree_read(pid_t root, struct tree_process **out)
{
	struct list list = {0};
	int error = read_all(&list);

	*out = list.all;
	return error ? error : gather(list.all, list.count, root);
}

static void add_children(struct list *list, pid_t pid, const char *thread)
{
	char path[64], text[16384], *rest = text;
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof path, "/proc/%d/task/%.12s/children", pid, thread) >= (int)sizeof path)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (char *word; (word = strsep(&rest, " "));)
		if (atoi(word) > 0)
			add(list, atoi(word));
}

static void add_family(struct list *list, pid_t pid)
{
	struct dirent *entry;
	char path[32];
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads)))
		if (entry->d_name[0] != '.')
			add_children(list, pid, entry->d_name);
	if (threads)
		closedir(threads);
}

int tree_read_quick(pid_t root, struct tree_process **out)
{
	struct list list = {0};

	add_family(&list, root);
	for (int next = 0; next < list.count; next++)
		add_family(&list, list.all[next].pid);
	*out = list.all;
	return list.count;
}
