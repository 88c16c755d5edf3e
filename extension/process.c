// SPDX-License-Identifier: GPL-3.0-or-later
// process - whose flow is it: from a socket's addresses to the process.
//
// The kernel names the socket's inode; who holds it must be searched for in
// /proc/PID/fd, and that is the cost. So the search begins where it likely ends: in
// the processes that the last sockets belonged to, at the very descriptors
// and next to them: programs that open and close get the same ones again. Only then are the descendants of the keeper listed, the newest first,
// since a process that has just started is what most likely has just connected.
//
// An entry is a pid, its start time and its executable: a pid that comes again is
// another process, and so is one that went on to another program by exec. Entries
// stay until process_close(), so that others may point at them.

#include "extension/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extension/announced.h"
#include "extension/diag.h"
#include "extension/known.h"
#include "extension/redirect.h"
#include "extension/tree.h"

enum {
	ARGUMENTS_MAX = 4096,
	NEAR = 4,		// descriptors looked at beside the last
	RECENT = 32,		// processes remembered to have held sockets
	NEAR_RECENT = 4,	// of those, beside whose last descriptor is looked
	NONE = -1,
	HIDDEN = -2,
};

struct process_finder {
	int diag;
	pid_t keeper;
	struct known *known;
	uint64_t boot;		// ns since the epoch
	uint64_t tick;		// ns
	char user[64];		// the last name asked for, and whose it is
	uid_t user_id;
	struct announced *announced;	// NULL: nothing was
	// Where sockets were found, the latest first.
	struct holder {
		pid_t pid;
		int fd;
	} recent[RECENT];
};

uint64_t process_boot(void)
{
	static unsigned long long boot;
	char line[256];
	FILE *file = boot ? NULL : fopen("/proc/stat", "re");

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "btime %llu", &boot) == 1)
			break;
	if (file)
		fclose(file);
	return boot * 1000000000ULL;
}

int process_open(struct process_finder **out, int diag, pid_t keeper)
{
	struct process_finder *finder = calloc(1, sizeof *finder);

	*out = NULL;
	if (finder)
		finder->known = known_open();
	if (!finder || !finder->known) {
		free(finder);
		return -ENOMEM;
	}
	*out = finder;
	finder->diag = diag;
	finder->keeper = keeper;
	finder->boot = process_boot();
	finder->tick = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	return 0;
}

void process_close(struct process_finder *finder)
{
	if (!finder)
		return;
	announced_close(finder->announced);
	known_close(finder->known);
	free(finder);
}

// --- what a process is ----------------------------------------------------------

static char *read_path(pid_t pid)
{
	static const char deleted[] = " (deleted)";
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		n = 0;
	path[n] = '\0';
	if (n > (ssize_t)sizeof deleted && !strcmp(path + n - (sizeof deleted - 1), deleted))
		path[n - (ssize_t)(sizeof deleted - 1)] = '\0';
	return strdup(path);
}

static char *read_arguments(pid_t pid)
{
	char path[32], text[ARGUMENTS_MAX + 1];
	size_t used = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && used < ARGUMENTS_MAX && (n = read(fd, text + used, ARGUMENTS_MAX - used)) > 0)
		used += (size_t)n;
	if (fd >= 0)
		close(fd);
	while (used && text[used - 1] == '\0')
		used--;
	text[used] = '\0';
	for (size_t i = 0; i < used; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return strdup(text);
}

// The effective uid. The owner of /proc/PID would do, were it not root's for an
// undumpable process.
static uid_t read_uid(pid_t pid)
{
	char path[32], line[256];
	unsigned int uid = (unsigned int)-1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Uid: %*u %u", &uid) == 1)
			break;
	if (file)
		fclose(file);
	return uid;
}

// Asking for a name may mean asking a directory server: once a uid in a row.
static char *name_user(struct process_finder *finder, uid_t uid)
{
	const struct passwd *known;

	if (finder->user[0] && finder->user_id == uid)
		return strdup(finder->user);
	known = getpwuid(uid);
	if (known)
		snprintf(finder->user, sizeof finder->user, "%s", known->pw_name);
	else
		snprintf(finder->user, sizeof finder->user, "%u", (unsigned)uid);
	finder->user_id = uid;
	return strdup(finder->user);
}

static struct known_entry *describe(struct process_finder *finder, const struct tree_process *seen, char *path)
{
	struct known_entry *entry = calloc(1, sizeof *entry);
	const char *last = strrchr(path, '/');
	char cgroup[CONTAINER_CGROUP_MAX];

	if (!entry) {
		free(path);
		return NULL;
	}
	entry->path = path;
	entry->ticks = seen->start;
	entry->arguments = read_arguments(seen->pid);
	entry->process.uid = read_uid(seen->pid);
	entry->user = name_user(finder, entry->process.uid);
	if (!entry->arguments || !entry->user) {
		known_free(entry);
		return NULL;
	}
	entry->process.counted = true;
	entry->process.pid = seen->pid;
	entry->process.parent = seen->parent;
	entry->process.start = finder->boot + seen->start * finder->tick;
	snprintf(entry->process.name, sizeof entry->process.name, "%.63s",
		 last && last[1] ? last + 1 : seen->name);
	entry->process.path = entry->path;
	entry->process.arguments = entry->arguments;
	entry->process.user = entry->user;
	container_cgroup(seen->pid, cgroup);
	container_name(cgroup, entry->process.container);
	return entry;
}

// The entry of a pid, made at its first call.
static struct process *know(struct process_finder *finder, pid_t pid)
{
	struct known_entry *entry;
	struct tree_process seen;
	char *path;

	if (tree_read_process(pid, &seen))
		return NULL;
	path = read_path(pid);
	if (!path)
		return NULL;
	for (entry = known_first(finder->known, pid); entry; entry = known_next(entry))
		if (entry->ticks == seen.start && (!*path || !strcmp(entry->path, path)))
			break;
	if (entry) {
		free(path);
		return &entry->process;
	}
	entry = describe(finder, &seen, path);
	return entry ? known_add(finder->known, entry) : NULL;
}

// --- announced --------------------------------------------------------------------

// What the kernel says of a path is its end.
static bool is_end_of(const char *path, const char *end)
{
	size_t size = strlen(path), end_size = strlen(end);

	return end_size <= size && !strcmp(path + size - end_size, end);
}

static struct process *recall(const struct process_finder *finder, const struct redirect_owner *owner, uint64_t ticks)
{
	for (struct known_entry *entry = known_first(finder->known, owner->pid); entry; entry = known_next(entry))
		if (entry->ticks == ticks && is_end_of(entry->path, owner->path))
			return &entry->process;
	return NULL;
}

static struct process *take_over(struct process_finder *finder, const struct redirect_owner *owner, uint64_t ticks)
{
	struct known_entry *entry = calloc(1, sizeof *entry);

	if (!entry)
		return NULL;
	entry->ticks = ticks;
	entry->path = strdup(owner->path);
	entry->arguments = strdup(owner->arguments);
	entry->user = name_user(finder, owner->uid);
	if (!entry->path || !entry->arguments || !entry->user) {
		known_free(entry);
		return NULL;
	}
	entry->process = (struct process){.counted = true, .pid = owner->pid, .parent = owner->parent, .uid = owner->uid,
		.start = finder->boot + ticks * finder->tick,
		.path = entry->path, .arguments = entry->arguments, .user = entry->user};
	snprintf(entry->process.name, sizeof entry->process.name, "%s", owner->name);
	container_name(owner->cgroup, entry->process.container);
	return known_add(finder->known, entry);
}

// /proc knows more while the process is there: all of its path and arguments. That it
// is still the same one, and no other program by now, the kernel's words must agree to.
int process_announce(struct process_finder *finder, const struct redirect_owner *owner)
{
	uint64_t ticks = (owner->start - finder->boot) / finder->tick;
	struct process *process = recall(finder, owner, ticks);

	if (!process && owner->pid > 0 && know(finder, owner->pid))
		process = recall(finder, owner, ticks);
	if (!process)
		process = take_over(finder, owner, ticks);
	if (!process)
		return -ENOMEM;
	if (!finder->announced)
		finder->announced = announced_open();
	if (!finder->announced)
		return -ENOMEM;
	announced_put(finder->announced, owner->protocol, (const struct sockaddr *)&owner->app,
		      (const struct sockaddr *)&owner->peer, process);
	return 0;
}

uint64_t process_announced(const struct process_finder *finder)
{
	return announced_count(finder->announced);
}

// --- who holds a socket ---------------------------------------------------------

static bool is_socket(pid_t pid, int fd, uint32_t inode)
{
	char link[48], want[32], is[32];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
	n = readlink(link, is, sizeof is - 1);
	if (n < 0)
		return false;
	is[n] = '\0';
	snprintf(want, sizeof want, "socket:[%u]", inode);
	return !strcmp(is, want);
}

// The descriptor, NONE, or HIDDEN where they cannot be read. New ones tend to be
// high.
static int search_process(pid_t pid, uint32_t inode)
{
	char path[32];
	struct dirent *entry;
	int highest = NONE, found = NONE;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return errno == EACCES || errno == EPERM ? HIDDEN : NONE;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) > highest)
			highest = atoi(entry->d_name);
	for (int fd = highest; fd >= 0 && fd > highest - NEAR && found < 0; fd--)
		if (is_socket(pid, fd, inode))
			found = fd;
	rewinddir(folder);
	while (found < 0 && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && is_socket(pid, atoi(entry->d_name), inode))
			found = atoi(entry->d_name);
	closedir(folder);
	return found;
}

// Puts it first; the last of the others, or its own old place, goes.
static void remember(struct process_finder *finder, pid_t pid, int fd)
{
	struct holder *recent = finder->recent;
	size_t place = 0;

	while (place < RECENT - 1 && recent[place].pid && recent[place].pid != pid)
		place++;
	memmove(recent + 1, recent, place * sizeof *recent);
	recent[0] = (struct holder){pid, fd};
}

static bool search_near(struct process_finder *finder, struct holder at, uint32_t inode)
{
	for (int step = 1; step <= NEAR; step++) {
		if (is_socket(at.pid, at.fd + step, inode))
			remember(finder, at.pid, at.fd + step);
		else if (at.fd >= step && is_socket(at.pid, at.fd - step, inode))
			remember(finder, at.pid, at.fd - step);
		else
			continue;
		return true;
	}
	return false;
}

static bool search_recent(struct process_finder *finder, uint32_t inode)
{
	struct holder *recent = finder->recent;

	for (size_t i = 0; i < RECENT && recent[i].pid; i++)
		if (is_socket(recent[i].pid, recent[i].fd, inode)) {
			remember(finder, recent[i].pid, recent[i].fd);
			return true;
		}
	for (size_t i = 0; i < NEAR_RECENT && recent[i].pid; i++)
		if (search_near(finder, recent[i], inode))
			return true;
	return false;
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
static bool search_tree(struct process_finder *finder, uint32_t inode, bool quick)
{
	struct tree_process *all = NULL;
	int count = quick ? tree_read_quick(finder->keeper, &all) : tree_read(finder->keeper, &all);
	int fd = NONE, hidden = 0;
	pid_t holder = 0, hider = 0;

	if (count > 0)
		qsort(all, (size_t)count, sizeof *all, by_age);
	for (int i = 0; i < count && fd < 0; i++) {
		fd = search_process(all[i].pid, inode);
		if (fd >= 0)
			holder = all[i].pid;
		if (fd != HIDDEN || all[i].state == 'Z')
			continue;
		hidden++;
		hider = all[i].pid;
	}
	free(all);
	if (fd < 0 && (quick || hidden != 1))
		return false;
	remember(finder, fd < 0 ? hider : holder, fd < 0 ? 0 : fd);
	return true;
}

static bool search(struct process_finder *finder, uint32_t inode)
{
	return search_recent(finder, inode) || search_tree(finder, inode, true) ||
	       search_tree(finder, inode, false);
}

// --- the door -------------------------------------------------------------------

struct process *process_find(struct process_finder *finder, int protocol,
			     const struct sockaddr *local, const struct sockaddr *remote)
{
	struct diag_socket socket = {0};
	struct process *process = announced_find(finder->announced, protocol, local, remote);
	int error;

	if (process || finder->diag < 0)
		return process;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		error = diag_find_ping(finder->keeper, local, &socket);
	else
		error = diag_find(finder->diag, protocol, local, remote, &socket);
	if (error || !socket.inode)
		return NULL;
	if (!search(finder, socket.inode))
		return NULL;
	return know(finder, finder->recent[0].pid);
}

struct process *process_read(struct process_finder *finder, pid_t pid)
{
	return know(finder, pid);
}

// For TCP the addresses may be those of a socket that is no listener: of a
// conversation that stands, or stood until just now. Then the question is asked
// again with a remote that nothing can have.
bool process_listens(struct process_finder *finder, int protocol,
		     const struct sockaddr *from, const struct sockaddr *to)
{
	struct diag_socket socket = {0};

	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return false;
	if (diag_find(finder->diag, protocol, to, from, &socket))
		return false;
	if (protocol == IPPROTO_UDP || socket.state == TCP_LISTEN || socket.state == TCP_SYN_SENT)
		return true;
	return !diag_find(finder->diag, protocol, to, NULL, &socket) && socket.state == TCP_LISTEN;
}
