// SPDX-License-Identifier: GPL-3.0-or-later
// stream - plain bytes as a TCP conversation of their own.
//
// Sequence numbers begin at a number of their own for each side and count what
// was written. Every packet acknowledges all that the other side has sent; one
// that sends nothing does so every ACK_EVERY bytes, so that no reader finds a
// window full (they are 1 GB: 65,535 scaled by 14).

#include "pcap/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/capture.h"
#include "pcap/checksum.h"

enum {
	IPV4 = 20, IPV6 = 40, TCP = 20, SYN_OPTIONS = 8,
	SEGMENT_MOST = 65535 - IPV4 - TCP,
	ACK_EVERY = 1 << 20,
	SCALE = 14,
};

struct side {
	uint8_t address[16];
	uint16_t port;
	uint32_t next, acked;	// the next to send; what the other side has acknowledged
	bool finished;
};

struct stream {
	struct stream_options options;
	struct side side[2];	// by `outgoing`: 1 is the app
	size_t address_size;
	uint32_t segment;
	uint16_t number;	// IPv4 identification
	bool over;
};

// --- ports ----------------------------------------------------------------------

uint16_t stream_port(uint16_t port, const char *protocol)
{
	static const uint16_t known[][2] = {
		{ 443, 80 }, { 8443, 8080 }, { 993, 143 }, { 995, 110 }, { 465, 25 }, { 587, 25 },
		{ 636, 389 }, { 3269, 3268 }, { 853, 53 }, { 563, 119 }, { 989, 20 }, { 990, 21 },
		{ 992, 23 }, { 994, 6667 }, { 6697, 6667 }, { 5061, 5060 }, { 5223, 5222 },
		{ 5671, 5672 }, { 6380, 6379 }, { 8883, 1883 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i][0] == port)
			return known[i][1];
	return protocol && (!strcmp(protocol, "h2") || !strncmp(protocol, "http/1", 6)) ? 80 : 0;
}

// --- headers --------------------------------------------------------------------

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

// RFC 791 section 3.1, RFC 8200 section 3.
static uint8_t *put_ip(struct stream *stream, uint8_t *at, bool outgoing, size_t size)
{
	const struct side *from = &stream->side[outgoing], *to = &stream->side[!outgoing];
	struct checksum sum = { 0 };
	uint8_t *begin = at;
	uint16_t word;

	if (stream->address_size == 16) {
		at = put16(put32(at, 6u << 28), size);
		*at++ = IPPROTO_TCP;
		*at++ = 64;
		at = mempcpy(at, from->address, 16);
		return mempcpy(at, to->address, 16);
	}
	at = put16(put16(at, 0x4500), IPV4 + size);
	at = put16(put16(at, stream->number++), 0x4000);
	at = put16(put16(at, 64 << 8 | IPPROTO_TCP), 0);
	at = mempcpy(at, from->address, 4);
	at = mempcpy(at, to->address, 4);
	checksum_add(&sum, begin, IPV4);
	word = checksum_word(&sum, 10);
	memcpy(begin + 10, &word, sizeof(word));
	return at;
}

// The pseudo-header's sum (RFC 9293 section 3.1), not complemented: whoever
// finishes the checksum goes on from it.
static uint16_t pseudo_sum(const struct stream *stream, size_t size)
{
	struct checksum sum = { 0 };
	uint8_t tail[4];

	checksum_add(&sum, stream->side[0].address, stream->address_size);
	checksum_add(&sum, stream->side[1].address, stream->address_size);
	put16(put16(tail, IPPROTO_TCP), size);
	checksum_add(&sum, tail, sizeof(tail));
	return ~checksum_word(&sum, 0);
}

static uint8_t *put_options(uint8_t *at, uint32_t segment)
{
	at = put16(put16(at, TCPOPT_MAXSEG << 8 | TCPOLEN_MAXSEG), segment);
	*at++ = TCPOPT_NOP;
	*at++ = TCPOPT_WINDOW;
	*at++ = TCPOLEN_WINDOW;
	*at++ = SCALE;
	return at;
}

static void emit(struct stream *stream, bool outgoing, uint8_t flags, const void *bytes, size_t size,
		 uint64_t time, const char *comment)
{
	struct side *from = &stream->side[outgoing], *to = &stream->side[!outgoing];
	size_t header = TCP + (flags & TH_SYN ? SYN_OPTIONS : 0);
	size_t ip = stream->address_size == 16 ? IPV6 : IPV4;
	uint8_t head[IPV6 + TCP + SYN_OPTIONS], *at = put_ip(stream, head, outgoing, header + size);
	struct iovec iov[2] = { { head, ip + header }, { (void *)bytes, size } };
	uint16_t sum = pseudo_sum(stream, header + size);
	struct capture_packet packet = {
		.time = time, .process = stream->options.process, .outgoing = outgoing, .iov = iov,
		.count = size ? 2 : 1, .size = ip + header + size, .sum_start = ip, .sum_offset = 16,
		.comment = comment,
	};

	at = put16(put16(at, from->port), to->port);
	at = put32(put32(at, from->next), flags & TH_ACK ? to->next : 0);
	at = put16(put16(at, header / 4 << 12 | flags), 65535);
	at = put16(mempcpy(at, &sum, sizeof(sum)), 0);
	if (flags & TH_SYN)
		put_options(at, stream->segment);
	from->next += size + ((flags & (TH_SYN | TH_FIN)) != 0);
	to->acked = to->next;
	stream->options.put(stream->options.context, &packet);
}

// --- the conversation -------------------------------------------------------------

static bool set_side(struct stream *stream, struct side *side, const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	bool six = address->sa_family == AF_INET6;

	if (!six && address->sa_family != AF_INET)
		return false;
	stream->address_size = six ? 16 : 4;
	memcpy(side->address, six ? (const void *)&v6->sin6_addr : &v4->sin_addr, stream->address_size);
	side->port = ntohs(six ? v6->sin6_port : v4->sin_port);
	return true;
}

struct stream *stream_open(const struct stream_options *options)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->options = *options;
	if (options->app->sa_family != options->peer->sa_family ||
	    !set_side(stream, &stream->side[1], options->app) ||
	    !set_side(stream, &stream->side[0], options->peer)) {
		free(stream);
		return NULL;
	}
	stream->side[0].port = options->port;
	stream->segment = options->segment && options->segment < SEGMENT_MOST ? options->segment : SEGMENT_MOST;
	// Not 0, where readers would not see relative numbers at work.
	stream->side[1].next = 0x10000000;
	stream->side[0].next = 0x20000000;
	return stream;
}

void stream_begin(struct stream *stream, uint64_t time, const char *comment)
{
	emit(stream, true, TH_SYN, NULL, 0, time, comment);
	emit(stream, false, TH_SYN | TH_ACK, NULL, 0, time, NULL);
	emit(stream, true, TH_ACK, NULL, 0, time, NULL);
}

void stream_data(struct stream *stream, bool outgoing, const void *bytes, size_t size, uint64_t time)
{
	const uint8_t *at = bytes;
	struct side *from = &stream->side[outgoing];

	while (size && !stream->over && !from->finished) {
		size_t part = size < stream->segment ? size : stream->segment;

		emit(stream, outgoing, TH_ACK | (part == size ? TH_PUSH : 0), at, part, time, NULL);
		if (from->next - from->acked >= ACK_EVERY)
			emit(stream, !outgoing, TH_ACK, NULL, 0, time, NULL);
		at += part;
		size -= part;
	}
}

void stream_finish(struct stream *stream, bool outgoing, uint64_t time)
{
	struct side *from = &stream->side[outgoing];

	if (stream->over || from->finished)
		return;
	emit(stream, outgoing, TH_FIN | TH_ACK, NULL, 0, time, NULL);
	emit(stream, !outgoing, TH_ACK, NULL, 0, time, NULL);
	from->finished = true;
	stream->over = stream->side[!outgoing].finished;
}

void stream_reset(struct stream *stream, bool outgoing, uint64_t time)
{
	if (stream->over)
		return;
	emit(stream, outgoing, TH_RST | TH_ACK, NULL, 0, time, NULL);
	stream->over = true;
}

void stream_owner(struct stream *stream, uint32_t process)
{
	stream->options.process = process;
}

void stream_close(struct stream *stream)
{
	free(stream);
}
