// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_peer - a stack under test, and an app's TCP end made by hand.
//
// The app's packets are built here byte by byte, and what the stack sends is
// kept, flattened, with its checksums judged. Time stands still unless a test
// moves it.

#ifndef TESTS_UNIT_NETSTACK_PEER_H
#define TESTS_UNIT_NETSTACK_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netstack/netstack.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { KEPT = 256, SECOND = 1000000000 };

struct sent {
	uint8_t *bytes;
	size_t size;
	uint16_t sum_start, sum_offset, segment, header_size;
	bool ipv6;
};

// What the owner of a flow has heard.
struct ear {
	struct netstack_flow *flow;
	int opened, data, finished, room, closed, reason;
};

static struct {
	struct netstack *stack;
	uint64_t now;
	struct sent sent[KEPT];
	int count;
	struct netstack_flow *called;
	struct sockaddr_storage app, peer;
	int calls;
	uint8_t *datagram;
	struct netstack_datagram last;
	int datagrams, echoes;
	uint16_t window;	// that peer_open() says with its first ACK
} t;

static inline uint32_t rd32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t rd16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline void wr16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void wr32(uint8_t *p, uint32_t v) { wr16(p, v >> 16); wr16(p + 2, v); }

// The plain sum of RFC 1071, the slow way; 0 for a range with a right checksum.
static inline uint16_t checksum(uint32_t sum, const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline uint32_t pseudo(const uint8_t *ip, uint8_t protocol, size_t size)
{
	size_t at = ip[0] >> 4 == 4 ? 12 : 8, length = ip[0] >> 4 == 4 ? 8 : 32;
	uint32_t sum = protocol + (uint32_t)size;

	for (size_t i = 0; i < length; i += 2)
		sum += rd16(ip + at + i);
	return sum;
}

static inline size_t header_of(const struct sent *s) { return s->ipv6 ? 40 : 20; }
static inline const uint8_t *tcp_of(const struct sent *s) { return s->bytes + header_of(s); }

static inline size_t payload_of(const struct sent *s)
{
	return s->size - header_of(s) - (tcp_of(s)[12] >> 4) * 4UL;
}

// Every packet, whatever the test: lengths and checksums as the door says.
static inline void judge(const struct sent *s)
{
	const uint8_t *ip = s->bytes;
	size_t header = header_of(s);
	uint8_t protocol = s->ipv6 ? ip[6] : ip[9];

	if (s->ipv6) {
		assert_int_equal(rd16(ip + 4) + 40, s->size);
	} else {
		assert_int_equal(rd16(ip + 2), s->size);
		assert_int_equal(checksum(0, ip, 20), 0);
	}
	if (s->sum_start) {
		uint16_t sum = (uint16_t)~checksum(pseudo(ip, protocol, s->size - header), ip, 0);

		assert_int_equal(s->sum_start, header);
		assert_int_equal(rd16(ip + s->sum_start + s->sum_offset), sum);
	} else if (protocol == IPPROTO_TCP || protocol == IPPROTO_ICMPV6) {
		assert_int_equal(checksum(pseudo(ip, protocol, s->size - header), ip + header,
					  s->size - header), 0);
	} else if (protocol == IPPROTO_ICMP && !(rd16(ip + 6) & 0x3fff)) {
		assert_int_equal(checksum(0, ip + header, s->size - header), 0);
	}
}

static inline void on_output(void *context, const struct netstack_packet *packet)
{
	struct sent *s = &t.sent[t.count % KEPT];
	size_t at = 0;

	(void)context;
	free(s->bytes);
	*s = (struct sent){ malloc(packet->size + 1), packet->size, packet->sum_start,
			    packet->sum_offset, packet->segment, packet->header_size, packet->ipv6 };
	for (int i = 0; i < packet->count; at += packet->iov[i++].iov_len)
		memcpy(s->bytes + at, packet->iov[i].iov_base, packet->iov[i].iov_len);
	assert_int_equal(at, packet->size);
	t.count++;
	judge(s);
}

static inline void on_call(void *context, struct netstack_flow *flow, const struct sockaddr *app,
			   const struct sockaddr *peer)
{
	size_t size = app->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	(void)context;
	t.calls++;
	t.called = flow;
	memcpy(&t.app, app, size);
	memcpy(&t.peer, peer, size);
}

static inline void on_opened(void *ear) { ((struct ear *)ear)->opened++; }
static inline void on_data(void *ear) { ((struct ear *)ear)->data++; }
static inline void on_finished(void *ear) { ((struct ear *)ear)->finished++; }
static inline void on_room(void *ear) { ((struct ear *)ear)->room++; }

static inline void on_closed(void *owner, int reason)
{
	struct ear *ear = owner;

	ear->closed++;
	ear->reason = reason;
	ear->flow = NULL;
}

static inline void keep_datagram(const struct netstack_datagram *d)
{
	free(t.datagram);
	t.datagram = malloc(d->size + 1);
	memcpy(t.datagram, d->bytes, d->size);
	t.last = *d;
	memcpy(&t.app, d->app, sizeof(struct sockaddr_in6));
	memcpy(&t.peer, d->peer, sizeof(struct sockaddr_in6));
	t.last.app = (struct sockaddr *)&t.app;
	t.last.peer = (struct sockaddr *)&t.peer;
	t.last.bytes = t.datagram;
}

static inline void on_datagram(void *context, const struct netstack_datagram *d)
{
	(void)context;
	t.datagrams++;
	keep_datagram(d);
}

static inline void on_echo(void *context, const struct netstack_datagram *d)
{
	(void)context;
	t.echoes++;
	keep_datagram(d);
}

static const struct netstack_news test_news = {
	.output = on_output, .call = on_call, .opened = on_opened, .data = on_data,
	.finished = on_finished, .room = on_room, .closed = on_closed,
	.datagram = on_datagram, .echo = on_echo,
};

static inline void stack_up(bool offload, uint16_t mtu)
{
	struct netstack_options options = {
		.news = &test_news, .mtu = mtu, .offload = offload, .now = SECOND,
	};

	memset(&t, 0, sizeof(t));
	t.now = SECOND;
	t.window = 4096;	// times 128: 512 KiB
	assert_int_equal(netstack_open(&t.stack, &options), 0);
}

static inline int stack_down(void **state)
{
	(void)state;
	netstack_free(t.stack);
	for (int i = 0; i < KEPT; i++)
		free(t.sent[i].bytes);
	free(t.datagram);
	memset(&t, 0, sizeof(t));
	return 0;
}

static inline int stack_plain(void **state) { (void)state; stack_up(false, 1500); return 0; }
static inline int stack_offload(void **state) { (void)state; stack_up(true, 1500); return 0; }

static inline const struct sent *last_sent(void)
{
	assert_true(t.count > 0);
	return &t.sent[(t.count - 1) % KEPT];
}

// Lets ticks of half a second pass.
static inline void pass(int ticks)
{
	for (; ticks > 0; ticks--) {
		if (netstack_deadline(t.stack) <= t.now)
			netstack_tick(t.stack, t.now);
		t.now += SECOND / 2;
		if (netstack_deadline(t.stack) <= t.now)
			netstack_tick(t.stack, t.now);
		netstack_flush(t.stack);
	}
}

// --- the app ----------------------------------------------------------------

static inline size_t put_ip(uint8_t *ip, bool ipv6, uint8_t protocol, size_t size, int host)
{
	memset(ip, 0, 40);
	if (ipv6) {
		ip[0] = 0x60;
		wr16(ip + 4, (uint32_t)size);
		ip[6] = protocol;
		ip[7] = 63;
		inet_pton(AF_INET6, "fd00::9", ip + 8);
		inet_pton(AF_INET6, "2001:db8::5", ip + 24);
		ip[39] = (uint8_t)(ip[39] + host);
		return 40;
	}
	ip[0] = 0x45;
	ip[1] = 0x10;
	wr16(ip + 2, (uint32_t)(20 + size));
	wr16(ip + 6, 0x4000);
	ip[8] = 63;
	ip[9] = protocol;
	inet_pton(AF_INET, "10.0.0.9", ip + 12);
	inet_pton(AF_INET, "203.0.113.5", ip + 16);
	ip[19] = (uint8_t)(ip[19] + host);
	return 20;
}

// The app's end of a conversation.
struct peer {
	bool ipv6;
	uint16_t port, to;
	uint32_t seq, ack;	// next of ours; next awaited
	uint16_t window;
};

static inline void peer_send(const struct peer *p, int flags, const void *bytes, size_t size)
{
	static const uint8_t syn_options[] = { 2, 4, 5, 0xb4, 1, 3, 3, 7 };	// MSS 1460, scale 7
	static uint8_t packet[65536];
	size_t options = flags & SYN ? sizeof(syn_options) : 0, header = 20 + options;
	size_t ip = put_ip(packet, p->ipv6, IPPROTO_TCP, header + size, 0);
	uint8_t *tcp = packet + ip;

	memset(tcp, 0, 20);
	wr16(tcp, p->port);
	wr16(tcp + 2, p->to);
	wr32(tcp + 4, p->seq);
	wr32(tcp + 8, flags & ACK ? p->ack : 0);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = (uint8_t)flags;
	wr16(tcp + 14, p->window);
	memcpy(tcp + 20, syn_options, options);
	if (size)
		memcpy(tcp + header, bytes, size);
	netstack_input(t.stack, packet, ip + header + size);
}

static inline struct peer peer_call(bool ipv6, uint16_t port, uint16_t to)
{
	struct peer p = { ipv6, port, to, 1000, 0, 65535 };

	peer_send(&p, SYN, NULL, 0);
	p.seq++;
	return p;
}

// Called, answered and open, with an ear for it.
static inline struct peer peer_open(bool ipv6, uint16_t port, struct ear *ear)
{
	struct peer p = peer_call(ipv6, port, 80);

	memset(ear, 0, sizeof(*ear));
	ear->flow = t.called;
	netstack_own(t.called, ear);
	assert_int_equal(netstack_answer(t.called), 0);
	p.ack = rd32(tcp_of(last_sent()) + 4) + 1;
	p.window = t.window;
	peer_send(&p, ACK, NULL, 0);
	assert_int_equal(ear->opened, 1);
	netstack_flush(t.stack);
	return p;
}

static inline size_t owner_write(struct netstack_flow *flow, size_t size, uint8_t fill)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov[2];
		size_t room;

		if (!netstack_reserve(flow, iov, &room))
			break;
		room = iov[0].iov_len < size - done ? iov[0].iov_len : size - done;
		for (size_t i = 0; i < room; i++)
			((uint8_t *)iov[0].iov_base)[i] = (uint8_t)(fill + done + i);
		assert_int_equal(netstack_commit(flow, room), 0);
		done += room;
	}
	return done;
}

#endif
