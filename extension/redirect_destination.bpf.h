// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_destination.bpf - which destinations are on the tunnel at all, whoever asks.

#ifndef EXTENSION_REDIRECT_DESTINATION_BPF_H
#define EXTENSION_REDIRECT_DESTINATION_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "extension/redirect_config.bpf.h"
#include "extension/redirect_kernel.bpf.h"
#include "extension/redirect_packet.bpf.h"
#include "extension/redirect_shared.h"

#define PREFIXES(name, key_type) \
	struct { \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE); \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 4096); \
		__type(key, key_type); \
		__type(value, u32); \
	} name SEC(".maps")
PREFIXES(only4, struct redirect_prefix4);
PREFIXES(only6, struct redirect_prefix6);
PREFIXES(except4, struct redirect_prefix4);
PREFIXES(except6, struct redirect_prefix6);

struct destination { u8 bytes[16] WORDS; u32 family; };	// 4 or 6

static __always_inline bool listed4(void *trie, const struct destination *to)
{
	struct redirect_prefix4 key = {.size = 32};

	__builtin_memcpy(key.bytes, to->bytes, 4);
	return bpf_map_lookup_elem(trie, &key);
}

static __always_inline bool listed6(void *trie, const struct destination *to)
{
	struct redirect_prefix6 key = {.size = 128};

	__builtin_memcpy(key.bytes, to->bytes, 16);
	return bpf_map_lookup_elem(trie, &key);
}

static __always_inline bool chosen4(const struct destination *to)
{
	u8 first = to->bytes[0];

	// Multicast, reserved, and broadcast at its end.
	if (first >= 224)
		return false;
	if (config.no_loopback && (first == 127 || !first))
		return false;
	if (config.only && !listed4(&only4, to))
		return false;
	return !config.except || !listed4(&except4, to);
}

// Link-local ones mean a device, which a packet on the tunnel could not say.
static __always_inline bool chosen6(const struct destination *to)
{
	if (!config.ipv6 || to->bytes[0] == 0xff || (to->bytes[0] == 0xfe && (to->bytes[1] & 0xc0) == 0x80))
		return false;
	if (config.no_loopback && is_loopback6(to->bytes))
		return false;
	if (config.only && !listed6(&only6, to))
		return false;
	return !config.except || !listed6(&except6, to);
}

#endif
