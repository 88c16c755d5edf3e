// SPDX-License-Identifier: GPL-3.0-or-later
// inside - what the files of this room share with each other.
//
// lwIP is a library for one machine with a few connections: it keeps every
// connection (pcb) in linear lists whose heads are plain globals, and it calls
// back from the middle of its own work. Two rules make it a stack for
// thousands of connections to every address, without a patch:
//
// 1. A pcb is on no list, except while lwIP works on it. flow_enter() makes it
//    the only active pcb there is, flow_leave() takes it off again and sees
//    what became of it. Finding a conversation is lookup.c's hash.
// 2. No news is told from inside lwIP. Its callbacks only note what happened
//    in the flow; flow_tell() brings the news after flow_leave(), so an owner
//    may call anything, also close the flow that the news is about.
//
// What goes in is kept such that no assertion of lwIP can be reached: SYNs for
// a live pcb lose their options (lwIP would take the MSS and the scale again),
// pcb->mss is put back after each entry, and a persist timer left running
// after its last byte was acknowledged is stopped.

#ifndef NETSTACK_INSIDE_H
#define NETSTACK_INSIDE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "netstack/netstack.h"

#include <lwip/ip.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

enum {
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	ECHO_HEADER = 8,
	FLOWS_MOST = 65536,
	TICK_NS = 500 * 1000 * 1000,	// lwIP's TCP_SLOW_INTERVAL
	ACK_NS = 5 * 1000 * 1000,	// the most that an acknowledgement waits for an answer
};

// Who talks to whom. An IPv4 address stands in the first 4 bytes, zeros after
// it. Ports in host order; unused bytes are 0, so tuples compare as bytes.
struct tuple {
	uint8_t app[16], peer[16];
	uint16_t app_port, peer_port;
	uint16_t ipv6;
};

// A view of an IP packet's transport part, addresses as they stand in the
// packet: the app's is the source.
struct arrival {
	struct tuple tuple;	// ports not yet filled
	uint8_t protocol, ttl, tos;
	bool dont_fragment;
	const uint8_t *bytes;
	size_t size;
};

// --- packets in (packet.c) --------------------------------------------------

// A TCP segment on its way through lwIP and in a flow's queue.
struct packet {
	struct pbuf_custom custom;	// first: lwIP's pointer is ours
	struct packet *next;
	uint32_t capacity;		// of bytes
	uint8_t bytes[] __attribute__((aligned(8)));
};

// Copies, unless the bytes lie in the lent packet and are worth it: then that
// becomes the packet. packet_lend gives the place for the next one.
struct packet *packet_make(struct packet **lent, const void *bytes, size_t size);
uint8_t *packet_lend(struct packet **lent);
// Adds the payload of `more` to that of `to` if it is small and fits behind.
bool packet_join(struct packet *to, const struct packet *more);
void packet_free(struct packet *packet);
void packet_free_spares(void);

// --- bytes to send (ring.c) -------------------------------------------------

struct block {
	struct block *next;
	uint32_t capacity, start, used;
	uint8_t bytes[];
};

// Bytes from the owner until the app acknowledged them. lwIP refers to them
// in place, so a block is never moved: a ring that became too small gets a
// bigger block behind it, and drains. Of `used` bytes, the first `written`
// were given to lwIP.
struct ring {
	struct block *oldest, *newest;
	uint32_t used, written;
};

// Of an empty ring it is a spare block, which becomes the ring's at its commit.
int ring_reserve(struct ring *ring, size_t most, struct iovec iov[2], size_t *size);
bool ring_commit(struct ring *ring, size_t size);
// The bytes next to be given to lwIP that lie in one piece.
size_t ring_unwritten(const struct ring *ring, const uint8_t **bytes);
void ring_release(struct ring *ring, size_t size);
void ring_shrink(struct ring *ring);
void ring_free(struct ring *ring);
void ring_free_spares(void);

// --- a conversation (flow.c, owner.c, call.c) -------------------------------

enum flow_state {
	FLOW_CALLING,	// SYN kept, the hall has not decided; call.c moves it on
	FLOW_SILENT,	// refused by silence; gone when the app stops asking
	FLOW_LIVE,	// lwIP has a pcb
	FLOW_OVER,	// both sides done, unread bytes left; gone when consumed
	FLOW_DEAD,	// released; memory goes when the news under way is told
};

// Thousands of them idle, so every byte of it counts.
struct netstack_flow {
	struct netstack *stack;
	void *owner;
	struct tcp_pcb *pcb;		// FLOW_LIVE only
	struct tuple tuple;
	uint16_t mss, segment;		// the app's real one; what lwIP makes of it
	uint16_t age;			// ticks in a state that must end
	int8_t reason;			// for closed(): 0 or -errno
	uint8_t state : 3;		// enum flow_state
	bool has_syn : 1;		// syn stands where ring will
	bool is_hashed : 1, is_timed : 1, is_touched : 1, is_telling : 1;
	bool let_go : 1;		// netstack_close(): no more news
	bool finish : 1, finished : 1;	// FIN wanted; FIN given to lwIP
	bool ack_due : 1;		// data came since our last segment
	bool spoke : 1;			// the app did: something came behind its SYN
	bool is_acking : 1;		// it may wait with that: touched links it there
	bool answers : 1;		// the last packet with data was answered with data
	uint8_t unanswered : 2;		// packets with data since we sent some; 2: or more
	// What happened and was not told yet.
	bool new_opened : 1, new_data : 1, new_fin : 1, new_room : 1, new_end : 1;
	bool opened : 1, got_fin : 1;

	LIST_ENTRY(netstack_flow) placed;	// in its bucket, or in the stack's last one
	LIST_ENTRY(netstack_flow) timed;
	TAILQ_ENTRY(netstack_flow) touched;

	struct packet *first, *last;	// received, not consumed
	uint32_t queued;		// bytes of these
	union {
		uint32_t isn;		// has_syn: its sequence number
		uint32_t sent_to;	// highest sequence number sent
	};
	union {
		struct ring ring;
		struct {		// the app's packet, until it is answered
			uint8_t *header;
			uint16_t size, data;	// of the header; bytes that came behind
		} syn;
	};
};

struct netstack_flow *flow_make(struct netstack *stack, const struct tuple *tuple);
// Off every list and without memory of its own; only the struct remains.
void flow_bury(struct netstack_flow *flow);
// Buried and freed, or as soon as its news is told.
void flow_release(struct netstack_flow *flow);
void flow_touch(struct netstack_flow *flow);
void flow_arm(struct netstack_flow *flow);
void flow_unhash(struct netstack_flow *flow);
void flow_enter(struct netstack_flow *flow);
void flow_input(struct netstack_flow *flow, struct packet *packet);
void flow_leave(struct netstack_flow *flow);
void flow_adopt(struct netstack_flow *flow, struct tcp_pcb *pcb);
void flow_segment(struct netstack_flow *flow, const struct arrival *in);
// Ends it and releases it: with a RST to the app, or without a word.
void flow_abandon(struct netstack_flow *flow, bool with_reset);
// Forgets what was received and not consumed.
void flow_empty(struct netstack_flow *flow);
void flow_settle(struct netstack_flow *flow);
void flow_tick(struct netstack_flow *flow);
void flow_tell(struct netstack_flow *flow);

void call_segment(struct netstack *stack, struct netstack_flow *flow, const struct arrival *in);
void call_tick(struct netstack_flow *flow);
// Done with the SYN: from here on the flow has a ring.
void call_forget(struct netstack_flow *flow);

LIST_HEAD(flow_list, netstack_flow);
TAILQ_HEAD(flow_queue, netstack_flow);

// --- the stack --------------------------------------------------------------

enum { BUCKETS = 16384, UNHASHED = BUCKETS };

struct pieces;

struct netstack {
	const struct netstack_news *news;
	void *context;
	uint16_t mtu;
	bool offload;
	uint32_t window;
	size_t held;			// bytes in all rings
	uint64_t now, next_tick;
	uint64_t ack_by;		// when those that wait are acknowledged; UINT64_MAX: none waits
	bool ticking;

	struct netif netif;
	struct tcp_pcb *listener;	// answers for every port; on lwIP's list in call.c only
	struct netstack_flow *current;	// lwIP is at work on it

	uint64_t seed;
	struct flow_list *buckets;	// the last one's flows are found by no packet
	struct flow_list timed;
	struct flow_queue touched, acking;
	struct pieces *pieces;		// datagrams that are not whole yet
	struct packet *lent;		// where the hall reads the next packet to
	uint16_t ip_id;
	uint8_t *scratch;		// 65,535 + IPV6_HEADER bytes

	struct netstack_counters counters;
};

// lookup.c
struct netstack_flow *lookup_find(struct netstack *stack, const struct tuple *tuple);
void lookup_add(struct netstack *stack, struct netstack_flow *flow);

// --- packets out (output.c) -------------------------------------------------

err_t output_segment_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to);
err_t output_segment_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to);

// One's complement sums (RFC 1071), not yet inverted; `odd` says that an odd
// number of bytes went before.
uint32_t sum_bytes(uint32_t sum, const void *bytes, size_t size, bool odd);
uint32_t sum_pseudo(const struct tuple *tuple, uint8_t protocol, size_t size);
uint16_t sum_fold(uint32_t sum);

struct letter {
	struct tuple from;	// from.peer is the source, from.app the destination
	uint8_t protocol, ttl, tos;
	bool dont_fragment;
};

// Writes the IP header that carries `size` bytes to the app.
size_t letter_header(struct netstack *stack, const struct letter *letter, size_t size, uint8_t *ip);
// Sends bytes[0..size), an upper layer's whole packet, in fragments if it must.
void letter_send(struct netstack *stack, const struct letter *letter, const uint8_t *bytes, size_t size);

// --- datagrams, fragments, errors -------------------------------------------

void datagram_arrived(struct netstack *stack, const struct arrival *in);
void echo_arrived(struct netstack *stack, const struct arrival *in);

// Takes a fragment; true when `in` is now whole (until the next call).
bool pieces_add(struct netstack *stack, struct arrival *in, uint32_t id, size_t offset, bool more);
bool pieces_waiting(const struct netstack *stack);
void pieces_tick(struct netstack *stack);
void pieces_free(struct netstack *stack);

// The RST that answers a segment for which there is no conversation
// (RFC 9293 3.10.7.1); tcp[0..size) is that segment.
void reset_send(struct netstack *stack, const struct tuple *tuple, const uint8_t *tcp, size_t size);
// `quote` is the packet, from its IP header on, that did not arrive.
void icmp_send(struct netstack *stack, const struct tuple *tuple, enum netstack_refusal why,
	       const struct sockaddr *reporter, uint32_t mtu, const uint8_t *quote, size_t size);

void tuple_address(const struct tuple *tuple, bool of_app, struct sockaddr_storage *out);
bool tuple_from(const struct sockaddr *app, const struct sockaddr *peer, struct tuple *out);

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static inline void put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, (uint16_t)(v >> 16)); put16(p + 2, (uint16_t)v); }

#endif
