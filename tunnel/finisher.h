// SPDX-License-Identifier: GPL-3.0-or-later
// finisher - runs a command on each file of a ring that is done, from a process of its
// own: the tap itself may start no program once it is confined.

#ifndef TUNNEL_FINISHER_H
#define TUNNEL_FINISHER_H

#include <stddef.h>

// Forks: call it while there is one thread and signals are as they were given. In the new
// process `first`, or NULL, gives up privileges; if it fails nothing is ever run. Returns
// the descriptor that takes names, a message each, or -errno with a sentence. Closing it
// ends the process, after the command that it is at and the names that it was told.
int finisher_start(const char *command, int (*first)(void *of), void *of, char *why, size_t why_size);

#endif
