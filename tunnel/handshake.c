// SPDX-License-Identifier: GPL-3.0-or-later
// handshake - TLS with the origin, then with the app as the origin's came out.
//
// Until the origin's is done nothing is taken from the app (its hello is only
// looked at), so whatever cannot be opened can still be relayed untouched, over a
// second connection. Not so once the app has talked with the origin in the clear, or
// where an FTP server waits for one data connection: then it is lost, the app is told by
// an alert, and its next one passes.

#include "tunnel/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netstack/netstack.h"
#include "tls/tls.h"
#include "tunnel/conversation.h"
#include "tunnel/origin.h"
#include "tunnel/policy.h"

#define SHAKE_TIME 60000000000ull
#define BREAK_TIME 5000000000ull
#define LEAVE_TIME 2000000000ull

// The origin's hello as it comes, until it has been read. A post-quantum share makes one
// of some 1,200 bytes, and another may come before it.
struct origin_hello {
	size_t size;
	uint8_t bytes[8192];
};

static void look_at_origin(struct session *s, const uint8_t *bytes, size_t size)
{
	struct origin_hello *hello = s->origin_hello;
	struct flow_tls *tls = flow_tls(s->record);
	size_t room = sizeof(hello->bytes) - hello->size;
	enum hello_verdict verdict;

	memcpy(hello->bytes + hello->size, bytes, size < room ? size : room);
	hello->size += size < room ? size : room;
	verdict = tls ? fingerprint_origin(hello->bytes, hello->size, &tls->origin) : HELLO_NOT;
	if (verdict == HELLO_MORE && hello->size < sizeof(hello->bytes))
		return;
	if (tls && verdict != HELLO_WHOLE)
		memset(&tls->origin, 0, sizeof(tls->origin));
	free(hello);
	s->origin_hello = NULL;
}

// An end's context is its wire; the record leads back to the session.
static ssize_t end_read(void *context, void *bytes, size_t size)
{
	const struct wire *w = context;
	struct session *s = w->record->mover;
	ssize_t n = wire_read(context, bytes, size);

	if (n > 0 && w->side == ORIGIN && s->origin_hello)
		look_at_origin(s, bytes, (size_t)n);
	return n;
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

static void target_of(const struct session *s, struct policy_target *target, char host[ADDRESS_TEXT])
{
	*target = (struct policy_target){
		.executable = s->record->process ? s->record->process->path : NULL,
		.pid = s->record->process ? s->record->process->pid : 0,
		.sni = s->hello->sni, .address = address_host(&s->record->peer, host),
		.port = address_port(&s->record->peer),
	};
}

// --- with the origin ----------------------------------------------------------

// What the origin answered was an answer to us.
static void forget_origin(struct session *s)
{
	struct flow_tls *tls = flow_tls(s->record);

	free(s->origin_hello);
	s->origin_hello = NULL;
	if (!tls)
		return;
	memset(&tls->origin, 0, sizeof(tls->origin));
	memset(&tls->leg[ORIGIN], 0, sizeof(tls->leg[ORIGIN]));
}

static void lose(struct session *s, const char *why)
{
	enum { INTERNAL_ERROR = 80 };
	struct wire *app = &s->relay.wire[APP];
	int alert = tls_alert(s->relay.tls[ORIGIN]);
	uint8_t record[TLS_ALERT_SIZE], unread[1024];
	struct policy_target target;
	char reason[224], host[ADDRESS_TEXT];

	snprintf(reason, sizeof(reason), "%.120s; its next connection there passes unopened", why);
	flow_reason(s->record, reason);
	s->record->verdict = FLOW_FAILED;
	target_of(s, &target, host);
	policy_lost(s->all->policy, &target);
	while (wire_read(app, unread, sizeof(unread)) > 0)
		;
	tls_alert_record(record, s->hello, alert ? alert : INTERNAL_ERROR);
	wire_write(app, record, sizeof(record));
	session_end(s, app->error ? FLOW_RESET_BY_APP : FLOW_FINISHED);
}

static void pass_unopened(struct session *s, const char *why)
{
	char reason[224];

	if (s->alone) {
		lose(s, why);
		return;
	}
	snprintf(reason, sizeof(reason), "%s", why);
	session_drop_tls(s);
	forget_origin(s);
	session_leave_origin(s);
	flow_reason(s->record, reason);
	s->record->verdict = FLOW_PASSED;
	session_state(s, CALLING_AGAIN, SESSION_EVER);
	if (session_call_origin(s))
		session_end(s, FLOW_RESET_BY_ORIGIN);
}

// Of an FTP conversation whose data connection this is (RFC 4217 section 7), the port; 0
// where it is none. The server takes one connection at the port that it named, and may
// want to see the session of the conversation taken up.
static uint16_t ftp_port(const struct session *s)
{
	for (const struct session *c = s->all->ftp ? s->all->first : NULL; c; c = c->next)
		if (c->opened && c->record->tls && c->record->tls->starttls && !strcmp(c->record->tls->starttls, "ftp") &&
		    c->record->process == s->record->process && address_same_host(&c->record->peer, &s->record->peer))
			return address_port(&c->record->peer);
	return 0;
}

static void begin(struct session *s)
{
	uint16_t ftp = ftp_port(s), port = ftp ? ftp : address_port(&s->record->peer);
	char host[ADDRESS_TEXT];

	tap_hold(s->all->tap, s->record);
	if (s->all->fingerprints && !s->origin_hello)
		s->origin_hello = calloc(1, sizeof(*s->origin_hello));
	address_host(&s->record->peer, host);
	s->relay.wire[ORIGIN].readable = true;
	if (tls_connect(&s->relay.tls[ORIGIN], s->all->house, s->hello, host, port, &end_wire,
			&s->relay.wire[ORIGIN])) {
		session_relay(s, FLOW_PASSED, "no memory to open it");
		return;
	}
	// MariaDB and others ask all their clients, few of which have one.
	if (s->alone)
		tls_has_no_certificate(s->relay.tls[ORIGIN]);
	session_state(s, SHAKING_ORIGIN, SHAKE_TIME);
	session_touch(s);
}

static void note_hello(struct session *s, const uint8_t *bytes, const char *spoken)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (!tls)
		return;
	tls->starttls = spoken;
	snprintf(tls->sni, sizeof(tls->sni), "%s", s->hello->sni);
	if (s->all->fingerprints && fingerprint_app(bytes, s->hello->size, &tls->app) != HELLO_WHOLE)
		memset(&tls->app, 0, sizeof(tls->app));
}

void handshake_hello(struct session *s, const struct hello *hello, const uint8_t *bytes, const char *spoken)
{
	struct policy_target target;
	char host[ADDRESS_TEXT];
	const char *reason;

	s->alone = spoken || ftp_port(s);
	s->all->ftp |= spoken && !strcmp(spoken, "ftp");
	s->hello = malloc(sizeof(*hello));
	if (!s->hello) {
		session_relay(s, FLOW_PASSED, "no memory to open it");
		return;
	}
	*s->hello = *hello;
	note_hello(s, bytes, spoken);
	target_of(s, &target, host);
	switch (policy_tls(s->all->policy, &target, &reason)) {
	case POLICY_OPEN:
		begin(s);
		return;
	case POLICY_PASS:
		session_relay(s, FLOW_PASSED, reason);
		return;
	case POLICY_PINNED:
		session_relay(s, FLOW_PINNED, reason);
	}
}

static const char *trust_word(enum tls_trust trust)
{
	static const char *const words[] = {
		[TLS_TRUSTED] = "trusted", [TLS_UNCHECKED] = "unchecked",
		[TLS_BAD_LEAF] = "bad leaf", [TLS_BAD_CHAIN] = "bad chain",
	};

	return words[trust];
}

static void note_leg(struct flow_leg *leg, const struct tls *end)
{
	snprintf(leg->version, sizeof(leg->version), "%s", tls_version(end));
	snprintf(leg->cipher, sizeof(leg->cipher), "%s", tls_cipher(end));
	snprintf(leg->group, sizeof(leg->group), "%s", tls_group(end));
	leg->resumed = tls_resumed(end);
}

static void note_origin(struct session *s)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (!tls)
		return;
	note_leg(&tls->leg[ORIGIN], s->relay.tls[ORIGIN]);
	tls->certificate = trust_word(tls_verdict(s->relay.tls[ORIGIN]));
	snprintf(tls->fault, sizeof(tls->fault), "%s", tls_verdict_text(s->relay.tls[ORIGIN]));
}

static void note_app(struct session *s)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (!tls)
		return;
	note_leg(&tls->leg[APP], s->relay.tls[APP]);
	snprintf(tls->alpn, sizeof(tls->alpn), "%s", tls_alpn(s->relay.tls[APP]));
}

static void remember_certificate(struct session *s)
{
	struct policy_target target;
	char host[ADDRESS_TEXT];

	if (!tls_wants_certificate(s->relay.tls[ORIGIN]))
		return;
	target_of(s, &target, host);
	policy_wants_certificate(s->all->policy, &target);
}

// With TLS 1.3 an origin says only after its handshake that it insists, by an alert, which
// may come to light no more once what the app said met a closed connection.
static void note_insisting(struct session *s)
{
	const struct tls *origin = s->relay.tls[ORIGIN];

	if (!tls_wants_certificate(origin) || s->relay.from[ORIGIN].plain ||
	    !(tls_alert(origin) || s->relay.wire[ORIGIN].error))
		return;
	flow_reason(s->record, "the origin left when told that there is no client certificate; "
			       "its next connection there passes unopened");
	remember_certificate(s);
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
		remember_certificate(s);
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

// --- pinning ----------------------------------------------------------------

// A good certificate is refused: by an alert that says so (RFC 8446 section 6.2), or
// without a word once it was seen.
static bool refuses_ours(const struct session *s, int error)
{
	enum tls_trust trust = tls_verdict(s->relay.tls[ORIGIN]);

	if (trust != TLS_TRUSTED && trust != TLS_UNCHECKED)
		return false;
	switch (tls_alert(s->relay.tls[APP])) {
	case 42:	// bad_certificate
	case 46:	// certificate_unknown
	case 48:	// unknown_ca
		return true;
	case 0:
		return error == -ECONNRESET;
	default:
		return false;
	}
}

static void remember_pin(struct session *s, bool said)
{
	struct policy_target target;
	char host[ADDRESS_TEXT], reason[FLOW_REASON];

	target_of(s, &target, host);
	if (!policy_pinned(s->all->policy, &target, said))
		return;
	snprintf(reason, sizeof(reason), "%.150s%spinned: its next connection there passes unopened",
		 s->record->reason ? s->record->reason : "", s->record->reason ? "; " : "");
	flow_reason(s->record, reason);
}

// Programs that look at the key themselves do so once the handshake is done, and leave
// before they have said a word. One that speaks HTTP has no other reason to; one that
// does not may only have wanted to look, and takes its leave in order then.
void handshake_left(struct session *s)
{
	const struct flow_tls *tls = s->record->tls;
	bool http = tls && (!strcmp(tls->alpn, "h2") || !strcmp(tls->alpn, "http/1.1"));
	const struct relay_direction *app = &s->relay.from[APP];
	const struct wire *wire = &s->relay.wire[APP];
	bool in_order = app->notified, left = in_order || wire->ended || wire->error;

	if (s->opened)
		note_insisting(s);
	if (!s->opened || !left || app->plain || tap_now(s->all->tap) - s->opened > LEAVE_TIME)
		return;
	if (refuses_ours(s, in_order && !http ? 0 : -ECONNRESET))
		remember_pin(s, tls_alert(s->relay.tls[APP]) != 0);
}

void handshake_used(struct session *s)
{
	struct policy_target target;
	char host[ADDRESS_TEXT];

	s->used = true;
	target_of(s, &target, host);
	policy_took(s->all->policy, &target);
}

static void app_handshake_failed(struct session *s, int error)
{
	char reason[224];
	const struct flow_tls *tls = s->record->tls;

	snprintf(reason, sizeof(reason), "the app's handshake: %.60s%s%.60s", tls_error(s->relay.tls[APP]),
		 tls && tls->fault[0] ? "; the origin's certificate: " : "", tls ? tls->fault : "");
	flow_reason(s->record, reason);
	s->record->verdict = FLOW_FAILED;
	if (refuses_ours(s, error))
		remember_pin(s, tls_alert(s->relay.tls[APP]) != 0);
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
		app_handshake_failed(s, error);
		return;
	}
	note_app(s);
	s->opened = tap_now(s->all->tap);
	session_relay(s, FLOW_OPENED, tls_wants_certificate(s->relay.tls[ORIGIN])
					      ? "the origin was told that there is no client certificate" : NULL);
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
