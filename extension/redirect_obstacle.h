// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_obstacle - what a kernel or a caller lacks for eBPF, and what to do.

#ifndef EXTENSION_REDIRECT_OBSTACLE_H
#define EXTENSION_REDIRECT_OBSTACLE_H

#include <stddef.h>

enum redirect_obstacle_step { REDIRECT_AT_CGROUP, REDIRECT_AT_LOAD, REDIRECT_AT_DEVICE, REDIRECT_AT_ATTACH };

// Before anything is tried: capabilities, the kernel's types. 0, or -errno with
// a sentence.
int redirect_obstacle_foresee(char *why, size_t why_size);
// Keeps libbpf from talking, and what it would have said.
void redirect_obstacle_listen(void);
// Answers `error`, with a sentence.
int redirect_obstacle(enum redirect_obstacle_step step, int error, char *why, size_t why_size);

#endif
