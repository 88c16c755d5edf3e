// SPDX-License-Identifier: GPL-3.0-or-later
// keeper - the process inside: makes the namespaces, then minds the command.
//
// It lives in three phases, and a message ends each:
//
//	set up	unshare, overlays, tunnel, network; descriptors go to the launch
//	wait	holds the descriptors that apptap was given, for the command
//	mind	has forked the command and closed them all; reaps, reports, and
//		when the launch is gone, however, kills every process inside
//
// It is the subreaper of all that runs inside, so whoever loses a parent becomes its
// child, and waitpid saying ECHILD means that nobody is left. All signals are
// blocked: what the terminal sends is for the command, which is in the same
// process group. Allocation is fine here: launch_open() is called before there are threads.

#include "extension/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/descriptors.h"
#include "extension/mount.h"
#include "extension/network.h"
#include "extension/obstacle.h"
#include "extension/place.h"
#include "extension/tree.h"

enum {
	KILL_ROUNDS = 100000,	// some seconds
};

// --- surroundings -------------------------------------------------------------

void keeper_record(struct keeper_surroundings *s)
{
	struct sigaction action;

	sigprocmask(SIG_SETMASK, NULL, &s->mask);
	for (int i = 1; i < KEEPER_SIGNALS; i++)
		s->ignored[i] = !sigaction(i, NULL, &action) && action.sa_handler == SIG_IGN;
	for (int i = 0; i < 64; i++)
		s->bounding[i] = prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1;
}

static void restore(const struct keeper_surroundings *s)
{
	// A new user namespace comes with all capabilities in the bounding set.
	for (int i = 0; i < 64; i++)
		if (!s->bounding[i] && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	for (int i = 1; i < KEEPER_SIGNALS; i++)
		signal(i, s->ignored[i] ? SIG_IGN : SIG_DFL);
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

// --- set up -------------------------------------------------------------------

static _Noreturn void fail(const struct keeper *k, enum obstacle_step step, int error, const char *what)
{
	struct keeper_message message = {.kind = KEEPER_FAILED, .value = error};
	struct obstacle_facts facts;

	obstacle_read(&facts);
	obstacle_sentence(&facts, step, -error, what, message.text, sizeof message.text);
	keeper_send(k->socket, &message, NULL, 0);
	_exit(1);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

// One line each is what an ordinary user may write for himself.
static int map_one(uid_t uid, gid_t gid)
{
	char text[64];
	int error;

	error = write_text("/proc/self/setgroups", "deny");
	if (error && error != -ENOENT)
		return error;
	snprintf(text, sizeof text, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
	if ((error = write_text("/proc/self/uid_map", text)))
		return error;
	snprintf(text, sizeof text, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
	return write_text("/proc/self/gid_map", text);
}

// Root may map everyone, but only from outside.
static int map_all(const struct keeper *k)
{
	struct keeper_message message = {.kind = KEEPER_MAP};
	int error = keeper_send(k->socket, &message, NULL, 0);

	if (!error)
		error = keeper_receive(k->socket, &message, NULL, NULL, 0);
	return error ? error : message.value;
}

static void make_namespaces(const struct keeper *k)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int error = -EPERM;

	// Real root needs no user namespace, and without one setuid programs,
	// groups and capabilities stay exactly as they were.
	if (uid == 0 && !unshare(CLONE_NEWNET | CLONE_NEWNS))
		return;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS))
		fail(k, OBSTACLE_NAMESPACES, -errno, NULL);
	if (uid == 0)
		error = map_all(k);
	if (error)
		error = map_one(uid, gid);
	if (error)
		fail(k, OBSTACLE_MAPPING, error, NULL);
}

// A browser that does not trust us says so itself: nothing is lost that there was.
static void double_database(const struct launch_options *options, const char *folder)
{
	struct place_world world = {.root = "", .home = "/", .uid = geteuid(), .gid = getegid()};

	if (!mount_double(folder))
		place_database.add(&world, "apptap", folder, options->authority, options->authority_size);
}

static void set_up_mounts(const struct keeper *k)
{
	const char *where = NULL;
	int error = mount_detach();

	if (error)
		fail(k, OBSTACLE_MOUNT, error, NULL);
	error = mount_lay(k->options, &where);
	if (error)
		fail(k, OBSTACLE_OVERLAY, error, where);
	for (size_t i = 0; i < k->options->database_count; i++)
		double_database(k->options, k->options->databases[i]);
}

static void set_up_network(const struct keeper *k)
{
	struct keeper_message message = {.kind = KEEPER_OPENED};
	const char *what = NULL;
	bool opened;
	int fds[3], error, diag, loopback6;
	int tunnel = network_open_tunnel(&opened);

	if (tunnel < 0)
		fail(k, opened ? OBSTACLE_TUN_CREATE : OBSTACLE_TUN_OPEN, tunnel, NULL);
	error = network_set_up(k->host, k->options->mtu, &what);
	if (error)
		fail(k, OBSTACLE_NETWORK, error, what);
	diag = network_open_diag();
	if (diag < 0)
		fail(k, OBSTACLE_NETWORK, diag, "open a socket that finds sockets");
	loopback6 = network_open_loopback6(k->host);

	fds[0] = tunnel;
	fds[1] = diag;
	fds[2] = loopback6;
	message.value = loopback6 >= 0;
	if (keeper_send(k->socket, &message, fds, loopback6 >= 0 ? 3 : 2))
		_exit(1);
	close(tunnel);
	close(diag);
	if (loopback6 >= 0)
		close(loopback6);
}

// --- the command --------------------------------------------------------------

static _Noreturn void become_command(const struct keeper *k, int report)
{
	int error;

	restore(&k->surroundings);
	environ = (char **)k->options->environment;
	execvp(k->options->argv[0], k->options->argv);
	error = errno;
	while (write(report, &error, sizeof error) < 0 && errno == EINTR)
		;
	_exit(error == ENOENT ? 127 : 126);
}

// The pid, or the -errno of the fork or the exec.
static int fork_command(struct keeper *k)
{
	int report[2], error = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0)
		become_command(k, report[1]);
	if (pid < 0)
		error = errno;
	close(report[1]);
	do
		n = pid < 0 ? 0 : read(report[0], &error, sizeof error);
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (!error)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return -error;
}

static void start(struct keeper *k, int signals)
{
	struct keeper_message message = {.kind = KEEPER_FAILED};
	int pid = fork_command(k);

	if (pid > 0) {
		k->command = pid;
		k->running = true;
		descriptors_keep(k->socket, signals);
		message.kind = KEEPER_STARTED;
	} else {
		snprintf(message.text, sizeof message.text, "%s", strerror(-pid));
	}
	message.value = pid;
	keeper_send(k->socket, &message, NULL, 0);
}

// --- mind ---------------------------------------------------------------------

static void kill_once(bool quick)
{
	struct tree_process *all = NULL;
	int count = quick ? tree_read_quick(getpid(), &all) : tree_read(getpid(), &all);

	for (int i = 0; i < count; i++)
		kill(all[i].pid, SIGKILL);
	free(all);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

// A process that forks and exits all the time is gone before a look at all of /proc
// is over, hence the quick looks in between.
static bool kill_all(void)
{
	for (int round = 0; round < KILL_ROUNDS; round++) {
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return true;
		kill_once(round % 32);
		if (round % 32 == 31)
			poll(NULL, 0, 1);
	}
	return false;
}

static void count_left(struct keeper_message *message)
{
	struct tree_process *all = NULL;
	int count = tree_read(getpid(), &all);

	for (int i = 0; i < count; i++) {
		if (all[i].state == 'Z' || all[i].state == 'X')
			continue;
		if (!message->left++)
			snprintf(message->text, sizeof message->text, "%s", all[i].name);
	}
	free(all);
}

// False once nobody is left.
static bool reap(struct keeper *k)
{
	struct keeper_message ended = {.kind = KEEPER_ENDED}, empty = {.kind = KEEPER_EMPTY};
	bool now = false, nobody;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != k->command || !k->running)
			continue;
		k->running = false;
		ended.value = status;
		now = true;
	}
	nobody = pid < 0 && errno == ECHILD && k->command;
	if (now) {
		if (!nobody)
			count_left(&ended);
		keeper_send(k->socket, &ended, NULL, 0);
	}
	if (nobody)
		keeper_send(k->socket, &empty, NULL, 0);
	return !nobody;
}

static void obey(struct keeper *k, int signals)
{
	struct keeper_message message = {0};
	int error = keeper_receive(k->socket, &message, NULL, NULL, MSG_DONTWAIT);

	if (error == -EAGAIN)
		return;
	if (error)
		_exit(kill_all() ? 0 : 1);
	if (message.kind == KEEPER_START && !k->command)
		start(k, signals);
	else if (message.kind == KEEPER_SIGNAL && k->running)
		kill(k->command, message.value);
	else if (message.kind == KEEPER_LEAVE)
		_exit(0);
}

static _Noreturn void mind(struct keeper *k, int signals)
{
	struct pollfd wait_for[] = {{.fd = k->socket, .events = POLLIN},
				    {.fd = signals, .events = POLLIN}};
	struct signalfd_siginfo info;
	bool somebody = true;

	for (;;) {
		if (poll(wait_for, 2, -1) < 0 && errno != EINTR)
			_exit(1);
		if (wait_for[0].revents)
			obey(k, signals);
		if (somebody && wait_for[1].revents) {
			while (read(signals, &info, sizeof info) > 0)
				;
			somebody = reap(k);
		}
	}
}

static int take_signals(void)
{
	sigset_t all, child;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	// Were it ignored, children would be reaped behind our back.
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void keeper_main(struct keeper *k)
{
	int signals = take_signals();

	if (signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		fail(k, OBSTACLE_OTHER, -errno, NULL);
	prctl(PR_SET_NAME, "apptap-keeper");
	make_namespaces(k);
	set_up_mounts(k);
	set_up_network(k);
	mind(k, signals);
}
