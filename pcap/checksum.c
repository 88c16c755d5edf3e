// SPDX-License-Identifier: GPL-3.0-or-later
// checksum - the Internet checksum (RFC 1071) over bytes that come in pieces.
//
// One's complement addition does not mind the order of bytes in a word nor the
// width of the words, so the sum is taken in the machine's order over 32 bit
// halves into 64 bit accumulators: no carry is lost below 16 GB. The words go
// by pairs, as wide as a register of every 64 bit machine is, in four rows of
// which none waits for another.

#include "pcap/checksum.h"

#include <string.h>

typedef uint64_t pair __attribute__((vector_size(16)));

enum { ROW = sizeof(pair), ROWS = 4 * ROW };

static pair halves(pair words)
{
	const pair low = { UINT32_MAX, UINT32_MAX };

	return (words & low) + (words >> 32);
}

static uint64_t fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static pair load(const uint8_t *bytes)
{
	pair words;

	memcpy(&words, bytes, sizeof(words));
	return words;
}

// What is left of less than a row, as if zeros followed.
static pair load_rest(const uint8_t *bytes, size_t size)
{
	pair words = { 0 };

	if (size)
		memcpy(&words, bytes, size);
	return words;
}

static uint64_t total(pair sum)
{
	return fold(sum[0]) + fold(sum[1]);
}

// Sums of `size` bytes that begin at an even place. The second copies them too: the loads
// and additions of one pass take no longer than the copy by itself, while a pass more reads
// what may have left the cache.
static uint64_t sum_even(const uint8_t *bytes, size_t size)
{
	pair a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	for (; size >= ROWS; size -= ROWS, bytes += ROWS) {
		a += halves(load(bytes));
		b += halves(load(bytes + ROW));
		c += halves(load(bytes + 2 * ROW));
		d += halves(load(bytes + 3 * ROW));
	}
	for (; size >= ROW; size -= ROW, bytes += ROW)
		a += halves(load(bytes));
	b += halves(load_rest(bytes, size));
	return total(a + b + c + d);
}

static pair copied(uint8_t *to, const uint8_t *bytes)
{
	pair words = load(bytes);

	memcpy(to, &words, sizeof(words));
	return halves(words);
}

static uint64_t copy_even(uint8_t *to, const uint8_t *bytes, size_t size)
{
	pair a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	for (; size >= ROWS; size -= ROWS, bytes += ROWS, to += ROWS) {
		a += copied(to, bytes);
		b += copied(to + ROW, bytes + ROW);
		c += copied(to + 2 * ROW, bytes + 2 * ROW);
		d += copied(to + 3 * ROW, bytes + 3 * ROW);
	}
	memcpy(to, bytes, size);
	return total(a + b + c + d) + sum_even(bytes, size);
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
