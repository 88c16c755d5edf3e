// SPDX-License-Identifier: GPL-3.0-or-later
// owner - what a flow's owner hears, and what it may do.
//
// News is told from here only, when lwIP is not at work. While it is told the
// flow may be closed or aborted from inside: it is buried then, and its memory
// goes when the telling is over.

#include <errno.h>
#include <stdlib.h>

#include "netstack/inside.h"

enum { HELD_FREELY = 2 * 1024 * 1024 };

static bool listens(const struct netstack_flow *flow)
{
	return flow->state != FLOW_DEAD && !flow->let_go;
}

static bool is_over(const struct netstack_flow *flow)
{
	return flow->new_end && (flow->reason < 0 || !flow->first || flow->let_go);
}

// Noted as told before it is: the telling may bring the next.
#define TELL(flow, happened, news) do {				\
	bool due_ = (flow)->happened;				\
								\
	(flow)->happened = false;				\
	if (due_ && listens(flow))				\
		(news)((flow)->owner);				\
} while (0)

void flow_tell(struct netstack_flow *flow)
{
	const struct netstack_news *news = flow->stack->news;

	if (flow->is_telling)
		return;
	flow->is_telling = true;
	if (flow->reason == 0) {
		TELL(flow, new_opened, news->opened);
		TELL(flow, new_data, news->data);
		TELL(flow, new_fin, news->finished);
		TELL(flow, new_room, news->room);
	}
	if (flow->state != FLOW_DEAD && is_over(flow)) {
		flow->state = FLOW_OVER;
		if (!flow->let_go)
			news->closed(flow->owner, flow->reason);
		flow_bury(flow);
	}
	flow->is_telling = false;
	if (flow->state == FLOW_DEAD)
		free(flow);
}

// --- the door ---------------------------------------------------------------

void netstack_own(struct netstack_flow *flow, void *owner)
{
	flow->owner = owner;
}

int netstack_peek(struct netstack_flow *flow, struct iovec *iov, int most, size_t *size)
{
	int count = 0;

	for (struct packet *packet = flow->first; packet && count < most; packet = packet->next)
		iov[count++] = (struct iovec){ packet->custom.pbuf.payload, packet->custom.pbuf.len };
	if (size)
		*size = flow->queued;
	return count;
}

static void open_window(struct netstack_flow *flow, size_t size)
{
	struct tcp_pcb *pcb = flow->pcb;
	uint32_t most = pcb->flags & TF_WND_SCALE ? flow->stack->window : UINT16_MAX;

	pcb->mss = flow->mss;
	while (size) {
		u16_t part = (u16_t)(size > UINT16_MAX ? UINT16_MAX : size);

		tcp_recved(pcb, part);
		size -= part;
	}
	if (pcb->rcv_wnd > most)
		pcb->rcv_wnd = most;
	pcb->mss = flow->segment;
}

void netstack_consume(struct netstack_flow *flow, size_t size)
{
	size_t left = size < flow->queued ? size : flow->queued;

	size = left;
	while (left && flow->first) {
		struct packet *packet = flow->first;
		struct pbuf *p = &packet->custom.pbuf;
		u16_t part = (u16_t)(left < p->len ? left : p->len);

		left -= part;
		flow->queued -= part;
		pbuf_remove_header(p, part);
		if (p->len)
			break;
		flow->first = packet->next;
		if (!flow->first)
			flow->last = NULL;
		packet_free(packet);
	}
	if (flow->pcb)
		open_window(flow, size);
	flow_touch(flow);
}

bool netstack_at_end(const struct netstack_flow *flow)
{
	return flow->got_fin && !flow->first;
}

// Big reads are cheap, until the rings of all are more than a processor's cache holds:
// then each byte is fetched twice.
static size_t ring_most(const struct netstack *stack)
{
	return stack->held < HELD_FREELY ? stack->window : stack->window / 2;
}

int netstack_reserve(struct netstack_flow *flow, struct iovec iov[2], size_t *size)
{
	*size = 0;
	if (flow->state != FLOW_LIVE || flow->finish)
		return 0;
	return ring_reserve(&flow->ring, ring_most(flow->stack), iov, size);
}

int netstack_commit(struct netstack_flow *flow, size_t size)
{
	if (flow->state != FLOW_LIVE || flow->finish)
		return -EPIPE;
	if (!ring_commit(&flow->ring, size))
		return -EINVAL;
	flow->stack->held += size;
	flow_touch(flow);
	flow_arm(flow);
	return 0;
}

size_t netstack_unacked(const struct netstack_flow *flow)
{
	size_t flying;

	if (flow->has_syn)
		return 0;
	flying = flow->ring.written;
	if (flow->pcb && flow->pcb->snd_lbb - flow->pcb->lastack < flying)
		flying = flow->pcb->snd_lbb - flow->pcb->lastack;
	return flow->ring.used - flow->ring.written + flying;
}

void netstack_finish(struct netstack_flow *flow)
{
	flow->finish = true;
	flow_touch(flow);
}

void netstack_abort(struct netstack_flow *flow)
{
	if (flow->pcb)
		flow_abandon(flow, true);
	else if (flow->state == FLOW_CALLING)
		netstack_refuse(flow, NETSTACK_RESET);
	else
		flow_release(flow);
}

void netstack_close(struct netstack_flow *flow)
{
	if (!flow->pcb) {
		netstack_abort(flow);
		return;
	}
	flow->let_go = flow->finish = true;
	flow->owner = NULL;
	flow_empty(flow);
	flow_touch(flow);
	flow_arm(flow);
}
