// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_guard - resets what was on the tunnel when apptap ends, however it ends.

#ifndef EXTENSION_REDIRECT_GUARD_H
#define EXTENSION_REDIRECT_GUARD_H

#include <sys/types.h>

struct redirect_guard { int socket; pid_t pid; };

// Forks it, in the calling thread's network namespace; call it before anything is opened
// whose end matters. 0 or -errno.
int redirect_guard_open(struct redirect_guard *guard);
// The device whose sockets are meant.
void redirect_guard_tell(const struct redirect_guard *guard, int device);
// Has it do its work, and waits for it. One that is not open is fine.
void redirect_guard_close(struct redirect_guard *guard);

#endif
