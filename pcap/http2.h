// SPDX-License-Identifier: GPL-3.0-or-later
// http2 - HTTP/2 as somebody hears it who says nothing (RFC 9113).
//
// Frames are read here, header blocks by nghttp2 (RFC 7541). Both sides' tables have
// to be followed from the first byte, also for streams that are not kept. Bad input
// ends the observation, for good.

#ifndef PCAP_HTTP2_H
#define PCAP_HTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct exchange_sink;
struct http2;

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { HTTP2_PREFACE_SIZE = 24 };

// From the app's preface on.
struct http2 *http2_open(struct exchange_sink *sink);
// Stream 1's request, which was made in HTTP/1; taken over.
void http2_adopt(struct http2 *http, struct exchange *exchange);
// False: it is over.
bool http2_bytes(struct http2 *http, bool outgoing, const uint8_t *bytes, size_t size, uint64_t now);
// Streams that are not over go to the sink as they are.
void http2_close(struct http2 *http);

#endif
