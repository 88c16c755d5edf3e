// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_kernel.bpf - the kernel's structures, as far as they are looked into.
//
// Their layout is looked up when the programs are loaded (CO-RE), so no kernel's
// headers are needed to build them.

#ifndef EXTENSION_REDIRECT_KERNEL_BPF_H
#define EXTENSION_REDIRECT_KERNEL_BPF_H

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct qstr { union { struct { u32 hash, len; }; u64 hash_len; }; const unsigned char *name; };
struct dentry { struct dentry *d_parent; struct qstr d_name; };
struct vfsmount { struct dentry *mnt_root; };
struct mount { struct mount *mnt_parent; struct dentry *mnt_mountpoint; struct vfsmount mnt; };
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file { struct path f_path; };
struct mm_struct { unsigned long arg_start, arg_end; struct file *exe_file; };
struct ns_common { unsigned int inum; };
struct pid_namespace { struct ns_common ns; };
struct upid { int nr; struct pid_namespace *ns; };
struct pid { unsigned int level; struct upid numbers[1]; };
struct kuid { u32 val; };
struct cred { struct kuid euid; };
struct kernfs_node { const char *name; struct kernfs_node *__parent; };
struct kernfs_node___before { struct kernfs_node *parent; };
struct cgroup { struct kernfs_node *kn; };
struct cgroup_subsys_state { struct cgroup *cgroup; };
struct css_set { struct cgroup *dfl_cgrp; struct cgroup_subsys_state *subsys[1]; };
struct live { int counter; };
struct signal_struct { struct live live; };
struct task_struct {
	int tgid, pid;
	struct mm_struct *mm;
	struct task_struct *group_leader, *real_parent;
	struct signal_struct *signal;
	struct pid *thread_pid;
	const struct cred *real_cred;
	struct css_set *cgroups;
	u64 start_boottime;
	char comm[16];
};
struct sock { u8 sk_userlocks : 4; };
#pragma clang attribute pop

enum cgroup_subsys_id { pids_cgrp_id = 11 };

#endif
