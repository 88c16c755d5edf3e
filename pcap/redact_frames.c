// SPDX-License-Identifier: GPL-3.0-or-later
// redact_frames - one direction of HTTP/2, its header blocks coded anew.
//
// What is written uses no table (its size is set to 0 in the first block, and again
// after each acknowledged change): any decoder may be told so at any time
// (RFC 7541 section 6.3), whatever was agreed on.

#include "pcap/redact_frames.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FRAME_HEAD = 9, FRAME_MOST = 16384, BLOCK_MOST = 256 << 10, FIELDS_MOST = 1024, PROMISES_MOST = 16, TABLE_MOST = 1 << 20 };
enum { HEADERS = 1, SETTINGS = 4, PUSH_PROMISE = 5, CONTINUATION = 9 };
enum { ACK = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };

struct redact_frames {
	void (*put)(void *context, const uint8_t *bytes, size_t size);
	void *context;
	struct redact_frames *other;
	nghttp2_hd_inflater *inflater;
	nghttp2_hd_deflater *deflater;
	uint8_t head[FRAME_HEAD];
	size_t head_size, got, size;	// of the frame's payload
	uint8_t payload[FRAME_MOST];	// of a frame that is looked at
	uint8_t first[FRAME_HEAD + 5];	// the block's frame head, and what stands before the block
	size_t first_size;		// of the latter
	uint8_t *block;
	size_t block_size;
	bool in_block;
	uint32_t promised[PROMISES_MOST];	// table sizes that this side has yet to acknowledge
	int promises;
};

bool redact_hides(const char *name, size_t size)
{
	static const char *const names[] = {"authorization", "proxy-authorization", "cookie", "set-cookie"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (size == strlen(names[i]) && !strncasecmp(name, names[i], size))
			return true;
	return false;
}

// --- blocks -----------------------------------------------------------------

// A field as it is written: the bytes are copied, an emitted field lasts no longer than its call.
static bool copy_field(nghttp2_nv *to, const nghttp2_nv *nv)
{
	*to = (nghttp2_nv){.namelen = nv->namelen, .valuelen = nv->valuelen};
	to->name = malloc(nv->namelen + nv->valuelen + 1);
	if (!to->name)
		return false;
	to->value = to->name + nv->namelen;
	memcpy(to->name, nv->name, nv->namelen);
	if (redact_hides((const char *)nv->name, nv->namelen))
		memset(to->value, '*', nv->valuelen);
	else
		memcpy(to->value, nv->value, nv->valuelen);
	return true;
}

static bool read_fields(struct redact_frames *f, nghttp2_nv *fields, size_t *count)
{
	const uint8_t *at = f->block;
	size_t left = f->block_size, all = 0;

	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(f->inflater, &nv, &flags, at, left, 1);

		if (n < 0)
			return false;
		at += n;
		left -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			all += nv.namelen + nv.valuelen;
			if (*count == FIELDS_MOST || all > BLOCK_MOST || !copy_field(&fields[*count], &nv))
				return false;
			++*count;
		}
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			return !nghttp2_hd_inflate_end_headers(f->inflater);
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !left)
			return false;
	}
}

static void put_head(struct redact_frames *f, size_t size, uint8_t type, uint8_t flags)
{
	uint8_t head[FRAME_HEAD];

	memcpy(head, f->first, FRAME_HEAD);
	head[0] = (uint8_t)(size >> 16);
	head[1] = (uint8_t)(size >> 8);
	head[2] = (uint8_t)size;
	head[3] = type;
	head[4] = flags;
	f->put(f->context, head, FRAME_HEAD);
}

static void put_block(struct redact_frames *f, const uint8_t *block, size_t size)
{
	uint8_t flags = f->first[4] & (uint8_t)~(PADDED | END_HEADERS), type = f->first[3];
	size_t before = f->first_size;

	for (size_t at = 0, part; at == 0 || at < size; at += part, before = 0, type = CONTINUATION, flags = 0) {
		part = size - at < FRAME_MOST - before ? size - at : FRAME_MOST - before;
		put_head(f, before + part, type, at + part == size ? flags | END_HEADERS : flags);
		if (before)
			f->put(f->context, f->first + FRAME_HEAD, before);
		if (part)
			f->put(f->context, block + at, part);
		if (!size)
			break;
	}
}

static bool end_block(struct redact_frames *f)
{
	nghttp2_nv *fields = calloc(FIELDS_MOST, sizeof(*fields));
	size_t count = 0;
	bool fine = fields && read_fields(f, fields, &count);
	size_t room = fine ? nghttp2_hd_deflate_bound(f->deflater, fields, count) : 0;
	uint8_t *out = fine ? malloc(room + 1) : NULL;
	ssize_t n = out ? nghttp2_hd_deflate_hd(f->deflater, out, room, fields, count) : -1;

	if (n >= 0)
		put_block(f, out, (size_t)n);
	for (size_t i = 0; i < count; i++)
		free(fields[i].name);
	free(fields);
	free(out);
	free(f->block);
	f->block = NULL;
	f->block_size = 0;
	f->in_block = false;
	return n >= 0;
}

static bool add_block(struct redact_frames *f, const uint8_t *at, size_t size)
{
	if (f->block_size + size > BLOCK_MOST)
		return false;
	uint8_t *grown = realloc(f->block, f->block_size + size + 1);
	if (!grown)
		return false;
	f->block = grown;
	memcpy(f->block + f->block_size, at, size);
	f->block_size += size;
	return !(f->head[4] & END_HEADERS) || end_block(f);
}

static bool begin_block(struct redact_frames *f)
{
	const uint8_t *at = f->payload;
	size_t size = f->size, pad = 0;

	if (f->head[4] & PADDED) {
		if (!size)
			return false;
		pad = *at++;
		size--;
	}
	f->first_size = f->head[3] == PUSH_PROMISE ? 4 : f->head[4] & HAS_PRIORITY ? 5 : 0;
	if (size < f->first_size + pad)
		return false;
	memcpy(f->first, f->head, FRAME_HEAD);
	memcpy(f->first + FRAME_HEAD, at, f->first_size);
	f->in_block = true;
	return add_block(f, at + f->first_size, size - f->first_size - pad);
}

// --- settings ---------------------------------------------------------------

// As in http2.c: what one side allows, the other's tables follow from its acknowledgement on.
static bool read_settings(struct redact_frames *f)
{
	uint32_t table = UINT32_MAX;

	if (f->head[4] & ACK) {
		if (!f->promises)
			return true;
		table = f->promised[0];
		f->promises--;
		memmove(f->promised, f->promised + 1, (size_t)f->promises * sizeof(*f->promised));
		return table == UINT32_MAX || (!nghttp2_hd_inflate_change_table_size(f->inflater, table) &&
					       !nghttp2_hd_deflate_change_table_size(f->deflater, 0));
	}
	if (!f->other || f->other->promises == PROMISES_MOST)
		return false;
	for (size_t at = 0; at + 6 <= f->size; at += 6)
		if (f->payload[at] == 0 && f->payload[at + 1] == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
			table = (uint32_t)f->payload[at + 2] << 24 | (uint32_t)f->payload[at + 3] << 16 |
				(uint32_t)f->payload[at + 4] << 8 | f->payload[at + 5];
	f->other->promised[f->other->promises++] = table;
	return table == UINT32_MAX || table <= TABLE_MOST;
}

// --- frames -----------------------------------------------------------------

static bool is_block(uint8_t type)
{
	return type == HEADERS || type == PUSH_PROMISE || type == CONTINUATION;
}

static bool is_looked_at(uint8_t type)
{
	return is_block(type) || type == SETTINGS;
}

static bool begin_frame(struct redact_frames *f)
{
	uint8_t type = f->head[3];

	f->size = (size_t)f->head[0] << 16 | (size_t)f->head[1] << 8 | f->head[2];
	f->got = 0;
	// A block is one: only its continuation stands in it, and it in nothing else.
	if (f->in_block != (type == CONTINUATION) || (is_looked_at(type) && f->size > FRAME_MOST) ||
	    (f->in_block && memcmp(f->head + 5, f->first + 5, 4) != 0))
		return false;
	if (!is_block(type))
		f->put(f->context, f->head, FRAME_HEAD);
	return true;
}

static bool end_frame(struct redact_frames *f)
{
	f->head_size = 0;
	switch (f->head[3]) {
	case HEADERS:
	case PUSH_PROMISE:
		return begin_block(f);
	case CONTINUATION:
		return add_block(f, f->payload, f->size);
	case SETTINGS:
		return read_settings(f);
	default:
		return true;
	}
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool redact_frames_bytes(struct redact_frames *f, const uint8_t *bytes, size_t size)
{
	while (size) {
		size_t part;

		if (f->head_size < FRAME_HEAD) {
			part = least(size, FRAME_HEAD - f->head_size);
			memcpy(f->head + f->head_size, bytes, part);
			f->head_size += part;
			if (f->head_size == FRAME_HEAD && (!begin_frame(f) || (!f->size && !end_frame(f))))
				return false;
		} else {
			part = least(size, f->size - f->got);
			if (is_looked_at(f->head[3]))
				memcpy(f->payload + f->got, bytes, part);
			if (!is_block(f->head[3]))
				f->put(f->context, bytes, part);
			f->got += part;
			if (f->got == f->size && !end_frame(f))
				return false;
		}
		bytes += part;
		size -= part;
	}
	return true;
}

// ---------------------------------------------------------------------------

struct redact_frames *redact_frames_open(void (*put)(void *context, const uint8_t *bytes, size_t size), void *context)
{
	struct redact_frames *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->put = put;
	f->context = context;
	if (!nghttp2_hd_inflate_new(&f->inflater) && !nghttp2_hd_deflate_new(&f->deflater, 0))
		return f;
	redact_frames_close(f);
	return NULL;
}

void redact_frames_pair(struct redact_frames *a, struct redact_frames *b)
{
	a->other = b;
	b->other = a;
}

void redact_frames_close(struct redact_frames *f)
{
	if (!f)
		return;
	if (f->inflater)
		nghttp2_hd_inflate_del(f->inflater);
	if (f->deflater)
		nghttp2_hd_deflate_del(f->deflater);
	free(f->block);
	free(f);
}
