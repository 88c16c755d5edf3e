// SPDX-License-Identifier: GPL-3.0-or-later
// flow - a TCP conversation between its call and its end.
//
// This file is the only one that lets lwIP at a live pcb (call.c makes it).
// Each turn goes
//
//	flow_enter -> lwIP (its callbacks note) -> flow_leave -> flow_tell
//
// and what there is to send is sent once per turn by flow_settle. lwIP is
// given only what the app's window takes now, so that its unsent queue stays
// empty: it cannot send part of a segment, and would wait 1.5 s for a window
// of 64 KB that a slow reader never opens. A segment is as long as a
// super-packet may be, and always whole packets of the app's MSS.
//
// TIME_WAIT does not exist here: nothing is delayed on a tunnel, and the app's
// kernel keeps its own.

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "netstack/inside.h"

enum {
	WINDOW_WIDE = 0x40000000,	// congestion window: a tunnel has no congestion
	RTO_TICKS = 2,			// 1 s: the kernel behind the tunnel answers at once,
					// or delays by 200 ms; lwIP would measure its own doubts
	ORPHAN_TICKS = 120,		// 60 s in FIN_WAIT_2 after netstack_close()
};

// lwIP skips a pcb that its timer has seen, by an 8-bit count of timer calls
// that is static there. This one runs along, so that none is skipped by chance.
static uint8_t timer_calls;

struct netstack_flow *flow_make(struct netstack *stack, const struct tuple *tuple)
{
	struct netstack_flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->stack = stack;
	flow->tuple = *tuple;
	lookup_add(stack, flow);
	stack->counters.flows++;
	return flow;
}

void flow_unhash(struct netstack_flow *flow)
{
	if (!flow->is_hashed)
		return;
	LIST_REMOVE(flow, placed);
	LIST_INSERT_HEAD(&flow->stack->buckets[UNHASHED], flow, placed);
	flow->is_hashed = false;
}

void flow_touch(struct netstack_flow *flow)
{
	if (flow->is_touched)
		return;
	if (flow->is_acking)
		TAILQ_REMOVE(&flow->stack->acking, flow, touched);
	flow->is_acking = false;
	TAILQ_INSERT_TAIL(&flow->stack->touched, flow, touched);
	flow->is_touched = true;
}

void flow_empty(struct netstack_flow *flow)
{
	while (flow->first) {
		struct packet *packet = flow->first;

		flow->first = packet->next;
		packet_free(packet);
	}
	flow->last = NULL;
	flow->queued = 0;
}

void flow_bury(struct netstack_flow *flow)
{
	if (flow->state == FLOW_DEAD)
		return;
	flow->state = FLOW_DEAD;
	flow->stack->counters.flows--;
	LIST_REMOVE(flow, placed);
	if (flow->is_timed)
		LIST_REMOVE(flow, timed);
	if (flow->is_touched)
		TAILQ_REMOVE(&flow->stack->touched, flow, touched);
	if (flow->is_acking)
		TAILQ_REMOVE(&flow->stack->acking, flow, touched);
	flow->is_hashed = flow->is_timed = flow->is_touched = flow->is_acking = false;
	flow_empty(flow);
	if (flow->has_syn)
		call_forget(flow);
	flow->stack->held -= flow->ring.used;
	ring_free(&flow->ring);
}

void flow_release(struct netstack_flow *flow)
{
	flow_bury(flow);
	if (!flow->is_telling)
		free(flow);
}

// --- into lwIP and out of it ------------------------------------------------

void flow_enter(struct netstack_flow *flow)
{
	tcp_active_pcbs = flow->pcb;
	tcp_tw_pcbs = NULL;
	flow->stack->current = flow;
}

// The pcb is gone. Unread bytes outlive a good end, not a reset.
static void ended(struct netstack_flow *flow, int reason)
{
	flow->pcb = NULL;
	flow->state = FLOW_OVER;
	flow->reason = (int8_t)reason;
	flow->new_end = true;
	flow_unhash(flow);
	flow_touch(flow);
}

// lwIP is silent on the end of what it has not shown as accepted yet.
static void untold_end(struct netstack_flow *flow, int reason)
{
	if (flow->pcb && tcp_active_pcbs != flow->pcb && tcp_tw_pcbs != flow->pcb)
		ended(flow, reason);
}

static bool needs_timer(const struct netstack_flow *flow)
{
	const struct tcp_pcb *pcb = flow->pcb;

	if (flow->has_syn)
		return flow->state == FLOW_SILENT;
	if (flow->ring.oldest)
		return true;	// to give it back when idle
	if (!pcb)
		return false;
	if (pcb->unacked || pcb->unsent || (pcb->flags & (TF_ACK_DELAY | TF_CLOSEPEND)))
		return true;
	return pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT &&
	       (pcb->state != FIN_WAIT_2 || flow->let_go);
}

void flow_arm(struct netstack_flow *flow)
{
	if (flow->is_timed || !needs_timer(flow))
		return;
	LIST_INSERT_HEAD(&flow->stack->timed, flow, timed);
	flow->is_timed = true;
}

void flow_leave(struct netstack_flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb && tcp_tw_pcbs == pcb) {
		tcp_pcb_remove(&tcp_tw_pcbs, pcb);
		tcp_free(pcb);
		ended(flow, 0);
	} else if (pcb) {
		pcb->mss = flow->segment;	// a later MSS option changes nothing
		pcb->snd_wnd_max = WINDOW_WIDE;
		pcb->sa = 0;			// rto is sa / 8 + sv, doubled at each loss
		pcb->sv = RTO_TICKS;
		if (!(pcb->flags & (TF_RTO | TF_INFR)))
			pcb->cwnd = WINDOW_WIDE;
		// lwIP leaves the timer running when a probe was the last byte.
		if (!pcb->unsent || pcb->unacked)
			pcb->persist_backoff = 0;
	}
	tcp_active_pcbs = NULL;
	tcp_tw_pcbs = NULL;
	flow->stack->current = NULL;
	flow_arm(flow);
}

static void on_receive(struct netstack_flow *flow, struct pbuf *p)
{
	struct packet *packet = (struct packet *)p;

	flow->spoke = true;
	if (!p) {
		flow->got_fin = flow->new_fin = true;
		return;
	}
	flow->queued += p->len;
	flow->new_data = flow->ack_due = true;
	flow->unanswered = flow->unanswered || p->len > flow->mss ? 2 : 1;
	if (flow->last && packet_join(flow->last, packet)) {
		pbuf_free(p);
		return;
	}
	packet->next = NULL;
	if (flow->last)
		flow->last->next = packet;
	else
		flow->first = packet;
	flow->last = packet;
}

// All that lwIP tells of a pcb. `flow` is NULL once nobody wants to hear it.
err_t lwip_tcp_event(void *arg, struct tcp_pcb *pcb, enum lwip_event event, struct pbuf *p,
		     u16_t size, err_t error)
{
	struct netstack_flow *flow = arg;

	(void)pcb;
	if (!flow)
		return ERR_OK;
	switch (event) {
	case LWIP_EVENT_ACCEPT:
		flow->opened = flow->new_opened = true;
		break;
	case LWIP_EVENT_RECV:
		on_receive(flow, p);
		break;
	case LWIP_EVENT_SENT:
		flow->stack->held -= flow->ring.used;
		ring_release(&flow->ring, size);
		flow->stack->held += flow->ring.used;
		flow->new_room = true;
		break;
	case LWIP_EVENT_ERR:
		// ERR_CLSD: the last acknowledgement of an orderly end came.
		ended(flow, error == ERR_CLSD ? 0 : error == ERR_RST ? -ECONNRESET : -ETIMEDOUT);
		break;
	case LWIP_EVENT_CONNECTED:
	case LWIP_EVENT_POLL:
		break;
	}
	return ERR_OK;
}

// What lwIP made of the SYN: a pcb in SYN_RCVD, whose SYN-ACK is sent.
void flow_adopt(struct netstack_flow *flow, struct tcp_pcb *pcb)
{
	const struct netstack *stack = flow->stack;
	unsigned headers = TCP_HEADER + (flow->tuple.ipv6 ? IPV6_HEADER : IPV4_HEADER);

	flow->pcb = pcb;
	flow->state = FLOW_LIVE;
	flow->mss = flow->segment = pcb->mss;
	if (stack->offload)
		flow->segment = (uint16_t)((UINT16_MAX - headers) / pcb->mss * pcb->mss);
	tcp_arg(pcb, flow);
	tcp_nagle_disable(pcb);
	pcb->rto = RTO_TICKS;
	if (pcb->flags & TF_WND_SCALE)
		pcb->rcv_wnd = pcb->rcv_ann_wnd = stack->window;
	// A SYN-ACK's window is not scaled, so this is what it announced.
	pcb->rcv_ann_right_edge = pcb->rcv_nxt + TCPWND_MIN16(pcb->rcv_ann_wnd);
	flow->sent_to = pcb->snd_nxt;
}

static void set_addresses(const struct netstack_flow *flow, struct netif *netif)
{
	const struct tuple *tuple = &flow->tuple;
	u8_t type = tuple->ipv6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4;

	memset(&ip_data, 0, sizeof(ip_data));
	memcpy(&ip_data.current_iphdr_src, tuple->app, 16);
	memcpy(&ip_data.current_iphdr_dest, tuple->peer, 16);
	IP_SET_TYPE_VAL(ip_data.current_iphdr_src, type);
	IP_SET_TYPE_VAL(ip_data.current_iphdr_dest, type);
	ip_data.current_netif = ip_data.current_input_netif = netif;
}

void flow_input(struct netstack_flow *flow, struct packet *packet)
{
	struct netif *netif = &flow->stack->netif;

	set_addresses(flow, netif);
	tcp_input(&packet->custom.pbuf, netif);
	memset(&ip_data, 0, sizeof(ip_data));
}

void flow_abandon(struct netstack_flow *flow, bool with_reset)
{
	struct tcp_pcb *pcb = flow->pcb;

	flow_enter(flow);
	tcp_arg(pcb, NULL);
	tcp_clear_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW);
	flow->pcb = NULL;
	tcp_abandon(pcb, with_reset);
	flow_leave(flow);
	flow_release(flow);
}

// A FIN counts as a byte (RFC 9293 3.4), so one whose data fill the window is beyond it,
// and lwIP would have it sent again, after 200 ms at best. It needs no room, and kernels
// send and take it.
static bool is_fin_at_edge(const struct tcp_pcb *pcb, const struct arrival *in)
{
	uint32_t end = get32(in->bytes + 4) + (uint32_t)(in->size - (size_t)(in->bytes[12] >> 4) * 4);

	return (in->bytes[13] & (TCP_FIN | TCP_SYN | TCP_RST)) == TCP_FIN && end == pcb->rcv_nxt + pcb->rcv_wnd;
}

void flow_segment(struct netstack_flow *flow, const struct arrival *in)
{
	struct tcp_pcb *pcb = flow->pcb;
	uint32_t acked = pcb->lastack;
	bool syn = in->bytes[13] & TCP_SYN, wider = is_fin_at_edge(pcb, in);
	// A SYN that was sent again brings nothing new but its number.
	struct packet *packet = packet_make(&flow->stack->lent, in->bytes,
					    syn ? TCP_HEADER : in->size);

	if (!packet)
		return;
	if (syn)
		packet->bytes[12] = TCP_HEADER / 4 << 4;
	flow_enter(flow);
	pcb->mss = flow->mss;	// lwIP opens the window in steps of this
	if (pcb->flags & TF_ACK_DELAY)
		flow->ack_due = true;
	tcp_clear_flags(pcb, TF_ACK_DELAY);	// or the second segment acknowledges at once
	pcb->rcv_wnd += wider;
	flow_input(flow, packet);
	untold_end(flow, -ECONNRESET);
	if (flow->pcb)
		flow->pcb->rcv_wnd -= wider;
	if (flow->pcb && flow->pcb->lastack != acked && flow->ring.used)
		flow->new_room = true;	// also when it ends inside a segment of lwIP's
	flow_leave(flow);
	flow_touch(flow);
	if (flow->let_go && flow->new_data && flow->pcb) {
		flow_abandon(flow, true);
		return;
	}
	flow_tell(flow);
}

// --- sending ----------------------------------------------------------------

// How much the app takes now: whole packets unless it is all there is.
static size_t sendable(const struct netstack_flow *flow)
{
	const struct tcp_pcb *pcb = flow->pcb;
	uint32_t flying = pcb->snd_lbb - pcb->lastack;
	size_t window = pcb->snd_wnd > flying ? pcb->snd_wnd - flying : 0;
	size_t waiting = flow->ring.used - flow->ring.written;

	assert(flow->mss > 0);
	if (pcb->unsent)
		return 0;	// lwIP is retransmitting, or probing a closed window
	if (waiting <= window)
		return waiting;
	if (window >= flow->mss)
		return window - window % flow->mss;
	if (flying)
		return 0;	// an acknowledgement will come
	return waiting < flow->mss ? waiting : flow->mss;	// for lwIP to probe with
}

static void write_out(struct netstack_flow *flow)
{
	size_t left = sendable(flow);

	while (left) {
		const uint8_t *bytes;
		size_t size = ring_unwritten(&flow->ring, &bytes);

		if (size > left)
			size = left;
		if (size > UINT16_MAX)
			size = UINT16_MAX;
		if (tcp_write(flow->pcb, bytes, (u16_t)size, size < left ? TCP_WRITE_FLAG_MORE : 0))
			return;	// no memory: the next turn tries again
		flow->ring.written += (uint32_t)size;
		left -= size;
		if (flow->unanswered)
			flow->answers = flow->unanswered == 1;
		flow->unanswered = 0;
	}
	if (flow->finish && !flow->finished && flow->ring.written == flow->ring.used)
		flow->finished = tcp_shutdown(flow->pcb, 0, 1) == ERR_OK;
}

// Where the last packet was answered at once, this one's acknowledgement may go with
// its answer too (RFC 9293 3.8.6.3): an own packet costs the app's kernel and us
// more than all else that is done for a short question. Not a second packet's,
// which the app may have held back until the first is acknowledged, and not for
// longer than no one notices.
static bool may_wait(struct netstack_flow *flow)
{
	struct netstack *stack = flow->stack;

	if (!flow->answers || flow->unanswered != 1 || flow->got_fin)
		return false;
	if (flow->is_touched || flow->is_acking)
		return true;
	TAILQ_INSERT_TAIL(&stack->acking, flow, touched);
	flow->is_acking = true;
	if (stack->ack_by == UINT64_MAX)
		stack->ack_by = stack->now + ACK_NS;
	return true;
}

// Tells the app of its window when that grew by a quarter, or if it must be
// acknowledged anyway. Before its first byte, what the SYN-ACK said will do.
static void acknowledge(struct netstack_flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;
	uint32_t grown = pcb->rcv_nxt + pcb->rcv_wnd - pcb->rcv_ann_right_edge;
	uint32_t most = pcb->flags & TF_WND_SCALE ? flow->stack->window : UINT16_MAX;

	if (!flow->spoke || (int32_t)grown < 0)
		grown = 0;
	if (grown >= most / 4 || ((flow->ack_due || (pcb->flags & TF_ACK_DELAY)) && !may_wait(flow)))
		tcp_ack_now(pcb);
}

void flow_settle(struct netstack_flow *flow)
{
	if (flow->pcb && flow->opened) {
		flow_enter(flow);
		write_out(flow);
		acknowledge(flow);
		if (flow->pcb->unsent || (flow->pcb->flags & TF_ACK_NOW))
			tcp_output(flow->pcb);
		flow_leave(flow);
	}
	if (flow->new_end)
		flow_tell(flow);
}

void flow_tick(struct netstack_flow *flow)
{
	if (flow->state == FLOW_SILENT) {
		call_tick(flow);
		return;
	}
	ring_shrink(&flow->ring);
	if (!flow->pcb)
		return;
	flow_enter(flow);
	flow->pcb->last_timer = timer_calls++;
	tcp_fasttmr();
	flow->pcb->last_timer = timer_calls++;
	tcp_slowtmr();
	untold_end(flow, -ETIMEDOUT);
	flow_leave(flow);
	if (flow->let_go && flow->pcb && flow->pcb->state == FIN_WAIT_2 && ++flow->age > ORPHAN_TICKS) {
		flow_abandon(flow, false);
		return;
	}
	flow_touch(flow);
	flow_tell(flow);
}
