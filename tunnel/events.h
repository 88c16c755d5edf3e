// SPDX-License-Identifier: GPL-3.0-or-later
// events - waits for descriptors and for a time, and tells who asked.
//
// In ping-pong over a connection each wait costs a round trip some of its time,
// twice. So a wait is one epoll_wait without a timeout, and the time is a
// timerfd's that is set only for an earlier end than it already has: one that
// ends too early costs a turn, one set in each turn costs a call. A general
// event library keeps both worse, and hides the events' own bits, which say
// whether a short read may be trusted (wire.h).

#ifndef TUNNEL_EVENTS_H
#define TUNNEL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct events;

// The caller's, for as long as it is added. `what`: EPOLLIN and so on.
struct event {
	void (*ready)(struct event *event, uint32_t what);
	int fd;
	bool added;	// ours
};

// Small, for there is one in each conversation: whose it is, its place tells.
#define EVENT_OWNER(event, type, member) ((type *)(void *)((char *)(event) - offsetof(type, member)))

struct events *events_open(void);
void events_close(struct events *all);

// Told of `what`, level-triggered unless it has EPOLLET. 0 or -errno.
int events_add(struct events *all, struct event *event, uint32_t what);
// Told no more, not even of what was seen already. Before its descriptor is
// closed; idempotent.
void events_remove(struct events *all, struct event *event);

// Waits for the descriptors, and at most until `end` (monotonic ns, UINT64_MAX:
// for ever; 0: not at all). 0 or -errno.
int events_wait(struct events *all, uint64_t end);
// Tells of what the wait has seen. Anyone may be added and removed meanwhile.
void events_tell(struct events *all);

#endif
