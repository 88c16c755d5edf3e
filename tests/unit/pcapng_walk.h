// SPDX-License-Identifier: GPL-3.0-or-later
// pcapng_walk - a second opinion on pcapng files: a reader that trusts nothing.
//
// Written from the draft alone, it shares no code with the encoder. It checks
// of each block what must hold for a reader to go on, and counts interfaces
// and Darwin processes so that no packet points past them.

#ifndef TESTS_PCAPNG_WALK_H
#define TESTS_PCAPNG_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	WALK_INTERFACE = 1, WALK_NAMES = 4, WALK_STATISTICS = 5, WALK_PACKET = 6,
	WALK_SECRETS = 10,
};
#define WALK_SECTION 0x0a0d0d0au
#define WALK_PROCESS 0x80000001u

struct walk {
	const uint8_t *bytes;
	size_t size, at;
	uint32_t interfaces, processes, snaplen;
	const char *bad;	// what was wrong, or NULL

	// The block that walk_next() came to.
	uint32_t type, length;
	const uint8_t *body;		// behind type and length
	size_t body_size;
	const uint8_t *options;		// NULL: none
	size_t options_size;

	// Of a packet block.
	uint32_t interface, captured, original;
	uint64_t time;
	const uint8_t *data;
};

static inline uint32_t walk32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static inline uint16_t walk16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, 2);
	return value;
}

static inline bool walk_refuse(struct walk *walk, const char *bad)
{
	walk->bad = bad;
	return false;
}

static inline size_t walk_padded(size_t size)
{
	return (size + 3) / 4 * 4;
}

// The value of the option `code`, with its size; NULL if it is not there.
static inline const uint8_t *walk_option(const struct walk *walk, uint16_t code, size_t *size)
{
	size_t at = 0;

	while (walk->options && at + 4 <= walk->options_size) {
		*size = walk16(walk->options + at + 2);
		if (walk16(walk->options + at) == code)
			return walk->options + at + 4;
		at += 4 + walk_padded(*size);
	}
	return NULL;
}

// True if the option is there and is exactly this text.
static inline bool walk_says(const struct walk *walk, uint16_t code, const char *text)
{
	size_t size;
	const uint8_t *value = walk_option(walk, code, &size);

	return value && size == strlen(text) && !memcmp(value, text, size);
}

static inline bool walk_check_zeros(const uint8_t *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (from[i])
			return false;
	return true;
}

static inline bool walk_check_options(struct walk *walk, size_t fixed)
{
	size_t at = 0, size = walk->body_size - fixed;
	const uint8_t *options = walk->body + fixed;

	walk->options = NULL;
	walk->options_size = 0;
	if (!size)
		return true;
	for (;;) {
		if (at + 4 > size)
			return walk_refuse(walk, "options without an end");
		uint16_t code = walk16(options + at), length = walk16(options + at + 2);
		at += 4;
		if (!code) {
			if (length || at != size)
				return walk_refuse(walk, "end of options that is none");
			break;
		}
		if (walk_padded(length) > size - at)
			return walk_refuse(walk, "option beyond its block");
		if (!walk_check_zeros(options + at + length, walk_padded(length) - length))
			return walk_refuse(walk, "option padded with something");
		at += walk_padded(length);
	}
	walk->options = options;
	walk->options_size = size;
	return true;
}

static inline bool walk_packet(struct walk *walk)
{
	size_t size;

	if (walk->body_size < 20)
		return walk_refuse(walk, "short packet block");
	walk->interface = walk32(walk->body);
	walk->time = (uint64_t)walk32(walk->body + 4) << 32 | walk32(walk->body + 8);
	walk->captured = walk32(walk->body + 12);
	walk->original = walk32(walk->body + 16);
	walk->data = walk->body + 20;
	if (walk->interface >= walk->interfaces)
		return walk_refuse(walk, "packet of an interface that is not there yet");
	if (walk->captured > walk->original || walk->captured > walk->snaplen)
		return walk_refuse(walk, "more captured than there was");
	if (walk_padded(walk->captured) > walk->body_size - 20)
		return walk_refuse(walk, "packet beyond its block");
	if (!walk_check_options(walk, 20 + walk_padded(walk->captured)))
		return false;
	const uint8_t *process = walk_option(walk, 0x8001, &size);
	if (process && (size != 4 || walk32(process) >= walk->processes))
		return walk_refuse(walk, "packet of a process that is not there yet");
	return true;
}

static inline bool walk_secrets(struct walk *walk)
{
	if (walk->body_size < 8 || walk32(walk->body) != 0x544c534b ||
	    walk_padded(walk32(walk->body + 4)) > walk->body_size - 8)
		return walk_refuse(walk, "secrets beyond their block");
	return walk_check_options(walk, 8 + walk_padded(walk32(walk->body + 4)));
}

static inline bool walk_names(struct walk *walk)
{
	size_t at = 0;

	for (;;) {
		if (at + 4 > walk->body_size)
			return walk_refuse(walk, "names without an end");
		uint16_t type = walk16(walk->body + at), length = walk16(walk->body + at + 2);
		at += 4;
		if (!type)
			break;
		if (type > 2 || walk_padded(length) > walk->body_size - at ||
		    length < (type == 1 ? 6 : 18) || walk->body[at + length - 1])
			return walk_refuse(walk, "bad name record");
		at += walk_padded(length);
	}
	return walk_check_options(walk, at);
}

static inline bool walk_interface(struct walk *walk)
{
	if (walk->body_size < 8 || walk16(walk->body) != 276 || walk16(walk->body + 2))
		return walk_refuse(walk, "bad interface block");
	if (walk->interfaces && walk32(walk->body + 4) != walk->snaplen)
		return walk_refuse(walk, "two snapshot lengths, which libpcap refuses");
	walk->snaplen = walk32(walk->body + 4);
	walk->interfaces++;
	return walk_check_options(walk, 8);
}

static inline bool walk_process(struct walk *walk)
{
	size_t size;

	if (walk->body_size < 4 || !walk_check_options(walk, 4))
		return walk_refuse(walk, "short process block");
	if (!walk_option(walk, 2, &size) || !size || !walk_option(walk, 4, &size) || size != 16)
		return walk_refuse(walk, "process without name or UUID");
	walk->processes++;
	return true;
}

static inline bool walk_block(struct walk *walk)
{
	switch (walk->type) {
	case WALK_SECTION:
		if (walk->body_size < 16 || walk32(walk->body) != 0x1a2b3c4d)
			return walk_refuse(walk, "bad section block");
		return walk_check_options(walk, 16);
	case WALK_INTERFACE:
		return walk_interface(walk);
	case WALK_PROCESS:
		return walk_process(walk);
	case WALK_PACKET:
		return walk_packet(walk);
	case WALK_SECRETS:
		return walk_secrets(walk);
	case WALK_NAMES:
		return walk_names(walk);
	case WALK_STATISTICS:
		if (walk->body_size < 12 || walk32(walk->body) >= walk->interfaces)
			return walk_refuse(walk, "statistics of no interface");
		return walk_check_options(walk, 12);
	default:
		return walk_refuse(walk, "block of a type that is never written");
	}
}

// The next block. False at the end, or with `bad` set.
static inline bool walk_next(struct walk *walk)
{
	size_t left = walk->size - walk->at;
	const uint8_t *block = walk->bytes + walk->at;

	if (!left)
		return false;
	if (left < 12)
		return walk_refuse(walk, "less than a block at the end");
	walk->type = walk32(block);
	walk->length = walk32(block + 4);
	if (walk->length < 12 || walk->length % 4 || walk->length > left)
		return walk_refuse(walk, "bad block length");
	if (walk32(block + walk->length - 4) != walk->length)
		return walk_refuse(walk, "two block lengths");
	if ((walk->at == 0) != (walk->type == WALK_SECTION))
		return walk_refuse(walk, "section block not first");
	walk->body = block + 8;
	walk->body_size = walk->length - 12;
	walk->at += walk->length;
	return walk_block(walk);
}

#endif
