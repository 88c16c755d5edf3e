// SPDX-License-Identifier: GPL-3.0-or-later
// holder - which process holds a socket: /proc/PID/fd is searched, the likeliest place
// first.
//
// Nothing tells the holder of an inode, and each look at a descriptor costs as much as
// several other system calls. So the places are guessed, and one look proves the guess:
//
//	where that socket was seen already, while another was looked for;
//	of each process met before, the lowest descriptor that it closed, which is what the
//	kernel gives next, or else the one of its last socket; the process that closed one
//	last comes first, since who closes one often opens the next at once;
//	beside the last sockets of the first few of them.
//
// Only then are the descendants of the keeper listed, the newest first, since a process
// that has just started is what most likely has just connected.

#include "extension/holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extension/process.h"
#include "extension/tree.h"

enum {
	MOST = 64,		// processes remembered; each costs a descriptor
	NEAR = 4,		// descriptors looked at beside the last
	NEAR_HOLDERS = 4,	// beside whose they are looked at
	SEEN = 256,
	NONE = -1,
	HIDDEN = -2,
};

TAILQ_HEAD(holder_list, holder);

struct holders {
	pid_t keeper;
	struct holder_list list;	// the likeliest first
	size_t count;
	// Sockets that were seen, by inode. Only a guess: their holders may be others by now.
	struct seen {
		uint32_t inode;
		int fd;
		struct holder *holder;
	} seen[SEEN];
};

struct holders *holders_open(pid_t keeper)
{
	struct holders *all = calloc(1, sizeof *all);

	if (!all)
		return NULL;
	all->keeper = keeper;
	TAILQ_INIT(&all->list);
	return all;
}

static void forget(struct holders *all, struct holder *holder)
{
	for (size_t i = 0; i < SEEN; i++)
		if (all->seen[i].holder == holder)
			all->seen[i] = (struct seen){0};
	TAILQ_REMOVE(&all->list, holder, order);
	all->count--;
	process_let(holder->process);
	close(holder->folder);
	free(holder);
}

void holders_close(struct holders *all)
{
	struct holder *holder;

	if (!all)
		return;
	while ((holder = TAILQ_FIRST(&all->list)))
		forget(all, holder);
	free(all);
}

// --- descriptors that were closed -------------------------------------------------

static void mark(struct holder *holder, int fd, bool closed)
{
	if (fd < 0 || fd >= HOLDER_DESCRIPTORS)
		return;
	if (closed)
		holder->closed[fd / 64] |= 1ULL << fd % 64;
	else
		holder->closed[fd / 64] &= ~(1ULL << fd % 64);
}

static int lowest_closed(const struct holder *holder)
{
	for (int i = 0; i < HOLDER_DESCRIPTORS / 64; i++)
		if (holder->closed[i])
			return 64 * i + __builtin_ctzll(holder->closed[i]);
	return NONE;
}

void holders_closed(struct holders *all, const struct process *process, int fd)
{
	struct holder *holder;

	TAILQ_FOREACH(holder, &all->list, order)
		if (holder->process == process)
			break;
	if (!holder)
		return;
	mark(holder, fd, true);
	TAILQ_REMOVE(&all->list, holder, order);
	TAILQ_INSERT_HEAD(&all->list, holder, order);
}

// --- looking ----------------------------------------------------------------------

// The inode of the socket at a path in the folder; 0: it is none; or -errno.
static int64_t read_inode(int folder, const char *path)
{
	static const char form[] = "socket:[";
	char text[32];
	ssize_t n = readlinkat(folder, path, text, sizeof text - 1);

	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof form || memcmp(text, form, sizeof form - 1) != 0)
		return 0;
	text[n] = '\0';
	return (int64_t)strtoul(text + sizeof form - 1, NULL, 10);
}

static int64_t look(struct holders *all, struct holder *holder, int fd)
{
	char path[16];
	int64_t is;

	snprintf(path, sizeof path, "fd/%d", fd);
	is = read_inode(holder->folder, path);
	mark(holder, fd, false);
	if (is > 0)
		all->seen[is % SEEN] = (struct seen){(uint32_t)is, fd, holder};
	return is;
}

static bool is_gone(const struct holder *holder)
{
	char path[1];

	return readlinkat(holder->folder, "exe", path, sizeof path) < 0 && errno == ENOENT;
}

static struct holder *found_at(struct holders *all, struct holder *holder, int fd)
{
	holder->last = fd;
	TAILQ_REMOVE(&all->list, holder, order);
	TAILQ_INSERT_HEAD(&all->list, holder, order);
	while (all->count > MOST)
		forget(all, TAILQ_LAST(&all->list, holder_list));
	return holder;
}

static struct holder *search_seen(struct holders *all, uint32_t inode)
{
	struct seen seen = all->seen[inode % SEEN];

	if (seen.inode != inode || look(all, seen.holder, seen.fd) != inode)
		return NULL;
	return found_at(all, seen.holder, seen.fd);
}

static struct holder *search_likely(struct holders *all, uint32_t inode)
{
	struct holder *holder, *next;

	for (holder = TAILQ_FIRST(&all->list); holder; holder = next) {
		int fd = lowest_closed(holder);
		int64_t is;

		next = TAILQ_NEXT(holder, order);
		if (fd < 0)
			fd = holder->last;
		if (fd < 0)
			continue;
		is = look(all, holder, fd);
		if (is == inode)
			return found_at(all, holder, fd);
		if (is == -ENOENT && is_gone(holder))
			forget(all, holder);
	}
	return NULL;
}

static struct holder *search_beside(struct holders *all, struct holder *holder, uint32_t inode)
{
	int last = holder->last;

	for (int step = 1; step <= NEAR; step++) {
		if (look(all, holder, last + step) == inode)
			return found_at(all, holder, last + step);
		if (last >= step && look(all, holder, last - step) == inode)
			return found_at(all, holder, last - step);
	}
	return NULL;
}

static struct holder *search_near(struct holders *all, uint32_t inode)
{
	struct holder *holder, *found = NULL;
	int tries = 0;

	TAILQ_FOREACH(holder, &all->list, order) {
		if (found || tries++ == NEAR_HOLDERS)
			break;
		if (holder->last >= 0)
			found = search_beside(all, holder, inode);
	}
	return found;
}

// --- the tree ---------------------------------------------------------------------

// A number that is given again is another process's, and its folder is another one.
static struct holder *known(struct holders *all, pid_t pid)
{
	struct holder *holder;

	TAILQ_FOREACH(holder, &all->list, order)
		if (holder->pid == pid)
			break;
	if (holder && is_gone(holder)) {
		forget(all, holder);
		return NULL;
	}
	return holder;
}

// At the end of the list, NULL if it has gone.
static struct holder *meet(struct holders *all, pid_t pid)
{
	struct holder *holder = calloc(1, sizeof *holder);
	char path[32];

	if (!holder)
		return NULL;
	snprintf(path, sizeof path, "/proc/%d", pid);
	*holder = (struct holder){.pid = pid, .last = NONE, .folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	if (holder->folder < 0) {
		free(holder);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&all->list, holder, order);
	all->count++;
	return holder;
}

// The descriptor, NONE, or HIDDEN where they cannot be read. New ones tend to be
// high.
static int search_folder(struct holders *all, struct holder *holder, uint32_t inode)
{
	struct dirent *entry;
	int highest = NONE, found = NONE;
	int fd = openat(holder->folder, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (!folder)
		return errno == EACCES || errno == EPERM ? HIDDEN : NONE;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) > highest)
			highest = atoi(entry->d_name);
	for (fd = highest; fd >= 0 && fd > highest - NEAR && found < 0; fd--)
		if (look(all, holder, fd) == inode)
			found = fd;
	rewinddir(folder);
	while (found < 0 && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && look(all, holder, atoi(entry->d_name)) == inode)
			found = atoi(entry->d_name);
	closedir(folder);
	return found;
}

// *fd as search_folder() says; the process is only remembered if it is the one.
static struct holder *search_process(struct holders *all, pid_t pid, uint32_t inode, int *fd)
{
	struct holder *holder = known(all, pid);
	bool is_new = !holder;

	*fd = NONE;
	if (is_new)
		holder = meet(all, pid);
	if (!holder)
		return NULL;
	*fd = search_folder(all, holder, inode);
	if (*fd >= 0)
		return found_at(all, holder, *fd);
	if (is_new)
		forget(all, holder);
	return NULL;
}

static struct holder *take_hidden(struct holders *all, pid_t pid)
{
	struct holder *holder = known(all, pid);

	if (!holder)
		holder = meet(all, pid);
	return holder ? found_at(all, holder, NONE) : NULL;
}

static int by_age(const void *a, const void *b)
{
	const struct tree_process *one = a, *other = b;

	if (one->start != other->start)
		return one->start < other->start ? 1 : -1;
	return other->pid - one->pid;
}

// A program that gained powers by its exec, as ping does where it is not setuid, hides
// its descriptors. If it alone does, and nobody else has the socket, it is the one;
// which only the sure list of processes can say.
static struct holder *search_tree(struct holders *all, uint32_t inode, bool quick)
{
	struct tree_process *tree = NULL;
	int count = quick ? tree_read_quick(all->keeper, &tree) : tree_read(all->keeper, &tree);
	struct holder *holder = NULL;
	int fd, hidden = 0;
	pid_t hider = 0;

	if (count > 0)
		qsort(tree, (size_t)count, sizeof *tree, by_age);
	for (int i = 0; i < count && !holder; i++) {
		holder = search_process(all, tree[i].pid, inode, &fd);
		if (fd != HIDDEN || tree[i].state == 'Z')
			continue;
		hidden++;
		hider = tree[i].pid;
	}
	free(tree);
	if (holder || quick || hidden != 1)
		return holder;
	return take_hidden(all, hider);
}

struct holder *holders_find(struct holders *all, uint32_t inode)
{
	struct holder *holder = search_seen(all, inode);

	if (!holder)
		holder = search_likely(all, inode);
	if (!holder)
		holder = search_near(all, inode);
	if (!holder)
		holder = search_tree(all, inode, true);
	return holder ? holder : search_tree(all, inode, false);
}
