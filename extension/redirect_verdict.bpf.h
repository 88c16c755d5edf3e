// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_verdict.bpf - is a process in?
//
// In or out by the last item of the spec that fits it; if none does, by the nearest of its
// ancestors that an item fits, so that the children of a matched process are matched.
// Kept for each process (thread group id and start time), never for a thread.

#ifndef EXTENSION_REDIRECT_VERDICT_BPF_H
#define EXTENSION_REDIRECT_VERDICT_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "extension/redirect_match.bpf.h"

volatile struct redirect_spec spec;

// A process's user and control group may change without an exec; where they lie, in
// the kernel's memory, tells that they have, and it is looked at anew.
struct verdict { u64 group, credentials; u32 generation; u8 in, inherited, padding[2]; };

static __always_inline void note(struct verdict *verdict, const struct task_struct *task)
{
	verdict->group = (u64)BPF_CORE_READ(task, cgroups, dfl_cgrp);
	verdict->credentials = (u64)BPF_CORE_READ(task, real_cred);
}

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REDIRECT_PROCESSES);
	__type(key, struct key);
	__type(value, struct verdict);
} verdicts SEC(".maps");

struct reading {
	const struct task_struct *task;
	const struct identity *identity;
	u32 bank, count;
	int opinion;			// 0 none, 1 in, -1 out
};

static long read_item(u32 i, struct reading *reading)
{
	u32 index = reading->bank * REDIRECT_ITEMS + i;
	const struct redirect_item *item;

	if (i >= reading->count)
		return 1;
	item = bpf_map_lookup_elem(&items, &index);
	if (!item)
		return 1;
	if (fits(reading->identity, item, (u64)reading->task))
		reading->opinion = item->exclude ? -1 : 1;
	return 0;
}

struct judging {
	const struct task_struct *task;
	u32 generation, bank;
	int opinion;
};

// From a process upwards to the first of whom something is said.
static long judge_level(u32 i, struct judging *judging)
{
	const struct task_struct *task = judging->task, *parent;
	struct key key;
	const struct verdict *known;
	struct reading reading = {.task = task, .bank = judging->bank,
				  .count = spec.count[judging->bank & 1]};

	make_key(&key, task);
	known = i ? bpf_map_lookup_elem(&verdicts, &key) : NULL;
	if (known && known->generation == judging->generation) {
		judging->opinion = known->in ? 1 : -1;
		return 1;
	}
	reading.identity = identify(task, &key);
	if (reading.identity)
		bpf_loop(REDIRECT_ITEMS, read_item, &reading, 0);
	judging->opinion = reading.opinion;
	// Where all are in, ancestors have nothing to add.
	if (reading.opinion || spec.otherwise[judging->bank & 1])
		return 1;
	parent = BPF_CORE_READ(task, group_leader, real_parent);
	if (!parent || parent == task || !BPF_CORE_READ(parent, tgid) || !BPF_CORE_READ(parent, mm))
		return 1;
	judging->task = parent;
	return 0;
}

__noinline int judge(u64 whom, const struct key *of, int inherited)
{
	const struct task_struct *task = (const void *)whom;
	struct key key = {0};
	struct judging judging = {.task = task, .generation = spec.generation};
	struct verdict verdict = {.generation = judging.generation, .inherited = inherited};

	if (!of)
		return 0;
	key = *of;
	note(&verdict, task);
	judging.bank = judging.generation & 1;
	bpf_loop(inherited ? 1 : REDIRECT_LEVELS, judge_level, &judging, 0);
	verdict.in = judging.opinion ? judging.opinion > 0 : inherited || spec.otherwise[judging.bank & 1];
	bpf_map_update_elem(&verdicts, &key, &verdict, BPF_ANY);
	return verdict.in;
}

static __always_inline bool is_own(u64 task)
{
	u32 pid = number_of(task);

	for (int i = 0; i < REDIRECT_OWN; i++)
		if (pid && config.own[i] == pid)
			return true;
	return false;
}

// Nobody's are the kernel's own sockets, as of a network file system.
static __always_inline bool judge_now(const struct key *key, bool inherited)
{
	u64 task = bpf_get_current_task();
	struct verdict out = {.generation = spec.generation};

	if (!BPF_CORE_READ((const struct task_struct *)task, mm))
		return false;
	if (!is_own(task))
		return judge(task, key, inherited);
	note(&out, (const void *)task);
	bpf_map_update_elem(&verdicts, key, &out, BPF_ANY);
	return false;
}

// Is the process of the moment in? Every connect on this host pays for this, so what
// is usual is a look into one table, and memory that is read directly.
static __always_inline bool is_in(struct key *key)
{
	const struct task_struct *now = (const void *)bpf_get_current_task_btf();
	const struct verdict *known;
	bool inherited = false;

	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->start = now->group_leader->start_boottime;
	key->padding = 0;
	known = bpf_map_lookup_elem(&verdicts, key);
	if (known && known->generation == spec.generation) {
		if (known->credentials == (u64)now->real_cred && known->group == (u64)now->cgroups->dfl_cgrp)
			return known->in;
		inherited = known->inherited;
		bpf_map_delete_elem(&identities, key);
	}
	return judge_now(key, inherited);
}

#endif
