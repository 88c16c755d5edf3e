// SPDX-License-Identifier: GPL-3.0-or-later
// redirect.bpf - the kernel's half: whose socket goes onto the tunnel, and who that is.
//
// Asked at connect, and at the first send of a socket that is not connected, the
// earliest where a destination is known. A socket bound to the device there
// leaves by it from its first packet on, and a listener, which does neither, stays
// reachable. Nothing is ever refused: every hook lets the call go on.
//
// Whether a process is in is the matter of redirect_verdict.bpf.h. A child takes its parent's verdict along at the fork,
// since the parent may be gone when the child is asked about; an exec is looked
// at anew, but keeps what was inherited.
//
// Two kinds of destination need a stand-in between hook and device. A datagram's
// device is fixed before its hook is asked, so a socket's first one, which is where it
// is bound, would go out the old way: it is sent to an address that leads to the
// device by route. And ::1 may not come in by a device that is not loopback. On the
// way out of the device the true address is put back, and on the way in the stand-in
// for ::1; a program that asks for its peer's name is told the true one. So is one
// that asks for its own: the host's address, not the device's.
//
// Whoever a socket belongs to is kept with the socket. On its way out through
// the device a flow's first packet finds it there and announces it, before
// it can be read on the other side.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "extension/redirect_packet.bpf.h"
#include "extension/redirect_shared.h"
#include "extension/redirect_verdict.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	ALLOW = 1,
	SOCKET_STREAM = 1, SOCKET_DGRAM = 2,
	LEVEL_SOCKET = 1, OPTION_BIND_TO_DEVICE = 25,
	LOCK_BINDPORT = 8,		// SOCK_BINDPORT_LOCK
	TCP_FLAGS = 13, TCP_SYN = 2, TCP_ACK = 16,
};

struct owned {
	struct redirect_record record;
	u32 announced;
	u8 peer[16] WORDS;		// what entry4 or entry6 stands for
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct owned);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, REDIRECT_RING);
} owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REDIRECT_OUTSIDERS);
	__type(key, struct key);
	__type(value, u32);
} outsiders SEC(".maps");

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

// --- as processes come and go -----------------------------------------------------

SEC("tp_btf/sched_process_fork")
int BPF_PROG(forked, struct task_struct *unused, struct task_struct *child)
{
	const struct task_struct *parent = (const void *)bpf_get_current_task();
	struct verdict verdict = {.generation = spec.generation, .in = 1, .inherited = 1};
	struct key key;

	// A thread, or one that needs no parent to be in.
	if (BPF_CORE_READ(parent, tgid) == BPF_CORE_READ(child, tgid) ||
	    spec.otherwise[verdict.generation & 1] || !BPF_CORE_READ(parent, mm))
		return 0;
	if (!is_in(&key))
		return 0;
	make_key(&key, child);
	note(&verdict, child);
	bpf_map_update_elem(&verdicts, &key, &verdict, BPF_ANY);
	return 0;
}

// What was in stays in, as its child would have: a wrapper that ends in an exec is
// no other than one that ends in a fork. Unless the spec excludes what it became.
// Asked at each exec, since at the next one nobody can say what was before.
SEC("tp_btf/sched_process_exec")
int BPF_PROG(executed)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	const struct verdict *known;
	u32 generation = spec.generation;
	struct key key;

	make_key(&key, task);
	known = bpf_map_lookup_elem(&verdicts, &key);
	bpf_map_delete_elem(&identities, &key);
	if (!spec.otherwise[generation & 1])
		judge((u64)task, &key, known && known->generation == generation && known->in);
	else if (known)
		bpf_map_delete_elem(&verdicts, &key);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exited)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	struct key key;

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	make_key(&key, task);
	bpf_map_delete_elem(&verdicts, &key);
	bpf_map_delete_elem(&identities, &key);
	return 0;
}

// --- where to -------------------------------------------------------------------

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

// --- onto the tunnel --------------------------------------------------------------

static __noinline bool bind_to(struct bpf_sock_addr *ctx, bool device)
{
	char name[16] = "";

	for (u32 i = 0; device && i < sizeof name; i++)
		name[i] = config.name[i];
	return !bpf_setsockopt(ctx, LEVEL_SOCKET, OPTION_BIND_TO_DEVICE, name, sizeof name);
}

static __always_inline void fill(struct redirect_record *record, const struct identity *identity)
{
	record->start = identity->start;
	record->tgid = identity->tgid;
	record->pid = identity->pid;
	record->parent = identity->parent;
	record->uid = identity->uid;
	record->arguments_size = identity->arguments_size;
	__builtin_memcpy(record->name, identity->name, sizeof record->name);
	bpf_probe_read_kernel(record->path, REDIRECT_TEXT,
			      identity->path + (identity->path_at & (REDIRECT_TEXT - 1)));
	bpf_probe_read_kernel(record->cgroup, REDIRECT_TEXT,
			      identity->cgroup + (identity->cgroup_at & (REDIRECT_TEXT - 1)));
	bpf_probe_read_kernel(record->arguments, REDIRECT_TEXT, identity->arguments);
}

static __noinline struct owned *own(struct bpf_sock_addr *ctx, const struct task_struct *task, const struct key *key)
{
	struct owned *owned;
	const struct identity *identity;

	if (!ctx->sk)
		return NULL;
	owned = bpf_sk_storage_get(&sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!owned)
		return NULL;
	identity = identify(task, key);
	if (!identity)
		return owned->record.tgid ? owned : NULL;
	if (owned->record.tgid != identity->tgid || owned->record.start != identity->start) {
		fill(&owned->record, identity);
		owned->announced = 0;
	}
	return owned;
}

// A fixed port is a server's: what it sends are answers, and what it is to receive
// comes by other devices. A connect says otherwise.
static __always_inline bool serves(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *socket = ctx->sk;
	const struct sock *sk = NULL;

	// The view that a hook is given lacks this; its address does not.
	bpf_probe_read_kernel(&sk, sizeof sk, &socket);
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & LOCK_BINDPORT;
}

// One from ::1 cannot be answered by another device.
static __always_inline bool comes_from_loopback6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return ctx->family == 10 && sk && !sk->src_ip6[0] && !sk->src_ip6[1] && !sk->src_ip6[2] &&
	       sk->src_ip6[3] == bpf_htonl(1);
}

// It would have been taken, were it not in another network namespace. Said once; with no
// room to say it, not at all.
static __noinline int tell_of_outsider(const struct task_struct *task, const struct key *key)
{
	const struct identity *identity;
	struct redirect_record *record;
	u32 told = 1;

	if (bpf_map_lookup_elem(&outsiders, key))
		return 0;
	identity = identify(task, key);
	record = identity ? bpf_ringbuf_reserve(&owners, sizeof *record, 0) : NULL;
	if (!record)
		return 0;
	__builtin_memset(record, 0, sizeof *record);
	fill(record, identity);
	bpf_ringbuf_submit(record, 0);
	bpf_map_update_elem(&outsiders, key, &told, BPF_ANY);
	return 0;
}

static __always_inline bool is_ours_to_ask(struct bpf_sock_addr *ctx)
{
	u32 device;

	if (!(ctx->type == SOCKET_STREAM && ctx->protocol == IPPROTO_TCP) &&
	    !(ctx->type == SOCKET_DGRAM && ctx->protocol == IPPROTO_UDP))
		return false;
	device = ctx->sk->bound_dev_if;
	return !device || device == config.device;
}

static __always_inline bool wants(struct bpf_sock_addr *ctx, const struct destination *to, bool sending,
				  struct key *key)
{
	if (!(to->family == 4 ? chosen4(to) : chosen6(to)) || !is_in(key))
		return false;
	if (sending && !ctx->sk->bound_dev_if && serves(ctx))
		return false;
	return to->family == 4 || !comes_from_loopback6(ctx);
}

// True where the socket is on the device now; `to` is then where it is to go.
static __always_inline bool consider(struct bpf_sock_addr *ctx, struct destination *to, bool sending)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	struct owned *owned;
	struct key key;
	bool bound;

	if (!ctx->sk)
		return false;
	if (bpf_get_netns_cookie(ctx) != config.netns) {
		if (is_in(&key))
			tell_of_outsider(task, &key);
		return false;
	}
	if (!is_ours_to_ask(ctx))
		return false;
	bound = ctx->sk->bound_dev_if;
	if (!wants(ctx, to, sending, &key)) {
		// Was ours, for another destination or under another spec. A datagram of
		// the moment still goes out by the device.
		if (bound && bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0))
			bind_to(ctx, false);
		return false;
	}
	owned = own(ctx, task, &key);
	if (!owned || (!bound && !bind_to(ctx, true)))
		return false;
	if (!sending || !owned->record.any)
		owned->announced = 0;
	owned->record.any = sending;
	// "Any" means this host.
	if (to->family == 4 && !*(u32 *)to->bytes)
		*(u32 *)to->bytes = bpf_htonl(0x7f000001);
	else if (to->family == 6 && is_loopback6(to->bytes))
		set_loopback6(to->bytes);
	copy6(owned->peer, to->bytes);
	if (sending && !bound)
		copy6(to->bytes, to->family == 4 ? config.entry4 : config.entry6);
	else if (to->family == 6 && is_loopback6(to->bytes))
		copy6(to->bytes, config.local6);
	return true;
}

static __always_inline int consider4(struct bpf_sock_addr *ctx, bool sending)
{
	struct destination to = {.family = 4};

	*(u32 *)to.bytes = ctx->user_ip4;
	if (consider(ctx, &to, sending))
		ctx->user_ip4 = *(u32 *)to.bytes;
	return ALLOW;
}

static __always_inline void read6(const struct bpf_sock_addr *ctx, u32 *words)
{
	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
}

static __always_inline void write6(struct bpf_sock_addr *ctx, const u32 *words)
{
	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
}

static __always_inline int consider6(struct bpf_sock_addr *ctx, bool sending)
{
	struct destination to = {.family = 6};
	u32 *words = (u32 *)to.bytes;

	read6(ctx, words);
	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff)) {
		to.family = 4;
		words[0] = words[3];
		if (consider(ctx, &to, sending))
			ctx->user_ip6[3] = words[0];
		return ALLOW;
	}
	if (consider(ctx, &to, sending))
		write6(ctx, words);
	return ALLOW;
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx) { return consider4(ctx, false); }
SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *ctx) { return consider6(ctx, false); }
SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *ctx) { return consider4(ctx, true); }
SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *ctx) { return consider6(ctx, true); }

// --- what a program is told -------------------------------------------------------

// The host's address for the device's; for a peer on loopback, loopback's.
static __always_inline u32 told4(const struct bpf_sock_addr *ctx, u32 address)
{
	if (address != *(volatile u32 *)config.own4 || bpf_get_netns_cookie((void *)ctx) != config.netns)
		return address;
	if (ctx->sk && (ctx->sk->dst_ip4 & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000))
		return bpf_htonl(0x7f000001);
	return *(volatile u32 *)config.main4;
}

SEC("cgroup/getsockname4")
int getsockname4(struct bpf_sock_addr *ctx)
{
	u32 address = ctx->user_ip4;

	ctx->user_ip4 = told4(ctx, address);
	return ALLOW;
}

SEC("cgroup/getsockname6")
int getsockname6(struct bpf_sock_addr *ctx)
{
	u32 words[4], peer[4];

	read6(ctx, words);
	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff)) {
		ctx->user_ip6[3] = told4(ctx, words[3]);
		return ALLOW;
	}
	if (!same6((u8 *)words, config.own6) || bpf_get_netns_cookie(ctx) != config.netns || !ctx->sk)
		return ALLOW;
	peer[0] = ctx->sk->dst_ip6[0];
	peer[1] = ctx->sk->dst_ip6[1];
	peer[2] = ctx->sk->dst_ip6[2];
	peer[3] = ctx->sk->dst_ip6[3];
	if (same6((u8 *)peer, config.local6))
		set_loopback6((u8 *)words);
	else
		copy6((u8 *)words, config.main6);
	write6(ctx, words);
	return ALLOW;
}

static __always_inline int tell_peer6(struct bpf_sock_addr *ctx)
{
	u32 words[4];

	read6(ctx, words);
	if (same6((u8 *)words, config.local6) && bpf_get_netns_cookie(ctx) == config.netns) {
		set_loopback6((u8 *)words);
		write6(ctx, words);
	}
	return ALLOW;
}

SEC("cgroup/getpeername6") int getpeername6(struct bpf_sock_addr *ctx) { return tell_peer6(ctx); }
SEC("cgroup/recvmsg6") int recvmsg6(struct bpf_sock_addr *ctx) { return tell_peer6(ctx); }

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

static __noinline bool announce(struct __sk_buff *skb, const struct header *header, struct owned *owned)
{
	struct redirect_record *record;
	u16 ports[2];

	if (header->rest || bpf_skb_load_bytes(skb, header->transport, ports, sizeof ports))
		return false;
	record = bpf_ringbuf_reserve(&owners, sizeof *record, 0);
	if (!record)
		return false;
	bpf_probe_read_kernel(record, sizeof *record, &owned->record);
	record->family = header->family;
	record->protocol = header->protocol;
	__builtin_memcpy(record->app, header->from, 16);
	__builtin_memcpy(record->peer, header->to, 16);
	record->app_port = ports[0];
	record->peer_port = ports[1];
	bpf_ringbuf_submit(record, 0);
	owned->announced = 1;
	return true;
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
