// SPDX-License-Identifier: GPL-3.0-or-later
// redirect.bpf - the kernel's half: whose socket goes onto the tunnel, and who that is.
//
// Asked at connect, and at the first send of a socket that is not connected, the
// earliest where a destination is known. A socket bound to the device there
// leaves by it from its first packet on, and a listener, which does neither, stays
// reachable. Nothing is ever refused: every hook lets the call go on.
//
// A verdict is kept for each process (thread group id and start time), never
// for a thread. In or out by the last item of the spec that fits it; if none does,
// by the nearest of its ancestors that an item fits, so that the children of a
// matched process are matched. A child takes its parent's verdict along at the fork,
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

#include "extension/redirect_shared.h"

char LICENSE[] SEC("license") = "GPL";

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

// Addresses are moved by words.
#define WORDS __attribute__((aligned(8)))

enum {
	ALLOW = 1,
	SOCKET_STREAM = 1, SOCKET_DGRAM = 2,
	LEVEL_SOCKET = 1, OPTION_BIND_TO_DEVICE = 25,
	LOCK_BINDPORT = 8,		// SOCK_BINDPORT_LOCK
	DEPTH = 48,			// of a path, in folders
	TCP_FLAGS = 13, TCP_SYN = 2, TCP_ACK = 16,
	GLOB_STEPS = 8192,
};

// --- the kernel's structures, as far as they are looked into ----------------------

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
struct css_set { struct cgroup *dfl_cgrp; };
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

// --- what both sides share ----------------------------------------------------

volatile struct redirect_config config;
volatile struct redirect_spec spec;

struct key { u64 start; u32 tgid, padding; };
struct verdict { u32 generation, uid; u8 in, inherited, padding[2]; };

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

struct owned {
	struct redirect_record record;
	u32 announced;
	u8 peer[16] WORDS;		// what entry4 or entry6 stands for
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * REDIRECT_ITEMS);
	__type(key, u32);
	__type(value, struct redirect_item);
} items SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REDIRECT_PROCESSES);
	__type(key, struct key);
	__type(value, struct verdict);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REDIRECT_IDENTITIES);
	__type(key, struct key);
	__type(value, struct identity);
} identities SEC(".maps");

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

static const struct identity nobody;

// --- who a process is -----------------------------------------------------------

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

static __always_inline void read_cgroup(struct identity *identity, const struct task_struct *task)
{
	struct climb climb = {
		.identity = identity,
		.here = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn),
	};

	identity->cgroup_at = REDIRECT_TEXT - 1;
	if (climb.here)
		bpf_loop(DEPTH, climb_cgroup, &climb, 0);
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

// --- what the spec says ---------------------------------------------------------

static __always_inline u8 glyph(const char *pattern, u32 at)
{
	// The compiler may know the bound and leave it out; the verifier must see it.
	asm volatile("%0 &= 255" : "+r"(at));
	return pattern[at];
}

// The verifier walks through a loop until it finds nothing new, and with numbers that it
// knows each turn is new. Of these it knows none: nothing is known of a variable.
volatile __u32 zero;

// Where it stands in both.
struct search { const char *text; const struct redirect_item *item; u32 at, end, held; };

static long search_step(u32 i, struct search *search)
{
	const struct redirect_item *item = search->item;
	u32 at = search->at + search->held, held = search->held;

	if (held >= item->size || search->at + item->size > search->end)
		return 1;
	if (glyph(search->text, at) == glyph(item->text, held)) {
		search->held++;
		return 0;
	}
	search->held = zero;
	search->at++;
	return 0;
}

static __noinline bool holds(const char *text, u32 at, u32 end, const struct redirect_item *item)
{
	struct search search = {.text = text, .item = item, .at = at + zero, .end = end, .held = zero};

	bpf_loop(REDIRECT_TEXT * REDIRECT_TEXT / 4 + REDIRECT_TEXT, search_step, &search, 0);
	return search.held >= item->size;
}

struct glob {
	const char *pattern, *text;
	u32 p, t, size, end;		// where it stands in both, and their ends
	u32 star, again;		// behind the last star, and what it has eaten
	bool starred, matched;
};

struct set { const char *pattern; u32 at, size; u8 c; bool first, inside, closed; };

static long read_set(u32 i, struct set *set)
{
	u8 low = glyph(set->pattern, set->at), high;

	if (set->at >= set->size)
		return 1;
	if (low == ']' && !set->first) {
		set->closed = true;
		return 1;
	}
	set->first = false;
	if (low == '\\')
		low = glyph(set->pattern, ++set->at);
	high = low;
	if (glyph(set->pattern, set->at + 1) == '-' && glyph(set->pattern, set->at + 2) != ']') {
		set->at += 2;
		high = glyph(set->pattern, set->at);
	}
	if (set->c >= low && set->c <= high)
		set->inside = true;
	set->at++;
	return 0;
}

// One character of text against one place of the pattern; 0: not, else how many
// bytes of the pattern that place took.
static __noinline u32 glob_place(const char *pattern, u32 p, u32 size, u8 c)
{
	struct set set = {.pattern = pattern, .at = p + 1 + zero, .size = size, .c = c, .first = true};
	u8 kind = glyph(pattern, p), next = glyph(pattern, p + 1);
	bool negated = next == '!' || next == '^';

	if (kind == '?')
		return 1;
	if (kind == '\\' && p + 1 < size)
		return next == c ? 2 : 0;
	if (kind != '[')
		return kind == c;
	set.at += negated;
	bpf_loop(REDIRECT_TEXT, read_set, &set, 0);
	if (!set.closed)
		return c == '[';	// no set after all
	return set.inside != negated ? set.at + 1 - p : 0;
}

static long glob_step(u32 i, struct glob *g)
{
	u8 at = g->p < g->size ? glyph(g->pattern, g->p) : 0;
	u32 took;

	if (at == '*') {
		g->starred = true;
		g->star = ++g->p;
		g->again = g->t;
		return 0;
	}
	if (g->t >= g->end) {
		g->matched = g->p >= g->size;
		return 1;
	}
	took = at ? glob_place(g->pattern, g->p, g->size, glyph(g->text, g->t)) : 0;
	if (took) {
		g->p += took;
		g->t++;
		return 0;
	}
	if (!g->starred)
		return 1;
	g->p = g->star;
	g->t = ++g->again;
	return 0;
}

static __always_inline bool fits_glob(const struct identity *identity, const struct redirect_item *item)
{
	struct glob glob = {
		.pattern = item->text, .size = item->size,
		.text = identity->path, .t = identity->path_at, .end = REDIRECT_TEXT - 1,
		.p = zero, .star = zero, .again = zero,
	};

	if (identity->path_at >= REDIRECT_TEXT - 1)
		return false;
	bpf_loop(GLOB_STEPS, glob_step, &glob, 0);
	return glob.matched;
}

// That group or one below it.
static __always_inline bool is_below(const struct identity *identity, const struct redirect_item *item)
{
	u32 at = identity->cgroup_at + 1, size = item->size;
	struct search search = {.text = identity->cgroup, .item = item,
				.at = at + zero, .end = at + size, .held = zero};

	if (at + size > REDIRECT_TEXT - 1)
		return false;
	// A mismatch moves it on, and then the rest is too short.
	bpf_loop(REDIRECT_TEXT, search_step, &search, 0);
	return search.held >= size && (!size || at + size == REDIRECT_TEXT - 1 ||
				       glyph(identity->cgroup, at + size) == '/');
}

struct descent { const struct task_struct *task; u32 number; bool found; };

static long descend(u32 i, struct descent *descent)
{
	const struct task_struct *from = descent->task;
	const struct task_struct *task = BPF_CORE_READ(from, group_leader, real_parent);

	if (!task || task == from || !BPF_CORE_READ(task, tgid))
		return 1;
	descent->task = task;
	if (number_of((u64)task) != descent->number)
		return 0;
	descent->found = true;
	return 1;
}

static __always_inline bool descends(const struct task_struct *task, u32 number)
{
	struct descent descent = {.task = task, .number = number};

	bpf_loop(REDIRECT_LEVELS, descend, &descent, 0);
	return descent.found;
}

static __always_inline bool fits_text(const struct identity *identity, const struct redirect_item *item)
{
	return holds(identity->path, identity->path_at, REDIRECT_TEXT - 1, item) ||
	       holds(identity->name, 0, identity->name_end, item) ||
	       holds(identity->arguments, 0, identity->argument_end, item);
}

// What is not static is verified once, by itself, and not at each call.
__noinline int fits(const struct identity *identity, const struct redirect_item *item, u64 of)
{
	const struct task_struct *task = (const void *)of;

	if (!identity || !item)
		return 0;
	switch (item->kind) {
	case REDIRECT_PID:
		return identity->pid && identity->pid == item->number;
	case REDIRECT_WORD:
		return fits_text(identity, item);
	case REDIRECT_EXE:
		return fits_glob(identity, item);
	case REDIRECT_USER:
		return identity->uid == item->number;
	case REDIRECT_CGROUP:
		return is_below(identity, item);
	case REDIRECT_CHILD_OF:
		return descends(task, item->number);
	}
	return false;
}

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

// --- the verdict ----------------------------------------------------------------

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
	struct verdict verdict = {.generation = judging.generation, .inherited = inherited,
				  .uid = BPF_CORE_READ(task, real_cred, euid.val)};

	if (!of)
		return 0;
	key = *of;
	judging.bank = judging.generation & 1;
	bpf_loop(inherited ? 1 : REDIRECT_LEVELS, judge_level, &judging, 0);
	verdict.in = judging.opinion ? judging.opinion > 0 : inherited || spec.otherwise[judging.bank & 1];
	bpf_map_update_elem(&verdicts, &key, &verdict, BPF_ANY);
	return verdict.in;
}

static __always_inline bool is_in(const struct task_struct *task, const struct key *of)
{
	struct key key = *of;
	const struct verdict *known = bpf_map_lookup_elem(&verdicts, &key);
	u32 uid = BPF_CORE_READ(task, real_cred, euid.val);
	bool inherited = false;

	if (known && known->generation == spec.generation) {
		if (known->uid == uid)
			return known->in;
		// The one thing a user: item asks that changes without an exec.
		inherited = known->inherited;
		bpf_map_delete_elem(&identities, &key);
	}
	return judge((u64)task, &key, inherited);
}

static __always_inline bool is_own(const struct task_struct *task)
{
	u32 pid = number_of((u64)task);

	for (int i = 0; i < REDIRECT_OWN; i++)
		if (pid && config.own[i] == pid)
			return true;
	return false;
}

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
	make_key(&key, parent);
	if (!is_in(parent, &key))
		return 0;
	make_key(&key, child);
	verdict.uid = BPF_CORE_READ(child, real_cred, euid.val);
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

static __always_inline bool is_loopback6(const u8 *bytes)
{
	const u32 *words = (const u32 *)bytes;

	return !words[0] && !words[1] && !words[2] && (words[3] == bpf_htonl(1) || !words[3]);
}

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

static __always_inline bool is_ours_to_ask(struct bpf_sock_addr *ctx)
{
	u32 device;

	if (!ctx->sk || bpf_get_netns_cookie(ctx) != config.netns)
		return false;
	if (!(ctx->type == SOCKET_STREAM && ctx->protocol == IPPROTO_TCP) &&
	    !(ctx->type == SOCKET_DGRAM && ctx->protocol == IPPROTO_UDP))
		return false;
	device = ctx->sk->bound_dev_if;
	return !device || device == config.device;
}

static __always_inline bool wants(struct bpf_sock_addr *ctx, const struct destination *to, bool sending,
				  const struct task_struct *task, struct key *key)
{
	if (!(to->family == 4 ? chosen4(to) : chosen6(to)))
		return false;
	// Nobody's: the kernel's own sockets, as of a network file system.
	if (!BPF_CORE_READ(task, mm) || is_own(task))
		return false;
	if (sending && !ctx->sk->bound_dev_if && serves(ctx))
		return false;
	if (to->family == 6 && comes_from_loopback6(ctx))
		return false;
	make_key(key, task);
	return is_in(task, key);
}

// True where the socket is on the device now; `to` is then where it is to go.
static __always_inline bool consider(struct bpf_sock_addr *ctx, struct destination *to, bool sending)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	struct owned *owned;
	struct key key;
	bool bound;

	if (!is_ours_to_ask(ctx))
		return false;
	bound = ctx->sk->bound_dev_if;
	if (!wants(ctx, to, sending, task, &key)) {
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

// --- packets ----------------------------------------------------------------------

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
