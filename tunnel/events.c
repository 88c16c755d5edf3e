// SPDX-License-Identifier: GPL-3.0-or-later
// events - waits for descriptors and for a time, and tells who asked.

#include "tunnel/events.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tunnel/lull.h"

enum { EVENTS = 64 };	// of one turn
#define NEVER UINT64_MAX
#define SECOND 1000000000ull

struct events {
	int epoll, timer;
	uint64_t armed;			// when the timer ends
	struct lull lull;
	struct event time;
	struct epoll_event seen[EVENTS];
	int next, count;		// of `seen`, still to be told
};

// Edge-triggered, so that nobody has to read the timer.
static void timer_ended(struct event *event, uint32_t what)
{
	struct events *all = EVENT_OWNER(event, struct events, time);

	(void)what;
	all->armed = NEVER;
}

struct events *events_open(void)
{
	struct events *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->armed = NEVER;
	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	all->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	all->time = (struct event){.fd = all->timer, .ready = timer_ended};
	if (all->epoll >= 0 && all->timer >= 0 && !events_add(all, &all->time, EPOLLIN | EPOLLET))
		return all;
	events_close(all);
	return NULL;
}

void events_close(struct events *all)
{
	if (!all)
		return;
	if (all->timer >= 0)
		close(all->timer);
	if (all->epoll >= 0)
		close(all->epoll);
	free(all);
}

int events_add(struct events *all, struct event *event, uint32_t what)
{
	struct epoll_event e = {.events = what, .data.ptr = event};

	if (epoll_ctl(all->epoll, EPOLL_CTL_ADD, event->fd, &e))
		return -errno;
	event->added = true;
	return 0;
}

void events_remove(struct events *all, struct event *event)
{
	if (!event->added)
		return;
	event->added = false;
	(void)epoll_ctl(all->epoll, EPOLL_CTL_DEL, event->fd, NULL);
	for (int i = all->next; i < all->count; i++)
		if (all->seen[i].data.ptr == event)
			all->seen[i].data.ptr = NULL;
}

static int set_timer(struct events *all, uint64_t end)
{
	struct itimerspec time = {.it_value = {.tv_sec = (time_t)(end / SECOND), .tv_nsec = (long)(end % SECOND)}};

	if (end >= all->armed)
		return 0;
	if (timerfd_settime(all->timer, TFD_TIMER_ABSTIME, &time, NULL))
		return -errno;
	all->armed = end;
	return 0;
}

static uint64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

// As often as it gives way it has looked in vain: who counts calls can take both out.
static int look(struct events *all, uint64_t now)
{
	uint64_t end = now + LULL_LOOK;
	int n;

	while (!(n = epoll_wait(all->epoll, all->seen, EVENTS, 0))) {
		uint64_t before = now;

		sched_yield();
		now = monotonic();
		lull_gave_way(&all->lull, now, now - before);
		if (now >= end || !lull_look(&all->lull, now))
			break;
	}
	lull_looked(&all->lull, n != 0);
	return n;
}

static int look_or_sleep(struct events *all)
{
	uint64_t begin = monotonic();
	int n = lull_look(&all->lull, begin) ? look(all, begin) : 0;

	if (n)
		return n;
	n = epoll_wait(all->epoll, all->seen, EVENTS, -1);
	lull_slept(&all->lull, monotonic() - begin);
	return n;
}

int events_wait(struct events *all, uint64_t end)
{
	int error = end ? set_timer(all, end) : 0;

	all->next = all->count = 0;
	if (error)
		return error;
	int n = end ? look_or_sleep(all) : epoll_wait(all->epoll, all->seen, EVENTS, 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	all->count = n;
	return 0;
}

void events_tell(struct events *all)
{
	while (all->next < all->count) {
		struct epoll_event *e = &all->seen[all->next++];
		struct event *event = e->data.ptr;

		if (event)
			event->ready(event, e->events);
	}
}
