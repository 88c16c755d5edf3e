// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_packet.bpf - a packet's addresses, read and changed.

#ifndef EXTENSION_REDIRECT_PACKET_BPF_H
#define EXTENSION_REDIRECT_PACKET_BPF_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "extension/redirect_kernel.bpf.h"

// Addresses are moved by words.
#define WORDS __attribute__((aligned(8)))

static __always_inline bool same6(const u8 *bytes, const volatile u8 *other)
{
	const u32 *words = (const u32 *)bytes;
	const volatile u32 *others = (const volatile u32 *)other;

	return words[0] == others[0] && words[1] == others[1] && words[2] == others[2] && words[3] == others[3];
}

static __always_inline void copy6(u8 *to, const volatile u8 *from)
{
	for (int i = 0; i < 4; i++)
		((u32 *)to)[i] = ((const volatile u32 *)from)[i];
}

static __always_inline void set_loopback6(u8 *bytes)
{
	u32 *words = (u32 *)bytes;

	words[0] = words[1] = words[2] = 0;
	words[3] = bpf_htonl(1);
}

// "Any" means loopback too.
static __always_inline bool is_loopback6(const u8 *bytes)
{
	const u32 *words = (const u32 *)bytes;

	return !words[0] && !words[1] && !words[2] && (words[3] == bpf_htonl(1) || !words[3]);
}

enum {
	FROM4 = 12, TO4 = 16, SUM4 = 10, FROM6 = 8, TO6 = 24, SIZE6 = 40,
	FRAGMENT = 44, FRAGMENT_SIZE = 8,	// IPv6's extension header (RFC 8200 section 4.5)
	TCP_SUM = 16, UDP_SUM = 6, ICMP6_SUM = 2, ICMP6_SIZE = 8, PROTOCOL_ICMP6 = 58,
};

struct header {
	u8 from[16] WORDS, to[16] WORDS;
	u32 family, protocol, transport;
	u32 rest;			// of a datagram in fragments: without ports
};

static __always_inline bool read_header4(struct __sk_buff *skb, struct header *header)
{
	u8 start[20] WORDS;

	if (bpf_skb_load_bytes(skb, 0, start, sizeof start))
		return false;
	header->family = 4;
	header->protocol = start[9];
	header->transport = (start[0] & 15) * 4;
	header->rest = (start[6] & 0x1f) || start[7];
	*(u32 *)header->from = *(u32 *)(start + FROM4);
	*(u32 *)header->to = *(u32 *)(start + TO4);
	return true;
}

static __always_inline bool read_header6(struct __sk_buff *skb, struct header *header)
{
	u8 fragment[FRAGMENT_SIZE], protocol;

	header->family = 6;
	header->transport = SIZE6;
	if (bpf_skb_load_bytes(skb, 6, &protocol, 1) || bpf_skb_load_bytes(skb, FROM6, header->from, 16) ||
	    bpf_skb_load_bytes(skb, TO6, header->to, 16))
		return false;
	if (protocol == FRAGMENT) {
		if (bpf_skb_load_bytes(skb, SIZE6, fragment, sizeof fragment))
			return false;
		protocol = fragment[0];
		header->transport += FRAGMENT_SIZE;
		header->rest = fragment[2] || fragment[3] & 0xf8;
	}
	header->protocol = protocol;
	return true;
}

static __always_inline bool read_header(struct __sk_buff *skb, struct header *header)
{
	u8 first;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return false;
	if (first >> 4 == 4)
		return read_header4(skb, header);
	return first >> 4 == 6 && read_header6(skb, header);
}

static __always_inline u32 sum_of(const struct header *header)
{
	if (header->protocol == IPPROTO_TCP)
		return header->transport + TCP_SUM;
	return header->transport + (header->protocol == IPPROTO_UDP ? UDP_SUM : ICMP6_SUM);
}

// Puts another address in the place of one, and sets the checksums right.
static __always_inline void put4(struct __sk_buff *skb, const struct header *header, u32 place, u32 old, u32 new)
{
	bpf_l3_csum_replace(skb, SUM4, old, new, 4);
	if (!header->rest)
		bpf_l4_csum_replace(skb, sum_of(header), old, new, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4);
	bpf_skb_store_bytes(skb, place, &new, 4, 0);
}

static __always_inline void put6(struct __sk_buff *skb, const struct header *header, u32 place, u8 *old, u8 *new,
				 u32 flags)
{
	long difference = bpf_csum_diff((void *)old, 16, (void *)new, 16, 0);

	if (header->protocol == IPPROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	if (!header->rest && difference >= 0)
		bpf_l4_csum_replace(skb, sum_of(header), 0, difference, flags);
	bpf_skb_store_bytes(skb, place, new, 16, 0);
}

#endif
