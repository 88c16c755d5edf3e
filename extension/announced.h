// SPDX-License-Identifier: GPL-3.0-or-later
// announced - whose flow it is, as the kernel said beforehand.

#ifndef EXTENSION_ANNOUNCED_H
#define EXTENSION_ANNOUNCED_H

#include <stdint.h>
#include <sys/socket.h>

struct announced;
struct process;

struct announced *announced_open(void);	// NULL: no memory
void announced_close(struct announced *announced);

// A `peer` of family 0: any. The process is kept (process_keep()) until it is
// forgotten, or by whoever frees it after the close.
void announced_put(struct announced *announced, int protocol, const struct sockaddr *app,
		   const struct sockaddr *peer, struct process *process);
// How many there have been.
uint64_t announced_count(const struct announced *announced);
// NULL in, NULL out. Of two that fit, the later.
struct process *announced_find(const struct announced *announced, int protocol,
			       const struct sockaddr *app, const struct sockaddr *peer);

#endif
