// SPDX-License-Identifier: GPL-3.0-or-later
// input - an IP packet from the tunnel, down to whom it is for.

#include "netstack/inside.h"

enum { EXTENSIONS_MOST = 8 };

static void transport_arrived(struct netstack *stack, struct arrival *in)
{
	size_t header = in->size >= TCP_HEADER ? (size_t)(in->bytes[12] >> 4) * 4 : 0;
	struct netstack_flow *flow;

	if (header < TCP_HEADER || header > in->size) {
		stack->counters.malformed++;
		return;
	}
	in->tuple.app_port = get16(in->bytes);
	in->tuple.peer_port = get16(in->bytes + 2);
	if (!in->tuple.app_port || !in->tuple.peer_port) {
		stack->counters.malformed++;
		return;
	}
	flow = lookup_find(stack, &in->tuple);
	if (flow && flow->state == FLOW_LIVE)
		flow_segment(flow, in);
	else
		call_segment(stack, flow, in);
}

static void upper_arrived(struct netstack *stack, struct arrival *in)
{
	if (in->protocol == IPPROTO_TCP)
		transport_arrived(stack, in);
	else if (in->protocol == IPPROTO_UDP)
		datagram_arrived(stack, in);
	else if (in->protocol == (in->tuple.ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		echo_arrived(stack, in);
}

// Multicast and broadcast are nobody's here, nor are packets from or to no
// address at all (the kernel's own neighbour and router discovery).
static bool is_unicast(const struct tuple *tuple)
{
	static const uint8_t none[16];
	size_t size = tuple->ipv6 ? 16 : 4;

	if (memcmp(tuple->app, none, size) == 0 || memcmp(tuple->peer, none, size) == 0)
		return false;
	if (tuple->ipv6)
		return tuple->app[0] != 0xff && tuple->peer[0] != 0xff;
	return tuple->app[0] < 224 && tuple->peer[0] < 224;
}

static void input_v4(struct netstack *stack, const uint8_t *ip, size_t size)
{
	size_t header = size >= IPV4_HEADER ? (size_t)(ip[0] & 15) * 4 : 0;
	size_t total = size >= IPV4_HEADER ? get16(ip + 2) : 0;
	struct arrival in = { .tuple.ipv6 = false };
	uint16_t offset;

	if (header < IPV4_HEADER || total < header || total > size) {
		stack->counters.malformed++;
		return;
	}
	memcpy(in.tuple.app, ip + 12, 4);
	memcpy(in.tuple.peer, ip + 16, 4);
	if (!is_unicast(&in.tuple))
		return;
	offset = get16(ip + 6);
	in.tos = ip[1];
	in.ttl = ip[8];
	in.protocol = ip[9];
	in.dont_fragment = offset & 0x4000;
	in.bytes = ip + header;
	in.size = total - header;
	if ((offset & 0x3fff) &&
	    !pieces_add(stack, &in, get16(ip + 4), (offset & 0x1fff) * 8UL, offset & 0x2000))
		return;
	upper_arrived(stack, &in);
}

// Steps over one extension header (RFC 8200 4); false: the packet ends here.
static bool skip_extension(struct netstack *stack, struct arrival *in)
{
	size_t header;

	if (in->size < 8) {
		stack->counters.malformed++;
		return false;
	}
	if (in->protocol == IPPROTO_FRAGMENT) {
		uint16_t offset = get16(in->bytes + 2);
		uint32_t id = get32(in->bytes + 4);

		in->protocol = in->bytes[0];
		in->bytes += 8;
		in->size -= 8;
		return !(offset & 0xfff9) || pieces_add(stack, in, id, offset & 0xfff8, offset & 1);
	}
	header = 8 + in->bytes[1] * 8UL;
	if (header > in->size || (in->protocol == IPPROTO_ROUTING && in->bytes[3])) {
		stack->counters.malformed++;
		return false;
	}
	in->protocol = in->bytes[0];
	in->bytes += header;
	in->size -= header;
	return true;
}

static void input_v6(struct netstack *stack, const uint8_t *ip, size_t size)
{
	struct arrival in = { .tuple.ipv6 = true, .dont_fragment = true };

	if (size < IPV6_HEADER || get16(ip + 4) > size - IPV6_HEADER) {
		stack->counters.malformed++;
		return;
	}
	memcpy(in.tuple.app, ip + 8, 16);
	memcpy(in.tuple.peer, ip + 24, 16);
	if (!is_unicast(&in.tuple))
		return;
	in.tos = (uint8_t)(get16(ip) >> 4);
	in.protocol = ip[6];
	in.ttl = ip[7];
	in.bytes = ip + IPV6_HEADER;
	in.size = get16(ip + 4);
	for (int i = 0; i < EXTENSIONS_MOST; i++) {
		if (in.protocol != IPPROTO_HOPOPTS && in.protocol != IPPROTO_ROUTING &&
		    in.protocol != IPPROTO_FRAGMENT && in.protocol != IPPROTO_DSTOPTS) {
			upper_arrived(stack, &in);
			return;
		}
		if (!skip_extension(stack, &in))
			return;
	}
	stack->counters.malformed++;
}

void *netstack_lend(struct netstack *stack)
{
	return packet_lend(&stack->lent);
}

void netstack_input(struct netstack *stack, const void *packet, size_t size)
{
	const uint8_t *ip = packet;

	stack->counters.packets_in++;
	if (size && ip[0] >> 4 == 4)
		input_v4(stack, ip, size);
	else if (size && ip[0] >> 4 == 6)
		input_v6(stack, ip, size);
	else
		stack->counters.malformed++;
}
