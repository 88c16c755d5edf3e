// SPDX-License-Identifier: GPL-3.0-or-later
// spec - which programs: "curl,!4123", read once, asked for each process.
//
// Pure. Comma separated, each item trimmed; an item is a PID (what reads as an
// unsigned 32-bit decimal number: "042" is 42; "0x10" and "-5" are text), a
// text, or a kind and its value: exe:GLOB, user:NAME, cgroup:PATH,
// child-of:PID. "!" before it excludes. At first a process is in only if the
// first item excludes (or there is none at all); then, in order, an item that
// includes is an OR, one that excludes an AND NOT. Text is looked for, case
// sensitive, in the executable's path, the process's name and argv[0].

#ifndef EXTENSION_SPEC_H
#define EXTENSION_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spec;

enum spec_kind { SPEC_PID, SPEC_TEXT, SPEC_EXE, SPEC_USER, SPEC_CGROUP, SPEC_CHILD_OF };

struct spec_item {
	enum spec_kind kind;
	bool exclude;
	uint32_t number;		// PID, CHILD_OF: the pid; USER: the uid
	const char *text;		// TEXT, EXE (a glob), CGROUP (a path, its leading / as given)
};

enum { SPEC_ITEMS_MAX = 1024, SPEC_TEXT_MAX = 255 };

// "" and NULL: all. 0, or -EINVAL with a sentence, and where in the text the
// fault is (a byte offset) in *at.
int spec_open(struct spec **out, const char *text, size_t *at, char *why, size_t why_size);
void spec_close(struct spec *spec);

size_t spec_count(const struct spec *spec);
const struct spec_item *spec_item(const struct spec *spec, size_t index);
// Is a process in before the first item is looked at?
bool spec_default(const struct spec *spec);

// What is asked for; strings may be NULL. `is_child_of` answers whether the
// process descends from `ancestor`.
struct spec_process {
	pid_t pid;
	uid_t uid;
	const char *path, *name, *argv0, *cgroup;
	bool (*is_child_of)(void *context, pid_t ancestor);
	void *context;
};
// As the kernel's half has it (redirect_match.bpf.h), over what is given: for whom there is
// no kernel to ask, which is tests.
bool spec_takes(const struct spec *spec, const struct spec_process *process);

#endif
