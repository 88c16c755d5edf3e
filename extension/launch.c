// SPDX-License-Identifier: GPL-3.0-or-later
// launch - a command in a namespace of its own: the side that stays outside.
//
// The keeper (keeper.c) does the work inside. This side forks it, receives the
// descriptors, and reads its reports. Should the keeper be killed, what it kept
// becomes our child, since we are a subreaper as well; those are told from other
// children by their network namespace.

#include "extension/launch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/descriptors.h"
#include "extension/host.h"
#include "extension/keeper.h"
#include "extension/tree.h"

enum {
	KILL_ROUNDS = 1000,
	LOOPBACK_PARTS = 64,
};

struct launch {
	int socket, tunnel, diag, loopback6;
	pid_t keeper, command;
	ino_t namespace;	// of the network, 0 where it could not be read
	bool running;		// the command
	bool empty, lost;
	struct host host;	// as it was when the namespace was made
};

static ino_t network_of(pid_t pid)
{
	struct stat status;
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	return stat(path, &status) ? 0 : status.st_ino;
}

static int write_map(pid_t pid, const char *name)
{
	static const char everyone[] = "0 0 4294967295\n";
	char path[48];
	int error = 0, fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, everyone, sizeof everyone - 1) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int map(struct launch *launch)
{
	struct keeper_message message = {.kind = KEEPER_MAPPED};

	// Both or none: the keeper then maps itself alone.
	message.value = write_map(launch->keeper, "gid_map");
	if (!message.value)
		message.value = write_map(launch->keeper, "uid_map");
	return keeper_send(launch->socket, &message, NULL, 0);
}

static int receive_opened(struct launch *launch, char *why, size_t why_size)
{
	struct keeper_message message;
	int fds[3] = {-1, -1, -1}, count, error;

	for (;;) {
		count = 3;
		error = keeper_receive(launch->socket, &message, fds, &count, 0);
		if (!error && message.kind == KEEPER_MAP)
			error = map(launch);
		else if (!error)
			break;
		if (error) {
			snprintf(why, why_size, "the keeper process died: %s", strerror(-error));
			return error;
		}
	}
	launch->tunnel = fds[0];
	launch->diag = fds[1];
	launch->loopback6 = fds[2];
	if (message.kind == KEEPER_OPENED && count == 2 + message.value)
		return 0;
	if (message.kind == KEEPER_FAILED) {
		snprintf(why, why_size, "%s", message.text);
		return message.value ? message.value : -EPROTO;
	}
	snprintf(why, why_size, "the keeper process sent no descriptors (is RLIMIT_NOFILE too low?)");
	return -EMFILE;
}

static int fork_keeper(struct launch *launch, const struct launch_options *options)
{
	struct keeper keeper = {.options = options};
	int pair[2];

	keeper_record(&keeper.surroundings);
	host_read(&launch->host);
	keeper.host = &launch->host;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	launch->keeper = fork();
	if (launch->keeper == 0) {
		close(pair[0]);
		keeper.socket = pair[1];
		keeper_main(&keeper);
	}
	close(pair[1]);
	launch->socket = pair[0];
	return launch->keeper < 0 ? -errno : 0;
}

int launch_open(struct launch **out, const struct launch_options *options, char *why, size_t why_size)
{
	struct launch *launch = calloc(1, sizeof *launch);
	int error = -ENOMEM;

	*out = NULL;
	if (!launch)
		goto fail;
	launch->socket = launch->tunnel = launch->diag = launch->loopback6 = -1;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) {
		error = -errno;
		goto fail;
	}
	error = fork_keeper(launch, options);
	if (error)
		goto fail;
	error = receive_opened(launch, why, why_size);
	if (error)
		goto closed;
	launch->namespace = network_of(launch->keeper);
	*out = launch;
	return 0;
fail:
	snprintf(why, why_size, "cannot launch: %s", strerror(-error));
closed:
	launch_close(launch, false);
	return error;
}

int launch_tunnel(const struct launch *launch)
{
	return launch->tunnel;
}

int launch_loopback6(const struct launch *launch)
{
	return launch->loopback6;
}

int launch_write_loopback6(const struct launch *launch, const struct iovec *parts, int count)
{
	struct virtio_net_hdr offload;
	struct ethhdr ethernet = {.h_proto = htons(ETH_P_IPV6)};
	struct iovec out[LOOPBACK_PARTS + 2];
	size_t header = sizeof offload;

	if (launch->loopback6 < 0)
		return -EAFNOSUPPORT;
	if (count < 1 || count > LOOPBACK_PARTS || parts[0].iov_len < header)
		return -EINVAL;
	memcpy(&offload, parts[0].iov_base, header);
	if (offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		offload.csum_start = (uint16_t)(offload.csum_start + sizeof ethernet);
	if (offload.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		offload.hdr_len = (uint16_t)(offload.hdr_len + sizeof ethernet);
	out[0] = (struct iovec){&offload, header};
	out[1] = (struct iovec){&ethernet, sizeof ethernet};
	out[2] = (struct iovec){(char *)parts[0].iov_base + header, parts[0].iov_len - header};
	for (int i = 1; i < count; i++)
		out[i + 2] = parts[i];
	return writev(launch->loopback6, out, count + 2) < 0 ? -errno : 0;
}

bool launch_owns(const struct launch *launch, const struct sockaddr *address)
{
	return host_owns(&launch->host, address);
}

int launch_diag(const struct launch *launch)
{
	return launch->diag;
}

pid_t launch_keeper(const struct launch *launch)
{
	return launch->keeper;
}

pid_t launch_command(const struct launch *launch)
{
	return launch->command;
}

int launch_fd(const struct launch *launch)
{
	return launch->socket;
}

int launch_start(struct launch *launch)
{
	struct keeper_message message = {.kind = KEEPER_START};
	int error = keeper_send(launch->socket, &message, NULL, 0);

	if (!error)
		error = keeper_receive(launch->socket, &message, NULL, NULL, 0);
	if (error)
		return error;
	if (message.kind != KEEPER_STARTED)
		return message.value < 0 ? message.value : -EPROTO;
	launch->command = message.value;
	launch->running = true;
	return 0;
}

int launch_read(struct launch *launch, struct launch_news *news)
{
	struct keeper_message message;
	int error;

	*news = (struct launch_news){.event = LAUNCH_NOTHING};
	if (launch->lost)
		return 0;
	error = keeper_receive(launch->socket, &message, NULL, NULL, MSG_DONTWAIT);
	if (error == -EAGAIN)
		return 0;
	if (error) {
		launch->lost = true;
		launch->running = false;
		news->event = LAUNCH_LOST;
		return 0;
	}
	if (message.kind == KEEPER_ENDED) {
		launch->running = false;
		news->event = LAUNCH_ENDED;
		news->status = message.value;
		news->left = message.left;
		snprintf(news->left_name, sizeof news->left_name, "%.31s", message.text);
	} else if (message.kind == KEEPER_EMPTY) {
		launch->empty = true;
		news->event = LAUNCH_EMPTY;
	}
	return 0;
}

// By way of the keeper, who alone knows that the pid is still the command's.
int launch_signal(struct launch *launch, int signal)
{
	struct keeper_message message = {.kind = KEEPER_SIGNAL, .value = signal};

	if (!launch->running)
		return -ESRCH;
	return keeper_send(launch->socket, &message, NULL, 0);
}

// One round: kills our descendants that are in the namespace, and theirs, who
// may have gone on to another; their number.
static int kill_orphans(const struct launch *launch)
{
	struct tree_process *all = NULL;
	int count = tree_read(getpid(), &all), killed = 0;

	for (int i = 0; i < count; i++) {
		bool ours = all[i].state != 'Z' && network_of(all[i].pid) == launch->namespace;

		for (int j = 0; j < i && !ours; j++)
			ours = all[j].pid == all[i].parent && all[j].state == '!';
		if (!ours)
			continue;
		kill(all[i].pid, SIGKILL);
		if (all[i].parent == getpid())
			waitpid(all[i].pid, NULL, WNOHANG);
		all[i].state = '!';
		killed++;
	}
	free(all);
	return killed;
}

static void end_keeper(struct launch *launch, bool leave)
{
	struct keeper_message message = {.kind = KEEPER_LEAVE};
	int status = -1;

	if (leave)
		keeper_send(launch->socket, &message, NULL, 0);
	close(launch->socket);
	while (waitpid(launch->keeper, &status, 0) < 0 && errno == EINTR)
		;
	// One that ends by itself has seen to it that nobody is left.
	if (leave || !launch->namespace || status == 0)
		return;
	for (int round = 0; round < KILL_ROUNDS && kill_orphans(launch); round++)
		usleep(1000);
}

// The kernel takes tens of milliseconds to take a device away, and has whoever gives up
// its last descriptor wait for that. It is a process of its own that does, and nobody's
// child to wait for (no signal at its end), so that who called apptap has its answer.
static void part_with_devices(const struct launch *launch)
{
	int tunnel = launch->tunnel, loopback6 = launch->loopback6;

	if (tunnel < 0)
		return;
	if (syscall(SYS_clone, 0UL, NULL, NULL, NULL, NULL) == 0) {
		descriptors_keep(tunnel, loopback6 < 0 ? tunnel : loopback6);
		_exit(0);
	}
	close(tunnel);
	if (loopback6 >= 0)
		close(loopback6);
}

void launch_close(struct launch *launch, bool leave)
{
	if (!launch)
		return;
	if (launch->keeper > 0)
		end_keeper(launch, leave);
	else if (launch->socket >= 0)
		close(launch->socket);
	part_with_devices(launch);
	if (launch->diag >= 0)
		close(launch->diag);
	free(launch);
}
