// SPDX-License-Identifier: GPL-3.0-or-later
// origin - the host's sockets, in the app's stead.

#include "tunnel/origin.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/ipv6.h>
#include <netinet/icmp6.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set(int fd, int level, int name, int value)
{
	// Each is a refinement: a kernel without it relays all the same.
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

int origin_connect(const union address *peer)
{
	int fd = socket(peer->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	// The app has its own idea of Nagle, which its packets already show.
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (connect(fd, &peer->any, address_size(peer)) && errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

int origin_result(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

void origin_abort(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void want_errors(int fd, int family)
{
	if (family == AF_INET) {
		set(fd, IPPROTO_IP, IP_RECVERR, 1);
	} else {
		set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	}
}

int origin_datagram(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	// Whether the app may broadcast its own socket decided already.
	set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	set(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
	set(fd, SOL_SOCKET, SO_SNDBUF, 1 << 20);
	want_errors(fd, family);
	return fd;
}

// Of all that a raw socket hears, echo replies alone.
static void only_replies(int fd, int family)
{
	struct icmp_filter v4 = {~(1u << ICMP_ECHOREPLY)};
	struct icmp6_filter v6;

	ICMP6_FILTER_SETBLOCKALL(&v6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &v6);
	if (family == AF_INET)
		(void)setsockopt(fd, SOL_RAW, ICMP_FILTER, &v4, sizeof(v4));
	else
		(void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof(v6));
}

int origin_ping(int family, bool *raw)
{
	int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(family, SOCK_DGRAM | flags, protocol), error = errno;

	*raw = fd < 0;
	if (fd < 0)
		fd = socket(family, SOCK_RAW | flags, protocol);
	if (fd < 0)
		return -error;
	if (*raw)
		only_replies(fd, family);
	want_errors(fd, family);
	return fd;
}

enum netstack_refusal origin_refusal(int error)
{
	switch (error) {
	case ENETUNREACH:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EINVAL:
		return NETSTACK_NET_UNREACHABLE;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return NETSTACK_HOST_UNREACHABLE;
	case EACCES:
	case EPERM:
		return NETSTACK_PROHIBITED;
	case ETIMEDOUT:
		return NETSTACK_SILENCE;
	case EMSGSIZE:
		return NETSTACK_TOO_BIG;
	default:
		return NETSTACK_RESET;
	}
}

enum flow_verdict origin_verdict(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return FLOW_TIMED_OUT;
	case ECONNREFUSED:
	case ECONNRESET:
		return FLOW_REFUSED;
	default:
		return FLOW_UNREACHABLE;
	}
}

int origin_error(int fd, union address *peer, union address *reporter, int *error, uint32_t *mtu)
{
	char bytes[1], control[512];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr m = {
		.msg_name = peer, .msg_namelen = sizeof(*peer), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};

	memset(peer, 0, sizeof(*peer));
	memset(reporter, 0, sizeof(*reporter));
	*error = 0;
	*mtu = 0;
	if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return -EAGAIN;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct sock_extended_err e;
		bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
		bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;

		if ((!v4 && !v6) || c->cmsg_len < CMSG_LEN(sizeof(e)))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof(e));
		*error = (int)e.ee_errno;
		*mtu = e.ee_errno == EMSGSIZE ? e.ee_info : 0;
		size_t rest = c->cmsg_len - CMSG_LEN(sizeof(e));
		if (rest > sizeof(*reporter))
			rest = sizeof(*reporter);
		memcpy(reporter, CMSG_DATA(c) + sizeof(e), rest);
	}
	return 0;
}
