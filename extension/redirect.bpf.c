// SPDX-License-Identifier: GPL-3.0-or-later
// redirect.bpf - the kernel's half: whose socket goes onto the tunnel, and who that is.
//
// Asked at connect, and at the first send of a socket that is not connected, the
// earliest where a destination is known. A socket bound to the device there
// leaves by it from its first packet on, and a listener, which does neither, stays
// reachable. Nothing is ever refused: every hook lets the call go on.
//
// Whether a process is in is the matter of redirect_verdict.bpf.h. A child takes its
// parent's verdict along at the fork, since the parent may be gone when the child is
// asked about; an exec is looked at anew, but keeps what was inherited.
//
// Two kinds of destination need a stand-in between hook and device. A datagram's
// device is fixed before its hook is asked, so a socket's first one, which is where it
// is bound, would go out the old way: it is sent to an address that leads to the
// device by route. And ::1 may not come in by a device that is not loopback. On the
// way out of the device the true address is put back, and on the way in the stand-in
// for ::1; a program that asks for its peer's name is told the true one. So is one
// that asks for its own: the host's address, not the device's.
//
// One object, in parts that are all included here: which destinations
// (redirect_destination.bpf.h), whose socket (redirect_owner.bpf.h), and the packets on
// the device (redirect_passage.bpf.h).

#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "extension/redirect_config.bpf.h"
#include "extension/redirect_destination.bpf.h"
#include "extension/redirect_owner.bpf.h"
#include "extension/redirect_packet.bpf.h"
#include "extension/redirect_passage.bpf.h"
#include "extension/redirect_shared.h"
#include "extension/redirect_verdict.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	ALLOW = 1,
	SOCKET_STREAM = 1, SOCKET_DGRAM = 2,
	LEVEL_SOCKET = 1, OPTION_BIND_TO_DEVICE = 25,
	LOCK_BINDPORT = 8,		// SOCK_BINDPORT_LOCK
};

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

// --- onto the tunnel --------------------------------------------------------------

static __noinline bool bind_to(struct bpf_sock_addr *ctx, bool device)
{
	char name[16] = "";

	for (u32 i = 0; device && i < sizeof name; i++)
		name[i] = config.name[i];
	return !bpf_setsockopt(ctx, LEVEL_SOCKET, OPTION_BIND_TO_DEVICE, name, sizeof name);
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
