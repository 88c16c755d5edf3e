// SPDX-License-Identifier: GPL-3.0-or-later
// memory - which executable is to be treated otherwise at which host, from now on.
//
// A bounded set of pairs: of too many the oldest is forgotten. Where it has a file,
// that keeps them across runs: a line for each, executable, tab, host.

#ifndef TUNNEL_MEMORY_H
#define TUNNEL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct memory;

enum { MEMORY_MOST = 4096, MEMORY_TEXT = 4096 };

// `path` may be NULL. The file is made, 0600, where there is none, and stays open: what
// is added later is appended to it. 0, or -errno with a sentence.
int memory_open(struct memory **out, const char *path, char *why, size_t why_size);
void memory_close(struct memory *memory);

// `executable` may be what else names a program, as a process's number. NULL is as "":
// anybody. Hosts are compared without case.
bool memory_has(const struct memory *memory, const char *executable, const char *host);
// True where it is new. What cannot be kept in a line (a tab or newline in it, or
// longer than MEMORY_TEXT) is kept for this run only.
bool memory_add(struct memory *memory, const char *executable, const char *host);

#endif
