// SPDX-License-Identifier: GPL-3.0-or-later
// checksum - the Internet checksum (RFC 1071) over bytes that come in pieces.
//
// One's complement addition does not mind the order of bytes in a word nor the
// width of the words, so the sum is taken in the machine's order over 32 bit
// halves into 64 bit accumulators: no carry is lost below 16 GB, and four
// accumulators let the machine add several words a cycle.

#include "pcap/checksum.h"

#include <string.h>

static uint64_t load(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static uint64_t halves(uint64_t word)
{
	return (word & UINT32_MAX) + (word >> 32);
}

static uint64_t fold(uint64_t sum)
{
	sum = halves(halves(sum));
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

// Sums of `size` bytes that begin at an even place. The second copies them too: the loads
// and additions of one pass take no longer than the copy by itself, while a pass more reads
// what may have left the cache.
static uint64_t sum_even(const uint8_t *bytes, size_t size)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; size >= 32; size -= 32, bytes += 32) {
		a += halves(load(bytes));
		b += halves(load(bytes + 8));
		c += halves(load(bytes + 16));
		d += halves(load(bytes + 24));
	}
	for (; size >= 8; size -= 8, bytes += 8)
		a += halves(load(bytes));
	if (size) {
		uint64_t rest = 0;
		memcpy(&rest, bytes, size);
		b += halves(rest);
	}
	return fold(a) + fold(b) + fold(c) + fold(d);
}

static uint64_t copied(uint8_t *to, const uint8_t *bytes)
{
	uint64_t word = load(bytes);

	memcpy(to, &word, sizeof(word));
	return halves(word);
}

static uint64_t copy_even(uint8_t *to, const uint8_t *bytes, size_t size)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; size >= 32; size -= 32, bytes += 32, to += 32) {
		a += copied(to, bytes);
		b += copied(to + 8, bytes + 8);
		c += copied(to + 16, bytes + 16);
		d += copied(to + 24, bytes + 24);
	}
	memcpy(to, bytes, size);
	return fold(a) + fold(b) + fold(c) + fold(d) + sum_even(bytes, size);
}

static void add(struct checksum *checksum, uint64_t sum, size_t size)
{
	sum = fold(sum);
	// From an odd place on, every byte is the other half of its word.
	if (checksum->odd)
		sum = (sum << 8 | sum >> 8) & 0xffff;
	checksum->sum += sum;
	checksum->odd ^= size & 1;
}

void checksum_add(struct checksum *checksum, const void *bytes, size_t size)
{
	add(checksum, sum_even(bytes, size), size);
}

void checksum_copy(struct checksum *checksum, void *to, const void *bytes, size_t size)
{
	add(checksum, copy_even(to, bytes, size), size);
}

uint16_t checksum_word(const struct checksum *checksum, size_t offset)
{
	uint16_t word = ~fold(checksum->sum);

	return word || offset != CHECKSUM_UDP ? word : 0xffff;
}
