// SPDX-License-Identifier: GPL-3.0-or-later
// frame - one packet as it stands in the file: an SLL2 header, then IP bytes.

#include "pcap/frame.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>

#include "pcap/checksum.h"

// What a TUN device is (if_arp.h has it, but not beside netinet's headers).
enum { HARDWARE_NONE = 0xfffe };

static void put16(uint8_t *to, uint16_t value)
{
	value = htons(value);
	memcpy(to, &value, sizeof(value));
}

// IP's, in its first byte.
static int version_of(const struct frame *frame)
{
	for (int i = 0; i < frame->count; i++)
		if (frame->iov[i].iov_len)
			return *(const uint8_t *)frame->iov[i].iov_base >> 4;
	return 0;
}

// The interface index stays 0: a reader would look any other up among its own
// machine's interfaces (tcpdump prints 1 as "lo").
static void sll2_header(uint8_t header[SLL2_SIZE], bool outgoing, int version)
{
	memset(header, 0, SLL2_SIZE);
	put16(header, version == 4 ? ETHERTYPE_IP : version == 6 ? ETHERTYPE_IPV6 : 0);
	put16(header + 8, HARDWARE_NONE);
	header[10] = outgoing ? PACKET_OUTGOING : PACKET_HOST;
}

static uint8_t *put32le(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

// Fields end with a zero, however long the name is.
static uint8_t *put_name(uint8_t *to, const char *name, size_t size)
{
	memcpy(to, name, strnlen(name, size - 1));
	return to + size;
}

static void pktap_header(uint8_t header[PKTAP_SIZE], bool outgoing, int version, int32_t pid, const char *name)
{
	enum { RECORD_PACKET = 1, RAW_IP = 12, IN = 1, OUT = 2, INET = 2, INET6 = 30 };
	uint8_t *at = header;

	memset(header, 0, PKTAP_SIZE);
	at = put32le(put32le(put32le(at, PKTAP_SIZE), RECORD_PACKET), RAW_IP);
	at = put_name(at, "apptap", 24);
	at = put32le(put32le(at, outgoing ? OUT : IN), version == 6 ? INET6 : INET);
	at = put32le(put32le(at, 0), 0);	// no link header, no trailer
	at = put_name(put32le(at, pid), name, 20);
	at = put32le(at, 0) + 4;		// service class; interface type and unit
	put_name(put32le(at, pid), name, 20);
}

void frame_link(struct frame *frame, uint16_t linktype, bool outgoing, int32_t pid, const char *name)
{
	bool pktap = linktype == PKTAP_LINKTYPE;

	frame->link_size = pktap ? PKTAP_SIZE : SLL2_SIZE;
	if (pktap)
		pktap_header(frame->link, outgoing, version_of(frame), pid, name);
	else
		sll2_header(frame->link, outgoing, version_of(frame));
}

size_t frame_gather(uint8_t *to, size_t size, const struct iovec *iov, int count)
{
	size_t done = 0;

	for (int i = 0; i < count && done < size; i++) {
		size_t n = iov[i].iov_len;

		if (n > size - done)
			n = size - done;
		if (n)
			memcpy(to + done, iov[i].iov_base, n);
		done += n;
	}
	return done;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

// One piece, `at` bytes into the packet: what lies before sum_start, then what
// of it is kept, then what is cut off and yet counts.
static void put_piece(uint8_t *ip, size_t at, const uint8_t *bytes, size_t size, const struct frame *frame,
		      struct checksum *sum)
{
	size_t before = frame->sum_start > at ? least(frame->sum_start - at, size) : 0;
	size_t kept = frame->kept > at ? least(frame->kept - at, size) : 0;

	memcpy(ip + at, bytes, before);
	checksum_copy(sum, ip + at + before, bytes + before, kept - before);
	checksum_add(sum, bytes + kept, size - kept);
}

// sum_start lies within what is kept.
static void put_summed(uint8_t *ip, const struct frame *frame)
{
	struct checksum sum = { 0 };
	size_t at = 0;

	for (int i = 0; i < frame->count && at < frame->size; i++) {
		size_t n = least(frame->iov[i].iov_len, frame->size - at);

		if (n)
			put_piece(ip, at, frame->iov[i].iov_base, n, frame, &sum);
		at += n;
	}
	uint16_t word = checksum_word(&sum, frame->sum_offset);
	memcpy(ip + frame->sum_start + frame->sum_offset, &word, sizeof(word));
}

void frame_put(uint8_t *to, const struct frame *frame)
{
	uint8_t *ip = to + frame->link_size;
	size_t word_end = (size_t)frame->sum_start + frame->sum_offset + 2;

	memcpy(to, frame->link, frame->link_size);
	if (frame->sum_start && word_end <= frame->size && word_end <= frame->kept)
		put_summed(ip, frame);
	else
		frame_gather(ip, frame->kept, frame->iov, frame->count);
}
