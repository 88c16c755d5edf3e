// SPDX-License-Identifier: GPL-3.0-or-later
// frame - one packet as it stands in the file: an SLL2 header, then IP bytes.

#include "pcap/frame.h"

#include <arpa/inet.h>
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

static uint16_t ether_type(const uint8_t *ip, size_t size)
{
	switch (size ? ip[0] >> 4 : 0) {
	case 4:
		return ETHERTYPE_IP;
	case 6:
		return ETHERTYPE_IPV6;
	default:
		return 0;
	}
}

// The interface index stays 0: a reader would look any other up among its own
// machine's interfaces (tcpdump prints 1 as "lo").
void sll2_header(uint8_t header[SLL2_SIZE], bool outgoing, const uint8_t *ip, size_t size)
{
	memset(header, 0, SLL2_SIZE);
	put16(header, ether_type(ip, size));
	put16(header + 8, HARDWARE_NONE);
	header[10] = outgoing ? PACKET_OUTGOING : PACKET_HOST;
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

// Over the pieces, from sum_start to the packet's end.
static uint16_t sum_pieces(const struct frame *frame)
{
	struct checksum sum = { 0 };
	size_t skip = frame->sum_start, left = frame->size;

	for (int i = 0; i < frame->count && left; i++) {
		size_t n = frame->iov[i].iov_len < left ? frame->iov[i].iov_len : left;

		left -= n;
		if (skip >= n) {
			skip -= n;
			continue;
		}
		checksum_add(&sum, (const uint8_t *)frame->iov[i].iov_base + skip, n - skip);
		skip = 0;
	}
	return checksum_word(&sum, frame->sum_offset);
}

void frame_put(uint8_t *to, size_t offset, const struct frame *frame, struct block *block)
{
	uint8_t *ip = to + SLL2_SIZE;
	size_t at = (size_t)frame->sum_start + frame->sum_offset;

	memcpy(to, frame->link, SLL2_SIZE);
	frame_gather(ip, frame->kept, frame->iov, frame->count);
	block->packet = true;

	if (!frame->sum_start || at + 2 > frame->size || at + 2 > frame->kept)
		return;
	if (frame->kept < frame->size) {
		uint16_t word = sum_pieces(frame);
		memcpy(ip + at, &word, sizeof(word));
		return;
	}
	block->sum_from = offset + SLL2_SIZE + frame->sum_start;
	block->sum_to = offset + SLL2_SIZE + frame->size;
	block->sum_at = offset + SLL2_SIZE + at;
}
