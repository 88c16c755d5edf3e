// SPDX-License-Identifier: GPL-3.0-or-later
// sniff - the first bytes decide: a ClientHello is opened, anything else is relayed.

#include "tunnel/sniff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netstack/netstack.h"
#include "tunnel/conversation.h"
#include "tunnel/handshake.h"
#include "tunnel/policy.h"

#define SNIFF_TIME 30000000000ull

// The hello may lie in several packets: gathered for the look alone.
static uint8_t gathered[HELLO_SIZE_MAX];

// *bytes are those looked at: `*seen` of them, or as many as a hello can have.
static enum hello_verdict look(struct session *s, struct hello *hello, const uint8_t **bytes, size_t *seen)
{
	struct iovec iov[64];
	size_t all, n = 0;
	int count = netstack_peek(s->relay.wire[APP].flow, iov, 64, &all);

	*seen = all;
	if (!count)
		return HELLO_MORE;
	*bytes = iov[0].iov_base;
	if (count == 1)
		return hello_read(iov[0].iov_base, iov[0].iov_len, hello);
	*bytes = gathered;
	for (int i = 0; i < count && n < sizeof(gathered); i++) {
		size_t part = iov[i].iov_len < sizeof(gathered) - n ? iov[i].iov_len : sizeof(gathered) - n;
		memcpy(gathered + n, iov[i].iov_base, part);
		n += part;
	}
	return hello_read(gathered, n, hello);
}

static void note_hello(struct session *s, const uint8_t *bytes)
{
	struct flow_tls *tls = flow_tls(s->record);

	if (!tls)
		return;
	snprintf(tls->sni, sizeof(tls->sni), "%s", s->hello->sni);
	if (s->all->fingerprints && fingerprint_app(bytes, s->hello->size, &tls->app) != HELLO_WHOLE)
		memset(&tls->app, 0, sizeof(tls->app));
}

static void decide(struct session *s)
{
	struct policy_target target;
	char host[ADDRESS_TEXT];
	const char *reason;

	handshake_target(s, &target, host);
	switch (policy_tls(s->all->policy, &target, &reason)) {
	case POLICY_OPEN:
		handshake_begin(s);
		return;
	case POLICY_PASS:
		session_relay(s, FLOW_PASSED, reason);
		return;
	case POLICY_PINNED:
		session_relay(s, FLOW_PINNED, reason);
	}
}

void sniff_step(struct session *s)
{
	struct wire *app = &s->relay.wire[APP];
	struct hello hello;
	const uint8_t *bytes = NULL;
	size_t seen;

	// Either side that finishes or speaks out of turn settles it: not TLS.
	if (s->origin_spoke || !app->flow) {
		session_relay(s, FLOW_RELAYED, NULL);
		return;
	}
	switch (look(s, &hello, &bytes, &seen)) {
	case HELLO_NOT:
		session_relay(s, FLOW_RELAYED, NULL);
		return;
	case HELLO_MORE:
		if (s->app_finished) {
			session_relay(s, FLOW_RELAYED, NULL);
		} else if (seen && s->deadline == SESSION_EVER) {
			session_state(s, SNIFFING, SNIFF_TIME);
			tap_hold(s->all->tap, s->record);
		}
		return;
	case HELLO_WHOLE:
		break;
	}
	s->hello = malloc(sizeof(hello));
	if (!s->hello) {
		session_relay(s, FLOW_PASSED, "no memory to open it");
		return;
	}
	*s->hello = hello;
	note_hello(s, bytes);
	decide(s);
}
