// SPDX-License-Identifier: GPL-3.0-or-later
// packet - a view of an IP packet's headers.

#include "tunnel/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint16_t word(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set_port(union address *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET)
		a->v4.sin_port = htons(port);
	else
		a->v6.sin6_port = htons(port);
}

static int read_tcp(struct packet *out, const uint8_t *p, size_t size)
{
	if (size < 20)
		return -EBADMSG;
	size_t header = (size_t)(p[12] >> 4) * 4;
	if (header < 20 || header > size)
		return -EBADMSG;
	set_port(&out->from, word(p));
	set_port(&out->to, word(p + 2));
	out->tcp_flags = p[13];
	out->payload = p + header;
	out->payload_size = size - header;
	return 0;
}

static int read_udp(struct packet *out, const uint8_t *p, size_t size)
{
	if (size < 8)
		return -EBADMSG;
	set_port(&out->from, word(p));
	set_port(&out->to, word(p + 2));
	size_t told = word(p + 4);
	if (told < 8 || told > size)
		told = size;
	out->payload = p + 8;
	out->payload_size = told - 8;
	return 0;
}

static int read_icmp(struct packet *out, const uint8_t *p, size_t size)
{
	if (size < 8)
		return -EBADMSG;
	bool request = out->protocol == IPPROTO_ICMP ? p[0] == 8 : p[0] == 128;
	bool reply = out->protocol == IPPROTO_ICMP ? p[0] == 0 : p[0] == 129;
	if (request)
		set_port(&out->from, word(p + 4));
	else if (reply)
		set_port(&out->to, word(p + 4));
	out->payload = p + 8;
	out->payload_size = size - 8;
	return 0;
}

static int read_transport(struct packet *out, const uint8_t *p, size_t size)
{
	out->payload = p;
	out->payload_size = size;
	if (out->fragment)
		return 0;
	switch (out->protocol) {
	case IPPROTO_TCP:
		return read_tcp(out, p, size);
	case IPPROTO_UDP:
		return read_udp(out, p, size);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return read_icmp(out, p, size);
	default:
		return 0;
	}
}

static int read_v4(struct packet *out, const uint8_t *p, size_t size, bool head)
{
	if (size < 20)
		return -EBADMSG;
	size_t header = (size_t)(p[0] & 15) * 4, total = word(p + 2);
	if (head && total > size)
		total = size;
	if (header < 20 || total < header || total > size)
		return -EBADMSG;
	out->from.v4.sin_family = out->to.v4.sin_family = AF_INET;
	memcpy(&out->from.v4.sin_addr, p + 12, 4);
	memcpy(&out->to.v4.sin_addr, p + 16, 4);
	out->protocol = p[9];
	out->fragment = (word(p + 6) & 0x1fff) != 0;
	return read_transport(out, p + header, total - header);
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

static int read_v6(struct packet *out, const uint8_t *p, size_t size, bool head)
{
	if (size < 40)
		return -EBADMSG;
	size_t total = 40 + (size_t)word(p + 4), at = 40;
	if (head && total > size)
		total = size;
	if (total > size)
		return -EBADMSG;
	out->from.v6.sin6_family = out->to.v6.sin6_family = AF_INET6;
	memcpy(&out->from.v6.sin6_addr, p + 8, 16);
	memcpy(&out->to.v6.sin6_addr, p + 24, 16);
	uint8_t next = p[6];
	while (is_extension(next)) {
		if (at + 8 > total)
			return -EBADMSG;
		size_t length = next == IPPROTO_FRAGMENT ? 8 : 8 + (size_t)p[at + 1] * 8;
		if (next == IPPROTO_FRAGMENT && (word(p + at + 2) & 0xfff8))
			out->fragment = true;
		next = p[at];
		at += length;
		if (at > total)
			return -EBADMSG;
		if (out->fragment)
			break;
	}
	out->protocol = next;
	return read_transport(out, p + at, total - at);
}

static int read_any(struct packet *out, const uint8_t *p, size_t size, bool head)
{
	memset(out, 0, sizeof(*out));
	if (size < 1)
		return -EBADMSG;
	if (p[0] >> 4 == 4)
		return read_v4(out, p, size, head);
	if (p[0] >> 4 == 6)
		return read_v6(out, p, size, head);
	return -EBADMSG;
}

int packet_read(struct packet *out, const void *bytes, size_t size)
{
	return read_any(out, bytes, size, false);
}

int packet_read_head(struct packet *out, const void *bytes, size_t size)
{
	return read_any(out, bytes, size, true);
}

void address_set(union address *out, const struct sockaddr *from)
{
	memset(out, 0, sizeof(*out));
	memcpy(out, from, from->sa_family == AF_INET ? sizeof(out->v4) : sizeof(out->v6));
}

socklen_t address_size(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

uint16_t address_port(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

bool address_same_host(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16);
}

bool address_equal(const union address *a, const union address *b)
{
	return address_same_host(a, b) && address_port(a) == address_port(b);
}

uint32_t address_hash(const union address *a)
{
	// Fibonacci hashing over 32-bit words: the keys are the app's own.
	uint32_t h = address_port(a);
	const uint32_t *w = a->any.sa_family == AF_INET ? &a->v4.sin_addr.s_addr
							: a->v6.sin6_addr.s6_addr32;
	for (int i = 0; i < (a->any.sa_family == AF_INET ? 1 : 4); i++)
		h = (h ^ w[i]) * 2654435761u;
	return h ^ h >> 15;
}

bool address_is_multicast(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return IN_MULTICAST(ntohl(a->v4.sin_addr.s_addr)) ||
		       a->v4.sin_addr.s_addr == htonl(INADDR_BROADCAST);
	return IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr);
}

const char *address_host(const union address *a, char out[ADDRESS_TEXT])
{
	if (a->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, out, ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, &a->v6.sin6_addr, out, ADDRESS_TEXT);
	return out;
}

const char *address_text(const union address *a, char out[ADDRESS_TEXT])
{
	char host[ADDRESS_TEXT];

	address_host(a, host);
	snprintf(out, ADDRESS_TEXT, a->any.sa_family == AF_INET ? "%.46s:%u" : "[%.46s]:%u", host,
		 address_port(a));
	return out;
}
