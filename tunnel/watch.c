// SPDX-License-Identifier: GPL-3.0-or-later
// watch - what each conversation says in the clear, shown as it is said.

#include "tunnel/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcap/dump.h"
#include "pcap/exchange.h"
#include "pcap/http.h"
#include "tunnel/har.h"
#include "tunnel/log.h"
#include "tunnel/report.h"

// What a pipe takes whole (PIPE_BUF), so that no other's line gets between rows.
enum { PIECE = 4096 };

struct watch {
	struct watch_options options;
	bool colour;
	struct har *har;
};

// Of a flow.
struct watched {
	uint64_t said[2];	// bytes, by enum side
	struct watch *watch;
	const struct flow *flow;
	struct http *http;	// NULL: nobody wants it
};

int watch_open(struct watch **out, const struct watch_options *options, char *why, size_t why_size)
{
	const char *terminal = getenv("TERM");
	struct watch *w;

	*out = NULL;
	if (!options->dump && !options->http && !options->har_path)
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	w->options = *options;
	w->colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR") && terminal && strcmp(terminal, "dumb") != 0;
	int error = options->har_path ? har_open(&w->har, options->har_path, why, why_size) : 0;
	if (error)
		free(w);
	else
		*out = w;
	return error;
}

int watch_close(struct watch *w, char *why, size_t why_size)
{
	int error = w ? har_close(w->har, why, why_size) : 0;

	free(w);
	return error;
}

static void exchanged(void *context, struct exchange *exchange);

static struct watched *watched(struct watch *w, struct flow *f)
{
	struct watched *of = f->watched;

	if (of || f->close != FLOW_RUNNING)
		return of;
	f->watched = of = calloc(1, sizeof(*of));
	if (!of)
		return NULL;
	of->watch = w;
	of->flow = f;
	if (w->options.http || w->har)
		of->http = http_open(&(struct http_options){
			.two = f->tls && !strcmp(f->tls->alpn, "h2"), 
			.body_most = w->har ? w->options.body_most : 0, .done = exchanged, .context = of});
	return of;
}

static const char *process_text(const struct flow *f, char out[96])
{
	snprintf(out, 96, "?");
	if (f->process)
		snprintf(out, 96, "%s[%d]", f->process->name, (int)f->process->pid);
	return out;
}

static const char *name_of(const struct flow *f)
{
	return f->tls && f->tls->sni[0] ? f->tls->sni : f->name;
}

// --- the dump ---------------------------------------------------------------

static void head(const struct flow *f, enum side from, size_t size)
{
	const char *name = name_of(f);
	char who[96], where[ADDRESS_TEXT];

	log_show("%s %c %s%s%s, %zu bytes", process_text(f, who), from == APP ? '>' : '<', name ? name : "", name ? " " : "",
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

// --- HTTP -------------------------------------------------------------------

static char *url_of(const struct flow *f, const struct exchange *e)
{
	bool tls = f->tls != NULL;
	uint16_t port = address_port(&f->peer);
	const char *name = name_of(f);
	char where[ADDRESS_TEXT], authority[320];

	snprintf(authority, sizeof(authority), "%s", name ? name : address_host(&f->peer, where));
	if (port != (tls ? 443 : 80) || (!name && strchr(where, ':')))
		snprintf(authority, sizeof(authority), name ? "%s:%u" : "%s", name ? name : address_text(&f->peer, where), port);
	return exchange_url(e, tls ? "https" : "http", authority);
}

// "text/html; charset=utf-8" without what follows.
static void type_text(const struct exchange *e, char *out, size_t size)
{
	const char *type = exchange_find(e, RESPONSE, "content-type");

	snprintf(out, size, "%s%.*s", type ? " " : "", type ? (int)strcspn(type, "; ") : 0, type ? type : "");
}

static void say_exchange(const struct flow *f, const struct exchange *e, const char *url)
{
	const struct exchange_message *answer = &e->said[RESPONSE];
	char who[96], type[80], size[24], took[24];

	process_text(f, who);
	type_text(e, type, sizeof(type));
	if (!e->status)
		log_show("%s %s %.1500s no answer", who, e->method ? e->method : "?", url);
	else if (!answer->ended)
		log_show("%s %s %.1500s %d%s %s, cut short", who, e->method ? e->method : "?", url,
			 e->status, type, report_bytes(answer->size, size));
	else
		log_show("%s %s %.1500s %d%s %s %s", who, e->method ? e->method : "?", url, e->status, type,
			 report_bytes(answer->size, size), report_time(answer->ended - e->said[REQUEST].began, took));
}

// What an app began to say and was no request's head is none.
static void exchanged(void *context, struct exchange *e)
{
	struct watched *of = context;

	char *url = e->method ? url_of(of->flow, e) : NULL;

	if (url && of->watch->options.http)
		say_exchange(of->flow, e, url);
	if (url && of->watch->har)
		har_add(of->watch->har, of->flow, e, url);
	free(url);
	exchange_close(e);
}

// ---------------------------------------------------------------------------

void watch_bytes(struct watch *w, struct flow *f, enum side from, const void *bytes, size_t size, uint64_t now)
{
	struct watched *of = w && size ? watched(w, f) : NULL;

	if (!of)
		return;
	if (w->options.dump)
		dump(w, f, from, of->said[from], bytes, size);
	of->said[from] += size;
	if (of->http)
		http_bytes(of->http, from == APP, bytes, size, now);
}

void watch_finish(struct watch *w, struct flow *f, enum side from, uint64_t now)
{
	if (w && f->watched && f->watched->http)
		http_finish(f->watched->http, from == APP, now);
}

void watch_end(struct watch *w, struct flow *f)
{
	if (!w || !f->watched)
		return;
	http_close(f->watched->http);
	free(f->watched);
	f->watched = NULL;
}
