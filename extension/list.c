// SPDX-License-Identifier: GPL-3.0-or-later
// list - the processes on this machine, for whoever picks one to tap.
//
// Sockets are counted the other way round: each network namespace's tables are
// read once and their connected sockets' inodes kept in one sorted array (an inode's
// number is unique over all namespaces); then each process's descriptors are looked up
// in it. A namespace is found by the first process that lives in it, so all processes
// are gone through before any is counted.
//
// An ordinary user sees the descriptors and namespaces of their own processes
// alone. What is not seen is said to be so, and not taken for none.

#include "extension/list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extension/container.h"
#include "extension/tree.h"

enum {
	SOCKETS_MAX = 4 << 20,
	NETWORKS_MAX = 4096,
	// Of /proc/net: TCP_CLOSE and TCP_LISTEN. UDP says 1 when it is connected.
	STATE_CLOSED = 7,
	STATE_LISTENS = 10,
};

struct numbers {
	unsigned long *all;
	size_t count, room;
};

struct list {
	struct process_finder *finder;
	struct list_row *rows;
	size_t count;
	struct numbers networks;	// inodes of the namespaces whose tables were read
	struct numbers sockets;		// sorted
};

// --- numbers --------------------------------------------------------------------

static int add_number(struct numbers *numbers, unsigned long number, size_t most)
{
	if (numbers->count == numbers->room) {
		size_t more = numbers->room ? 2 * numbers->room : 64;
		unsigned long *bigger;

		if (numbers->count >= most)
			return -E2BIG;
		bigger = reallocarray(numbers->all, more, sizeof *bigger);
		if (!bigger)
			return -ENOMEM;
		numbers->all = bigger;
		numbers->room = more;
	}
	numbers->all[numbers->count++] = number;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	unsigned long one = *(const unsigned long *)a, other = *(const unsigned long *)b;

	return (one > other) - (one < other);
}

static void sort_numbers(struct numbers *numbers)
{
	if (numbers->count)
		qsort(numbers->all, numbers->count, sizeof *numbers->all, by_size);
}

static bool has_number(const struct numbers *numbers, unsigned long number)
{
	return numbers->count &&
	       bsearch(&number, numbers->all, numbers->count, sizeof *numbers->all, by_size);
}

// --- sockets --------------------------------------------------------------------

// proc_net_tcp of the kernel's documentation: addresses, state, queues, timer,
// retransmits, uid, timeout, inode.
static void read_table(struct numbers *sockets, pid_t within, const char *table)
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/net/%s", within, table);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		unsigned long inode;
		unsigned int state;

		if (sscanf(line, " %*d: %*[0-9A-F]:%*x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d %lu",
			   &state, &inode) != 2)
			continue;
		if (inode && state != STATE_CLOSED && state != STATE_LISTENS &&
		    add_number(sockets, inode, SOCKETS_MAX))
			break;
	}
	if (file)
		fclose(file);
}

static unsigned long network_of(pid_t pid)
{
	struct stat status;
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	return stat(path, &status) ? 0 : (unsigned long)status.st_ino;
}

// Of a thousand processes most live in one namespace: the last ones are the
// likely ones.
static void visit_network(struct list *list, pid_t pid, unsigned long network)
{
	static const char *const tables[] = {"tcp", "tcp6", "udp", "udp6"};

	for (size_t i = list->networks.count; i-- > 0;)
		if (list->networks.all[i] == network)
			return;
	if (add_number(&list->networks, network, NETWORKS_MAX))
		return;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		read_table(&list->sockets, pid, tables[i]);
}

static size_t count_different(struct numbers *numbers)
{
	size_t different = 0;

	sort_numbers(numbers);
	for (size_t i = 0; i < numbers->count; i++)
		different += !i || numbers->all[i] != numbers->all[i - 1];
	return different;
}

// A socket of several descriptors is one connection.
static int count_connections(const struct list *list, pid_t pid)
{
	struct numbers found = {0};
	struct dirent *entry;
	char path[32];
	DIR *folder;
	int count;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return -1;
	while ((entry = readdir(folder))) {
		unsigned long inode;
		char link[64];
		ssize_t n = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);

		link[n > 0 ? n : 0] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) == 1 && has_number(&list->sockets, inode) &&
		    add_number(&found, inode, SOCKETS_MAX))
			break;
	}
	closedir(folder);
	count = (int)count_different(&found);
	free(found.all);
	return count;
}

// --- the list -------------------------------------------------------------------

static int add_row(struct list *list, const struct tree_process *seen)
{
	struct list_row *row = &list->rows[list->count];
	unsigned long network, ours = network_of(getpid());
	char text[CONTAINER_CGROUP_MAX];

	row->process = process_read(list->finder, seen->pid);
	if (!row->process)
		return 0;
	network = network_of(seen->pid);
	row->network = !network || !ours ? LIST_UNSEEN : network == ours ? LIST_HERE : LIST_ELSEWHERE;
	if (network)
		visit_network(list, seen->pid, network);
	container_cgroup(seen->pid, text);
	container_name(text, row->container);
	row->cgroup = container_group(text);
	if (!row->cgroup)
		return -ENOMEM;
	list->count++;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct tree_process *one = a, *other = b;

	if (one->start != other->start)
		return one->start < other->start ? 1 : -1;
	return (other->pid > one->pid) - (other->pid < one->pid);
}

static int fill(struct list *list, struct tree_process *all, size_t count, pid_t except)
{
	int error = 0;

	list->rows = calloc(count ? count : 1, sizeof *list->rows);
	if (!list->rows)
		return -ENOMEM;
	if (count)
		qsort(all, count, sizeof *all, by_age);
	for (size_t i = 0; i < count && !error; i++)
		if (!all[i].kernel && all[i].state != 'Z' && all[i].state != 'X' && all[i].pid != except)
			error = add_row(list, &all[i]);
	sort_numbers(&list->sockets);
	for (struct list_row *row = list->rows; row < list->rows + list->count && row->process; row++)
		row->connections = count_connections(list, row->process->pid);
	return error;
}

int list_open(struct list **out, pid_t except)
{
	struct list *list = calloc(1, sizeof *list);
	struct tree_process *all = NULL;
	int error = -ENOMEM, count;

	*out = NULL;
	if (!list)
		return -ENOMEM;
	error = process_open(&list->finder, -1, 0);
	if (error)
		goto fail;
	count = tree_read_all(&all);
	error = count < 0 ? count : fill(list, all, (size_t)count, except);
	free(all);
	if (error)
		goto fail;
	*out = list;
	return 0;
fail:
	list_close(list);
	return error;
}

void list_close(struct list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++)
		free((char *)list->rows[i].cgroup);
	free(list->rows);
	free(list->networks.all);
	free(list->sockets.all);
	process_close(list->finder);
	free(list);
}

size_t list_count(const struct list *list)
{
	return list->count;
}

const struct list_row *list_row(const struct list *list, size_t index)
{
	return index < list->count ? &list->rows[index] : NULL;
}
