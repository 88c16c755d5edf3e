// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_identity.bpf - who a process is: number, user, name, path, arguments, group.

#ifndef EXTENSION_REDIRECT_IDENTITY_BPF_H
#define EXTENSION_REDIRECT_IDENTITY_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "extension/redirect_config.bpf.h"
#include "extension/redirect_kernel.bpf.h"
#include "extension/redirect_shared.h"

enum { DEPTH = 48 };			// of a path, in folders

struct key { u64 start; u32 tgid, padding; };

// Texts grow from the middle downwards, so that a path can be gathered from its end.
struct identity {
	u64 start;
	u32 tgid, pid, parent, uid;
	u32 whole;			// arguments too
	u32 path_at, cgroup_at;
	u32 name_end, argument_end, arguments_size;
	char name[16];
	char arguments[REDIRECT_TEXT];
	char path[2 * REDIRECT_TEXT], cgroup[2 * REDIRECT_TEXT];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REDIRECT_IDENTITIES);
	__type(key, struct key);
	__type(value, struct identity);
} identities SEC(".maps");

static const struct identity nobody;

// Its number in the namespace that the spec's numbers are from; 0: not seen there.
__noinline u32 number_of(u64 of)
{
	const struct task_struct *task = (const void *)of;
	const struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	const void *numbers = (const void *)pid + bpf_core_field_offset(struct pid, numbers);
	u32 level = BPF_CORE_READ(pid, level);

	for (u32 i = 0; i < 8 && i <= level; i++) {
		const struct upid *upid = numbers + i * bpf_core_type_size(struct upid);

		if (BPF_CORE_READ(upid, ns, ns.inum) == config.pid_namespace)
			return BPF_CORE_READ(upid, nr);
	}
	return 0;
}

// Puts a folder's name before what is there. False at the end of the room.
static __always_inline bool prepend(char *text, u32 *at, const void *name, u32 size)
{
	u32 place;

	if (size > REDIRECT_TEXT - 2 || *at < size + 1)
		return false;
	place = (*at - size) & (REDIRECT_TEXT - 1);
	if (bpf_probe_read_kernel(text + place, size & (REDIRECT_TEXT - 1), name))
		return false;
	place = (place - 1) & (REDIRECT_TEXT - 1);
	text[place] = '/';
	*at = place;
	return true;
}

struct climb { struct identity *identity; const void *here; const struct mount *mount; };

static long climb_path(u32 i, struct climb *climb)
{
	const struct dentry *dentry = climb->here;
	const struct mount *mount = climb->mount, *above;
	struct identity *identity = climb->identity;
	u32 at = identity->path_at, size;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount)
			return 1;
		climb->here = BPF_CORE_READ(mount, mnt_mountpoint);
		climb->mount = above;
		return 0;
	}
	if (BPF_CORE_READ(dentry, d_parent) == dentry)
		return 1;
	size = BPF_CORE_READ(dentry, d_name.len);
	if (!prepend(identity->path, &at, BPF_CORE_READ(dentry, d_name.name), size))
		return 1;
	identity->path_at = at;
	climb->here = BPF_CORE_READ(dentry, d_parent);
	return 0;
}

static __always_inline void read_path(struct identity *identity, const struct task_struct *task)
{
	const struct file *file = BPF_CORE_READ(task, mm, exe_file);
	const struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct climb climb = {
		.identity = identity,
		.here = BPF_CORE_READ(file, f_path.dentry),
		.mount = (const void *)mnt - bpf_core_field_offset(struct mount, mnt),
	};

	identity->path_at = REDIRECT_TEXT - 1;
	if (mnt)
		bpf_loop(DEPTH, climb_path, &climb, 0);
}

static long climb_cgroup(u32 i, struct climb *climb)
{
	const struct kernfs_node *node = climb->here, *parent;
	struct identity *identity = climb->identity;
	u32 at = identity->cgroup_at;
	char name[REDIRECT_TEXT / 2];
	long size;

	if (bpf_core_field_exists(node->__parent))
		parent = BPF_CORE_READ(node, __parent);
	else
		parent = BPF_CORE_READ((const struct kernfs_node___before *)node, parent);
	if (!parent)
		return 1;
	size = bpf_probe_read_kernel_str(name, sizeof name, BPF_CORE_READ(node, name));
	if (size < 2 || !prepend(identity->cgroup, &at, name, size - 1))
		return 1;
	identity->cgroup_at = at;
	climb->here = parent;
	return 0;
}

static __always_inline void climb_from(struct identity *identity, const struct kernfs_node *node)
{
	struct climb climb = {.identity = identity, .here = node};

	if (node)
		bpf_loop(DEPTH, climb_cgroup, &climb, 0);
}

// Where version 2 is not in use all are in its root, and engines put what they start into
// groups of version 1, of the same path for each controller.
static __always_inline const struct kernfs_node *version_1(const struct task_struct *task)
{
	const struct css_set *set = BPF_CORE_READ(task, cgroups);
	const struct cgroup_subsys_state *state = NULL;
	u32 at;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return NULL;
	at = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	bpf_probe_read_kernel(&state, sizeof state, (const void *)set + bpf_core_field_offset(struct css_set, subsys) +
			      at * sizeof state);
	return BPF_CORE_READ(state, cgroup, kn);
}

static __always_inline void read_cgroup(struct identity *identity, const struct task_struct *task)
{
	identity->cgroup_at = REDIRECT_TEXT - 1;
	climb_from(identity, BPF_CORE_READ(task, cgroups, dfl_cgrp, kn));
	if (identity->cgroup_at == REDIRECT_TEXT - 1)
		climb_from(identity, version_1(task));
	if (identity->cgroup_at == REDIRECT_TEXT - 1) {
		identity->cgroup_at--;
		identity->cgroup[REDIRECT_TEXT - 2] = '/';
	}
}

// They lie in the process's own memory, so only a process of the moment can be asked.
static __always_inline void read_arguments(struct identity *identity, const struct mm_struct *mm)
{
	unsigned long start = BPF_CORE_READ(mm, arg_start);
	unsigned long size = BPF_CORE_READ(mm, arg_end) - start;
	long first = bpf_probe_read_user_str(identity->arguments, REDIRECT_TEXT, (const void *)start);

	identity->argument_end = first > 0 ? first - 1 : 0;
	if (size > REDIRECT_TEXT - 1)
		size = REDIRECT_TEXT - 1;
	identity->arguments_size = size;
	if (bpf_probe_read_user(identity->arguments, size & (REDIRECT_TEXT - 1), (const void *)start))
		identity->arguments_size = 0;
}

static __always_inline void make_key(struct key *key, const struct task_struct *task)
{
	key->tgid = BPF_CORE_READ(task, tgid);
	key->start = BPF_CORE_READ(task, group_leader, start_boottime);
	key->padding = 0;
}

__noinline int describe(struct identity *identity, u64 of)
{
	const struct task_struct *task = (const void *)of;
	const struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	const struct mm_struct *mm = BPF_CORE_READ(task, mm);
	const struct task_struct *now = (const void *)bpf_get_current_task();

	if (!identity)
		return 0;
	identity->pid = number_of(of);
	identity->parent = number_of((u64)BPF_CORE_READ(leader, real_parent));
	identity->uid = BPF_CORE_READ(task, real_cred, euid.val);
	identity->name_end = BPF_CORE_READ_STR_INTO(&identity->name, leader, comm) - 1;
	read_path(identity, task);
	read_cgroup(identity, task);
	if (mm && mm == BPF_CORE_READ(now, mm)) {
		read_arguments(identity, mm);
		identity->whole = 1;
	}
	return 0;
}

// Kept, since to gather it is the dear part.
static __always_inline struct identity *identify(const struct task_struct *task, const struct key *of)
{
	struct key key = *of;
	struct identity *identity = bpf_map_lookup_elem(&identities, &key);
	const struct task_struct *now = (const void *)bpf_get_current_task();

	if (identity && identity->tgid == key.tgid &&
	    (identity->whole || (u32)BPF_CORE_READ(now, tgid) != key.tgid))
		return identity;
	if (!identity) {
		bpf_map_update_elem(&identities, &key, &nobody, BPF_ANY);
		identity = bpf_map_lookup_elem(&identities, &key);
	}
	if (!identity)
		return NULL;
	describe(identity, (u64)task);
	identity->start = key.start;
	identity->tgid = key.tgid;
	return identity;
}

#endif
