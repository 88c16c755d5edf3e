// SPDX-License-Identifier: GPL-3.0-or-later
// diag - the namespace's sockets, one at a time, by sock_diag(7).
//
// A request without NLM_F_DUMP names one socket by its addresses, and the kernel
// looks it up in the same hash tables that a packet would be looked up in, at the
// same cost. A socket bound to a device matches only with that device's index, one that
// is not matches any, so the tunnel's is given always.

#include "extension/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "extension/network.h"

enum {
	WAIT_MS = 20,		// the kernel answers before send returns, as a rule
	STALE_MAX = 16,
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 inet;
};

static void put_address(const struct sockaddr *address, __be32 out[4], __be16 *port)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		memcpy(out, &in->sin_addr, 4);
		*port = in->sin_port;
	} else {
		const struct sockaddr_in6 *in6 = (const void *)address;

		memcpy(out, &in6->sin6_addr, 16);
		*port = in6->sin6_port;
	}
}

static int answer(int diag, uint32_t sequence, struct diag_socket *out)
{
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} message;
	ssize_t n = recv(diag, &message, sizeof message, MSG_DONTWAIT);
	const struct inet_diag_msg *found;

	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof message.header || message.header.nlmsg_seq != sequence)
		return -ESTALE;
	if (message.header.nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = NLMSG_DATA(&message.header);

		if (n < (ssize_t)NLMSG_LENGTH(sizeof *error))
			return -EPROTO;
		return error->error ? error->error : -EPROTO;
	}
	if (n < (ssize_t)NLMSG_LENGTH(sizeof *found))
		return -EPROTO;
	found = NLMSG_DATA(&message.header);
	out->inode = found->idiag_inode;
	out->uid = found->idiag_uid;
	out->state = found->idiag_state;
	return 0;
}

static int ask(int diag, struct request *request, struct diag_socket *out)
{
	static uint32_t sequence;
	int error = -ESTALE;

	request->header.nlmsg_len = sizeof *request;
	request->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->header.nlmsg_flags = NLM_F_REQUEST;
	request->header.nlmsg_seq = ++sequence;
	if (send(diag, request, sizeof *request, 0) < 0)
		return -errno;
	// An answer that an earlier call gave up on may still be in the queue.
	for (int tries = 0; tries < STALE_MAX && (error == -ESTALE || error == -EAGAIN); tries++) {
		struct pollfd poll_for = {.fd = diag, .events = POLLIN};

		if (error == -EAGAIN && poll(&poll_for, 1, WAIT_MS) <= 0)
			return -ETIMEDOUT;
		error = answer(diag, sequence, out);
	}
	return error;
}

int diag_find(int diag, int protocol, const struct sockaddr *local, const struct sockaddr *remote,
	      struct diag_socket *out)
{
	struct request request = {.inet = {
		.sdiag_family = local->sa_family,
		.sdiag_protocol = protocol,
		.idiag_states = ~0U,
		.id = {.idiag_if = NETWORK_TUNNEL_INDEX,
		       .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	}};
	struct inet_diag_sockid *id = &request.inet.id;

	if (local->sa_family != AF_INET && local->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (remote && remote->sa_family != local->sa_family)
		return -EINVAL;
	// For UDP the kernel takes source and destination the other way round,
	// "for historical reasons" (net/ipv4/udp_diag.c).
	if (protocol == IPPROTO_UDP) {
		put_address(local, id->idiag_dst, &id->idiag_dport);
		if (remote)
			put_address(remote, id->idiag_src, &id->idiag_sport);
	} else {
		put_address(local, id->idiag_src, &id->idiag_sport);
		if (remote)
			put_address(remote, id->idiag_dst, &id->idiag_dport);
	}
	return ask(diag, &request, out);
}

// --- ping -----------------------------------------------------------------------

static int read_table(pid_t within, const char *table, char *text, size_t size)
{
	char path[48];
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/net/%s", within, table);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	return 0;
}

// The columns are those of /proc/net/udp: local address and port in hexadecimal,
// then remote, state, queues, timer, retransmits, uid, timeout, inode.
static int find_row(char *text, unsigned int identifier, struct diag_socket *out)
{
	char *rest = NULL;

	strtok_r(text, "\n", &rest);
	for (char *line; (line = strtok_r(NULL, "\n", &rest));) {
		unsigned int port, uid, inode;

		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %*x %*x:%*x %*x:%*x %*x %u %*d %u",
			   &port, &uid, &inode) != 3 || port != identifier)
			continue;
		*out = (struct diag_socket){.inode = inode, .uid = uid};
		return 0;
	}
	return -ENOENT;
}

// ping as root uses a raw socket: its "port" in the table is the protocol.
int diag_find_ping(pid_t within, const struct sockaddr *local, struct diag_socket *out)
{
	bool six = local->sa_family == AF_INET6;
	unsigned int protocol = six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	char text[32768];
	__be32 address[4];
	__be16 identifier;
	int error;

	put_address(local, address, &identifier);
	error = read_table(within, six ? "icmp6" : "icmp", text, sizeof text);
	if (!error)
		error = find_row(text, ntohs(identifier), out);
	if (!error)
		return 0;
	error = read_table(within, six ? "raw6" : "raw", text, sizeof text);
	return error ? error : find_row(text, protocol, out);
}
