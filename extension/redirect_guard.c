// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_guard - resets what was on the tunnel when apptap ends, however it ends.
//
// A socket that is bound to a device stays bound to its number when the device is gone: a
// connection then hangs until it times out, and a datagram socket can send nothing
// for as long as it lives. To end the one and free the other (SOCK_DESTROY of
// sock_diag(7)) takes CAP_NET_ADMIN, which apptap gives up, and somebody who is still
// there after a kill. So it is the work of a process of its own, which has a netlink
// socket, a socket to its partner and that one capability, and sleeps until the
// partner is gone or says so. There are two of them, each of which does all of it: when
// one is killed the partner sees that and ends, and the other does the work.

#include "extension/redirect_guard.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/descriptors.h"
#include "extension/network.h"

enum {
	NOW = -1,		// in place of a device: the partner ends in order
	GONE_MS = 5000,		// for the kernel to take a killed partner's device away
	WAIT_MS = 1000,
	PASSES = 3,
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 inet;
};

// Those of one family and protocol that are bound to the device.
struct found { struct inet_diag_msg *all; size_t count, room; };

static void add(struct found *found, const struct inet_diag_msg *socket)
{
	if (found->count == found->room) {
		size_t room = found->room ? 2 * found->room : 256;
		struct inet_diag_msg *all = reallocarray(found->all, room, sizeof *all);

		if (!all)
			return;
		found->all = all;
		found->room = room;
	}
	found->all[found->count++] = *socket;
}

static int ask(int diag, uint16_t type, uint16_t flags, uint8_t protocol, const struct inet_diag_msg *socket)
{
	struct request request = {
		.header = {.nlmsg_len = sizeof request, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags},
		.inet = {.sdiag_family = socket->idiag_family, .sdiag_protocol = protocol,
			 .idiag_states = UINT32_MAX, .id = socket->id},
	};

	return send(diag, &request, sizeof request, 0) < 0 ? -errno : 0;
}

// False at the end of a dump.
static bool read_some(int diag, unsigned int device, struct found *found)
{
	static union { struct nlmsghdr header; char bytes[1 << 16]; } answer;
	struct pollfd wait_for = {.fd = diag, .events = POLLIN};
	const struct nlmsghdr *message = &answer.header;
	ssize_t n;

	if (poll(&wait_for, 1, WAIT_MS) != 1)
		return false;
	n = recv(diag, &answer, sizeof answer, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	for (size_t left = (size_t)n; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		const struct inet_diag_msg *socket = NLMSG_DATA(message);

		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
			return false;
		if (message->nlmsg_type == SOCK_DIAG_BY_FAMILY && socket->id.idiag_if == device)
			add(found, socket);
	}
	return true;
}

static bool destroy_all(int diag, unsigned int device, uint8_t family, uint8_t protocol)
{
	const struct inet_diag_msg any = {.idiag_family = family};
	struct found found = {0}, none = {0};

	if (!ask(diag, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, protocol, &any))
		while (read_some(diag, device, &found))
			;
	for (size_t i = 0; i < found.count; i++)
		if (!ask(diag, SOCK_DESTROY, NLM_F_ACK, protocol, &found.all[i]))
			read_some(diag, 0, &none);
	free(found.all);
	free(none.all);
	return found.count > 0;
}

static void work(int diag, int device)
{
	static const uint8_t kinds[][2] = {{AF_INET, IPPROTO_TCP}, {AF_INET6, IPPROTO_TCP},
					   {AF_INET, IPPROTO_UDP}, {AF_INET6, IPPROTO_UDP}};
	bool any = true;

	for (int pass = 0; pass < PASSES && any; pass++) {
		any = false;
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
			any |= destroy_all(diag, (unsigned int)device, kinds[i][0], kinds[i][1]);
	}
}

static void keep_one_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	data[CAP_NET_ADMIN / 32].effective = data[CAP_NET_ADMIN / 32].permitted = 1U << CAP_NET_ADMIN % 32;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &header, data);
}

// Until a killed partner's device is gone, sockets may still come to it.
static void wait_for_end(int device)
{
	char name[IFNAMSIZ];

	for (int waited = 0; waited < GONE_MS && if_indextoname((unsigned int)device, name); waited += 10)
		poll(NULL, 0, 10);
}

static _Noreturn void guard_main(int partner, int diag)
{
	sigset_t all;
	int device = 0, said = 0;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "apptap-guard");
	setsid();		// whoever kills the partner's whole group means it, not us
	descriptors_keep(partner, diag);
	if (chdir("/"))
		_exit(1);
	keep_one_capability();
	while (read(partner, &said, sizeof said) == sizeof said && said != NOW)
		device = said;
	if (device && said != NOW)
		wait_for_end(device);
	if (device)
		work(diag, device);
	_exit(0);
}

void redirect_guard_init(struct redirect_guard *guard)
{
	for (int i = 0; i < REDIRECT_GUARDS; i++) {
		guard->sockets[i] = -1;
		guard->pids[i] = -1;
	}
}

static int open_one(struct redirect_guard *guard, int i)
{
	int diag = network_open_diag(), pair[2], error;

	if (diag < 0)
		return diag;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		error = -errno;
		close(diag);
		return error;
	}
	guard->pids[i] = fork();
	if (guard->pids[i] == 0) {
		close(pair[0]);
		guard_main(pair[1], diag);
	}
	error = guard->pids[i] < 0 ? -errno : 0;
	close(pair[1]);
	close(diag);
	guard->sockets[i] = pair[0];
	return error;
}

int redirect_guard_open(struct redirect_guard *guard)
{
	int error = 0;

	for (int i = 0; i < REDIRECT_GUARDS && !error; i++)
		error = open_one(guard, i);
	return error;
}

void redirect_guard_tell(const struct redirect_guard *guard, int device)
{
	for (int i = 0; i < REDIRECT_GUARDS; i++)
		while (send(guard->sockets[i], &device, sizeof device, MSG_NOSIGNAL) < 0 && errno == EINTR)
			;
}

void redirect_guard_close(struct redirect_guard *guard)
{
	redirect_guard_tell(guard, NOW);
	for (int i = 0; i < REDIRECT_GUARDS; i++) {
		if (guard->sockets[i] >= 0)
			close(guard->sockets[i]);
		while (guard->pids[i] > 0 && waitpid(guard->pids[i], NULL, 0) < 0 && errno == EINTR)
			;
	}
	redirect_guard_init(guard);
}
