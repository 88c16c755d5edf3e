// SPDX-License-Identifier: GPL-3.0-or-later
// output - packets to the app: what lwIP sends, and what we write ourselves.
//
// With offload a TCP packet leaves as the kernel likes it best: up to 64 KB
// long, the pseudo-header's sum where the checksum shall be, and the app's MSS
// beside it. Without, every packet fits the tunnel and is summed here.

#include "netstack/inside.h"

enum { PIECES_MOST = 32 };	// of one segment: its header, then the ring's

uint32_t sum_bytes(uint32_t sum, const void *bytes, size_t size, bool odd)
{
	const uint8_t *p = bytes;
	uint64_t total = 0;
	uint32_t word;
	uint16_t folded;

	for (; size >= 4; size -= 4, p += 4) {
		memcpy(&word, p, 4);
		total += word;
	}
	word = 0;
	memcpy(&word, p, size);
	total += word;
	total = (total & 0xffffffff) + (total >> 32);
	total = (total & 0xffffffff) + (total >> 32);
	total = (total & 0xffff) + (total >> 16);
	total = (total & 0xffff) + (total >> 16);
	folded = (uint16_t)total;	// in memory order; ntohs() unless shifted by a byte
	return sum + (odd == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) ? folded :
					__builtin_bswap16(folded));
}

uint16_t sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

uint32_t sum_pseudo(const struct tuple *tuple, uint8_t protocol, size_t size)
{
	uint32_t sum = sum_bytes(0, tuple->app, 16, false);

	sum = sum_bytes(sum, tuple->peer, 16, false);
	return sum + protocol + (uint32_t)(size >> 16) + (uint32_t)(size & 0xffff);
}

static uint16_t sum_iov(uint32_t sum, const struct iovec *iov, int count, size_t skip)
{
	bool odd = false;

	for (int i = 0; i < count; i++) {
		size_t part = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t size = iov[i].iov_len - part;

		sum = sum_fold(sum_bytes(sum, (uint8_t *)iov[i].iov_base + part, size, odd));
		odd ^= size & 1;
		skip -= part;
	}
	return sum_fold(sum);
}

static void give(struct netstack *stack, struct netstack_packet *packet)
{
	stack->counters.packets_out++;
	stack->news->output(stack->context, packet);
}

// --- from lwIP --------------------------------------------------------------

static void count_again(struct netstack_flow *flow, uint32_t seq, uint32_t size)
{
	uint32_t end = seq + size;

	if (size && (int32_t)(end - flow->sent_to) <= 0)
		flow->stack->counters.retransmitted++;
	else
		flow->sent_to = end;
}

static int pbuf_views(const struct pbuf *p, struct iovec *iov)
{
	int count = 0;

	for (; p && count < PIECES_MOST; p = p->next) {
		if (p->len)
			iov[count++] = (struct iovec){ p->payload, p->len };
	}
	return p ? 0 : count;
}

// The TCP checksum of p, whose IP header has `header` bytes: begun or whole.
static void sum_segment(const struct netstack *stack, const struct netstack_flow *flow,
			struct netstack_packet *packet, size_t header)
{
	uint8_t *tcp = (uint8_t *)packet->iov[0].iov_base + header;
	uint32_t sum = sum_pseudo(&flow->tuple, IPPROTO_TCP, packet->size - header);

	if (stack->offload) {
		put16(tcp + 16, sum_fold(sum));
		packet->sum_start = (uint16_t)header;
		packet->sum_offset = 16;
		return;
	}
	put16(tcp + 16, 0);
	put16(tcp + 16, (uint16_t)~sum_iov(sum, packet->iov, packet->count, header));
}

static err_t output_segment(struct netif *netif, struct pbuf *p, size_t header)
{
	struct netstack *stack = netif->state;
	struct netstack_flow *flow = stack->current;
	struct iovec iov[PIECES_MOST];
	struct netstack_packet packet = { .iov = iov, .size = p->tot_len, .ipv6 = header == IPV6_HEADER };
	const uint8_t *tcp = (const uint8_t *)p->payload + header;
	size_t headers = header + (size_t)(tcp[12] >> 4) * 4;

	packet.count = pbuf_views(p, iov);
	if (!flow || !packet.count)
		return ERR_BUF;
	if (flow->mss && packet.size - headers > flow->mss) {
		packet.segment = flow->mss;
		packet.header_size = (uint16_t)headers;
	}
	sum_segment(stack, flow, &packet, header);
	count_again(flow, get32(tcp + 4), (uint32_t)(packet.size - headers));
	flow->ack_due = false;
	give(stack, &packet);
	return ERR_OK;
}

static void finish_ipv4(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~sum_fold(sum_bytes(0, ip, IPV4_HEADER, false)));
}

err_t output_segment_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	uint8_t *ip = p->payload;

	(void)to;
	ip[6] |= 0x40;	// don't fragment, as every kernel's TCP says
	finish_ipv4(ip);
	return output_segment(netif, p, IPV4_HEADER);
}

err_t output_segment_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	(void)to;
	return output_segment(netif, p, IPV6_HEADER);
}

// --- our own ----------------------------------------------------------------

size_t letter_header(struct netstack *stack, const struct letter *letter, size_t size, uint8_t *ip)
{
	const struct tuple *from = &letter->from;
	uint8_t ttl = letter->ttl ? letter->ttl : 64;

	if (from->ipv6) {
		put32(ip, 6U << 28 | (uint32_t)letter->tos << 20);
		put16(ip + 4, (uint16_t)size);
		ip[6] = letter->protocol;
		ip[7] = ttl;
		memcpy(ip + 8, from->peer, 16);
		memcpy(ip + 24, from->app, 16);
		return IPV6_HEADER;
	}
	ip[0] = 0x45;
	ip[1] = letter->tos;
	put16(ip + 2, (uint16_t)(IPV4_HEADER + size));
	put16(ip + 4, stack->ip_id++);
	put16(ip + 6, letter->dont_fragment ? 0x4000 : 0);
	ip[8] = ttl;
	ip[9] = letter->protocol;
	memcpy(ip + 12, from->peer, 4);
	memcpy(ip + 16, from->app, 4);
	finish_ipv4(ip);
	return IPV4_HEADER;
}

static void send_piece(struct netstack *stack, const struct letter *letter, uint8_t *header,
		       size_t header_size, const uint8_t *bytes, size_t size)
{
	struct iovec iov[2] = {
		{ header, header_size },
		{ (void *)bytes, size },
	};
	struct netstack_packet packet = {
		.iov = iov, .count = size ? 2 : 1, .size = header_size + size,
		.ipv6 = letter->from.ipv6,
	};

	give(stack, &packet);
}

// RFC 791 3.2: all fragments but the last carry a multiple of 8 bytes.
static void send_fragments_v4(struct netstack *stack, const struct letter *letter,
			      const uint8_t *bytes, size_t size)
{
	size_t step = (stack->mtu - (size_t)IPV4_HEADER) / 8 * 8;
	uint16_t id = stack->ip_id;
	uint8_t header[IPV4_HEADER];

	for (size_t at = 0; at < size; at += step) {
		size_t part = size - at < step ? size - at : step;

		letter_header(stack, letter, part, header);
		put16(header + 4, id);
		put16(header + 6, (uint16_t)(at / 8 | (at + part < size ? 0x2000 : 0)));
		finish_ipv4(header);
		send_piece(stack, letter, header, sizeof(header), bytes + at, part);
	}
}

// RFC 8200 4.5.
static void send_fragments_v6(struct netstack *stack, const struct letter *letter,
			      const uint8_t *bytes, size_t size)
{
	size_t step = (stack->mtu - (size_t)IPV6_HEADER - 8) / 8 * 8;
	struct letter outer = *letter;
	uint32_t id = netstack_random();
	uint8_t header[IPV6_HEADER + 8];

	outer.protocol = IPPROTO_FRAGMENT;
	for (size_t at = 0; at < size; at += step) {
		size_t part = size - at < step ? size - at : step;

		letter_header(stack, &outer, 8 + part, header);
		header[IPV6_HEADER] = letter->protocol;
		header[IPV6_HEADER + 1] = 0;
		put16(header + IPV6_HEADER + 2, (uint16_t)(at | (at + part < size)));
		put32(header + IPV6_HEADER + 4, id);
		send_piece(stack, letter, header, sizeof(header), bytes + at, part);
	}
}

void letter_send(struct netstack *stack, const struct letter *letter, const uint8_t *bytes, size_t size)
{
	uint8_t header[IPV6_HEADER];
	size_t header_size = letter->from.ipv6 ? IPV6_HEADER : IPV4_HEADER;

	if (header_size + size <= stack->mtu) {
		letter_header(stack, letter, size, header);
		send_piece(stack, letter, header, header_size, bytes, size);
	} else if (letter->from.ipv6) {
		send_fragments_v6(stack, letter, bytes, size);
	} else {
		send_fragments_v4(stack, letter, bytes, size);
	}
}
