// SPDX-License-Identifier: GPL-3.0-or-later
// process - whose flow is it: from a socket's addresses to the process.
//
// sock_diag(7) in the namespace finds the socket's inode and uid, /proc the
// process that holds it and what it is. Found processes are kept by pid and
// start time, so a pid that was used again is another process, as is one that
// went on to another program by exec.
//
// It reads /proc/PID/fd and /proc/PID/exe of the command's tree. The kernel forbids
// that to a process in a Landlock domain that the tree is not in, and to one that
// gave up CAP_SYS_PTRACE for processes of other users.

#ifndef EXTENSION_PROCESS_H
#define EXTENSION_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "extension/container.h"

struct process {
	pid_t pid, parent;
	uid_t uid;
	uint64_t start;		// ns since the epoch
	char name[64];		// the executable's last part, or comm
	const char *path;	// "" where it cannot be read
	const char *arguments;	// joined by spaces, cut at 4096 bytes
	const char *user;	// the uid's name, or its number
	char container[CONTAINER_SIZE];	// as container_name() says; "": none
	void *tag;		// the caller's own; NULL at first
	unsigned int held;	// process_keep()'s count
	bool counted;		// a finder's: false for one that a test makes itself
};

struct process_finder;
struct redirect_owner;

// When this host started, in ns since the epoch: start times count from here. Read
// once from /proc/stat.
uint64_t process_boot(void);

// `diag` from launch_diag(); `keeper`: only its descendants are looked at. For
// process_read() alone neither is needed: -1 and 0.
int process_open(struct process_finder **out, int diag, pid_t keeper);
void process_close(struct process_finder *finder);

// For IPPROTO_ICMP and IPPROTO_ICMPV6 the port of `local` is the echo identifier.
// A raw socket of ping's has none and answers to any.
//
// The process that holds the socket of `protocol` (IPPROTO_TCP, IPPROTO_UDP,
// IPPROTO_ICMP) at `local`, speaking to `remote`. NULL when it cannot be had.
// Owned by the finder, and valid until another is asked for or announced; from
// process_keep() until process_let() in any case. At the latest it goes with the finder.
struct process *process_find(struct process_finder *finder, int protocol,
			     const struct sockaddr *local, const struct sockaddr *remote);

// The descriptor where it held the socket that the last process_find() was about; -1: not
// known, or so high (HOLDER_DESCRIPTORS) that nothing is guessed from it.
int process_descriptor(const struct process_finder *finder);
// It has closed that descriptor. Only a guess is made of it, of where the next socket is.
void process_closed(struct process_finder *finder, const struct process *process, int descriptor);

// What the process of that number is, whether it descends from the keeper or not.
// NULL when there is none (any more). As long valid.
struct process *process_read(struct process_finder *finder, pid_t pid);

// NULL in, NULL out. Each keep wants its let.
struct process *process_keep(struct process *process);
void process_let(struct process *process);

// What redirect_read() said of a flow: process_find() answers with it from then on. Of
// very many flows the oldest are forgotten. 0 or -errno. (For `local`, where this is all
// that is known, the finder is opened with -1 and 0.)
int process_announce(struct process_finder *finder, const struct redirect_owner *owner);

// How many were announced so far: as long as it stays the same, so do all answers.
uint64_t process_announced(const struct process_finder *finder);

// Does a socket inside the namespace take what is sent from `from` to `to`?
bool process_listens(struct process_finder *finder, int protocol,
		     const struct sockaddr *from, const struct sockaddr *to);

#endif
