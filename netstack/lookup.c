// SPDX-License-Identifier: GPL-3.0-or-later
// lookup - which flow a packet belongs to.

#include "netstack/inside.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xd6e8feb86659fd93ULL);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t tuple_hash(const struct netstack *stack, const struct tuple *tuple)
{
	uint64_t word[4], hash = stack->seed;

	memcpy(word, tuple->app, 16);
	memcpy(word + 2, tuple->peer, 16);
	hash = mix(hash ^ word[0], word[1]);
	hash = mix(hash ^ word[2], word[3]);
	return mix(hash ^ ((uint64_t)tuple->app_port << 16 | tuple->peer_port), tuple->ipv6);
}

static struct flow_list *bucket(struct netstack *stack, const struct tuple *tuple)
{
	return &stack->buckets[tuple_hash(stack, tuple) % BUCKETS];
}

struct netstack_flow *lookup_find(struct netstack *stack, const struct tuple *tuple)
{
	struct netstack_flow *flow;

	for (flow = LIST_FIRST(bucket(stack, tuple)); flow; flow = LIST_NEXT(flow, placed)) {
		if (memcmp(&flow->tuple, tuple, sizeof(*tuple)) == 0)
			return flow;
	}
	return NULL;
}

void lookup_add(struct netstack *stack, struct netstack_flow *flow)
{
	LIST_INSERT_HEAD(bucket(stack, &flow->tuple), flow, placed);
	flow->is_hashed = true;
}
