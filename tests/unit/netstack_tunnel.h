// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_tunnel - a network namespace whose only way out is a TUN device with a
// netstack behind it.
//
// The test process moves into the namespace, and a thread runs the stack. What that
// thread does with a conversation goes by the port that was dialled (see enum port).
// Where /dev/net/tun or namespaces cannot be had, `usable` stays false.

#ifndef TESTS_NETSTACK_TUNNEL_H
#define TESTS_NETSTACK_TUNNEL_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "netstack/netstack.h"

enum port {
	PORT_REFUSED = 1, PORT_NET, PORT_HOST, PORT_PROHIBITED,
	PORT_ECHO = 7,		// gives back what it gets; FIN for FIN
	PORT_SINK = 9,		// takes all; after FIN says how many bytes were right
	PORT_SLOW_SINK = 10,	// the same, 16 KB a turn of 1 ms
	PORT_SOURCE = 19,	// BULK bytes, then FIN
};

enum { PATTERN = 1048573, TURN_PACKETS = 64 };
static size_t bulk = 200 * 1000 * 1000;

// Byte i of every stream is pattern[i % PATTERN]; twice, so that any PATTERN
// bytes lie in one piece.
static uint8_t pattern[2 * PATTERN];

struct owner {
	struct owner *next, *before, *after;	// pending; all there are
	struct netstack_flow *flow;
	int port;
	uint64_t got, right, sent;
	bool fin, done, pending;
};

static struct world {
	struct netstack *stack;
	int tun;
	pthread_t thread;
	atomic_bool stop;
	struct owner *pending, *slow, *all;
	atomic_int flows, resets;
	atomic_int loss, passed;	// each loss'th packet is lost; 0: none
	uint64_t dropped;
} world;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// --- behind the tunnel ------------------------------------------------------

static bool is_lost(void)
{
	int loss = atomic_load(&world.loss);

	return loss && atomic_fetch_add(&world.passed, 1) % loss == loss - 1;
}

static void output(void *context, const struct netstack_packet *packet)
{
	struct virtio_net_hdr header = { 0 };
	struct iovec iov[40] = { { &header, sizeof(header) } };

	(void)context;
	if (is_lost())
		return;
	memcpy(iov + 1, packet->iov, (size_t)packet->count * sizeof(*iov));
	if (packet->sum_start) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = packet->sum_start;
		header.csum_offset = packet->sum_offset;
	}
	if (packet->segment) {
		header.gso_type = packet->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		header.gso_size = packet->segment;
		header.hdr_len = packet->header_size;
	}
	if (writev(world.tun, iov, packet->count + 1) < 0)
		world.dropped++;
}

static void later(struct owner *owner)
{
	if (owner->pending)
		return;
	owner->pending = true;
	owner->next = world.pending;
	world.pending = owner;
}

static void on_call(void *context, struct netstack_flow *flow, const struct sockaddr *app,
		    const struct sockaddr *peer)
{
	static const enum netstack_refusal refusals[] = {
		[PORT_REFUSED] = NETSTACK_RESET, [PORT_NET] = NETSTACK_NET_UNREACHABLE,
		[PORT_HOST] = NETSTACK_HOST_UNREACHABLE, [PORT_PROHIBITED] = NETSTACK_PROHIBITED,
	};
	int port = ntohs(((const struct sockaddr_in *)peer)->sin_port);
	struct owner *owner;

	(void)context;
	(void)app;
	if (port <= PORT_PROHIBITED) {
		netstack_refuse(flow, refusals[port]);
		return;
	}
	owner = calloc(1, sizeof(*owner));
	owner->flow = flow;
	owner->port = port;
	owner->after = world.all;
	if (world.all)
		world.all->before = owner;
	world.all = owner;
	netstack_own(flow, owner);
	atomic_fetch_add(&world.flows, 1);
	netstack_answer(flow);
}

static void on_something(void *owner)
{
	later(owner);
}

static void on_finished(void *context)
{
	struct owner *owner = context;

	owner->fin = true;
	later(owner);
}

static void on_closed(void *context, int reason)
{
	struct owner *owner = context;

	if (reason)
		atomic_fetch_add(&world.resets, 1);
	atomic_fetch_sub(&world.flows, 1);
	owner->flow = NULL;
	later(owner);	// freed there
}

static void on_datagram(void *context, const struct netstack_datagram *d)
{
	(void)context;
	netstack_send_datagram(world.stack, &(struct netstack_datagram){
		.app = d->app, .peer = d->peer, .bytes = d->bytes, .size = d->size });
}

static void on_echo(void *context, const struct netstack_datagram *d)
{
	(void)context;
	(void)d;
}

static const struct netstack_news news = {
	.output = output, .call = on_call, .opened = on_something, .data = on_something,
	.finished = on_finished, .room = on_something, .closed = on_closed,
	.datagram = on_datagram, .echo = on_echo,
};

static void work_echo(struct owner *owner)
{
	for (;;) {
		struct iovec in, out[2];
		size_t size, room, part;

		if (!netstack_peek(owner->flow, &in, 1, &size))
			break;
		if (!netstack_reserve(owner->flow, out, &room))
			return;
		part = in.iov_len < out[0].iov_len ? in.iov_len : out[0].iov_len;
		memcpy(out[0].iov_base, in.iov_base, part);
		netstack_commit(owner->flow, part);
		netstack_consume(owner->flow, part);
	}
	if (owner->fin && !owner->done) {
		owner->done = true;
		netstack_finish(owner->flow);
	}
}

static void work_sink(struct owner *owner, size_t most)
{
	struct iovec iov[16], out[2];
	size_t size, taken = 0, room;
	int count;

	while (taken < most && (count = netstack_peek(owner->flow, iov, 16, &size))) {
		size_t turn = 0;

		for (int i = 0; i < count && taken < most; i++) {
			size_t part = iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;

			if (memcmp(iov[i].iov_base, pattern + owner->got % PATTERN, part) == 0)
				owner->right += part;
			owner->got += part;
			turn += part;
			taken += part;
		}
		netstack_consume(owner->flow, turn);
	}
	if (netstack_at_end(owner->flow) && !owner->done && netstack_reserve(owner->flow, out, &room)) {
		owner->done = true;
		memcpy(out[0].iov_base, &owner->right, sizeof(owner->right));
		netstack_commit(owner->flow, sizeof(owner->right));
		netstack_finish(owner->flow);
	}
}

static void work_source(struct owner *owner)
{
	while (owner->sent < bulk) {
		struct iovec iov[2];
		size_t size, part;

		if (!netstack_reserve(owner->flow, iov, &size))
			return;
		part = iov[0].iov_len < PATTERN ? iov[0].iov_len : PATTERN;
		if (part > bulk - owner->sent)
			part = bulk - owner->sent;
		memcpy(iov[0].iov_base, pattern + owner->sent % PATTERN, part);
		owner->sent += part;
		netstack_commit(owner->flow, part);
	}
	if (!owner->done)
		netstack_finish(owner->flow);
	owner->done = true;
}

static void owner_free(struct owner *owner)
{
	if (owner->after)
		owner->after->before = owner->before;
	if (owner->before)
		owner->before->after = owner->after;
	else
		world.all = owner->after;
	free(owner);
}

static void work(struct owner *owner)
{
	if (!owner->flow) {
		owner_free(owner);
		return;
	}
	if (owner->port == PORT_ECHO)
		work_echo(owner);
	else if (owner->port == PORT_SINK)
		work_sink(owner, SIZE_MAX);
	else if (owner->port == PORT_SOURCE)
		work_source(owner);
	else
		world.slow = owner;
}

static void work_pending(void)
{
	while (world.pending) {
		struct owner *owner = world.pending;

		world.pending = owner->next;
		owner->pending = false;
		if (!owner->flow && world.slow == owner)
			world.slow = NULL;
		work(owner);
	}
}

static void read_tunnel(void)
{
	struct virtio_net_hdr header;

	for (int i = 0; i < TURN_PACKETS; i++) {
		void *packet = netstack_lend(world.stack);
		struct iovec iov[2] = { { &header, sizeof(header) }, { packet, 65535 } };
		ssize_t size = readv(world.tun, iov, 2);

		if (size < (ssize_t)sizeof(header))
			return;
		if (!is_lost())
			netstack_input(world.stack, packet, (size_t)size - sizeof(header));
	}
}

static int wait_ms(void)
{
	uint64_t deadline = netstack_deadline(world.stack), now = now_ns();

	if (world.slow)
		return 1;
	if (deadline <= now)
		return 0;
	deadline = (deadline - now) / 1000000 + 1;
	return deadline < 50 ? (int)deadline : 50;
}

static void *run(void *unused)
{
	struct pollfd tun = { .fd = world.tun, .events = POLLIN };

	while (!atomic_load(&world.stop)) {
		poll(&tun, 1, wait_ms());
		read_tunnel();
		work_pending();
		if (world.slow)
			work_sink(world.slow, 16384);
		if (netstack_deadline(world.stack) <= now_ns())
			netstack_tick(world.stack, now_ns());
		netstack_flush(world.stack);
	}
	return unused;
}

// --- the namespace ----------------------------------------------------------

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static bool enter_namespace(void)
{
	char map[64];
	uid_t uid = getuid();

	if (unshare(CLONE_NEWNET) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	return write_file("/proc/self/uid_map", map);
}

static bool set_up_v4(int fd, struct ifreq *request)
{
	struct sockaddr_in *address = (struct sockaddr_in *)&request->ifr_addr;
	struct rtentry route = { .rt_flags = RTF_UP, .rt_dev = request->ifr_name };

	address->sin_family = AF_INET;
	inet_pton(AF_INET, "10.77.0.1", &address->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, request))
		return false;
	inet_pton(AF_INET, "255.255.255.0", &address->sin_addr);
	if (ioctl(fd, SIOCSIFNETMASK, request))
		return false;
	request->ifr_qlen = 10000;	// thousands of flows may close at once; root only
	ioctl(fd, SIOCSIFTXQLEN, request);
	request->ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, request))
		return false;
	((struct sockaddr_in *)&route.rt_dst)->sin_family = AF_INET;
	((struct sockaddr_in *)&route.rt_genmask)->sin_family = AF_INET;
	return ioctl(fd, SIOCADDRT, &route) == 0;
}

// The kernel lets an address settle in the background.
static bool wait_for_address(int fd)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
	struct timespec pause = { .tv_nsec = 1000000 };

	inet_pton(AF_INET6, "fd77::1", &address.sin6_addr);
	for (int i = 0; i < 3000; i++) {
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool set_up_v6(const struct ifreq *request)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), index = (int)if_nametoindex(request->ifr_name);
	struct in6_ifreq address = { .ifr6_prefixlen = 64, .ifr6_ifindex = index };
	struct in6_rtmsg route = { .rtmsg_flags = RTF_UP, .rtmsg_metric = 1, .rtmsg_ifindex = index };
	bool good;

	inet_pton(AF_INET6, "fd77::1", &address.ifr6_addr);
	good = fd >= 0 && ioctl(fd, SIOCSIFADDR, &address) == 0 && ioctl(fd, SIOCADDRT, &route) == 0 &&
	       wait_for_address(fd);
	close(fd);
	return good;
}

static bool make_tunnel(void)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool good;

	world.tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (world.tun < 0 || fd < 0)
		return false;
	good = ioctl(world.tun, TUNSETIFF, &request) == 0 &&
	       ioctl(world.tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0 &&
	       set_up_v4(fd, &request) && set_up_v6(&request);
	close(fd);
	write_file("/proc/sys/net/ipv4/tcp_congestion_control", "cubic");
	return good;
}

static bool usable;

static int set_up(void **state)
{
	struct netstack_options options = {
		.news = &news, .mtu = 1500, .offload = true, .now = now_ns(),
	};

	(void)state;
	for (size_t i = 0; i < PATTERN; i++)
		pattern[i] = pattern[i + PATTERN] = (uint8_t)((i * 2654435761U) >> 13);
	if (getenv("NETSTACK_BULK"))
		bulk = strtoull(getenv("NETSTACK_BULK"), NULL, 10);
	if (getenv("NETSTACK_WINDOW"))
		options.window = strtoull(getenv("NETSTACK_WINDOW"), NULL, 10);
	usable = enter_namespace() && make_tunnel();
	if (!usable)
		return 0;
	if (netstack_open(&world.stack, &options))
		return -1;
	return pthread_create(&world.thread, NULL, run, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	if (!usable)
		return 0;
	atomic_store(&world.stop, true);
	pthread_join(world.thread, NULL);
	netstack_close_all(world.stack);
	netstack_free(world.stack);
	while (world.all)
		owner_free(world.all);
	close(world.tun);
	return world.dropped ? -1 : 0;
}

#endif
