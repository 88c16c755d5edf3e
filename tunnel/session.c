// SPDX-License-Identifier: GPL-3.0-or-later
// session - one TCP conversation: two sides, one state, one close with a reason.
//
// The app's SYN begins it. The app is answered only once the origin has
// answered; then what is said is looked at (sniff), and what is TLS, or turns to
// TLS, is opened (handshake).
//
// News only notes what happened and puts the session into the queue of the
// turn; all that moves, moves in session_step(), so no callback finds a
// session half changed. session_end() is the only end.

#include "tunnel/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netstack/netstack.h"
#include "tunnel/conversation.h"
#include "tunnel/handshake.h"
#include "tunnel/log.h"
#include "tunnel/origin.h"
#include "tunnel/sniff.h"

// Monotonic ns that a state may last without news.
#define BREAK_TIME 5000000000ull
#define REFUSE_TIME 5000000ull

int sessions_open(struct sessions **out, const struct session_parts *parts)
{
	struct sessions *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->events = parts->events;
	all->tap = parts->tap;
	all->house = parts->house;
	all->policy = parts->policy;
	all->fingerprints = parts->fingerprints;
	all->queue_end = &all->queue;
	all->next_deadline = SESSION_EVER;
	*out = all;
	return 0;
}

void sessions_close(struct sessions *all)
{
	if (!all)
		return;
	while (all->first)
		session_end(all->first, FLOW_TAP_ENDED);
	sessions_pump(all);
	free(all);
}

// --- calling ----------------------------------------------------------------

static void refuse(struct session *s, int error)
{
	struct wire *app = &s->relay.wire[APP];

	// While the app is still inside connect(2) the kernel passes over an ICMP
	// error, and the app would only learn of it at its next SYN, a second
	// later. A router would have taken longer.
	if (origin_refusal(error) != NETSTACK_RESET && s->state == CALLING) {
		s->refused = error;
		session_state(s, REFUSED, REFUSE_TIME);
		return;
	}
	s->record->verdict = origin_verdict(error);
	if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
		s->record->verdict = FLOW_FAILED;
		flow_reason(s->record, "apptap has no descriptor or memory left for it");
		log_error("a connection was refused: %s; raise ulimit -n", strerror(error));
	} else if (s->record->verdict == FLOW_UNREACHABLE) {
		flow_reason(s->record, strerror(error));
	}
	netstack_refuse(app->flow, origin_refusal(error));
	app->flow = NULL;
	session_end(s, FLOW_NEVER_OPENED);
}

static void step_calling(struct session *s)
{
	struct wire *app = &s->relay.wire[APP], *origin = &s->relay.wire[ORIGIN];

	if (!app->flow) {
		s->record->verdict = FLOW_WITHDRAWN;
		session_end(s, FLOW_NEVER_OPENED);
		return;
	}
	if (!origin->writable)
		return;
	int error = origin_result(origin->fd);
	if (error) {
		refuse(s, -error);
		return;
	}
	session_state(s, ANSWERED, SESSION_EVER);
	error = netstack_answer(app->flow);
	if (error)
		refuse(s, -error);
}

static void step_refused(struct session *s)
{
	(void)s;	// the time moves it on: overdue()
}

// The app's ACK moves it on (session_opened), or its RST, where it had given up
// meanwhile: of a connect that is given up the kernel says nothing.
static void step_answered(struct session *s)
{
	if (s->relay.wire[APP].flow)
		return;
	s->record->verdict = FLOW_WITHDRAWN;
	session_end(s, FLOW_NEVER_OPENED);
}

void session_opened(void *session)
{
	struct session *s = session;

	session_state(s, SNIFFING, SESSION_EVER);
	session_touch(s);
}

// --- relaying ---------------------------------------------------------------

static enum flow_close broken_by(const struct session *s)
{
	int app = s->relay.wire[APP].error;

	if (app == -ETIMEDOUT)
		return FLOW_APP_SILENT;
	return app ? FLOW_RESET_BY_APP : FLOW_RESET_BY_ORIGIN;
}

static void step_relaying(struct session *s)
{
	if (s->all->paused)
		return;
	enum relay_state state = relay_pump(&s->relay);

	if (s->opened && !s->used && s->relay.from[APP].plain)
		handshake_used(s);
	switch (state) {
	case RELAY_WAITING:
		return;
	case RELAY_MORE:
		s->all->progress++;
		session_touch(s);
		return;
	case RELAY_OVER:
		handshake_left(s);
		session_end(s, FLOW_FINISHED);
		return;
	case RELAY_BROKEN:
		handshake_left(s);
		if (broken_by(s) != FLOW_RESET_BY_ORIGIN || !s->relay.wire[APP].flow) {
			session_end(s, broken_by(s));
			return;
		}
		session_state(s, BREAKING, BREAK_TIME);
		session_touch(s);
		return;
	}
}

// What the origin sent before it broke is still in the socket: the app gets it
// first, as it would have, and the RST after it. So with an alert that was passed on.
static void step_breaking(struct session *s)
{
	struct wire *app = &s->relay.wire[APP], *origin = &s->relay.wire[ORIGIN];

	if (!s->relay.tls[APP] && app->flow && origin->fd >= 0) {
		origin->error = 0;
		origin->readable = true;
		if (wire_splice(origin, app, SIZE_MAX) == 0 && !origin->ended && !origin->error)
			return;
		origin->error = -ECONNRESET;
	}
	if (s->relay.tls[APP] && tls_flush(s->relay.tls[APP]) == -EAGAIN)
		return;
	if (app->flow && netstack_unacked(app->flow))
		return;
	session_end(s, FLOW_RESET_BY_ORIGIN);
}

// --- turns ------------------------------------------------------------------

static void session_step(struct session *s)
{
	static void (*const steps[])(struct session *) = {
		[CALLING] = step_calling,
		[ANSWERED] = step_answered,
		[SNIFFING] = sniff_step,
		[SHAKING_ORIGIN] = handshake_shaking_origin,
		[CALLING_AGAIN] = handshake_calling_again,
		[SHAKING_APP] = handshake_shaking_app,
		[RELAYING] = step_relaying,
		[BREAKING] = step_breaking,
		[REFUSING] = handshake_refusing,
		[REFUSED] = step_refused,
	};

	steps[s->state](s);
}

bool sessions_pump(struct sessions *all)
{
	struct session *s = all->queue, *next;

	all->queue = NULL;
	all->queue_end = &all->queue;
	for (; s; s = next) {
		next = s->queued_next;
		s->queued = false;
		if (s->dead)
			session_free(s);
		else
			session_step(s);
	}
	return all->queue != NULL;
}

void sessions_pause(struct sessions *all, bool paused)
{
	if (all->paused == paused)
		return;
	all->paused = paused;
	if (!paused)
		for (struct session *s = all->first; s; s = s->next)
			session_touch(s);
}

uint64_t sessions_deadline(const struct sessions *all)
{
	return all->next_deadline;
}

static void overdue(struct session *s)
{
	switch (s->state) {
	case SNIFFING:
		sniff_release(s);
		return;
	case BREAKING:
		session_end(s, FLOW_RESET_BY_ORIGIN);
		return;
	case REFUSED:
		if (s->relay.wire[APP].flow)
			refuse(s, s->refused);
		else
			session_end(s, FLOW_NEVER_OPENED);
		return;
	default:
		handshake_overdue(s);
	}
}

void sessions_tick(struct sessions *all, uint64_t now)
{
	if (now < all->next_deadline)
		return;
	all->next_deadline = SESSION_EVER;
	for (struct session *s = all->first, *next; s; s = next) {
		next = s->next;
		if (s->deadline <= now && !s->queued)
			overdue(s);
		else if (s->deadline < all->next_deadline)
			all->next_deadline = s->deadline;
	}
}

size_t sessions_owing(const struct sessions *all)
{
	size_t n = 0;

	for (const struct session *s = all->first; s; s = s->next)
		n += s->relay.wire[APP].flow && !s->relay.from[APP].over && s->state > ANSWERED &&
		     s->state != REFUSED;
	return n;
}

bool sessions_any(const struct sessions *all)
{
	return all->first != NULL;
}

uint64_t sessions_progress(const struct sessions *all)
{
	uint64_t n = all->progress;

	for (const struct session *s = all->first; s; s = s->next)
		n += s->record->bytes[APP] + s->record->bytes[ORIGIN];
	return n;
}

// --- news of the stack ------------------------------------------------------

void session_call(struct sessions *all, struct netstack_flow *flow, const struct sockaddr *app,
		  const struct sockaddr *peer)
{
	struct flow *record = tap_flow(all->tap, IPPROTO_TCP, app, peer);

	// The addresses of a session that was reset in this very turn.
	if (record && record->mover) {
		session_end(record->mover, FLOW_RESET_BY_APP);
		record = tap_flow(all->tap, IPPROTO_TCP, app, peer);
	}
	struct session *s = record ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		log_error("a connection was refused: too many at once, or no memory");
		netstack_refuse(flow, NETSTACK_RESET);
		return;
	}
	s->all = all;
	s->record = record;
	record->mover = s;
	s->relay.tap = all->tap;
	struct tap *hears = tap_watches(all->tap, record) ? all->tap : NULL;
	s->relay.wire[APP] = (struct wire){.side = APP, .flow = flow, .fd = -1, .record = record, .tap = hears};
	s->relay.wire[ORIGIN] = (struct wire){.side = ORIGIN, .fd = -1, .record = record, .tap = hears};
	s->next = all->first;
	if (s->next)
		s->next->previous = s;
	all->first = s;
	netstack_own(flow, s);
	session_state(s, CALLING, SESSION_EVER);
	int error = session_call_origin(s);
	if (error)
		refuse(s, -error);
}

void session_moved(void *session)
{
	session_touch(session);
}

void session_finished(void *session)
{
	struct session *s = session;

	s->app_finished = true;
	session_touch(s);
}

void session_closed(void *session, int reason)
{
	struct session *s = session;
	struct wire *app = &s->relay.wire[APP];

	app->flow = NULL;
	if (reason)
		app->error = reason;
	else
		app->ended = true;
	session_touch(s);
}
