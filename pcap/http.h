// SPDX-License-Identifier: GPL-3.0-or-later
// http - one conversation heard, and the HTTP exchanges that are in it.
//
// Pure: bytes and times are told. Which HTTP it is, the app's first bytes say where nothing
// else did; where they say nothing of the kind, or later input is bad, it is over for this
// conversation: nothing more is looked at, and what was waiting is handed on as it is.

#ifndef PCAP_HTTP_H
#define PCAP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct http;

struct http_options {
	bool two;		// HTTP/2 was agreed on (ALPN): either side may begin
	size_t budget;		// bytes that are kept at a time; 0: 8 MiB
	size_t body_most;	// bytes of each body that are kept
	// Takes the exchange, to give it to exchange_close() before http_close().
	void (*done)(void *context, struct exchange *exchange);
	void *context;
};

// NULL without memory.
struct http *http_open(const struct http_options *options);
// `outgoing`: from the app; `now`: ns since the epoch.
void http_bytes(struct http *http, bool outgoing, const void *bytes, size_t size, uint64_t now);
// That side says no more.
void http_finish(struct http *http, bool outgoing, uint64_t now);
void http_close(struct http *http);

#endif
