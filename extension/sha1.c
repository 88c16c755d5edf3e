// SPDX-License-Identifier: GPL-3.0-or-later
// sha1 - the digest that Java's truststores and OpenSSL's folders are made with.

#include "extension/sha1.h"

#include <endian.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t state[5], const uint8_t block[64])
{
	uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

	for (int i = 0; i < 16; i++) {
		memcpy(&w[i], block + (size_t)i * 4, 4);
		w[i] = be32toh(w[i]);
	}
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d :
			     i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
		uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
		uint32_t next = rotate(a, 5) + f + e + k + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1(const void *data, size_t size, uint8_t out[SHA1_SIZE])
{
	uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
	size_t whole = size / 64 * 64, rest = size - whole;
	uint64_t bits = htobe64((uint64_t)size * 8);
	const uint8_t *bytes = data;
	uint8_t last[128] = {0};
	size_t last_size = rest < 56 ? 64 : 128;

	for (size_t i = 0; i < whole; i += 64)
		sha1_block(state, bytes + i);
	if (rest)
		memcpy(last, bytes + whole, rest);
	last[rest] = 0x80;
	memcpy(last + last_size - 8, &bits, 8);
	for (size_t i = 0; i < last_size; i += 64)
		sha1_block(state, last + i);
	for (size_t i = 0; i < 5; i++) {
		uint32_t word = htobe32(state[i]);

		memcpy(out + i * 4, &word, 4);
	}
}
