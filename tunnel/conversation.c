// SPDX-License-Identifier: GPL-3.0-or-later
// conversation - what a session is, for the files that move it.

#include "tunnel/conversation.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tunnel/origin.h"

enum { READY = 64 };	// of the origins' news taken at once

void session_touch(struct session *s)
{
	if (s->queued)
		return;
	s->queued = true;
	s->queued_next = NULL;
	*s->all->queue_end = s;
	s->all->queue_end = &s->queued_next;
}

void session_state(struct session *s, enum state state, uint64_t time)
{
	s->state = state;
	s->deadline = time == SESSION_EVER ? SESSION_EVER : tap_now(s->all->tap) + time;
	if (s->deadline < s->all->next_deadline)
		s->all->next_deadline = s->deadline;
	s->all->progress++;
}

// --- ends -------------------------------------------------------------------

static void unwatch(struct session *s)
{
	events_remove(s->all->events, &s->event);
}

void session_drop_tls(struct session *s)
{
	for (int side = APP; side <= ORIGIN; side++) {
		tls_close(s->relay.tls[side]);
		s->relay.tls[side] = NULL;
	}
}

void session_drop_sniff(struct session *s)
{
	s->relay.wire[ORIGIN].starttls = NULL;
	free(s->sniff);
	s->sniff = NULL;
}

// What stands in the turn's queue is freed when its turn comes.
void session_free(struct session *s)
{
	if (s->queued) {
		s->dead = true;
		return;
	}
	free(s);
}

static void session_drop(struct session *s)
{
	unwatch(s);
	session_drop_sniff(s);
	session_drop_tls(s);
	relay_close(&s->relay);
	free(s->hello);
	free(s->origin_hello);
	if (s->previous)
		s->previous->next = s->next;
	else
		s->all->first = s->next;
	if (s->next)
		s->next->previous = s->previous;
	session_free(s);
}

void session_end(struct session *s, enum flow_close close)
{
	unwatch(s);
	if (close == FLOW_FINISHED)
		wire_close(&s->relay.wire[APP]);
	else
		wire_abort(&s->relay.wire[APP]);
	// All that the app sent is the origin's, also when the tap ends first.
	if (close == FLOW_FINISHED || (close == FLOW_TAP_ENDED && s->relay.from[APP].over))
		wire_close(&s->relay.wire[ORIGIN]);
	else
		wire_abort(&s->relay.wire[ORIGIN]);
	if (s->record->verdict == FLOW_OPEN && s->state <= ANSWERED) {
		s->record->verdict = FLOW_WITHDRAWN;
		close = FLOW_NEVER_OPENED;
	} else if (s->record->verdict == FLOW_OPEN) {
		s->record->verdict = FLOW_RELAYED;
	}
	tap_end(s->all->tap, s->record, close);
	s->all->progress++;
	session_drop(s);
}

// --- the origin's socket ----------------------------------------------------

enum { LAST_WORDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI };

static void origin_event(struct event *event, uint32_t what)
{
	struct session *s = EVENT_OWNER(event, struct session, event);
	struct wire *w = &s->relay.wire[ORIGIN];

	if (what & (EPOLLIN | LAST_WORDS))
		w->readable = true;
	if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		w->writable = true;
	if (what & LAST_WORDS)
		w->to_the_end = true;
	session_touch(s);
}

// Edge-triggered, for reading and writing, once for the socket's life.
static int watch(struct session *s, int fd)
{
	struct wire *w = &s->relay.wire[ORIGIN];

	*w = (struct wire){.side = ORIGIN, .fd = fd, .record = s->record, .tap = w->tap};
	s->event = (struct event){.fd = fd, .ready = origin_event};
	return events_add(s->all->events, &s->event, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET);
}

int session_call_origin(struct session *s)
{
	int fd = origin_connect(&s->record->peer);

	if (fd < 0)
		return fd;
	return watch(s, fd);
}

void session_leave_origin(struct session *s)
{
	unwatch(s);
	wire_close(&s->relay.wire[ORIGIN]);
}

// --- relaying ---------------------------------------------------------------

void session_relay(struct session *s, enum flow_verdict verdict, const char *reason)
{
	session_drop_sniff(s);
	s->record->verdict = verdict;
	if (verdict != FLOW_OPENED) {
		tap_stays_clear(s->record);
		if (!tap_watches(s->all->tap, s->record))
			s->relay.wire[APP].tap = s->relay.wire[ORIGIN].tap = NULL;
	}
	if (reason)
		flow_reason(s->record, reason);
	tap_release(s->all->tap, s->record);
	s->relay.wire[ORIGIN].readable = true;
	session_state(s, RELAYING, SESSION_EVER);
	session_touch(s);
}
