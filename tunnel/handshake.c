// SPDX-License-Identifier: GPL-3.0-or-later
// handshake - TLS with the origin, then with the app as the origin's came out.
//
// Until the origin's is done nothing is taken from the app (its hello is only
// looked at), so whatever cannot be opened can still be relayed untouched, over a
// second connection.

#include "tunnel/handshake.h"

#include <errno.h>
#include <stdio.h>

#include "netstack/netstack.h"
#include "tls/tls.h"
#include "tunnel/conversation.h"
#include "tunnel/origin.h"

#define SHAKE_TIME 60000000000ull
#define BREAK_TIME 5000000000ull

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

	tap_secret(s->all->tap, w->record, w->side, line);
}

static const struct tls_wire end_wire = {end_read, end_write, end_secret};

static void pass_unopened(struct session *s, const char *why)
{
	char reason[224];

	snprintf(reason, sizeof(reason), "%s", why);
	session_drop_tls(s);
	session_leave_origin(s);
	flow_reason(s->record, reason);
	s->record->verdict = FLOW_PASSED;
	session_state(s, CALLING_AGAIN, SESSION_EVER);
	if (session_call_origin(s))
		session_end(s, FLOW_RESET_BY_ORIGIN);
}

void handshake_begin(struct session *s)
{
	char host[ADDRESS_TEXT];

	tap_hold(s->all->tap, s->record);
	address_host(&s->record->peer, host);
	s->relay.wire[ORIGIN].readable = true;
	if (tls_connect(&s->relay.tls[ORIGIN], s->all->house, s->hello, host, &end_wire,
			&s->relay.wire[ORIGIN])) {
		session_relay(s, FLOW_PASSED, "no memory to open it");
		return;
	}
	session_state(s, SHAKING_ORIGIN, SHAKE_TIME);
	session_touch(s);
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

void handshake_shaking_origin(struct session *s)
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
	if (tls_accept(&s->relay.tls[APP], s->all->house, s->hello, s->relay.tls[ORIGIN], &end_wire,
		       &s->relay.wire[APP])) {
		pass_unopened(s, "no certificate could be made for it");
		return;
	}
	session_state(s, SHAKING_APP, SHAKE_TIME);
	session_touch(s);
}

void handshake_calling_again(struct session *s)
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
		session_relay(s, FLOW_PASSED, NULL);
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
	session_state(s, REFUSING, BREAK_TIME);
	session_touch(s);
}

void handshake_shaking_app(struct session *s)
{
	int error = tls_handshake(s->relay.tls[APP]);

	if (error == -EAGAIN)
		return;
	if (error) {
		app_handshake_failed(s);
		return;
	}
	note_app(s);
	session_relay(s, FLOW_OPENED, NULL);
}

void handshake_refusing(struct session *s)
{
	if (s->relay.wire[APP].flow && tls_unsent(s->relay.tls[APP]) &&
	    tls_flush(s->relay.tls[APP]) == -EAGAIN)
		return;
	bool reset = s->relay.wire[APP].error;
	wire_close(&s->relay.wire[APP]);
	session_end(s, reset ? FLOW_RESET_BY_APP : FLOW_FINISHED);
}

void handshake_overdue(struct session *s)
{
	if (s->state == SHAKING_ORIGIN) {
		pass_unopened(s, "the origin did not finish its handshake");
		return;
	}
	s->record->verdict = FLOW_FAILED;
	flow_reason(s->record, "the app did not finish its handshake");
	session_end(s, FLOW_APP_SILENT);
}
