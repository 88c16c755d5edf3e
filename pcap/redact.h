// SPDX-License-Identifier: GPL-3.0-or-later
// redact - what both sides of a conversation say, without what lets others in.
//
// Of Authorization, Proxy-Authorization, Cookie and Set-Cookie each byte of the value
// becomes '*'. In text that is done to each line that begins so, in whatever protocol
// and also in bodies, and no length changes. In HTTP/2 the header blocks are coded
// anew. What cannot be followed is left out from there on: nothing is handed on that
// was not looked at.

#ifndef PCAP_REDACT_H
#define PCAP_REDACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redact;

struct redact_options {
	bool two;	// HTTP/2 was agreed on (ALPN)
	// Valid during the call.
	void (*put)(void *context, bool outgoing, const uint8_t *bytes, size_t size);
	void *context;
};

// NULL without memory.
struct redact *redact_open(const struct redact_options *options);
// `outgoing`: from the app.
void redact_bytes(struct redact *redact, bool outgoing, const void *bytes, size_t size);
void redact_close(struct redact *redact);

#endif
