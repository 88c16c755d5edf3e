// SPDX-License-Identifier: GPL-3.0-or-later
// keeper - the process inside: makes the namespaces, then minds the command.

#ifndef EXTENSION_KEEPER_H
#define EXTENSION_KEEPER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "extension/host.h"
#include "extension/launch.h"

// One datagram each on a SOCK_SEQPACKET pair.
enum keeper_kind {
	// to the keeper
	KEEPER_MAPPED,		// `value`: 0 or -errno
	KEEPER_START,
	KEEPER_SIGNAL,		// `value`
	KEEPER_LEAVE,		// go, and leave the processes be
	// from the keeper
	KEEPER_MAP,		// write my uid_map and gid_map, whole
	KEEPER_OPENED,		// with descriptors: tunnel, diag, and `value` of loopback6
	KEEPER_FAILED,		// `value`: -errno, `text`
	KEEPER_STARTED,		// `value`: pid
	KEEPER_ENDED,		// `value`: status, `left`, `text`
	KEEPER_EMPTY,
};

struct keeper_message {
	enum keeper_kind kind;
	int value;
	int left;
	char text[384];
};

enum { KEEPER_SIGNALS = 65 };

// How the command is to find its surroundings: as apptap found them.
struct keeper_surroundings {
	sigset_t mask;
	bool ignored[KEEPER_SIGNALS];
	bool bounding[64];	// capabilities in the bounding set
};

struct keeper {
	int socket;
	const struct launch_options *options;
	const struct host *host;
	struct keeper_surroundings surroundings;
	pid_t command;
	bool running;
};

void keeper_record(struct keeper_surroundings *surroundings);
_Noreturn void keeper_main(struct keeper *keeper);

int keeper_send(int socket, const struct keeper_message *message, const int *fds, int fd_count);
// 0, -EAGAIN, -EPIPE when the other side is gone, or -errno. *fd_count is the
// room in `fds`, then how many came.
int keeper_receive(int socket, struct keeper_message *message, int *fds, int *fd_count, int flags);

#endif
