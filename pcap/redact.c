// SPDX-License-Identifier: GPL-3.0-or-later
// redact - what both sides of a conversation say, without what lets others in.

#include "pcap/redact.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pcap/http2.h"
#include "pcap/redact_frames.h"

// As much of a line as tells what it is.
enum { LINE = 64, PIECE = 1024 };

struct way {
	struct redact *all;
	bool outgoing, spoke;
	struct redact_frames *frames;	// HTTP/2's; NULL: text
	// Of a line of text: its beginning, and whether its value is hidden.
	char line[LINE];
	size_t size;
	bool hidden, blank;		// `blank`: nothing of the value came yet
	bool switching;			// behind a status line that says 101
};

struct redact {
	struct redact_options options;
	struct way way[2];		// the origin's, the app's
	size_t preface;			// bytes of it that the app has said, from its first on
	bool over;
	uint8_t *out;			// of the call that runs
	size_t size, room;
};

// What a call brings goes out at once: it is one packet's, or one record's.
static void gather(struct redact *r, const uint8_t *bytes, size_t size)
{
	if (r->size + size > r->room) {
		size_t room = 2 * (r->size + size);
		void *grown = realloc(r->out, room);
		if (!grown) {
			r->over = true;
			return;
		}
		r->out = grown;
		r->room = room;
	}
	memcpy(r->out + r->size, bytes, size);
	r->size += size;
}

static void put_frames(void *context, const uint8_t *bytes, size_t size)
{
	gather(((const struct way *)context)->all, bytes, size);
}

static bool begin_frames(struct redact *r)
{
	for (int i = 0; i < 2; i++)
		if (!(r->way[i].frames = redact_frames_open(put_frames, &r->way[i])))
			return false;
	redact_frames_pair(r->way[0].frames, r->way[1].frames);
	return true;
}

struct redact *redact_open(const struct redact_options *options)
{
	struct redact *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->options = *options;
	for (int i = 0; i < 2; i++)
		r->way[i] = (struct way){.all = r, .outgoing = i};
	if (options->two)
		r->over = !begin_frames(r);
	return r;
}

void redact_close(struct redact *r)
{
	if (!r)
		return;
	redact_frames_close(r->way[0].frames);
	redact_frames_close(r->way[1].frames);
	free(r->out);
	free(r);
}

// --- text -------------------------------------------------------------------

// HTTP/2 that begins behind an upgrade is not followed.
static bool becomes_two(struct way *w)
{
	const char *line = w->line;

	if (w->outgoing)
		return w->size >= 14 && !memcmp(line, HTTP2_PREFACE, 14);
	if (w->size >= 12 && !memcmp(line, "HTTP/", 5))
		w->switching = !memcmp(line + 8, " 101", 4);
	if (!w->switching || w->size < 8 || strncasecmp(line, "upgrade:", 8) != 0)
		return false;
	for (size_t i = 8; i + 3 <= w->size; i++)
		if (!strncasecmp(line + i, "h2c", 3))
			return true;
	return false;
}

static bool names_secret(const struct way *w)
{
	size_t size = w->size;

	while (size && (w->line[size - 1] == ' ' || w->line[size - 1] == '\t'))
		size--;
	return redact_hides(w->line, size);
}

// A byte of text as it is written. A value goes on in lines that begin with a blank
// (RFC 9112 section 5.2).
static uint8_t text_byte(struct way *w, uint8_t byte)
{
	if (byte == '\n') {
		w->size = 0;
		return byte;
	}
	bool blank = byte == ' ' || byte == '\t';
	if (!w->size && !(w->hidden && blank))
		w->hidden = false;
	if (!w->hidden && byte == ':' && w->size < LINE && names_secret(w)) {
		w->hidden = w->blank = true;
		w->size = LINE;
		return byte;
	}
	if (w->size < LINE)
		w->line[w->size++] = (char)byte;
	if (!w->hidden || byte == '\r')
		return byte;
	w->blank = w->blank && blank;
	return w->blank ? byte : '*';
}

static void text(struct redact *r, struct way *w, const uint8_t *bytes, size_t size)
{
	uint8_t piece[PIECE];
	size_t n = 0;

	for (size_t i = 0; i < size && !r->over; i++) {
		if (bytes[i] == '\n' && becomes_two(w))
			r->over = true;
		piece[n++] = text_byte(w, bytes[i]);
		if (n == PIECE || i + 1 == size || r->over) {
			gather(r, piece, n);
			n = 0;
		}
	}
}

// ---------------------------------------------------------------------------

// Takes what belongs to the preface; returns how much.
static size_t preface(struct redact *r, struct way *w, const uint8_t *bytes, size_t size)
{
	size_t n = 0;

	if (!w->outgoing || r->preface >= HTTP2_PREFACE_SIZE)
		return 0;
	while (n < size && r->preface < HTTP2_PREFACE_SIZE && bytes[n] == (uint8_t)HTTP2_PREFACE[r->preface]) {
		r->preface++;
		n++;
	}
	if (n)
		gather(r, bytes, n);
	if (r->preface == HTTP2_PREFACE_SIZE) {
		if (!w->frames)
			r->over = r->way[0].spoke || !begin_frames(r);
	} else if (n < size && w->frames) {
		r->over = true;
	} else if (n < size) {
		// No preface: what looked like one is a line's beginning.
		memcpy(w->line, HTTP2_PREFACE, r->preface);
		w->size = r->preface;
		r->preface = HTTP2_PREFACE_SIZE;
	}
	return n;
}

static void hear(struct redact *r, struct way *w, const uint8_t *bytes, size_t size)
{
	size_t n = preface(r, w, bytes, size);

	if (r->over || n == size)
		return;
	if (!w->frames)
		text(r, w, bytes + n, size - n);
	else if (!redact_frames_bytes(w->frames, bytes + n, size - n))
		r->over = true;
}

void redact_bytes(struct redact *r, bool outgoing, const void *bytes, size_t size)
{
	if (r->over || !size)
		return;
	r->way[outgoing].spoke = true;
	hear(r, &r->way[outgoing], bytes, size);
	if (r->size)
		r->options.put(r->options.context, outgoing, r->out, r->size);
	r->size = 0;
}
