// SPDX-License-Identifier: GPL-3.0-or-later
// http1 - HTTP/1 as somebody hears it who says nothing (RFC 9112).
//
// Requests wait in order for their responses (pipelining). Reading a response needs to
// know what was asked: none to HEAD has a body, and one to CONNECT or Upgrade may end
// HTTP. Bad input ends the observation, for good.

#ifndef PCAP_HTTP1_H
#define PCAP_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct exchange_sink;
struct http1;

enum http1_state {
	HTTP1_GOES_ON,
	HTTP1_OVER,	// it is something else from here, or never was HTTP
	HTTP1_TO_HTTP2,	// the response agreed to h2c; what is left of its bytes is HTTP/2
};

struct http1 *http1_open(struct exchange_sink *sink);
enum http1_state http1_bytes(struct http1 *http, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now,
			     size_t *used);
// That side says no more.
void http1_finish(struct http1 *http, bool outgoing, uint64_t now);
// The request that h2c was agreed for; the caller's from then on.
struct exchange *http1_take(struct http1 *http);
// Those that wait go to the sink as they are.
void http1_close(struct http1 *http);

#endif
