// SPDX-License-Identifier: GPL-3.0-or-later
// call - the app's SYN, until the hall knows what the origin says to it.
//
// lwIP does not see the SYN before the answer. Then it meets a listener that
// is bound to the very port, whichever it is: there is one listener only, and
// it is on lwIP's list just while the SYN is given in.

#include <errno.h>
#include <stdlib.h>

#include "netstack/inside.h"

enum {
	// The kernel doubles the time between two SYNs up to 64 s, so an app
	// that was silent for longer has given up.
	SILENT_TICKS = 2 * 130,
};

static void call_open(struct netstack *stack, const struct arrival *in)
{
	size_t header = (size_t)(in->bytes[12] >> 4) * 4;
	struct sockaddr_storage app, peer;
	struct netstack_flow *flow;

	if (stack->counters.flows >= FLOWS_MOST) {
		reset_send(stack, &in->tuple, in->bytes, in->size);
		return;
	}
	flow = flow_make(stack, &in->tuple);
	if (!flow)
		return;	// the app will ask again
	flow->syn.header = malloc(header);
	if (!flow->syn.header) {
		flow_release(flow);
		return;
	}
	flow->has_syn = true;
	memcpy(flow->syn.header, in->bytes, header);
	flow->syn.size = (uint16_t)header;
	flow->syn.data = (uint16_t)(in->size - header);
	flow->isn = get32(in->bytes + 4);
	tuple_address(&flow->tuple, true, &app);
	tuple_address(&flow->tuple, false, &peer);
	flow->is_telling = true;
	stack->news->call(stack->context, flow, (struct sockaddr *)&app, (struct sockaddr *)&peer);
	flow->is_telling = false;
	if (flow->state == FLOW_DEAD)
		flow_release(flow);
}

static void withdrawn(struct netstack_flow *flow)
{
	flow->reason = -ECONNRESET;
	flow->new_end = true;
	flow->let_go = flow->let_go || flow->state == FLOW_SILENT;
	flow_unhash(flow);
	flow_tell(flow);
}

// A segment for a tuple that has no pcb; flow is NULL or calling or silent.
void call_segment(struct netstack *stack, struct netstack_flow *flow, const struct arrival *in)
{
	uint8_t flags = in->bytes[13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	uint32_t seq = get32(in->bytes + 4);

	if (flow && (flags & TCP_RST)) {
		if (seq - flow->isn <= 1)
			withdrawn(flow);
		return;
	}
	if (flow && flags == TCP_SYN && seq != flow->isn) {
		withdrawn(flow);
		flow = NULL;
	}
	if (flow) {
		flow->age = 0;
		return;
	}
	if (flags == TCP_SYN)
		call_open(stack, in);
	else if (flags & TCP_SYN && flags & TCP_FIN)
		stack->counters.malformed++;
	else if (!(flags & TCP_RST))
		reset_send(stack, &in->tuple, in->bytes, in->size);
}

void call_tick(struct netstack_flow *flow)
{
	if (++flow->age > SILENT_TICKS)
		flow_release(flow);
	else
		flow_arm(flow);
}

void call_forget(struct netstack_flow *flow)
{
	free(flow->syn.header);
	flow->has_syn = false;
	flow->ring = (struct ring){ 0 };
}

int netstack_answer(struct netstack_flow *flow)
{
	struct netstack *stack = flow->stack;
	struct packet *packet;

	if (flow->state != FLOW_CALLING)
		return -EINVAL;
	packet = packet_make(&stack->lent, flow->syn.header, flow->syn.size);
	if (!packet)
		return -ENOMEM;
	stack->listener->local_port = flow->tuple.peer_port;
	stack->listener->callback_arg = flow;
	flow_enter(flow);
	tcp_listen_pcbs.pcbs = stack->listener;
	flow_input(flow, packet);
	tcp_listen_pcbs.pcbs = NULL;
	if (!tcp_active_pcbs) {
		flow_leave(flow);
		return -ENOMEM;
	}
	call_forget(flow);
	flow_adopt(flow, tcp_active_pcbs);
	flow_leave(flow);
	return 0;
}

// The app's packet as far as an ICMP error quotes it.
static size_t quote_syn(const struct netstack_flow *flow, uint8_t *quote)
{
	struct letter letter = { .from = flow->tuple, .protocol = IPPROTO_TCP, .ttl = 64,
				 .dont_fragment = true };
	size_t header;
	uint32_t sum;
	uint8_t *tcp;

	memcpy(letter.from.app, flow->tuple.peer, 16);
	memcpy(letter.from.peer, flow->tuple.app, 16);
	header = letter_header(flow->stack, &letter, flow->syn.size + (size_t)flow->syn.data, quote);
	tcp = quote + header;
	memcpy(tcp, flow->syn.header, flow->syn.size);
	// It came with its checksum still to be made; one with data is not quoted whole.
	if (!flow->syn.data) {
		put16(tcp + 16, 0);
		sum = sum_bytes(sum_pseudo(&flow->tuple, IPPROTO_TCP, flow->syn.size), tcp, flow->syn.size, false);
		put16(tcp + 16, (uint16_t)~sum_fold(sum));
	}
	return header + flow->syn.size;
}

void netstack_refuse(struct netstack_flow *flow, enum netstack_refusal how)
{
	uint8_t quote[IPV6_HEADER + 60];
	size_t size;

	if (flow->state != FLOW_CALLING) {
		netstack_abort(flow);
		return;
	}
	if (how == NETSTACK_SILENCE) {
		flow->state = FLOW_SILENT;
		flow->let_go = true;
		flow->owner = NULL;
		flow_arm(flow);
		return;
	}
	if (how == NETSTACK_RESET) {
		reset_send(flow->stack, &flow->tuple, flow->syn.header, flow->syn.size + (size_t)flow->syn.data);
	} else {
		size = quote_syn(flow, quote);
		icmp_send(flow->stack, &flow->tuple, how, NULL, flow->stack->mtu, quote, size);
	}
	flow_release(flow);
}
