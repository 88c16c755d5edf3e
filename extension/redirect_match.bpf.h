// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_match.bpf - does an item of a spec fit a process?
//
// The verifier walks through every branch, loops within loops included. So a search is one
// loop with a state, a step for each character, by bpf_loop().

#ifndef EXTENSION_REDIRECT_MATCH_BPF_H
#define EXTENSION_REDIRECT_MATCH_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "extension/redirect_identity.bpf.h"

enum { GLOB_STEPS = 8192 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * REDIRECT_ITEMS);
	__type(key, u32);
	__type(value, struct redirect_item);
} items SEC(".maps");

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

#endif
