// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_owner.bpf - whoever a socket belongs to, kept with it, and told in time.
//
// On its way out through the device a flow's first packet finds the owner with its
// socket and announces it, before it can be read on the other side.

#ifndef EXTENSION_REDIRECT_OWNER_BPF_H
#define EXTENSION_REDIRECT_OWNER_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "extension/redirect_identity.bpf.h"
#include "extension/redirect_kernel.bpf.h"
#include "extension/redirect_packet.bpf.h"
#include "extension/redirect_shared.h"

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

#endif
