// SPDX-License-Identifier: GPL-3.0-or-later
// stream - plain bytes as a TCP conversation of their own.
//
// Pure: times are told, packets are handed on. The conversation has the real
// addresses and times, and its own handshake, sequence numbers and FINs, so that
// a reader puts it together like any other.

#ifndef PCAP_STREAM_H
#define PCAP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct capture_packet;
struct stream;

struct stream_options {
	const struct sockaddr *app, *peer;	// of one family; copied
	uint16_t port;				// the peer's, as written
	uint32_t segment;			// payload of a packet at most; 0: as large as can be
	uint32_t process;
	// Valid during the call. Checksums are left to be finished.
	void (*put)(void *context, const struct capture_packet *packet);
	void *context;
};

// NULL without memory, or for a family that is none of IP's.
struct stream *stream_open(const struct stream_options *options);
// The handshake; the comment is its first packet's.
void stream_begin(struct stream *stream, uint64_t time, const char *comment);
// `outgoing`: from the app.
void stream_data(struct stream *stream, bool outgoing, const void *bytes, size_t size, uint64_t time);
void stream_finish(struct stream *stream, bool outgoing, uint64_t time);
void stream_reset(struct stream *stream, bool outgoing, uint64_t time);
// By its present number.
void stream_owner(struct stream *stream, uint32_t process);
void stream_close(struct stream *stream);

// The port on which readers decode what a TLS port has inside. `protocol` is
// the ALPN, or NULL; 0: none is known.
uint16_t stream_port(uint16_t port, const char *protocol);

#endif
