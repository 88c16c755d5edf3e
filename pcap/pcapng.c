// SPDX-License-Identifier: GPL-3.0-or-later
// pcapng - its blocks as bytes (draft-ietf-opsawg-pcapng), one call a block.
//
// A block is type, total length, a fixed part, options and the total length
// again, each padded with zeros to 32 bits. Each function here lists its
// options first, so that the length is known and the room is reserved once;
// then a cursor writes straight through.

#include "pcap/pcapng.h"

#include <errno.h>
#include <string.h>

#include "pcap/text.h"

enum {
	BLOCK_INTERFACE = 1,
	BLOCK_NAMES = 4,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECRETS = 10,
};
#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_DARWIN_PROCESS 0x80000001u

enum {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SECTION_HARDWARE = 2, SECTION_OS = 3, SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2, INTERFACE_DESCRIPTION = 3, INTERFACE_TSRESOL = 9,
	INTERFACE_FILTER = 11, INTERFACE_OS = 12,
	DARWIN_NAME = 2, DARWIN_UUID = 4,
	PACKET_FLAGS = 2, PACKET_DARWIN_PROCESS = 0x8001,
	STATISTICS_START = 2, STATISTICS_END = 3, STATISTICS_RECEIVED = 4,
	STATISTICS_DROPPED = 5, STATISTICS_ACCEPTED = 6,
};

enum { NAME_END = 0, NAME_IPV4 = 1, NAME_IPV6 = 2 };

// Option lengths are 16 bit; the last multiple of four keeps padding out of it.
enum { OPTION_MOST = 65532, OPTIONS_MOST = 8 };

struct option {
	uint16_t code;
	bool text;		// `value` is text to be made clean
	uint8_t prefix;		// with text: 1 byte of 0 before it (if_filter)
	size_t size;
	const void *value;
};

struct options {
	struct option list[OPTIONS_MOST];
	unsigned count;
};

static size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

static void add_option(struct options *options, uint16_t code, const void *value, size_t size)
{
	options->list[options->count++] = (struct option){ .code = code, .size = size, .value = value };
}

static void add_text(struct options *options, uint16_t code, const char *value)
{
	if (!value || !*value)
		return;
	options->list[options->count++] = (struct option){
		.code = code, .text = true, .value = value, .size = text_cut(value, OPTION_MOST),
	};
}

static size_t options_size(const struct options *options)
{
	size_t size = options->count ? 4 : 0;

	for (unsigned i = 0; i < options->count; i++)
		size += 4 + padded(options->list[i].prefix + options->list[i].size);
	return size;
}

// --- the cursor: each step writes and moves on --------------------------------

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

// Times are two words, the upper one first, whatever the byte order.
static uint8_t *put_time(uint8_t *at, uint64_t time)
{
	return put32(put32(at, time >> 32), (uint32_t)time);
}

static uint8_t *put_padding(uint8_t *at, size_t size)
{
	size_t n = padded(size) - size;

	memset(at, 0, n);
	return at + n;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return put_padding(at + size, size);
}

static uint8_t *put_option(uint8_t *at, const struct option *option)
{
	size_t size = option->prefix + option->size;

	at = put16(put16(at, option->code), size);
	if (!option->text)
		return put_bytes(at, option->value, option->size);
	if (option->prefix)
		*at = 0;
	text_clean((char *)at + option->prefix, option->value, option->size);
	return put_padding(at + size, size);
}

// The whole block's length for a fixed part and options.
static size_t block_size(size_t fixed, const struct options *options)
{
	return 8 + fixed + options_size(options) + 4;
}

static uint8_t *begin(struct blocks *to, uint32_t type, size_t size)
{
	uint8_t *at = blocks_reserve(to, size);

	return at ? put32(put32(at, type), size) : NULL;
}

static int finish(struct blocks *to, uint8_t *at, size_t size, const struct options *options, bool packet)
{
	for (unsigned i = 0; i < options->count; i++)
		at = put_option(at, &options->list[i]);
	if (options->count)
		at = put16(put16(at, OPTION_END), 0);
	put32(at, size);
	blocks_commit(to, size, packet);
	return 0;
}

// --- the blocks ---------------------------------------------------------------

int pcapng_section(struct blocks *to, const struct pcapng_section *section)
{
	struct options options = { 0 };

	add_text(&options, OPTION_COMMENT, section->comment);
	add_text(&options, SECTION_HARDWARE, section->hardware);
	add_text(&options, SECTION_OS, section->os);
	add_text(&options, SECTION_APPLICATION, section->application);

	size_t size = block_size(16, &options);
	uint8_t *at = begin(to, BLOCK_SECTION, size);
	if (!at)
		return -ENOMEM;
	at = put32(at, 0x1a2b3c4d);			// byte order magic
	at = put16(put16(at, 1), 0);			// version 1.0
	at = put32(put32(at, UINT32_MAX), UINT32_MAX);	// section length: not known
	return finish(to, at, size, &options, false);
}

int pcapng_interface(struct blocks *to, const struct pcapng_interface *interface)
{
	static const uint8_t nanoseconds = 9;	// 10 to the -9 s
	struct options options = { 0 };

	add_text(&options, INTERFACE_NAME, interface->name);
	add_text(&options, INTERFACE_DESCRIPTION, interface->description);
	add_option(&options, INTERFACE_TSRESOL, &nanoseconds, 1);
	if (interface->filter && *interface->filter) {
		add_text(&options, INTERFACE_FILTER, interface->filter);
		options.list[options.count - 1].prefix = 1;	// 0: a libpcap expression
	}
	add_text(&options, INTERFACE_OS, interface->os);

	size_t size = block_size(8, &options);
	uint8_t *at = begin(to, BLOCK_INTERFACE, size);
	if (!at)
		return -ENOMEM;
	at = put16(put16(at, interface->linktype), 0);
	at = put32(at, interface->snaplen);
	return finish(to, at, size, &options, false);
}

int pcapng_process(struct blocks *to, int32_t pid, const char *name, const uint8_t uuid[16])
{
	struct options options = { 0 };

	add_text(&options, DARWIN_NAME, name);
	add_option(&options, DARWIN_UUID, uuid, 16);

	size_t size = block_size(4, &options);
	uint8_t *at = begin(to, BLOCK_DARWIN_PROCESS, size);
	if (!at)
		return -ENOMEM;
	return finish(to, put32(at, pid), size, &options, false);
}

int pcapng_packet(struct blocks *to, const struct pcapng_packet *packet, const struct frame *frame)
{
	uint32_t flags = packet->outgoing ? 2 : 1, process = packet->process;
	size_t captured = frame->link_size + frame->kept;
	struct options options = { 0 };

	add_text(&options, OPTION_COMMENT, packet->comment);
	add_option(&options, PACKET_FLAGS, &flags, 4);
	if (packet->process >= 0)
		add_option(&options, PACKET_DARWIN_PROCESS, &process, 4);

	size_t size = block_size(20 + padded(captured), &options);
	uint8_t *at = begin(to, BLOCK_PACKET, size);
	if (!at)
		return -ENOMEM;
	at = put_time(put32(at, packet->interface), frame->time);
	at = put32(put32(at, captured), frame->link_size + frame->size);
	frame_put(at, frame);
	at = put_padding(at + captured, captured);
	return finish(to, at, size, &options, true);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

bool pcapng_is_packet(const uint8_t *block)
{
	return get32(block) == BLOCK_PACKET;
}

uint32_t pcapng_interface_of(const uint8_t *block)
{
	return get32(block + 8);
}

uint64_t pcapng_time_of(const uint8_t *block)
{
	return (uint64_t)get32(block + 12) << 32 | get32(block + 16);
}

// The process is the last option: before its end mark and the length.
void pcapng_renumber(uint8_t *block, uint32_t interface, int64_t process)
{
	put32(block + 8, interface);
	if (process >= 0)
		put32(block + get32(block + 4) - 12, process);
}

int pcapng_secrets(struct blocks *to, const char *lines, size_t size)
{
	struct options none = { 0 };
	size_t whole = block_size(8 + padded(size), &none);
	uint8_t *at = begin(to, BLOCK_SECRETS, whole);

	if (!at)
		return -ENOMEM;
	at = put32(put32(at, 0x544c534b), size);	// "TLSK"
	return finish(to, put_bytes(at, lines, size), whole, &none, false);
}

int pcapng_name(struct blocks *to, const uint8_t *address, size_t size, const char *name)
{
	struct options none = { 0 };
	size_t length = text_cut(name, OPTION_MOST - 16 - 1);
	size_t value = size + length + 1;
	size_t whole = block_size(4 + padded(value) + 4, &none);
	uint8_t *at = begin(to, BLOCK_NAMES, whole);

	if (!at)
		return -ENOMEM;
	at = put16(put16(at, size == 4 ? NAME_IPV4 : NAME_IPV6), value);
	memcpy(at, address, size);
	text_clean((char *)at + size, name, length);
	at[size + length] = 0;
	at = put_padding(at + value, value);
	at = put16(put16(at, NAME_END), 0);
	return finish(to, at, whole, &none, false);
}

int pcapng_statistics(struct blocks *to, const struct pcapng_statistics *statistics)
{
	uint8_t first[8], last[8];
	struct options options = { 0 };

	put_time(first, statistics->first);
	put_time(last, statistics->last);
	add_option(&options, STATISTICS_START, first, 8);
	add_option(&options, STATISTICS_END, last, 8);
	add_option(&options, STATISTICS_RECEIVED, &statistics->received, 8);
	add_option(&options, STATISTICS_DROPPED, &statistics->dropped, 8);
	add_option(&options, STATISTICS_ACCEPTED, &statistics->accepted, 8);

	size_t size = block_size(12, &options);
	uint8_t *at = begin(to, BLOCK_STATISTICS, size);
	if (!at)
		return -ENOMEM;
	at = put_time(put32(at, statistics->interface), statistics->last);
	return finish(to, at, size, &options, false);
}
