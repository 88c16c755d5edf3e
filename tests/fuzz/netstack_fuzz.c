// SPDX-License-Identifier: GPL-3.0-or-later
// netstack_fuzz - packets in, while an owner does as it likes with the flows.
//
// The input is a list of steps. A step is a raw packet, a TCP segment that
// knows the numbers of its conversation (so that it gets past them), or
// something that the owner does: answer, refuse, read, write, finish, close,
// abort, let time pass. News may also be met with a call from inside.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netstack/netstack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLOWS = 8 };

struct owner {
	struct netstack_flow *flow;
	uint32_t seq, ack;	// the app's next; the stack's next, as last seen
	uint8_t mood;		// what it does from inside the news
};

static struct {
	struct netstack *stack;
	uint64_t now;
	struct owner owners[FLOWS];
	const uint8_t *data;
	size_t size;
} f;

static uint8_t take(void)
{
	if (!f.size)
		return 0;
	f.size--;
	return *f.data++;
}

static uint16_t take16(void)
{
	uint8_t high = take();

	return (uint16_t)(high << 8 | take());
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }

static void output(void *context, const struct netstack_packet *packet)
{
	size_t total = 0, header = packet->ipv6 ? 40 : 20;
	uint8_t *all = malloc(packet->size);

	(void)context;
	for (int i = 0; i < packet->count; total += packet->iov[i++].iov_len)
		memcpy(all + total, packet->iov[i].iov_base, packet->iov[i].iov_len);
	if (total != packet->size || (packet->sum_start && packet->sum_start + packet->sum_offset + 2UL > total) ||
	    (packet->segment && packet->header_size >= total))
		abort();
	if (all[packet->ipv6 ? 6 : 9] == 6 && !(all[header + 13] & 4)) {
		struct owner *owner = &f.owners[all[header + 3] % FLOWS];
		uint32_t text = (uint32_t)(total - header - (all[header + 12] >> 4) * 4UL);

		owner->ack = get32(all + header + 4) + text + ((all[header + 13] & 3) ? 1 : 0);
	}
	free(all);
}

static void gone(struct owner *owner)
{
	owner->flow = NULL;
}

static void act(struct owner *owner, uint8_t what);

static void on_call(void *context, struct netstack_flow *flow, const struct sockaddr *app,
		    const struct sockaddr *peer)
{
	struct owner *owner = &f.owners[((const uint8_t *)app)[3] % FLOWS];

	(void)context;
	(void)peer;
	if (owner->flow) {	// the same port to another peer
		netstack_refuse(flow, NETSTACK_HOST_UNREACHABLE);
		return;
	}
	owner->flow = flow;
	netstack_own(flow, owner);
	act(owner, owner->mood);
}

static void on_news(void *context)
{
	struct owner *owner = context;

	if (owner->mood & 128)
		act(owner, owner->mood);
}

static void on_closed(void *context, int reason)
{
	(void)reason;
	gone(context);
}

static void on_datagram(void *context, const struct netstack_datagram *d)
{
	(void)context;
	netstack_send_datagram(f.stack, d);
	netstack_send_error(f.stack, d, 17, d->size % NETSTACK_SILENCE, NULL, 1300);
}

static void on_echo(void *context, const struct netstack_datagram *d)
{
	(void)context;
	netstack_send_echo(f.stack, d);
	netstack_send_error(f.stack, d, 1, NETSTACK_TOO_BIG, NULL, 1300);
}

static const struct netstack_news news = {
	.output = output, .call = on_call, .opened = on_news, .data = on_news, .finished = on_news,
	.room = on_news, .closed = on_closed, .datagram = on_datagram, .echo = on_echo,
};

static void read_some(struct netstack_flow *flow, size_t most)
{
	static volatile uint8_t seen;
	struct iovec iov[3];
	size_t size;
	int count = netstack_peek(flow, iov, 3, &size);

	for (int i = 0; i < count; i++)
		seen = seen + ((uint8_t *)iov[i].iov_base)[0] + ((uint8_t *)iov[i].iov_base)[iov[i].iov_len - 1];
	netstack_consume(flow, most);
}

static void write_some(struct netstack_flow *flow, size_t most)
{
	struct iovec iov[2];
	size_t size, done = 0;
	int count = netstack_reserve(flow, iov, &size);

	for (int i = 0; i < count; i++) {
		size_t part = iov[i].iov_len < most - done ? iov[i].iov_len : most - done;

		memset(iov[i].iov_base, 1, part);
		done += part;
	}
	netstack_commit(flow, done);
	if (netstack_unacked(flow) > 1 << 20)
		abort();
}

static void act(struct owner *owner, uint8_t what)
{
	struct netstack_flow *flow = owner->flow;

	if (!flow)
		return;
	switch (what & 15) {
	case 0: case 1: case 2:
		netstack_answer(flow);
		break;
	case 3:
		gone(owner);
		netstack_refuse(flow, (what >> 4) % 7);
		break;
	case 4: case 5: case 6:
		read_some(flow, (size_t)1 << (what >> 4));
		break;
	case 7: case 8: case 9:
		write_some(flow, (size_t)3 << (what >> 4));
		break;
	case 10:
		netstack_finish(flow);
		break;
	case 11:
		gone(owner);
		netstack_close(flow);
		break;
	case 12:
		gone(owner);
		netstack_abort(flow);
		break;
	default:
		break;
	}
}

static void segment(uint8_t which)
{
	uint8_t *packet = netstack_lend(f.stack);
	struct owner *owner = &f.owners[which % FLOWS];
	bool ipv6 = which & 8;
	uint8_t flags = take(), options = take() & 7, how = take();
	size_t ip = ipv6 ? 40 : 20, header = 20 + options * 4UL, text = how & 1 ? take16() % 65400 : how >> 4;
	uint8_t *tcp = packet + ip;
	uint32_t ack = owner->ack;

	memset(packet, 0, 65535);
	packet[0] = ipv6 ? 0x60 : 0x45;
	if (text > 65535 - ip - header)
		text = 65535 - ip - header;
	if (ipv6) {
		put16(packet + 4, (uint32_t)(header + text));
		packet[6] = 6;
		packet[8] = packet[24] = 0xfd;
	} else {
		put16(packet + 2, (uint32_t)(ip + header + text));
		packet[9] = 6;
		packet[12] = packet[16] = 10;
	}
	if (how & 2)	// only part of it is acknowledged, or too much
		ack -= take16();
	put16(tcp, 0x100 + which % FLOWS);
	put16(tcp + 2, 80);
	put32(tcp + 4, owner->seq + (how & 4 ? (uint32_t)(int8_t)take() : 0));
	put32(tcp + 8, ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, how & 8 ? take16() : 4096);
	for (size_t i = 0; i < options * 4UL; i++)
		tcp[20 + i] = take();
	if (!(how & 4))
		owner->seq += (uint32_t)text + (flags & 3 ? 1 : 0);
	netstack_input(f.stack, packet, ip + header + text);
}

// UDP, echo or a fragment of either.
static void datagram(uint8_t which)
{
	static uint8_t packet[4096 + 64];
	bool ipv6 = which & 8, cut = which & 16;
	size_t ip = ipv6 ? 40 + (cut ? 8 : 0) : 20, size = take16() % 4096;
	uint8_t protocol = which & 32 ? (ipv6 ? 58 : 1) : 17, *p = packet + ip;
	uint16_t offset = cut ? take16() : 0;

	memset(packet, 0, ip + 16);
	packet[0] = ipv6 ? 0x60 : 0x45;
	if (ipv6) {
		put16(packet + 4, (uint32_t)(ip - 40 + size));
		packet[6] = cut ? 44 : protocol;
		packet[8] = packet[24] = 0xfd;
		packet[40] = protocol;	// when cut; else the datagram begins here
		if (cut)
			put16(packet + 42, offset);
	} else {
		put16(packet + 2, (uint32_t)(ip + size));
		put16(packet + 6, offset);
		packet[9] = protocol;
		packet[12] = packet[16] = 10;
	}
	p[0] = which & 32 ? (ipv6 ? 128 : 8) : 1;
	p[1] = 0;
	put16(p + 2, which & 32 ? 0 : 53);
	put16(p + 4, which & 64 ? take16() : (uint32_t)size);
	netstack_input(f.stack, packet, ip + size);
}

static void raw(bool lent)
{
	size_t size = take16() % 2048;
	uint8_t *packet;

	if (size > f.size)
		size = f.size;
	// Exactly as long, for the sanitizer to see; or where the stack wants it.
	packet = lent ? netstack_lend(f.stack) : malloc(size + 1);
	memcpy(packet, f.data, size);
	f.data += size;
	f.size -= size;
	netstack_input(f.stack, packet, size);
	if (!lent)
		free(packet);
}

static void step(void)
{
	uint8_t what = take(), which = take();

	switch (what & 7) {
	case 0:
		raw(which & 1);
		break;
	case 1: case 2:
		segment(which);
		break;
	case 3:
		datagram(which);
		break;
	case 4:
		f.owners[which % FLOWS].mood = take();
		break;
	case 5:
		f.now += 500000000;
		netstack_tick(f.stack, f.now);
		break;
	case 6:
		netstack_flush(f.stack);
		break;
	default:
		act(&f.owners[which % FLOWS], take());
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netstack_options options = { .news = &news, .now = 1 };
	uint8_t how;

	memset(&f, 0, sizeof(f));
	f.data = data;
	f.size = size;
	how = take();
	options.mtu = how & 2 ? 1500 : 9000;
	options.offload = how & 1;
	options.window = how & 4 ? 65536 : 0;
	if (netstack_open(&f.stack, &options))
		abort();
	for (int i = 0; f.size && i < 400; i++)
		step();
	netstack_flush(f.stack);
	if (how & 8)
		netstack_close_all(f.stack);
	netstack_free(f.stack);
	return 0;
}
