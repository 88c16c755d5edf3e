// SPDX-License-Identifier: GPL-3.0-or-later
// icmp - how a packet that did not arrive is told to the app.
//
// The app's kernel matches an error to a socket by what it quotes: addresses,
// ports, and for TCP a sequence number that is in flight.

#include <errno.h>

#include "netstack/inside.h"

enum {
	ICMP_HEADER = 8,
	// RFC 1812 4.3.2.3 and RFC 4443 2.4(c): as much as fits these.
	QUOTE_V4 = 576, QUOTE_V6 = 1280,
};

void reset_send(struct netstack *stack, const struct tuple *tuple, const uint8_t *tcp, size_t size)
{
	struct letter letter = { .from = *tuple, .protocol = IPPROTO_TCP, .dont_fragment = true };
	size_t text = size - (size_t)(tcp[12] >> 4) * 4;
	uint8_t out[TCP_HEADER] = { 0 };

	text += (tcp[13] & TCP_SYN ? 1 : 0) + (tcp[13] & TCP_FIN ? 1 : 0);
	put16(out, tuple->peer_port);
	put16(out + 2, tuple->app_port);
	out[12] = TCP_HEADER / 4 << 4;
	out[13] = TCP_RST;
	if (tcp[13] & TCP_ACK) {
		put32(out + 4, get32(tcp + 8));
	} else {
		put32(out + 8, get32(tcp + 4) + (uint32_t)text);
		out[13] |= TCP_ACK;
	}
	put16(out + 16, (uint16_t)~sum_fold(sum_bytes(sum_pseudo(tuple, IPPROTO_TCP, sizeof(out)), out,
						      sizeof(out), false)));
	letter_send(stack, &letter, out, sizeof(out));
}

struct kind {
	uint8_t type, code;
};

static struct kind kind_of(enum netstack_refusal why, bool ipv6)
{
	// RFC 792 and 1812 5.2.7.1; RFC 4443 3.1 and 3.2. For the kernel: ENETUNREACH,
	// EHOSTUNREACH, ECONNREFUSED, EHOSTUNREACH or EACCES, EMSGSIZE.
	static const struct kind v4[] = {
		[NETSTACK_RESET] = { 3, 3 }, [NETSTACK_NET_UNREACHABLE] = { 3, 0 },
		[NETSTACK_HOST_UNREACHABLE] = { 3, 1 }, [NETSTACK_PORT_UNREACHABLE] = { 3, 3 },
		[NETSTACK_PROHIBITED] = { 3, 13 }, [NETSTACK_TOO_BIG] = { 3, 4 },
	};
	static const struct kind v6[] = {
		[NETSTACK_RESET] = { 1, 4 }, [NETSTACK_NET_UNREACHABLE] = { 1, 0 },
		[NETSTACK_HOST_UNREACHABLE] = { 1, 3 }, [NETSTACK_PORT_UNREACHABLE] = { 1, 4 },
		[NETSTACK_PROHIBITED] = { 1, 1 }, [NETSTACK_TOO_BIG] = { 2, 0 },
	};

	return ipv6 ? v6[why] : v4[why];
}

static bool set_reporter(struct tuple *tuple, const struct sockaddr *reporter)
{
	if (!reporter)
		return true;
	if (reporter->sa_family != (tuple->ipv6 ? AF_INET6 : AF_INET))
		return false;
	memset(tuple->peer, 0, sizeof(tuple->peer));
	if (tuple->ipv6)
		memcpy(tuple->peer, &((const struct sockaddr_in6 *)reporter)->sin6_addr, 16);
	else
		memcpy(tuple->peer, &((const struct sockaddr_in *)reporter)->sin_addr, 4);
	return true;
}

void icmp_send(struct netstack *stack, const struct tuple *tuple, enum netstack_refusal why,
	       const struct sockaddr *reporter, uint32_t mtu, const uint8_t *quote, size_t size)
{
	bool ipv6 = tuple->ipv6;
	struct letter letter = { .from = *tuple, .protocol = ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP };
	size_t most = ipv6 ? QUOTE_V6 - IPV6_HEADER - ICMP_HEADER : QUOTE_V4 - IPV4_HEADER - ICMP_HEADER;
	struct kind kind = kind_of(why, ipv6);
	uint8_t out[QUOTE_V6] = { kind.type, kind.code };
	// A datagram for which the host itself knows no way: there sendto() fails,
	// and Linux tells the sender of no softer code than the prohibited ones.
	bool certain = !ipv6 && !reporter && size > 9 && quote[9] == IPPROTO_UDP;
	uint32_t sum;

	if (certain && why == NETSTACK_NET_UNREACHABLE)
		out[1] = 9;
	if (certain && why == NETSTACK_HOST_UNREACHABLE)
		out[1] = 10;
	// A reporter of the other family (a host's IPv4 router for an IPv6 app)
	// has no address here: the destination itself reports.
	(void)set_reporter(&letter.from, reporter);
	if (size > most)
		size = most;
	if (why == NETSTACK_TOO_BIG && ipv6)
		put32(out + 4, mtu);
	else if (why == NETSTACK_TOO_BIG)
		put16(out + 6, (uint16_t)(mtu > UINT16_MAX ? UINT16_MAX : mtu));	// RFC 1191 4
	memcpy(out + ICMP_HEADER, quote, size);
	size += ICMP_HEADER;
	sum = ipv6 ? sum_pseudo(&letter.from, IPPROTO_ICMPV6, size) : 0;
	put16(out + 2, (uint16_t)~sum_fold(sum_bytes(sum, out, size, false)));
	letter_send(stack, &letter, out, size);
}

// The datagram as the app sent it: its headers and what an error quotes of it.
static size_t rebuild(struct netstack *stack, const struct tuple *tuple,
		      const struct netstack_datagram *d, int protocol, uint8_t *to)
{
	struct letter letter = { .from = *tuple, .protocol = (uint8_t)protocol,
				 .ttl = d->ttl, .tos = d->tos, .dont_fragment = d->dont_fragment };
	size_t size = d->size, header, quoted = size;
	uint8_t *p;

	if (protocol == IPPROTO_UDP)
		size += UDP_HEADER;
	memcpy(letter.from.app, tuple->peer, 16);
	memcpy(letter.from.peer, tuple->app, 16);
	header = letter_header(stack, &letter, size, to);
	p = to + header;
	if (protocol == IPPROTO_UDP) {
		put16(p, tuple->app_port);
		put16(p + 2, tuple->peer_port);
		put16(p + 4, (uint16_t)size);
		put16(p + 6, 0);
		p += UDP_HEADER;
	}
	if (quoted > QUOTE_V6 - header - UDP_HEADER)
		quoted = QUOTE_V6 - header - UDP_HEADER;
	if (quoted)
		memcpy(p, d->bytes, quoted);
	if (protocol != IPPROTO_UDP && quoted >= ECHO_HEADER)
		put16(p + 4, tuple->app_port);
	return (size_t)(p - to) + quoted;
}

int netstack_send_error(struct netstack *stack, const struct netstack_datagram *d, int protocol,
			enum netstack_refusal why, const struct sockaddr *reporter, uint32_t mtu)
{
	uint8_t quote[QUOTE_V6];
	struct tuple tuple;

	if (!tuple_from(d->app, d->peer, &tuple) || why == NETSTACK_SILENCE)
		return -EINVAL;
	if (d->size > UINT16_MAX - UDP_HEADER - (tuple.ipv6 ? 0 : IPV4_HEADER))
		return -EMSGSIZE;
	if (protocol == IPPROTO_ICMP && tuple.ipv6)
		protocol = IPPROTO_ICMPV6;
	icmp_send(stack, &tuple, why, reporter, mtu, quote, rebuild(stack, &tuple, d, protocol, quote));
	return 0;
}
