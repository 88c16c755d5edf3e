// SPDX-License-Identifier: GPL-3.0-or-later
// netstack - a TCP/IP stack that answers for every address.
//
// Packets and time go in; packets and news come out. It has no descriptor, no
// clock, no thread and no log of its own: the hall reads the tunnel, calls
// netstack_input() for each packet, then netstack_flush() once per turn, and
// netstack_tick() when netstack_deadline() has passed. One netstack per
// process (its guest keeps its lists in globals).
//
// A TCP conversation is a netstack_flow from its SYN on. The stack does not
// answer the SYN: it brings a call, and the app's connect stays open until
// netstack_answer() or netstack_refuse().

#ifndef NETSTACK_NETSTACK_H
#define NETSTACK_NETSTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct netstack;
struct netstack_flow;

// A packet for the app. Bytes are valid during the call only. Where sum_start
// is not 0, the 16-bit word at sum_start + sum_offset holds the pseudo-header
// sum and whoever needs a whole checksum sums from sum_start to the end into
// it (virtio's NEEDS_CSUM). Where segment is not 0 the packet is a
// super-packet: TCP with `segment` bytes of payload to a real packet, headers
// of header_size bytes.
struct netstack_packet {
	const struct iovec *iov;
	int count;
	size_t size;
	uint16_t sum_start, sum_offset;
	uint16_t segment, header_size;
	bool ipv6;
};

// A UDP datagram or an ICMP echo, between the app's address and the other's.
// For an echo, the port of `app` holds the identifier and `bytes` begins at
// the ICMP header's type (so the sequence number passes through).
struct netstack_datagram {
	const struct sockaddr *app;
	const struct sockaddr *peer;
	const void *bytes;
	size_t size;
	uint8_t ttl;		// as the app sent it; 0 towards the app: the usual 64
	uint8_t tos;
	bool dont_fragment;
};

enum netstack_refusal {
	NETSTACK_RESET,		// RST: ECONNREFUSED
	NETSTACK_NET_UNREACHABLE,	// ICMP: ENETUNREACH
	NETSTACK_HOST_UNREACHABLE,	// ICMP: EHOSTUNREACH
	NETSTACK_PORT_UNREACHABLE,	// ICMP: ECONNREFUSED for datagrams
	NETSTACK_PROHIBITED,	// ICMP administratively prohibited (v6: EACCES)
	NETSTACK_TOO_BIG,	// ICMP fragmentation needed / packet too big
	NETSTACK_SILENCE,	// nothing: the app's own timer decides
};

// News. `owner` is what netstack_own() gave the flow. A callback may call any
// function below, also netstack_close() on the flow that it is about.
struct netstack_news {
	void (*output)(void *context, const struct netstack_packet *packet);

	// The app's SYN. Own it, then answer or refuse it, now or later. A SYN
	// sent again while the call is open brings no second call.
	void (*call)(void *context, struct netstack_flow *flow,
		     const struct sockaddr *app, const struct sockaddr *peer);

	// The handshake is complete: bytes can flow.
	void (*opened)(void *owner);
	// netstack_peek() has more to give than before.
	void (*data)(void *owner);
	// The app's FIN: nothing follows what netstack_peek() has.
	void (*finished)(void *owner);
	// netstack_reserve() has room again after it had less than was asked,
	// and how far the app acknowledged has moved.
	void (*room)(void *owner);
	// The flow is over and the pointer dead from here on. 0: both
	// directions were finished and acknowledged; -ECONNRESET: the app
	// reset it (or withdrew its call); -ETIMEDOUT: the app's side went
	// silent. Unread bytes are gone, but 0 waits until all are consumed (and
	// then comes at the flush). No netstack_close() is due.
	void (*closed)(void *owner, int reason);

	void (*datagram)(void *context, const struct netstack_datagram *d);
	void (*echo)(void *context, const struct netstack_datagram *d);
};

struct netstack_options {
	const struct netstack_news *news;
	void *context;		// given to output, call, datagram and echo
	uint16_t mtu;		// the tunnel's, bytes; 1280 to 65520
	bool offload;		// super-packets and unfinished checksums may leave
	uint64_t now;		// monotonic, nanoseconds
	size_t window;		// most bytes buffered per flow and direction; 0: 1 MiB
};

// 0, or -ENOMEM, -EINVAL, -EBUSY (there is one already).
int netstack_open(struct netstack **out, const struct netstack_options *options);
// Resets every open flow (their RSTs leave by output; no closed news).
void netstack_close_all(struct netstack *stack);
void netstack_free(struct netstack *stack);

// One IP packet (RFC 791, RFC 8200) as read from the tunnel, possibly a
// super-packet of up to 65,535 bytes. Checksums are not looked at: the tunnel
// vouches for them. The bytes are copied (but see netstack_lend). Malformed
// packets are dropped and counted.
void netstack_input(struct netstack *stack, const void *packet, size_t size);

// Room for one packet, 65,535 bytes, to read from the tunnel into; NULL without
// memory. Given to netstack_input() from its first byte, a packet is not copied
// if it is big; it may be changed then. Valid until that call.
void *netstack_lend(struct netstack *stack);

// Sends what the turn's calls left to send, one pass over the touched flows.
void netstack_flush(struct netstack *stack);

// When netstack_tick() is next due, monotonic nanoseconds; UINT64_MAX: never.
// A time gone by means at once: after a rest the stack must be told the time.
// It may be told each turn.
uint64_t netstack_deadline(const struct netstack *stack);
void netstack_tick(struct netstack *stack, uint64_t now);

// --- a flow -----------------------------------------------------------------

void netstack_own(struct netstack_flow *flow, void *owner);

// Completes the handshake with the app. 0, -ENOMEM (the call still stands),
// -EINVAL (not a call).
int netstack_answer(struct netstack_flow *flow);
// Ends a call as the origin ended it. The flow is gone after it; no news.
// With NETSTACK_SILENCE it is kept until the app gives up (its SYNs are
// ignored), without news.
void netstack_refuse(struct netstack_flow *flow, enum netstack_refusal how);

// Views of the bytes the app sent and the hall has not consumed, in order.
// Returns how many of iov were filled; *size is the sum over all that is
// there, also beyond what fitted. Valid until the next netstack_consume(),
// netstack_input() or netstack_close().
int netstack_peek(struct netstack_flow *flow, struct iovec *iov, int most, size_t *size);
// Done with the first `size` bytes: the app's window opens by that much.
void netstack_consume(struct netstack_flow *flow, size_t size);
// True once the FIN came and all before it is consumed.
bool netstack_at_end(const struct netstack_flow *flow);

// Up to two views of free buffer for bytes to the app; sum in *size (0: wait
// for room). Valid until netstack_commit(), netstack_tick(), or a reserve on any other flow.
int netstack_reserve(struct netstack_flow *flow, struct iovec iov[2], size_t *size);
// The first `size` bytes of what was reserved are to be sent (at the flush).
// 0, -EINVAL (more than was reserved), -EPIPE (finished, or no longer open).
int netstack_commit(struct netstack_flow *flow, size_t size);
// Bytes committed and not yet acknowledged by the app.
size_t netstack_unacked(const struct netstack_flow *flow);

// No more to the app: a FIN after what was committed. Half-close: the other
// direction goes on.
void netstack_finish(struct netstack_flow *flow);
// RST now; what was committed and not sent is dropped. No more news, the flow
// is gone.
void netstack_abort(struct netstack_flow *flow);
// The hall lets go: no more news. What was committed still goes out, then a
// FIN; what the app still sends is answered with a RST, as a closed socket
// would.
void netstack_close(struct netstack_flow *flow);

// --- datagrams --------------------------------------------------------------

// To the app, from d->peer. Cut into fragments at the MTU as a router would.
// 0, -EMSGSIZE, -ENOMEM.
int netstack_send_datagram(struct netstack *stack, const struct netstack_datagram *d);
int netstack_send_echo(struct netstack *stack, const struct netstack_datagram *d);
// The ICMP error that says d (what the app sent) did not arrive; `protocol` is
// IPPROTO_UDP or IPPROTO_ICMP; `reporter` is the router that said so, or NULL
// for the destination itself; `mtu` for NETSTACK_TOO_BIG.
int netstack_send_error(struct netstack *stack, const struct netstack_datagram *d, int protocol,
			enum netstack_refusal why, const struct sockaddr *reporter, uint32_t mtu);

struct netstack_counters {
	uint64_t packets_in, packets_out, malformed, retransmitted;
	uint32_t flows;			// at this moment
};
void netstack_count(const struct netstack *stack, struct netstack_counters *out);

#endif
