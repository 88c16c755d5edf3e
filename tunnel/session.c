// SPDX-License-Identifier: GPL-3.0-or-later
// session - one TCP conversation: two sides, one state, one close with a reason.
//
// The app's SYN begins it. The app is answered only once the origin has
// answered; then the first bytes decide: a ClientHello is opened, anything
// else is relayed. Until the origin's handshake is done nothing is taken from
// the app (the hello is only looked at), so whatever cannot be opened can
// still be relayed untouched, over a second connection.
//
// News only notes what happened and puts the session into the queue of the
// turn; all that moves, moves in session_step(), so no callback finds a
// session half changed. session_end() is the only end.

#include "tunnel/session.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netstack/netstack.h"
#include "tls/hello.h"
#include "tls/tls.h"
#include "tunnel/log.h"
#include "tunnel/origin.h"
#include "tunnel/policy.h"
#include "tunnel/relay.h"
#include "tunnel/tap.h"

// What may be done in each state, and who moves it on:
enum state {
	CALLING,	// the origin's connect runs; the app waits. Origin's event.
	ANSWERED,	// the app is answered. News of the stack: opened.
	SNIFFING,	// nobody has said what it is. Bytes of either side.
	SHAKING_ORIGIN,	// TLS with the origin; the app's hello is still unread
	CALLING_AGAIN,	// could not be opened: a fresh connection to relay over
	SHAKING_APP,	// TLS with the app, as the origin's came out
	RELAYING,	// bytes both ways
	BREAKING,	// the origin broke; what it said before still goes to the app
	REFUSING,	// the app's handshake failed; the alert still goes to the app
	REFUSED,	// the origin cannot be reached; the app is told in a moment
};

// Monotonic ns that a state may last without news.
#define SNIFF_TIME 30000000000ull
#define SHAKE_TIME 60000000000ull
#define BREAK_TIME 5000000000ull
#define REFUSE_TIME 5000000ull
#define NEVER UINT64_MAX

struct session {
	struct sessions *all;
	struct session *next, *previous;	// of all
	struct session *queued_next;
	bool queued, dead, watched, origin_spoke, app_finished;
	int refused;		// REFUSED: the errno
	enum state state;
	uint64_t deadline;
	struct flow *record;
	struct relay relay;
	struct hello *hello;
	struct event event;
};

struct sessions {
	struct session_parts parts;
	struct session *first;
	struct session *queue, **queue_end;
	uint64_t progress, next_deadline;
	bool paused;
};

int sessions_open(struct sessions **out, const struct session_parts *parts)
{
	struct sessions *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->parts = *parts;
	all->queue_end = &all->queue;
	all->next_deadline = NEVER;
	*out = all;
	return 0;
}

static void touch(struct session *s)
{
	if (s->queued)
		return;
	s->queued = true;
	s->queued_next = NULL;
	*s->all->queue_end = s;
	s->all->queue_end = &s->queued_next;
}

static void set_state(struct session *s, enum state state, uint64_t time)
{
	s->state = state;
	s->deadline = time == NEVER ? NEVER : tap_now(s->all->parts.tap) + time;
	if (s->deadline < s->all->next_deadline)
		s->all->next_deadline = s->deadline;
	s->all->progress++;
}

// --- ends -------------------------------------------------------------------

static void unwatch(struct session *s)
{
	if (s->watched)
		event_del(&s->event);
	s->watched = false;
}

static void drop_tls(struct session *s)
{
	for (int side = APP; side <= ORIGIN; side++) {
		tls_close(s->relay.tls[side]);
		s->relay.tls[side] = NULL;
	}
}

// What stands in the turn's queue is freed when its turn comes.
static void session_free(struct session *s)
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
	drop_tls(s);
	relay_close(&s->relay);
	free(s->hello);
	if (s->previous)
		s->previous->next = s->next;
	else
		s->all->first = s->next;
	if (s->next)
		s->next->previous = s->previous;
	session_free(s);
}

static void session_end(struct session *s, enum flow_close close)
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
	tap_end(s->all->parts.tap, s->record, close);
	s->all->progress++;
	session_drop(s);
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

// --- the origin's socket ----------------------------------------------------

static void origin_event(evutil_socket_t fd, short what, void *context)
{
	struct session *s = context;

	(void)fd;
	if (what & EV_READ)
		s->relay.wire[ORIGIN].readable = s->origin_spoke = true;
	if (what & EV_WRITE)
		s->relay.wire[ORIGIN].writable = true;
	touch(s);
}

// Edge-triggered, for reading and writing, once for the socket's life.
static int watch(struct session *s, int fd)
{
	struct wire *w = &s->relay.wire[ORIGIN];

	*w = (struct wire){.side = ORIGIN, .fd = fd, .record = s->record};
	s->origin_spoke = false;
	if (event_assign(&s->event, s->all->parts.base, fd, EV_READ | EV_WRITE | EV_PERSIST | EV_ET,
			 origin_event, s) ||
	    event_add(&s->event, NULL))
		return -ENOMEM;
	s->watched = true;
	return 0;
}

static int call_origin(struct session *s)
{
	int fd = origin_connect(&s->record->peer);

	if (fd < 0)
		return fd;
	return watch(s, fd);
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
		set_state(s, REFUSED, REFUSE_TIME);
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
	set_state(s, ANSWERED, NEVER);
	error = netstack_answer(app->flow);
	if (error)
		refuse(s, -error);
}

static void step_refused(struct session *s)
{
	(void)s;	// the time moves it on: overdue()
}

static void relay_from_now(struct session *s, enum flow_verdict verdict, const char *reason)
{
	s->record->verdict = verdict;
	if (reason)
		flow_reason(s->record, reason);
	tap_release(s->all->parts.tap, s->record);
	s->relay.wire[ORIGIN].readable = true;
	set_state(s, RELAYING, NEVER);
	touch(s);
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

// --- sniffing ---------------------------------------------------------------

// The hello may lie in several packets: gathered for the look alone.
static uint8_t gathered[HELLO_SIZE_MAX];

static enum hello_verdict look(struct session *s, struct hello *hello, size_t *seen)
{
	struct iovec iov[64];
	size_t all, n = 0;
	int count = netstack_peek(s->relay.wire[APP].flow, iov, 64, &all);

	*seen = all;
	if (!count)
		return HELLO_MORE;
	if (count == 1)
		return hello_read(iov[0].iov_base, iov[0].iov_len, hello);
	for (int i = 0; i < count && n < sizeof(gathered); i++) {
		size_t part = iov[i].iov_len < sizeof(gathered) - n ? iov[i].iov_len : sizeof(gathered) - n;
		memcpy(gathered + n, iov[i].iov_base, part);
		n += part;
	}
	return hello_read(gathered, n, hello);
}

static void note_hello(struct session *s)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (tls)
		snprintf(tls->sni, sizeof(tls->sni), "%s", s->hello->sni);
}

static void begin_tls(struct session *s);

static void step_sniffing(struct session *s)
{
	struct wire *app = &s->relay.wire[APP];
	struct hello hello;
	size_t seen;

	// Either side that finishes or speaks out of turn settles it: not TLS.
	if (s->origin_spoke || !app->flow) {
		relay_from_now(s, FLOW_RELAYED, NULL);
		return;
	}
	switch (look(s, &hello, &seen)) {
	case HELLO_NOT:
		relay_from_now(s, FLOW_RELAYED, NULL);
		return;
	case HELLO_MORE:
		if (s->app_finished) {
			relay_from_now(s, FLOW_RELAYED, NULL);
		} else if (seen && s->deadline == NEVER) {
			set_state(s, SNIFFING, SNIFF_TIME);
			tap_hold(s->all->parts.tap, s->record);
		}
		return;
	case HELLO_WHOLE:
		break;
	}
	s->hello = malloc(sizeof(hello));
	if (!s->hello) {
		relay_from_now(s, FLOW_PASSED, "no memory to open it");
		return;
	}
	*s->hello = hello;
	note_hello(s);
	const char *reason = policy_tls(s->all->parts.policy);
	if (reason)
		relay_from_now(s, FLOW_PASSED, reason);
	else
		begin_tls(s);
}

void session_opened(void *session)
{
	struct session *s = session;

	set_state(s, SNIFFING, NEVER);
	touch(s);
}

// --- TLS --------------------------------------------------------------------

// An end's context is its wire; the record leads back to the session.
static ssize_t end_read(void *context, void *bytes, size_t size)
{
	return wire_read(context, bytes, size);
}

static ssize_t end_write(void *context, const void *bytes, size_t size)
{
	return wire_write(context, bytes, size);
}

static void end_secret(void *context, const char *line)
{
	struct wire *w = context;
	struct session *s = w->record->mover;

	tap_secret(s->all->parts.tap, w->record, w->side, line);
}

static const struct tls_wire end_wire = {end_read, end_write, end_secret};

static void pass_unopened(struct session *s, const char *why)
{
	char reason[224];

	snprintf(reason, sizeof(reason), "%s", why);
	drop_tls(s);
	unwatch(s);
	wire_close(&s->relay.wire[ORIGIN]);
	flow_reason(s->record, reason);
	s->record->verdict = FLOW_PASSED;
	set_state(s, CALLING_AGAIN, NEVER);
	if (call_origin(s))
		session_end(s, FLOW_RESET_BY_ORIGIN);
}

static void begin_tls(struct session *s)
{
	char host[ADDRESS_TEXT];

	tap_hold(s->all->parts.tap, s->record);
	address_host(&s->record->peer, host);
	s->relay.wire[ORIGIN].readable = true;
	if (tls_connect(&s->relay.tls[ORIGIN], s->all->parts.house, s->hello, host, &end_wire,
			&s->relay.wire[ORIGIN])) {
		relay_from_now(s, FLOW_PASSED, "no memory to open it");
		return;
	}
	set_state(s, SHAKING_ORIGIN, SHAKE_TIME);
	touch(s);
}

static const char *trust_word(enum tls_trust trust)
{
	static const char *const words[] = {
		[TLS_TRUSTED] = "trusted", [TLS_UNCHECKED] = "unchecked",
		[TLS_BAD_LEAF] = "bad leaf", [TLS_BAD_CHAIN] = "bad chain",
	};

	return words[trust];
}

static void note_origin(struct session *s)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (!tls)
		return;
	tls->certificate = trust_word(tls_verdict(s->relay.tls[ORIGIN]));
	snprintf(tls->fault, sizeof(tls->fault), "%s", tls_verdict_text(s->relay.tls[ORIGIN]));
}

static void note_app(struct session *s)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (!tls)
		return;
	snprintf(tls->version, sizeof(tls->version), "%s", tls_version(s->relay.tls[APP]));
	snprintf(tls->cipher, sizeof(tls->cipher), "%s", tls_cipher(s->relay.tls[APP]));
	snprintf(tls->alpn, sizeof(tls->alpn), "%s", tls_alpn(s->relay.tls[APP]));
}

static void step_shaking_origin(struct session *s)
{
	if (!s->relay.wire[APP].flow) {
		session_end(s, FLOW_RESET_BY_APP);
		return;
	}
	if (s->app_finished) {
		s->record->verdict = FLOW_FAILED;
		flow_reason(s->record, "the app closed before the origin's handshake was done");
		session_end(s, FLOW_FINISHED);
		return;
	}
	int error = tls_handshake(s->relay.tls[ORIGIN]);
	if (error == -EAGAIN)
		return;
	if (error) {
		char why[224];
		snprintf(why, sizeof(why), "the origin's handshake: %s", tls_error(s->relay.tls[ORIGIN]));
		pass_unopened(s, why);
		return;
	}
	note_origin(s);
	if (tls_accept(&s->relay.tls[APP], s->all->parts.house, s->hello, s->relay.tls[ORIGIN], &end_wire,
		       &s->relay.wire[APP])) {
		pass_unopened(s, "no certificate could be made for it");
		return;
	}
	set_state(s, SHAKING_APP, SHAKE_TIME);
	touch(s);
}

static void step_calling_again(struct session *s)
{
	struct wire *origin = &s->relay.wire[ORIGIN];

	if (!s->relay.wire[APP].flow) {
		session_end(s, FLOW_RESET_BY_APP);
		return;
	}
	if (!origin->writable)
		return;
	if (origin_result(origin->fd))
		session_end(s, FLOW_RESET_BY_ORIGIN);
	else
		relay_from_now(s, FLOW_PASSED, NULL);
}

static void app_handshake_failed(struct session *s)
{
	char reason[224];
	const struct flow_tls *tls = s->record->tls;

	snprintf(reason, sizeof(reason), "the app's handshake: %.60s%s%.60s", tls_error(s->relay.tls[APP]),
		 tls && tls->fault[0] ? "; the origin's certificate: " : "", tls ? tls->fault : "");
	flow_reason(s->record, reason);
	s->record->verdict = FLOW_FAILED;
	note_app(s);
	set_state(s, REFUSING, BREAK_TIME);
	touch(s);
}

static void step_shaking_app(struct session *s)
{
	int error = tls_handshake(s->relay.tls[APP]);

	if (error == -EAGAIN)
		return;
	if (error) {
		app_handshake_failed(s);
		return;
	}
	note_app(s);
	relay_from_now(s, FLOW_OPENED, NULL);
}

static void step_refusing(struct session *s)
{
	if (s->relay.wire[APP].flow && tls_unsent(s->relay.tls[APP]) &&
	    tls_flush(s->relay.tls[APP]) == -EAGAIN)
		return;
	bool reset = s->relay.wire[APP].error;
	wire_close(&s->relay.wire[APP]);
	session_end(s, reset ? FLOW_RESET_BY_APP : FLOW_FINISHED);
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
	switch (relay_pump(&s->relay)) {
	case RELAY_WAITING:
		return;
	case RELAY_MORE:
		s->all->progress++;
		touch(s);
		return;
	case RELAY_OVER:
		session_end(s, FLOW_FINISHED);
		return;
	case RELAY_BROKEN:
		if (broken_by(s) != FLOW_RESET_BY_ORIGIN || !s->relay.wire[APP].flow) {
			session_end(s, broken_by(s));
			return;
		}
		set_state(s, BREAKING, BREAK_TIME);
		touch(s);
		return;
	}
}

// What the origin sent before it broke is still in the socket: the app gets it
// first, as it would have, and the RST after it.
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
		[SNIFFING] = step_sniffing,
		[SHAKING_ORIGIN] = step_shaking_origin,
		[CALLING_AGAIN] = step_calling_again,
		[SHAKING_APP] = step_shaking_app,
		[RELAYING] = step_relaying,
		[BREAKING] = step_breaking,
		[REFUSING] = step_refusing,
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
			touch(s);
}

uint64_t sessions_deadline(const struct sessions *all)
{
	return all->next_deadline;
}

static void overdue(struct session *s)
{
	switch (s->state) {
	case SNIFFING:
		// What began like a hello went no further: it is not one.
		relay_from_now(s, FLOW_RELAYED, NULL);
		return;
	case SHAKING_ORIGIN:
		pass_unopened(s, "the origin did not finish its handshake");
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
		s->record->verdict = FLOW_FAILED;
		flow_reason(s->record, "the app did not finish its handshake");
		session_end(s, FLOW_APP_SILENT);
	}
}

void sessions_tick(struct sessions *all, uint64_t now)
{
	if (now < all->next_deadline)
		return;
	all->next_deadline = NEVER;
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
	struct flow *record = tap_flow(all->parts.tap, IPPROTO_TCP, app, peer);

	// The addresses of a session that was reset in this very turn.
	if (record && record->mover) {
		session_end(record->mover, FLOW_RESET_BY_APP);
		record = tap_flow(all->parts.tap, IPPROTO_TCP, app, peer);
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
	s->relay.wire[APP] = (struct wire){.side = APP, .flow = flow, .fd = -1, .record = record};
	s->relay.wire[ORIGIN] = (struct wire){.side = ORIGIN, .fd = -1, .record = record};
	s->next = all->first;
	if (s->next)
		s->next->previous = s;
	all->first = s;
	netstack_own(flow, s);
	set_state(s, CALLING, NEVER);
	int error = call_origin(s);
	if (error)
		refuse(s, -error);
}

void session_moved(void *session)
{
	touch(session);
}

void session_finished(void *session)
{
	struct session *s = session;

	s->app_finished = true;
	touch(s);
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
	touch(s);
}
