// SPDX-License-Identifier: GPL-3.0-or-later
// finisher - runs a command on each file of a ring that is done, from a process of its own.
//
// That process holds nothing of the tap's but its end of a socket: no tunnel and no kernel
// program outlives the tap through it, whatever the command does. It has a process group
// of its own, so that a Ctrl-C ends the tap and lets the last file be finished.

#include "tunnel/finisher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tunnel/log.h"

// As tcpdump: the command is no shell's, and steps back behind the rest.
static void finish(const char *command, const char *name)
{
	pid_t child = fork();

	if (child < 0) {
		log_error("cannot start %s for %s: %s", command, name, strerror(errno));
		return;
	}
	if (child == 0) {
		(void)setpriority(PRIO_PROCESS, 0, 19);
		execlp(command, command, name, (char *)NULL);
		log_error("cannot run %s for %s: %s", command, name, strerror(errno));
		_exit(127);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

// Descriptors 0 to 2 and the socket stay; of these nothing is read from the first.
static int keep_only(int socket)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -1;
	if (socket != 3 && dup3(socket, 3, O_CLOEXEC) < 0)
		return -1;
	return close_range(4, UINT_MAX, 0);
}

static void serve(const char *command, int socket, int (*first)(void *of), void *of)
{
	char name[PATH_MAX];
	ssize_t n;

	(void)setpgid(0, 0);
	if (keep_only(socket) || (first && first(of)))
		_exit(1);
	while ((n = recv(3, name, sizeof(name) - 1, 0)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		name[n] = 0;
		finish(command, name);
	}
	_exit(0);
}

int finisher_start(const char *command, int (*first)(void *of), void *of, char *why, size_t why_size)
{
	int pair[2], error = 0;
	pid_t child = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		pair[0] = pair[1] = -1;
		error = -errno;
	} else {
		child = fork();
		error = child < 0 ? -errno : 0;
	}
	if (child == 0)
		serve(command, pair[1], first, of);
	if (pair[1] >= 0)
		close(pair[1]);
	if (!error)
		return pair[0];
	if (pair[0] >= 0)
		close(pair[0]);
	snprintf(why, why_size, "cannot start a process for %s: %s", command, strerror(-error));
	return error;
}
