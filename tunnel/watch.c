// SPDX-License-Identifier: GPL-3.0-or-later
// watch - what each conversation says in the clear, shown as it is said.

#include "tunnel/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcap/dump.h"
#include "tunnel/log.h"

// What a pipe takes whole (PIPE_BUF), so that no other's line gets between rows.
enum { PIECE = 4096 };

struct watch {
	struct watch_options options;
	bool colour;
};

// Of a flow.
struct watched {
	uint64_t said[2];	// bytes, by enum side
};

int watch_open(struct watch **out, const struct watch_options *options, char *why, size_t why_size)
{
	const char *terminal = getenv("TERM");
	struct watch *w;

	*out = NULL;
	if (!options->dump)
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	w->options = *options;
	w->colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR") && terminal && strcmp(terminal, "dumb") != 0;
	*out = w;
	return 0;
}

void watch_close(struct watch *w)
{
	free(w);
}

static struct watched *watched(struct flow *f)
{
	if (!f->watched)
		f->watched = calloc(1, sizeof(struct watched));
	return f->watched;
}

// --- the dump ---------------------------------------------------------------

static void head(const struct flow *f, enum side from, size_t size)
{
	const char *name = f->tls && f->tls->sni[0] ? f->tls->sni : f->name;
	char who[96] = "?", where[ADDRESS_TEXT];

	if (f->process)
		snprintf(who, sizeof(who), "%s[%d]", f->process->name, (int)f->process->pid);
	log_show("%s %c %s%s%s, %zu bytes", who, from == APP ? '>' : '<', name ? name : "", name ? " " : "",
		 address_text(&f->peer, where), size);
}

static void dump(const struct watch *w, const struct flow *f, enum side from, uint64_t offset,
		 const uint8_t *bytes, size_t size)
{
	uint64_t most = w->options.dump_most ? w->options.dump_most : UINT64_MAX;
	uint64_t left = offset < most ? most - offset : 0;
	size_t shown = size < left ? size : (size_t)left;
	char piece[PIECE];
	size_t used;

	if (!shown)
		return;
	head(f, from, size);
	for (size_t at = 0; at < shown; at += used) {
		size_t n = dump_rows(piece, sizeof(piece), from == APP, w->colour, offset + at, bytes + at, shown - at, &used);
		log_text(piece, n);
	}
	if (size > shown)
		log_show("no more of this side is shown (--dump-bytes)");
}

// ---------------------------------------------------------------------------

void watch_bytes(struct watch *w, struct flow *f, enum side from, const void *bytes, size_t size)
{
	struct watched *of = w ? watched(f) : NULL;

	if (!of || !size)
		return;
	dump(w, f, from, of->said[from], bytes, size);
	of->said[from] += size;
}

void watch_end(struct watch *w, struct flow *f)
{
	(void)w;
	free(f->watched);
	f->watched = NULL;
}
