// SPDX-License-Identifier: GPL-3.0-or-later
// datagram - UDP (RFC 768) and ICMP echo (RFC 792, RFC 4443 4), both ways.

#include <errno.h>

#include "netstack/inside.h"

static bool address_part(const struct sockaddr *from, uint8_t address[16], uint16_t *port)
{
	memset(address, 0, 16);
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)from;

		memcpy(address, &in->sin_addr, 4);
		*port = ntohs(in->sin_port);
		return true;
	}
	if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)from;

		memcpy(address, &in6->sin6_addr, 16);
		*port = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}

bool tuple_from(const struct sockaddr *app, const struct sockaddr *peer, struct tuple *out)
{
	if (app->sa_family != peer->sa_family)
		return false;
	out->ipv6 = app->sa_family == AF_INET6;
	return address_part(app, out->app, &out->app_port) &&
	       address_part(peer, out->peer, &out->peer_port);
}

void tuple_address(const struct tuple *tuple, bool of_app, struct sockaddr_storage *out)
{
	const uint8_t *address = of_app ? tuple->app : tuple->peer;
	uint16_t port = htons(of_app ? tuple->app_port : tuple->peer_port);

	memset(out, 0, sizeof(*out));
	if (tuple->ipv6) {
		struct sockaddr_in6 *in6 = (void *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		memcpy(&in6->sin6_addr, address, 16);
	} else {
		struct sockaddr_in *in = (void *)out;

		in->sin_family = AF_INET;
		in->sin_port = port;
		memcpy(&in->sin_addr, address, 4);
	}
}

static void bring(struct netstack *stack, const struct arrival *in, const uint8_t *bytes, size_t size,
		  void (*news)(void *context, const struct netstack_datagram *d))
{
	struct sockaddr_storage app, peer;
	struct netstack_datagram d = {
		.app = (struct sockaddr *)&app, .peer = (struct sockaddr *)&peer,
		.bytes = bytes, .size = size,
		.ttl = in->ttl, .tos = in->tos, .dont_fragment = in->dont_fragment,
	};

	tuple_address(&in->tuple, true, &app);
	tuple_address(&in->tuple, false, &peer);
	news(stack->context, &d);
}

void datagram_arrived(struct netstack *stack, const struct arrival *in)
{
	struct arrival with_ports = *in;
	size_t length = in->size >= UDP_HEADER ? get16(in->bytes + 4) : 0;

	if (length < UDP_HEADER || length > in->size || get16(in->bytes + 2) == 0) {
		stack->counters.malformed++;
		return;
	}
	with_ports.tuple.app_port = get16(in->bytes);
	with_ports.tuple.peer_port = get16(in->bytes + 2);
	bring(stack, &with_ports, in->bytes + UDP_HEADER, length - UDP_HEADER, stack->news->datagram);
}

void echo_arrived(struct netstack *stack, const struct arrival *in)
{
	struct arrival with_id = *in;
	uint8_t request = in->tuple.ipv6 ? 128 : 8;

	if (in->size < ECHO_HEADER) {
		stack->counters.malformed++;
		return;
	}
	if (in->bytes[0] != request || in->bytes[1] != 0)
		return;	// errors and router solicitations of the kernel's: nobody's
	with_id.tuple.app_port = get16(in->bytes + 4);
	bring(stack, &with_id, in->bytes, in->size, stack->news->echo);
}

static size_t most_bytes(const struct tuple *tuple, size_t header)
{
	return UINT16_MAX - header - (tuple->ipv6 ? 0 : IPV4_HEADER);
}

static struct letter letter_of(const struct tuple *tuple, const struct netstack_datagram *d,
			       uint8_t protocol)
{
	// A datagram that is longer than the tunnel goes in fragments even if
	// it may not be cut: it came whole to the host, and the app must see it.
	return (struct letter){ .from = *tuple, .protocol = protocol, .ttl = d->ttl, .tos = d->tos,
				.dont_fragment = d->dont_fragment };
}

int netstack_send_datagram(struct netstack *stack, const struct netstack_datagram *d)
{
	uint8_t *out = stack->scratch;
	struct letter letter;
	struct tuple tuple;
	size_t size = UDP_HEADER + d->size;
	uint16_t sum;

	if (!tuple_from(d->app, d->peer, &tuple))
		return -EINVAL;
	if (d->size > most_bytes(&tuple, UDP_HEADER))
		return -EMSGSIZE;
	put16(out, tuple.peer_port);
	put16(out + 2, tuple.app_port);
	put16(out + 4, (uint16_t)size);
	put16(out + 6, 0);
	if (d->size)
		memcpy(out + UDP_HEADER, d->bytes, d->size);
	sum = (uint16_t)~sum_fold(sum_bytes(sum_pseudo(&tuple, IPPROTO_UDP, size), out, size, false));
	put16(out + 6, sum ? sum : 0xffff);	// 0 would say: no checksum
	letter = letter_of(&tuple, d, IPPROTO_UDP);
	letter_send(stack, &letter, out, size);
	return 0;
}

int netstack_send_echo(struct netstack *stack, const struct netstack_datagram *d)
{
	uint8_t *out = stack->scratch;
	struct letter letter;
	struct tuple tuple;
	uint8_t protocol;
	uint32_t sum;

	if (d->size < ECHO_HEADER || !tuple_from(d->app, d->peer, &tuple))
		return -EINVAL;
	if (d->size > most_bytes(&tuple, 0))
		return -EMSGSIZE;
	protocol = tuple.ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	memcpy(out, d->bytes, d->size);
	put16(out + 2, 0);
	put16(out + 4, tuple.app_port);
	sum = tuple.ipv6 ? sum_pseudo(&tuple, protocol, d->size) : 0;
	put16(out + 2, (uint16_t)~sum_fold(sum_bytes(sum, out, d->size, false)));
	letter = letter_of(&tuple, d, protocol);
	letter_send(stack, &letter, out, d->size);
	return 0;
}
