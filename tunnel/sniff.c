// SPDX-License-Identifier: GPL-3.0-or-later
// sniff - relays what is said in the clear, until a ClientHello is or none will be.
//
// A ClientHello may be the first that the app says, or follow a conversation in
// the clear (STARTTLS). tls/starttls tells where one begins. What it finds to be
// cleartext goes on to the origin at once; a hello, also while it may become one,
// is left where it is, unread in the stack, for handshake to open, or for the relay
// to pass on untouched:
//
//	the app's bytes:  [ relayed ][ clear | held or hello ... ]
//	                             ^ netstack_peek()
//
// It ends with handshake_hello(), or with session_relay() once starttls says NEVER,
// when a side finishes, and when one breaks: the relay meets that end again.

#include "tunnel/sniff.h"

#include <stdlib.h>
#include <string.h>

#include "netstack/netstack.h"
#include "tls/starttls.h"
#include "tunnel/conversation.h"
#include "tunnel/handshake.h"

// Of what has a hello's form: header, version and type. And of what has less of one,
// such as the Ctrl-V that somebody typed.
#define HELLO_TIME 30000000000ull
#define BYTE_TIME 500000000ull
enum { FORM = 6, SHARE = 1 << 20 };

struct sniff {
	struct starttls starttls;
	uint32_t clear;		// still to be relayed: at most what the stack holds
	uint32_t held;		// shown behind it; HELD
	bool hello;		// what is behind is one
};

// The hello may lie in several packets: gathered for the look alone.
static uint8_t gathered[HELLO_SIZE_MAX];

// What the app said behind the first `skip` bytes: *size of it, or as much as a hello can have.
static const uint8_t *look(struct netstack_flow *flow, size_t skip, size_t *size)
{
	struct iovec iov[64];
	size_t all, n = 0;
	int count = netstack_peek(flow, iov, 64, &all);

	for (int i = 0; i < count && n < sizeof(gathered); i++) {
		const uint8_t *part = iov[i].iov_base;
		size_t passed = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t rest = iov[i].iov_len - passed, room = sizeof(gathered) - n;

		skip -= passed;
		if (rest && i == count - 1 && !n) {
			*size = rest;
			return part + passed;
		}
		rest = rest < room ? rest : room;
		memcpy(gathered + n, part + passed, rest);
		n += rest;
	}
	*size = n;
	return gathered;
}

static bool said(const struct session *s)
{
	return s->record->bytes[APP] || s->record->bytes[ORIGIN];
}

static void hold(struct session *s, size_t size)
{
	bool formed = size >= FORM || !said(s);

	if (!s->sniff->held)
		tap_hold(s->all->tap, s->record);
	if (!s->sniff->held || (formed && s->sniff->held < FORM))
		session_state(s, SNIFFING, formed ? HELLO_TIME : BYTE_TIME);
	s->sniff->held = (uint32_t)size;
}

static void let(struct session *s)
{
	if (s->sniff->held) {
		tap_release(s->all->tap, s->record);
		session_state(s, SNIFFING, SESSION_EVER);
	}
	s->sniff->held = 0;
}

// Shows what the app said since. False: there will be no hello.
static bool judge(struct session *s)
{
	struct sniff *sniff = s->sniff;
	size_t size, at;

	for (;;) {
		const uint8_t *bytes = look(s->relay.wire[APP].flow, sniff->clear, &size);

		if (size == sniff->held)
			return !s->app_finished && starttls_app(&sniff->starttls, bytes, 0, &at) != STARTTLS_NEVER;
		switch (starttls_app(&sniff->starttls, bytes, size, &at)) {
		case STARTTLS_CLEAR:
			let(s);
			sniff->clear += (uint32_t)size;
			break;
		case STARTTLS_HELD:
			sniff->clear += (uint32_t)at;
			hold(s, size - at);
			break;
		case STARTTLS_HELLO:
			sniff->clear += (uint32_t)at;
			sniff->hello = true;
			return true;
		case STARTTLS_NEVER:
			return false;
		}
	}
}

// What is known to be clear, both ways. False: a side ended or broke.
static bool pump(struct session *s)
{
	struct wire *app = &s->relay.wire[APP], *origin = &s->relay.wire[ORIGIN];
	uint64_t before = s->record->bytes[APP];

	if (!s->all->paused && origin->readable) {
		int n = wire_splice(origin, app, SHARE);
		if (n < 0 || origin->ended)
			return false;
		if (n == 1)
			session_touch(s);
	}
	if (s->sniff->clear && wire_splice(app, origin, s->sniff->clear) < 0)
		return false;
	s->sniff->clear -= (uint32_t)(s->record->bytes[APP] - before);
	return true;
}

// All that was said before it has been passed on.
static void open_tls(struct session *s)
{
	struct hello hello;
	const char *protocol = NULL;
	size_t size;
	const uint8_t *bytes = look(s->relay.wire[APP].flow, 0, &size);

	if (hello_read(bytes, size, &hello) != HELLO_WHOLE) {
		session_relay(s, FLOW_RELAYED, NULL);
		return;
	}
	if (said(s)) {
		protocol = starttls_protocol(&s->sniff->starttls);
		protocol = protocol[0] ? protocol : "unknown";
	}
	session_drop_sniff(s);
	handshake_hello(s, &hello, bytes, protocol);
}

static bool begun(struct session *s)
{
	if (s->sniff)
		return true;
	s->sniff = calloc(1, sizeof(*s->sniff));
	if (!s->sniff)
		return false;
	s->sniff->starttls = starttls_open(address_port(&s->record->peer));
	s->relay.wire[ORIGIN].starttls = &s->sniff->starttls;
	return true;
}

void sniff_step(struct session *s)
{
	struct wire *app = &s->relay.wire[APP], *origin = &s->relay.wire[ORIGIN];

	// The origin's bytes first: what the app says next is the answer to them.
	if (!app->flow || !begun(s) || !pump(s) || !app->flow || (!s->sniff->hello && !judge(s)) || !pump(s)) {
		session_relay(s, FLOW_RELAYED, NULL);
		return;
	}
	if (s->sniff->hello && !s->sniff->clear && !origin->readable)
		open_tls(s);
}

void sniff_release(struct session *s)
{
	struct sniff *sniff = s->sniff;
	size_t size, held = sniff ? sniff->held : 0;

	if (!held || !s->relay.wire[APP].flow) {
		session_relay(s, FLOW_RELAYED, NULL);
		return;
	}
	const uint8_t *bytes = look(s->relay.wire[APP].flow, sniff->clear, &size);
	let(s);
	if (size < held || starttls_release(&sniff->starttls, bytes, held) == STARTTLS_NEVER) {
		session_relay(s, FLOW_RELAYED, NULL);
		return;
	}
	sniff->clear += (uint32_t)held;
	session_touch(s);
}
