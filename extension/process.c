// SPDX-License-Identifier: GPL-3.0-or-later
// process - whose flow is it: from a socket's addresses to the process.
//
// The kernel names the socket's inode; who holds it must be searched for (holder).
//
// An entry is a pid, its start time and its executable: a pid that comes again is
// another process, and so is one that went on to another program by exec. Entries
// stay until process_close(), so that others may point at them.

#include "extension/process.h"

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
#include "extension/holder.h"
#include "extension/known.h"
#include "extension/redirect.h"
#include "extension/tree.h"

enum { ARGUMENTS_MAX = 4096 };

struct process_finder {
	int diag;
	pid_t keeper;
	struct holders *holders;
	int descriptor;		// where the last was found
	struct known *known;
	uint64_t boot;		// ns since the epoch
	uint64_t tick;		// ns
	char user[64];		// the last name asked for, and whose it is
	uid_t user_id;
	struct announced *announced;	// NULL: nothing was
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
	if (!finder)
		return -ENOMEM;
	finder->known = known_open();
	finder->holders = holders_open(keeper);
	if (!finder->known || !finder->holders) {
		process_close(finder);
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
	holders_close(finder->holders);
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

// The folder is the holder's alone, so it is the process it was, unless by exec.
static bool is_as_known(const struct holder *holder)
{
	char path[4096];
	size_t size = holder->process ? strlen(holder->process->path) : 0;
	ssize_t n;

	if (!size)
		return false;
	n = readlinkat(holder->folder, "exe", path, sizeof path);
	return n == (ssize_t)size && !memcmp(path, holder->process->path, size);
}

static struct process *owner(struct process_finder *finder, uint32_t inode)
{
	struct holder *holder = holders_find(finder->holders, inode);
	struct process *before;

	if (!holder)
		return NULL;
	finder->descriptor = holder->last < HOLDER_DESCRIPTORS ? holder->last : -1;
	if (is_as_known(holder))
		return holder->process;
	before = holder->process;
	holder->process = process_keep(know(finder, holder->pid));
	process_let(before);
	return holder->process;
}

// --- the door -------------------------------------------------------------------

struct process *process_find(struct process_finder *finder, int protocol,
			     const struct sockaddr *local, const struct sockaddr *remote)
{
	struct diag_socket socket = {0};
	struct process *process = announced_find(finder->announced, protocol, local, remote);
	int error;

	finder->descriptor = -1;
	if (process || finder->diag < 0)
		return process;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		error = diag_find_ping(finder->keeper, local, &socket);
	else
		error = diag_find(finder->diag, protocol, local, remote, &socket);
	if (error || !socket.inode)
		return NULL;
	return owner(finder, socket.inode);
}

int process_descriptor(const struct process_finder *finder)
{
	return finder->descriptor;
}

void process_closed(struct process_finder *finder, const struct process *process, int descriptor)
{
	if (process && finder->holders)
		holders_closed(finder->holders, process, descriptor);
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
