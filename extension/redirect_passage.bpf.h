// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_passage.bpf - packets on their way out through the device and in from it.
//
// The stand-ins that a hook gave a socket (see redirect.bpf.c) stand between it and
// the device only: out there, a packet has its true addresses.

#ifndef EXTENSION_REDIRECT_PASSAGE_BPF_H
#define EXTENSION_REDIRECT_PASSAGE_BPF_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "extension/redirect_config.bpf.h"
#include "extension/redirect_kernel.bpf.h"
#include "extension/redirect_owner.bpf.h"
#include "extension/redirect_packet.bpf.h"
#include "extension/redirect_shared.h"

enum { TCP_FLAGS = 13, TCP_SYN = 2, TCP_ACK = 16 };

// --- out through the device -------------------------------------------------------

// The true destination.
static __always_inline void restore(struct __sk_buff *skb, struct header *header, const struct owned *owned)
{
	u8 old[16] WORDS, new[16] WORDS = {0};

	copy6(old, header->to);
	if (header->family == 4) {
		if (*(u32 *)old != *(volatile u32 *)config.entry4)
			return;
		*(u32 *)header->to = *(const u32 *)owned->peer;
		put4(skb, header, TO4, *(u32 *)old, *(u32 *)header->to);
		return;
	}
	if (same6(old, config.entry6))
		copy6(new, owned->peer);
	else if (same6(old, config.local6))
		set_loopback6(new);
	else
		return;
	copy6(header->to, new);
	put6(skb, header, TO6, old, new, BPF_F_PSEUDO_HDR);
}

// Of a socket that is no more, or is about to be: ends of conversations, which
// belong to a flow that was announced. A beginning does not.
static __always_inline bool is_remnant(struct __sk_buff *skb, const struct header *header)
{
	u8 flags;

	if (header->protocol != IPPROTO_TCP || header->rest || bpf_skb_load_bytes(skb, header->transport + TCP_FLAGS, &flags, 1))
		return false;
	return (flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}

SEC("tc")
int leave(struct __sk_buff *skb)
{
	struct header header = {0};
	struct bpf_sock *sk = skb->sk;
	struct owned *owned = NULL;

	if (!read_header(skb, &header))
		return TC_ACT_SHOT;
	if (header.family == 4 ? header.to[0] >= 224 : header.to[0] == 0xff)
		return TC_ACT_SHOT;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk)
		owned = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!owned || !owned->record.tgid) {
		if (!is_remnant(skb, &header))
			return TC_ACT_SHOT;
		if (header.family == 6 && same6(header.to, config.local6))
			restore(skb, &header, (const void *)&nobody);
		return TC_ACT_OK;
	}
	restore(skb, &header, owned);
	if (!owned->announced && !announce(skb, &header, owned))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

// --- in from the device -----------------------------------------------------------

// ::1 as an error's sender, and in the packet that it speaks of.
static __always_inline void disguise(struct __sk_buff *skb, struct header *header)
{
	u8 one[16] WORDS, stand_in[16] WORDS, inner[16] WORDS;
	u32 place = SIZE6 + ICMP6_SIZE + TO6;

	set_loopback6(one);
	copy6(stand_in, config.local6);
	if (header->protocol == PROTOCOL_ICMP6 && !bpf_skb_load_bytes(skb, place, inner, 16) &&
	    is_loopback6(inner))
		put6(skb, header, place, one, stand_in, 0);
	if (is_loopback6(header->from))
		put6(skb, header, FROM6, one, stand_in, BPF_F_PSEUDO_HDR);
}

// What no socket waits for would be answered by the kernel itself, by whatever device
// leads to the peer: a reset or an error out of nowhere, on the real network.
static __always_inline bool is_awaited(struct __sk_buff *skb, const struct header *header)
{
	struct bpf_sock_tuple tuple = {0};
	u32 size = header->family == 4 ? sizeof tuple.ipv4 : sizeof tuple.ipv6;
	struct bpf_sock *sk;
	u16 ports[2];

	if (header->rest || (header->protocol != IPPROTO_TCP && header->protocol != IPPROTO_UDP))
		return true;
	if (bpf_skb_load_bytes(skb, header->transport, ports, sizeof ports))
		return false;
	if (header->family == 4) {
		tuple.ipv4.saddr = *(const u32 *)header->from;
		tuple.ipv4.daddr = *(const u32 *)header->to;
		tuple.ipv4.sport = ports[0];
		tuple.ipv4.dport = ports[1];
	} else {
		copy6((u8 *)tuple.ipv6.saddr, header->from);
		copy6((u8 *)tuple.ipv6.daddr, header->to);
		tuple.ipv6.sport = ports[0];
		tuple.ipv6.dport = ports[1];
	}
	if (header->protocol == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	bpf_sk_release(sk);
	return true;
}

SEC("tc")
int enter(struct __sk_buff *skb)
{
	struct header header = {0};

	if (!read_header(skb, &header))
		return TC_ACT_SHOT;
	if (header.family == 6) {
		disguise(skb, &header);
		if (is_loopback6(header.from))
			copy6(header.from, config.local6);
	}
	return is_awaited(skb, &header) ? TC_ACT_OK : TC_ACT_SHOT;
}

#endif
