// SPDX-License-Identifier: GPL-3.0-or-later
// netstack - the stack as a whole: opened, its turns and its ticks, closed.

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <lwip/init.h>

#include "netstack/inside.h"

enum {
	WINDOW_DEFAULT = 1024 * 1024,
	WINDOW_LEAST = 65536,	// a SYN-ACK always announces 65,535
};

static bool is_open;	// lwIP's lists are the process's

uint32_t netstack_random(void)
{
	static uint32_t pool[64];
	static size_t left;

	if (!left) {
		if (getrandom(pool, sizeof(pool), 0) != sizeof(pool))
			abort();	// cannot fail for 256 bytes (getrandom(2))
		left = 64;
	}
	return pool[--left];
}

static err_t netif_prepare(struct netif *netif)
{
	struct netstack *stack = netif->state;

	netif->mtu = stack->mtu;
	netif->output = output_segment_v4;
	netif->output_ip6 = output_segment_v6;
	return ERR_OK;
}

// A listener that is on no list; call.c lends it to lwIP for one SYN at a time.
static bool listener_make(struct netstack *stack)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);

	if (!pcb)
		return false;
	if (tcp_bind(pcb, IP_ANY_TYPE, 1) != ERR_OK) {
		tcp_abort(pcb);
		return false;
	}
	stack->listener = tcp_listen(pcb);
	if (!stack->listener)
		return false;
	tcp_listen_pcbs.pcbs = NULL;
	return true;
}

static int prepare(struct netstack *stack, const struct netstack_options *options)
{
	static bool lwip_ready;

	if (!lwip_ready)
		lwip_init();
	lwip_ready = true;
	if (!tcp_ticks)
		tcp_ticks = 1;	// 0 means "no measurement" to lwIP
	stack->buckets = calloc(BUCKETS + 1, sizeof(*stack->buckets));
	stack->scratch = malloc(UINT16_MAX + 1);
	if (!stack->buckets || !stack->scratch || !listener_make(stack))
		return -ENOMEM;
	LIST_INIT(&stack->timed);
	TAILQ_INIT(&stack->acking);
	stack->ack_by = UINT64_MAX;
	TAILQ_INIT(&stack->touched);
	stack->seed = (uint64_t)netstack_random() << 32 | netstack_random();
	stack->news = options->news;
	stack->context = options->context;
	stack->mtu = options->mtu;
	stack->offload = options->offload;
	stack->now = options->now;
	netif_add(&stack->netif, NULL, NULL, NULL, stack, netif_prepare, ip_input);
	netif_set_default(&stack->netif);
	netif_set_link_up(&stack->netif);
	netif_set_up(&stack->netif);
	return 0;
}

int netstack_open(struct netstack **out, const struct netstack_options *options)
{
	size_t window = options->window ? options->window : WINDOW_DEFAULT;
	struct netstack *stack;
	int error;

	*out = NULL;
	if (is_open)
		return -EBUSY;
	if (!options->news || options->mtu < 1280 || options->mtu > 65520)
		return -EINVAL;
	stack = calloc(1, sizeof(*stack));
	if (!stack)
		return -ENOMEM;
	is_open = true;
	stack->window = (uint32_t)(window < WINDOW_LEAST ? WINDOW_LEAST :
				   window > TCP_WND ? TCP_WND : window);
	error = prepare(stack, options);
	if (error) {
		netstack_free(stack);
		return error;
	}
	*out = stack;
	return 0;
}

void netstack_close_all(struct netstack *stack)
{
	for (size_t i = 0; i <= UNHASHED; i++)
		while (!LIST_EMPTY(&stack->buckets[i]))
			netstack_abort(LIST_FIRST(&stack->buckets[i]));
}

static void drop(struct netstack_flow *flow)
{
	if (flow->pcb)
		flow_abandon(flow, false);
	else
		flow_release(flow);
}

void netstack_free(struct netstack *stack)
{
	if (!stack)
		return;
	for (size_t i = 0; stack->buckets && i <= UNHASHED; i++)
		while (!LIST_EMPTY(&stack->buckets[i]))
			drop(LIST_FIRST(&stack->buckets[i]));
	if (stack->listener) {
		tcp_listen_pcbs.pcbs = stack->listener;
		tcp_close(stack->listener);
	}
	if (netif_default == &stack->netif)
		netif_remove(&stack->netif);
	pieces_free(stack);
	if (stack->lent)
		packet_free(stack->lent);
	packet_free_spares();
	ring_free_spares();
	free(stack->buckets);
	free(stack->scratch);
	free(stack);
	is_open = false;
}

void netstack_flush(struct netstack *stack)
{
	struct netstack_flow *flow;

	while ((flow = TAILQ_FIRST(&stack->touched))) {
		TAILQ_REMOVE(&stack->touched, flow, touched);
		flow->is_touched = false;
		flow_settle(flow);
	}
}

// --- time -------------------------------------------------------------------

uint64_t netstack_deadline(const struct netstack *stack)
{
	if (LIST_EMPTY(&stack->timed) && !pieces_waiting(stack))
		return stack->ack_by;
	// After a rest the time is not known here: a tick, at once, tells it.
	if (!stack->ticking)
		return stack->now;
	return stack->ack_by < stack->next_tick ? stack->ack_by : stack->next_tick;
}

// No answer came in time.
static void acknowledge_waiting(struct netstack *stack)
{
	struct netstack_flow *flow;

	while ((flow = TAILQ_FIRST(&stack->acking))) {
		flow_touch(flow);	// off this list
		flow->answers = false;
	}
	stack->ack_by = UINT64_MAX;
}

// One tick for the flows that wait for time to pass, and for no others.
static void tick_flows(struct netstack *stack)
{
	struct flow_list due = { .lh_first = LIST_FIRST(&stack->timed) };
	struct netstack_flow *flow;
	u32_t ticks = tcp_ticks;

	if (due.lh_first)
		due.lh_first->timed.le_prev = &due.lh_first;
	LIST_INIT(&stack->timed);
	while ((flow = LIST_FIRST(&due))) {
		LIST_REMOVE(flow, timed);
		flow->is_timed = false;
		tcp_ticks = ticks;	// each flow's call to lwIP's timer advances it
		flow_tick(flow);
	}
	tcp_ticks = ticks + 1 ? ticks + 1 : 1;
}

// Nothing moves: what was kept for the next that does is given back.
static void rest(struct netstack *stack)
{
	stack->ticking = false;
	packet_free_spares();
	ring_free_spares();
}

void netstack_tick(struct netstack *stack, uint64_t now)
{
	stack->now = now;
	if (stack->ack_by <= now)
		acknowledge_waiting(stack);
	if (LIST_EMPTY(&stack->timed) && !pieces_waiting(stack)) {
		rest(stack);
		return;
	}
	if (!stack->ticking) {
		stack->ticking = true;
		stack->next_tick = now + TICK_NS;
		return;
	}
	if (now < stack->next_tick)
		return;
	stack->next_tick = now + TICK_NS;
	tick_flows(stack);
	pieces_tick(stack);
	if (LIST_EMPTY(&stack->timed) && !pieces_waiting(stack))
		rest(stack);
}

void netstack_count(const struct netstack *stack, struct netstack_counters *out)
{
	*out = stack->counters;
}
