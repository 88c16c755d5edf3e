// SPDX-License-Identifier: GPL-3.0-or-later
// tap - what the capture gets, and in whose name.

#include "tunnel/tap.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extension/process.h"
#include "pcap/capture.h"
#include "pcap/keylog.h"
#include "pcap/redact.h"
#include "pcap/text.h"
#include "tunnel/log.h"
#include "tunnel/names.h"
#include "tunnel/prelude.h"
#include "tunnel/report.h"
#include "tunnel/tun.h"
#include "tunnel/watch.h"

// How long an ended flow is still found by its last packets.
#define LINGER 2000
// When a flow between two programs inside counts as over.
#define INSIDE_IDLE 300000

// A comment is read in a list of packets; the interface's description has it all.
enum { DNS_PORT = 53, ARGUMENTS_SHOWN = 256 };

struct tap {
	struct tap_parts parts;
	struct flow_table *flows;
	struct names *names;
	uint64_t monotonic, real;
	bool keylog_failed;
};

struct tap *tap_open(const struct tap_parts *parts)
{
	struct tap *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->parts = *parts;
	t->flows = flow_table_open();
	t->names = names_open();
	if (!t->flows || !t->names) {
		tap_close(t);
		return NULL;
	}
	return t;
}

static void end_running(void *context, struct flow *flow)
{
	if (flow->close == FLOW_RUNNING)
		tap_end(context, flow, FLOW_TAP_ENDED);
}

void tap_close(struct tap *t)
{
	if (!t)
		return;
	if (t->flows)
		flow_each(t->flows, end_running, t);
	flow_table_close(t->flows);
	names_close(t->names);
	free(t);
}

void tap_clock(struct tap *t, uint64_t monotonic, uint64_t real)
{
	t->monotonic = monotonic;
	t->real = real;
}

uint64_t tap_now(const struct tap *t)
{
	return t->monotonic;
}

static uint32_t now_ms(const struct tap *t)
{
	return (uint32_t)(t->monotonic / 1000000);
}

// --- flows ------------------------------------------------------------------

static uint8_t ping_protocol(uint8_t protocol)
{
	return protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : protocol;
}

static uint32_t process_number(struct tap *t, struct process *p)
{
	if (!p || !t->parts.capture)
		return 0;
	if (!p->tag || !capture_knows(t->parts.capture, (uint32_t)(uintptr_t)p->tag)) {
		struct capture_process named = {
			.pid = p->pid, .parent = p->parent, .uid = p->uid, .start = p->start,
			.name = p->name, .path = p->path, .arguments = t->parts.redact ? NULL : p->arguments, .user = p->user,
			.container = p->container,
		};
		// NOLINTNEXTLINE(performance-no-int-to-ptr): a number, never followed
		p->tag = (void *)(uintptr_t)capture_process(t->parts.capture, &named);
	}
	return (uint32_t)(uintptr_t)p->tag;
}

static struct flow *begin(struct tap *t, uint8_t protocol, const union address *app,
			  const union address *peer)
{
	struct flow *f = flow_add(t->flows, protocol, app, peer);

	if (!f)
		return NULL;
	f->started = t->real;
	f->touched = now_ms(t);
	f->name = names_find(t->names, peer);
	if (t->parts.owners)
		t->parts.owners(t->parts.of);
	f->process = process_keep(process_find(t->parts.finder, protocol, &app->any, &peer->any));
	f->descriptor = (int16_t)process_descriptor(t->parts.finder);
	f->inside = protocol != IPPROTO_ICMP && t->parts.inside &&
		    t->parts.inside(t->parts.of, protocol, &app->any, &peer->any);
	if (f->inside)
		f->verdict = FLOW_INSIDE;
	return f;
}

// Where the app's next socket likely is.
static void socket_closed(struct tap *t, struct flow *f)
{
	if (f->descriptor >= 0)
		process_closed(t->parts.finder, f->process, f->descriptor);
	f->descriptor = -1;
}

struct flow *tap_flow(struct tap *t, uint8_t protocol, const struct sockaddr *app,
		      const struct sockaddr *peer)
{
	union address a, p;

	address_set(&a, app);
	address_set(&p, peer);
	protocol = ping_protocol(protocol);
	struct flow *f = flow_find(t->flows, protocol, &a, &p);
	return f && f->close == FLOW_RUNNING ? f : begin(t, protocol, &a, &p);
}

static bool begins(const struct packet *view)
{
	if (view->fragment || address_is_multicast(&view->to))
		return false;
	switch (view->protocol) {
	case IPPROTO_TCP:
		return (view->tcp_flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN;
	case IPPROTO_UDP:
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return address_port(&view->from) != 0;
	default:
		return false;
	}
}

static bool is_over(const struct flow *f, const struct packet *view)
{
	// A SYN on an ended flow's addresses is a new conversation.
	return f->close != FLOW_RUNNING && begins(view);
}

// --- flows between two programs inside --------------------------------------

static void inside_seen(struct tap *t, struct flow *f, const struct packet *view, bool answer)
{
	f->bytes[answer ? ORIGIN : APP] += view->payload_size;
	if (f->protocol != IPPROTO_TCP || f->close != FLOW_RUNNING)
		return;
	if (view->tcp_flags & TH_FIN)
		f->finished |= (uint8_t)(answer ? 2 : 1);
	if (view->tcp_flags & TH_RST)
		tap_end(t, f, answer ? FLOW_RESET_BY_ORIGIN : FLOW_RESET_BY_APP);
	else if (f->finished == 3)
		tap_end(t, f, FLOW_FINISHED);
}

// --- packets ----------------------------------------------------------------

static void comment_text(const struct tap *t, const struct flow *f, char *out, size_t size)
{
	const struct process *p = f->process;
	char arguments[ARGUMENTS_SHOWN];

	text_line(arguments, sizeof(arguments), t->parts.redact ? "" : p->arguments);
	snprintf(out, size, "process %s[%d] %s uid %u (%s) parent %d%s%s%s%s", p->name, (int)p->pid, p->path,
		 (unsigned)p->uid, p->user, (int)p->parent, p->container[0] ? " container " : "", p->container,
		 t->parts.redact ? "" : ": ", arguments);
}

static void give(struct tap *t, struct flow *f, const struct tun_packet *packet, bool outgoing)
{
	char comment[1024];
	struct capture_packet p = {
		.time = t->real, .outgoing = outgoing, .iov = packet->iov, .count = packet->count,
		.size = packet->size, .sum_start = packet->sum_start, .sum_offset = packet->sum_offset,
	};

	if (!t->parts.capture)
		return;
	if (f) {
		p.flow = f->id;
		p.process = process_number(t, f->process);
		if (!f->named && f->process) {
			comment_text(t, f, comment, sizeof(comment));
			p.comment = comment;
			f->named = true;
		}
	}
	capture_packet(t->parts.capture, &p);
}

struct flow *tap_from_app(struct tap *t, const struct packet *view, const struct tun_packet *packet)
{
	uint8_t protocol = ping_protocol(view->protocol);
	struct flow *f = flow_find(t->flows, protocol, &view->from, &view->to);
	bool answer = false;

	if (!f || is_over(f, view)) {
		struct flow *back = flow_find(t->flows, protocol, &view->to, &view->from);
		if (back && back->inside && !is_over(back, view)) {
			f = back;
			answer = true;
		} else if (begins(view)) {
			f = begin(t, protocol, &view->from, &view->to);
		}
	}
	if (f) {
		f->touched = now_ms(t);
		if (!answer && view->protocol == IPPROTO_TCP && (view->tcp_flags & (TH_FIN | TH_RST)))
			socket_closed(t, f);
		if (f->inside)
			inside_seen(t, f, view, answer);
	}
	give(t, f, packet, true);
	return f;
}

static void learned(void *context, const union address *address, const char *name)
{
	struct tap *t = context;

	if (t->parts.capture)
		capture_name(t->parts.capture, &address->any, name);
}

void tap_to_app(struct tap *t, const struct tun_packet *packet)
{
	struct packet view;
	uint8_t head[256];	// room for every header that matters
	size_t n = 0;
	struct flow *f = NULL;

	if (!t->parts.capture)
		return;
	for (int i = 0; i < packet->count && n < sizeof(head); i++) {
		size_t part = packet->iov[i].iov_len < sizeof(head) - n ? packet->iov[i].iov_len : sizeof(head) - n;
		memcpy(head + n, packet->iov[i].iov_base, part);
		n += part;
	}
	if (!packet_read_head(&view, head, n)) {
		f = flow_find(t->flows, ping_protocol(view.protocol), &view.to, &view.from);
		if (f)
			f->touched = now_ms(t);
	}
	give(t, f, packet, false);
}

void tap_answer(struct tap *t, const struct flow *f, const void *bytes, size_t size)
{
	if (f->protocol == IPPROTO_UDP && address_port(&f->peer) == DNS_PORT)
		names_read(t->names, bytes, size, learned, t);
}

// --- secrets ----------------------------------------------------------------

void tap_hold(struct tap *t, const struct flow *flow)
{
	if (t->parts.capture && !t->parts.redact)
		capture_hold(t->parts.capture, flow->id);
}

void tap_release(struct tap *t, const struct flow *flow)
{
	if (t->parts.capture)
		capture_release(t->parts.capture, flow->id);
}

void tap_secret(struct tap *t, const struct flow *flow, enum side leg, const char *line)
{
	if (t->parts.redact)
		return;
	if (t->parts.capture && leg == APP)
		capture_secret(t->parts.capture, flow->id, line);
	int error = t->parts.keylog && !t->keylog_failed ? keylog_write(t->parts.keylog, line) : 0;
	if (error) {
		t->keylog_failed = true;
		log_error("cannot write the key log: %s; it ends here", strerror(-error));
	}
}

// --- plaintext --------------------------------------------------------------

static void write_prelude(void *stream, bool outgoing, const void *bytes, size_t size, uint64_t time)
{
	capture_plain_data(stream, outgoing, bytes, size, time);
}

static void begin_plain(struct tap *t, struct flow *f)
{
	char process[1024] = "", app[ADDRESS_TEXT], peer[ADDRESS_TEXT], comment[2048];
	const struct flow_tls *tls = f->tls;
	struct capture_plain plain = {
		.time = prelude_time(f->prelude) ? prelude_time(f->prelude) : t->real,
		.process = process_number(t, f->process), .app = &f->app.any,
		.peer = &f->peer.any, .protocol = tls ? tls->alpn : NULL, .comment = comment,
	};

	if (f->process)
		comment_text(t, f, process, sizeof(process));
	snprintf(comment, sizeof(comment), "plaintext of %s > %s%s%s%s%s%s%s%s%s", address_text(&f->app, app),
		 address_text(&f->peer, peer), tls && tls->sni[0] ? " " : "", tls ? tls->sni : "",
		 tls && tls->leg[APP].version[0] ? " " : "", tls ? tls->leg[APP].version : "",
		 tls && tls->alpn[0] ? " " : "", tls ? tls->alpn : "", process[0] ? "; " : "", process);
	f->plain = capture_plain_open(t->parts.capture, &plain);
	f->plain_begun = true;
	if (f->plain)
		prelude_each(f->prelude, write_prelude, f->plain);
	prelude_free(f->prelude);
	f->prelude = NULL;
}

static bool wants_prelude(const struct tap *t, const struct flow *f)
{
	return f->verdict == FLOW_OPEN && t->parts.capture && capture_wants_plain(t->parts.capture);
}

static bool has_plain(struct tap *t, struct flow *f)
{
	if (!f->plain_begun && t->parts.capture && capture_wants_plain(t->parts.capture))
		begin_plain(t, f);
	else if (f->plain)
		capture_plain_owner(f->plain, process_number(t, f->process));
	return f->plain;
}

// To all who write or show it.
static void spread(struct tap *t, struct flow *f, bool tls, enum side from, const void *bytes, size_t size)
{
	if (tls && has_plain(t, f))
		capture_plain_data(f->plain, from == APP, bytes, size, t->real);
	else if (!tls && wants_prelude(t, f))
		prelude_add(&f->prelude, from == APP, bytes, size, t->real);
	watch_bytes(t->parts.watch, f, from, bytes, size, t->real);
}

struct redacted {
	struct tap *tap;
	struct flow *flow;
	struct redact *redact;
	bool tls;
};

static void spread_redacted(void *context, bool outgoing, const uint8_t *bytes, size_t size)
{
	struct redacted *r = context;

	spread(r->tap, r->flow, r->tls, outgoing ? APP : ORIGIN, bytes, size);
}

static void end_redacted(struct flow *f)
{
	if (f->redacted)
		redact_close(f->redacted->redact);
	free(f->redacted);
	f->redacted = NULL;
}

// Without memory for it nothing is handed on.
static struct redacted *redacted(struct tap *t, struct flow *f)
{
	struct redacted *r = f->redacted;

	if (r || f->close != FLOW_RUNNING || !(r = calloc(1, sizeof(*r))))
		return r;
	*r = (struct redacted){.tap = t, .flow = f};
	r->redact = redact_open(&(struct redact_options){.two = f->tls && !strcmp(f->tls->alpn, "h2"),
							 .put = spread_redacted, .context = r});
	if (r->redact) {
		f->redacted = r;
		return r;
	}
	free(r);
	return NULL;
}

static void hear(struct tap *t, struct flow *f, bool tls, enum side from, const void *bytes, size_t size)
{
	struct redacted *r;

	if (!t->parts.redact) {
		spread(t, f, tls, from, bytes, size);
	} else if ((r = redacted(t, f))) {
		r->tls = tls;
		redact_bytes(r->redact, from == APP, bytes, size);
	}
}

void tap_plain(struct tap *t, struct flow *f, enum side from, const void *bytes, size_t size)
{
	hear(t, f, true, from, bytes, size);
}

void tap_plain_finish(struct tap *t, struct flow *f, enum side from)
{
	if (has_plain(t, f))
		capture_plain_finish(f->plain, from == APP, t->real);
	watch_finish(t->parts.watch, f, from, t->real);
}

// TLS that is passed on unopened is nothing that could be read.
void tap_clear(struct tap *t, struct flow *f, enum side from, const void *bytes, size_t size)
{
	if (!f->tls)
		hear(t, f, false, from, bytes, size);
}

void tap_clear_finish(struct tap *t, struct flow *f, enum side from)
{
	if (!f->tls)
		watch_finish(t->parts.watch, f, from, t->real);
}

bool tap_watches(const struct tap *t, const struct flow *f)
{
	return t->parts.watch || wants_prelude(t, f);
}

void tap_stays_clear(struct flow *f)
{
	prelude_free(f->prelude);
	f->prelude = NULL;
}

static void end_plain(struct tap *t, struct flow *f)
{
	if (f->plain && (f->close == FLOW_RESET_BY_APP || f->close == FLOW_RESET_BY_ORIGIN))
		capture_plain_reset(f->plain, f->close == FLOW_RESET_BY_APP, t->real);
	capture_plain_close(f->plain);
	f->plain = NULL;
}

// --- ends -------------------------------------------------------------------

void tap_end(struct tap *t, struct flow *flow, enum flow_close close)
{
	if (flow->close != FLOW_RUNNING)
		return;
	flow->close = close;
	flow->ended = t->real > flow->started ? t->real : flow->started;
	flow->touched = now_ms(t);
	flow->mover = NULL;
	socket_closed(t, flow);
	end_plain(t, flow);
	watch_end(t->parts.watch, flow);
	end_redacted(flow);
	tap_release(t, flow);
	if (t->parts.capture)
		capture_forget(t->parts.capture, flow->id);
	report_flow(t->parts.report, flow);
}

static void end_idle_inside(void *context, struct flow *f)
{
	struct tap *t = context;

	if (f->inside && f->close == FLOW_RUNNING && now_ms(t) - f->touched > INSIDE_IDLE)
		tap_end(t, f, FLOW_IDLE);
}

bool tap_sweep(struct tap *t)
{
	flow_each(t->flows, end_idle_inside, t);
	return flow_sweep(t->flows, now_ms(t) - LINGER);
}
