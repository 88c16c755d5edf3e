// SPDX-License-Identifier: GPL-3.0-or-later
// packet - a view of an IP packet's headers: RFC 791, RFC 8200, RFC 9293, RFC 768.
//
// Pure: reads no further than it is given, allocates nothing.

#ifndef TUNNEL_PACKET_H
#define TUNNEL_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct packet {
	uint8_t protocol;	// IPPROTO_*, behind any IPv6 extension headers
	uint8_t tcp_flags;	// TH_* of netinet/tcp.h, 0 where not TCP
	bool fragment;		// not the first: there are no ports
	union address from, to;	// an ICMP echo's identifier stands as the app's port
	const uint8_t *payload;	// behind the TCP, UDP or ICMP header
	size_t payload_size;
};

// 0, or -EBADMSG when it is no whole IP packet.
int packet_read(struct packet *out, const void *bytes, size_t size);

// The same from a packet's first bytes alone: lengths that reach beyond `size`
// are believed, and the payload is cut at it.
int packet_read_head(struct packet *out, const void *bytes, size_t size);

// --- addresses --------------------------------------------------------------

void address_set(union address *out, const struct sockaddr *from);
socklen_t address_size(const union address *a);
uint16_t address_port(const union address *a);
bool address_equal(const union address *a, const union address *b);	// host and port
bool address_same_host(const union address *a, const union address *b);
uint32_t address_hash(const union address *a);
bool address_is_multicast(const union address *a);	// also IPv4's broadcast

enum { ADDRESS_TEXT = INET6_ADDRSTRLEN + 8 };
// "192.0.2.1:80", "[2001:db8::1]:80"; the host alone.
const char *address_text(const union address *a, char out[ADDRESS_TEXT]);
const char *address_host(const union address *a, char out[ADDRESS_TEXT]);

#endif
