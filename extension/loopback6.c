// SPDX-License-Identifier: GPL-3.0-or-later
// loopback6 - ::1 by way of the tunnel, which the kernel does not mean to allow.
//
// The kernel drops a packet with ::1 as either address unless it arrives on a
// loopback device. So those go in through lo, from a packet socket; a mark on it
// selects the first rule, else they would be routed out again.
//
// What is sent to ::1 must come from ::1, but a route's source has to be an
// address of its device, and the kernel keeps ::1 off all but lo. It asks when the route
// is made: so that is made through a nexthop object on lo, which is then moved to the
// tunnel. Before Linux 5.3 there are none; a program that has not bound its socket
// then speaks to ::1 from the host's main address, or where there is none from own6.

#include "extension/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/virtio_net.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/route.h"

// A unique local address (RFC 4193) for where the host has none.
static const struct host_address own6 = {AF_INET6,
	{0xfd, 0x61, 0x70, 0x70, 0x74, 0x61, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
static const struct host_address loopback6 = {AF_INET6, {[15] = 1}};

static int open_packet(void)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {.len = 1, .filter = nothing};
	// Bound for its device: what is written needs no address. The protocol is
	// 0, so nothing is received, and the filter says so again.
	struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_ifindex = ROUTE_LO};
	int on = 1, mark = NETWORK_MARK;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) &&
	    !setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) &&
	    !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) &&
	    !bind(fd, (struct sockaddr *)&lo, sizeof lo))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

struct probe {
	struct virtio_net_hdr offload;
	struct ethhdr ethernet;
	struct ip6_hdr ip;
	struct udphdr udp;
} __attribute__((packed));

// The checksum is left unfinished (the sum over the pseudo-header alone, RFC 8200
// section 8.1), so the socket's offload is proven too.
static bool probe(int packet, int receiver, in_port_t port)
{
	struct probe probe = {
		.offload = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			    .csum_start = sizeof(struct ethhdr) + sizeof(struct ip6_hdr),
			    .csum_offset = offsetof(struct udphdr, check)},
		.ethernet = {.h_proto = htons(ETH_P_IPV6)},
		.ip = {.ip6_src = IN6ADDR_LOOPBACK_INIT, .ip6_dst = IN6ADDR_LOOPBACK_INIT},
		.udp = {.source = port, .dest = port, .len = htons(sizeof(struct udphdr)),
			.check = htons(1 + 1 + sizeof(struct udphdr) + IPPROTO_UDP)},
	};
	struct pollfd poll_for = {.fd = receiver, .events = POLLIN};

	probe.ip.ip6_flow = htonl(6U << 28);
	probe.ip.ip6_plen = htons(sizeof(struct udphdr));
	probe.ip.ip6_nxt = IPPROTO_UDP;
	probe.ip.ip6_hlim = 64;
	if (write(packet, &probe, sizeof probe) != sizeof probe)
		return false;
	return poll(&poll_for, 1, 200) == 1;
}

static bool loopback6_works(int packet)
{
	struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t size = sizeof one;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool works = fd >= 0 && !bind(fd, (struct sockaddr *)&one, size) &&
		     !getsockname(fd, (struct sockaddr *)&one, &size) &&
		     probe(packet, fd, one.sin6_port);

	if (fd >= 0)
		close(fd);
	return works;
}

static int route_from_itself(struct route *r)
{
	int error = route_set_nexthop(r, ROUTE_LO, NLM_F_EXCL);

	if (!error)
		error = route_add_by_nexthop(r, &loopback6, &loopback6);
	return error ? error : route_set_nexthop(r, NETWORK_TUNNEL_INDEX, NLM_F_REPLACE);
}

static int route_from_other(struct route *r, const struct host *host)
{
	int error;

	if (host->main6.family)
		return route_add(r, ROUTE_OUT, &loopback6, 128, &host->main6);
	error = route_add_address(r, &own6, true);
	if (!error)
		error = route_add(r, ROUTE_OUT, &own6, 128, &own6);
	return error ? error : route_add(r, ROUTE_OUT, &loopback6, 128, &own6);
}

// To the tunnel; or if the way back in is not to be had, to the namespace itself.
static int route_loopback6(const struct host *host, bool tunnel)
{
	struct route r = {0};
	int error = route_open(&r);

	if (!error && !tunnel)
		error = route_add_local(&r, &loopback6);
	else if (!error && route_from_itself(&r))
		error = route_from_other(&r, host);
	route_close(&r);
	return error;
}

int network_open_loopback6(const struct host *host)
{
	int fd, error;

	if (!host->ipv6)
		return -EAFNOSUPPORT;
	fd = open_packet();
	error = fd < 0 ? fd : loopback6_works(fd) ? route_loopback6(host, true) : -EPROTONOSUPPORT;
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	route_loopback6(host, false);
	return error;
}
