// SPDX-License-Identifier: GPL-3.0-or-later
// report - a line for each flow that ended, the same as JSON, and the summary.

#include "tunnel/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pcap/append.h"
#include "pcap/text.h"
#include "tunnel/flow.h"
#include "tunnel/log.h"

struct report {
	int fd;
	char *path;
	bool lines;
	int error;
	unsigned long long flows, verdicts[FLOW_FAILED + 1], bytes[2];
};

int report_open(struct report **out, const char *path, bool lines, char *why, size_t why_size)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->lines = lines;
	r->fd = -1;
	if (path) {
		r->path = strdup(path);
		r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
		if (r->fd < 0 || !r->path) {
			int error = errno;
			snprintf(why, why_size, "cannot write the flow log %s: %s", path, strerror(error));
			report_close(r, NULL, 0);
			return -error;
		}
	}
	*out = r;
	return 0;
}

int report_close(struct report *r, char *why, size_t why_size)
{
	if (!r)
		return 0;
	if (r->fd >= 0 && close(r->fd) && errno != EINTR && !r->error)
		r->error = errno;
	int error = r->error;
	if (error && why)
		snprintf(why, why_size, "the flow log %s is incomplete: %s", r->path, strerror(error));
	free(r->path);
	free(r);
	return -error;
}

// --- the line ---------------------------------------------------------------

static const char *protocol_word(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	default:
		return "ping";
	}
}

const char *report_bytes(uint64_t n, char out[24])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double v = (double)n;
	int u = 0;

	for (; v >= 999.5 && u < 4; u++)
		v /= 1000;
	snprintf(out, 24, u && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

const char *report_time(uint64_t ns, char out[24])
{
	double s = (double)ns / 1e9;

	if (s < 1)
		snprintf(out, 24, s < 0.01 ? "%.1f ms" : "%.0f ms", s * 1e3);
	else if (s < 60)
		snprintf(out, 24, "%.1f s", s);
	else
		snprintf(out, 24, "%.0f min %02.0f s", (double)(long)(s / 60), s - 60 * (double)(long)(s / 60));
	return out;
}

// The name that a person would look for: SNI first, for it is what the app
// said itself.
static const char *best_name(const struct flow *f)
{
	return f->tls && f->tls->sni[0] ? f->tls->sni : f->name;
}

static void destination(const struct flow *f, char *out, size_t size)
{
	char host[ADDRESS_TEXT];
	const char *name = best_name(f);

	if (f->protocol == IPPROTO_TCP || f->protocol == IPPROTO_UDP) {
		if (name)
			snprintf(out, size, "%s:%u", name, address_port(&f->peer));
		else
			snprintf(out, size, "%s", address_text(&f->peer, host));
	} else {
		snprintf(out, size, "%s", name ? name : address_host(&f->peer, host));
	}
}

int report_line(const struct flow *f, char *out, size_t size)
{
	char who[96] = "?", where[320], tls[160] = "", sent[24], got[24], took[24], why[240] = "";

	if (f->process)
		snprintf(who, sizeof(who), "%s[%d]", f->process->name, (int)f->process->pid);
	destination(f, where, sizeof(where));
	if (f->tls && f->tls->leg[APP].version[0])
		snprintf(tls, sizeof(tls), "%s%s %s%s%s", f->tls->starttls ? " " : "", f->tls->starttls ? f->tls->starttls : "",
			 f->tls->leg[APP].version, f->tls->alpn[0] ? " " : "", f->tls->alpn);
	if (f->reason)
		snprintf(why, sizeof(why), " (%s)", f->reason);
	const char *how = f->close == FLOW_FINISHED || f->close == FLOW_IDLE || f->close == FLOW_NEVER_OPENED
				  ? "" : flow_close_word(f->close);
	return snprintf(out, size, "%s %s %s%s %s%s, sent %s, received %s, %s%s%s", who,
			protocol_word(f->protocol), where, tls, flow_verdict_word(f->verdict), why,
			report_bytes(f->bytes[APP], sent), report_bytes(f->bytes[ORIGIN], got),
			report_time(f->ended - f->started, took), how[0] ? ", " : "", how);
}

// --- JSON -------------------------------------------------------------------

static void add_time(cJSON *o, const char *key, uint64_t ns)
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[48];

	if (!ns || !gmtime_r(&s, &tm))
		return;
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%06uZ", (unsigned)(ns % 1000000000 / 1000));
	cJSON_AddStringToObject(o, key, text);
}

// Arguments and paths may be any bytes; JSON is UTF-8 (RFC 8259 section 8.1).
static void add_text(cJSON *o, const char *key, const char *text)
{
	char *clean = text && text[0] ? strdup(text) : NULL;

	if (!clean)
		return;
	text_clean(clean, text, strlen(text));
	cJSON_AddStringToObject(o, key, clean);
	free(clean);
}

static void add_address(cJSON *o, const char *key, const struct flow *f, const union address *a)
{
	char text[ADDRESS_TEXT];
	bool ports = f->protocol == IPPROTO_TCP || f->protocol == IPPROTO_UDP;

	cJSON_AddStringToObject(o, key, ports ? address_text(a, text) : address_host(a, text));
}

static void add_leg(cJSON *o, const char *key, const struct flow_leg *leg)
{
	cJSON *t = leg->version[0] ? cJSON_AddObjectToObject(o, key) : NULL;

	if (!t)
		return;
	add_text(t, "version", leg->version);
	add_text(t, "cipher", leg->cipher);
	add_text(t, "group", leg->group);
	if (leg->resumed)
		cJSON_AddBoolToObject(t, "resumed", true);
}

static void add_tls(cJSON *o, const struct flow_tls *tls)
{
	cJSON *t = cJSON_AddObjectToObject(o, "tls");

	add_text(t, "version", tls->leg[APP].version);
	add_text(t, "cipher", tls->leg[APP].cipher);
	add_text(t, "alpn", tls->alpn);
	add_text(t, "starttls", tls->starttls);
	add_text(t, "sni", tls->sni);
	add_text(t, "certificate", tls->certificate);
	add_text(t, "fault", tls->fault);
	add_leg(t, "app", &tls->leg[APP]);
	add_leg(t, "origin", &tls->leg[ORIGIN]);
	add_text(t, "ja3", tls->app.ja3);
	add_text(t, "ja4", tls->app.ja4);
	add_text(t, "ja3s", tls->origin.ja3s);
	add_text(t, "ja4s", tls->origin.ja4s);
}

static void add_process(cJSON *o, const struct process *p)
{
	cJSON *t = cJSON_AddObjectToObject(o, "process");

	cJSON_AddNumberToObject(t, "pid", p->pid);
	cJSON_AddNumberToObject(t, "parent", p->parent);
	add_text(t, "name", p->name);
	add_text(t, "path", p->path);
	add_text(t, "arguments", p->arguments);
	cJSON_AddNumberToObject(t, "uid", p->uid);
	add_text(t, "user", p->user);
	add_time(t, "start", p->start);
	add_text(t, "container", p->container);
}

char *report_json(const struct flow *f)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "id", (double)f->id);
	cJSON_AddStringToObject(o, "protocol", protocol_word(f->protocol));
	add_address(o, "app", f, &f->app);
	add_address(o, "destination", f, &f->peer);
	add_text(o, "name", best_name(f));
	add_time(o, "started", f->started);
	cJSON_AddNumberToObject(o, "duration", round((double)(f->ended - f->started) / 1e3) / 1e6);
	cJSON_AddNumberToObject(o, "sent", (double)f->bytes[APP]);
	cJSON_AddNumberToObject(o, "received", (double)f->bytes[ORIGIN]);
	cJSON_AddStringToObject(o, "verdict", flow_verdict_word(f->verdict));
	add_text(o, "reason", f->reason);
	cJSON_AddStringToObject(o, "close", flow_close_word(f->close));
	if (f->tls)
		add_tls(o, f->tls);
	if (f->process)
		add_process(o, f->process);
	char *text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

// ---------------------------------------------------------------------------

static void write_json(struct report *r, const struct flow *f)
{
	char *text = report_json(f), *line = NULL;
	int n = text ? asprintf(&line, "%s\n", text) : -1;

	r->error = n < 0 ? ENOMEM : -append_whole(r->fd, line, (size_t)n);
	if (r->error)
		log_error("cannot write the flow log %s: %s; it ends here", r->path, strerror(r->error));
	if (n >= 0)
		free(line);
	cJSON_free(text);
}

// A process may be named anything; a terminal is to see no control character.
static void say_line(const char *line)
{
	char clean[1024];
	size_t n = strlen(line);

	text_clean(clean, line, n);
	clean[n] = 0;
	for (char *c = clean; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	log_note("%s", clean);
}

void report_flow(struct report *r, const struct flow *f)
{
	char line[1024];

	r->flows++;
	r->verdicts[f->verdict]++;
	r->bytes[APP] += f->bytes[APP];
	r->bytes[ORIGIN] += f->bytes[ORIGIN];
	if (r->lines) {
		report_line(f, line, sizeof(line));
		say_line(line);
	}
	if (r->fd >= 0 && !r->error)
		write_json(r, f);
}

void report_summary(const struct report *r, const char *capture_path, unsigned long long packets)
{
	char verdicts[256] = "", sent[24], got[24], capture[4200] = "";
	size_t n = 0;

	if (!r->lines)
		return;
	for (int v = 0; v <= FLOW_FAILED; v++)
		if (r->verdicts[v])
			n += (size_t)snprintf(verdicts + n, sizeof(verdicts) - n, "%s%llu %s", n ? ", " : ": ",
					      r->verdicts[v], flow_verdict_word((enum flow_verdict)v));
	if (capture_path)
		snprintf(capture, sizeof(capture), "; %llu packets in %s", packets,
			 strcmp(capture_path, "-") ? capture_path : "standard output");
	log_note("%llu flow%s%s; sent %s, received %s%s", r->flows, r->flows == 1 ? "" : "s", verdicts,
		 report_bytes(r->bytes[APP], sent), report_bytes(r->bytes[ORIGIN], got), capture);
}
