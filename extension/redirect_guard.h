// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_guard - resets what was on the tunnel when apptap ends, however it ends.

#ifndef EXTENSION_REDIRECT_GUARD_H
#define EXTENSION_REDIRECT_GUARD_H

#include <sys/types.h>

enum { REDIRECT_GUARDS = 2 };

// A descriptor is readable when that guard is no more.
struct redirect_guard { int sockets[REDIRECT_GUARDS]; pid_t pids[REDIRECT_GUARDS]; };

// Forks them, in the calling thread's network namespace; call it before anything is opened
// whose end matters. 0 or -errno; to be closed all the same.
void redirect_guard_init(struct redirect_guard *guard);
int redirect_guard_open(struct redirect_guard *guard);
// The device whose sockets are meant.
void redirect_guard_tell(const struct redirect_guard *guard, int device);
// Has them do their work, and waits for it. What is not open is fine.
void redirect_guard_close(struct redirect_guard *guard);

#endif
