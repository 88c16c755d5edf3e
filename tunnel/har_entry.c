// SPDX-License-Identifier: GPL-3.0-or-later
// har_entry - one HTTP exchange as an entry of a HAR 1.2 file.

#include "tunnel/har_entry.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "pcap/decode.h"
#include "pcap/exchange.h"
#include "pcap/text.h"
#include "tunnel/flow.h"

// --- values -----------------------------------------------------------------

// JSON is UTF-8 (RFC 8259 section 8.1), headers are any bytes.
static void add_text(cJSON *o, const char *key, const char *text, size_t size)
{
	char *clean = malloc(size + 1);

	if (clean) {
		text_clean(clean, text, size);
		clean[size] = 0;
	}
	cJSON_AddStringToObject(o, key, clean ? clean : "");
	free(clean);
}

static void add_string(cJSON *o, const char *key, const char *text)
{
	add_text(o, key, text ? text : "", text ? strlen(text) : 0);
}

static void add_time(cJSON *o, const char *key, uint64_t ns)
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm = {0};
	char text[48];

	gmtime_r(&s, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(ns % 1000000000 / 1000000));
	cJSON_AddStringToObject(o, key, text);
}

static double milliseconds(uint64_t from, uint64_t to)
{
	return from && to > from ? round((double)(to - from) / 1e3) / 1e3 : 0;
}

static cJSON *add_pair(cJSON *list, const char *name, size_t name_size, const char *value, size_t value_size)
{
	cJSON *o = cJSON_CreateObject();

	add_text(o, "name", name, name_size);
	add_text(o, "value", value, value_size);
	cJSON_AddItemToArray(list, o);
	return o;
}

static void add_headers(cJSON *o, const struct exchange_message *m)
{
	cJSON *list = cJSON_AddArrayToObject(o, "headers");

	for (size_t i = 0; i < m->count; i++)
		add_pair(list, m->fields[i].name, strlen(m->fields[i].name), m->fields[i].value, strlen(m->fields[i].value));
}

// "a=b" until one of `ends`, as a pair; returns what is behind.
static const char *read_pair(cJSON *list, const char *at, const char *ends, cJSON **pair)
{
	at += strspn(at, " ");
	size_t size = strcspn(at, ends), name = strcspn(at, "=");
	bool has_value = name < size;

	if (!has_value)
		name = size;
	*pair = size ? add_pair(list, at, name, at + name + has_value, size - name - has_value) : NULL;
	return at + size;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		int high = *text == '%' ? hex(text[1]) : -1, low = high >= 0 ? hex(text[2]) : -1;
		if (low >= 0 && (high || low)) {
			*to++ = (char)(high << 4 | low);
			text += 2;
		} else {
			*to++ = *text == '+' ? ' ' : *text;
		}
	}
	*to = 0;
}

static void add_query(cJSON *o, const char *url)
{
	cJSON *list = cJSON_AddArrayToObject(o, "queryString"), *pair;
	const char *at = url + strcspn(url, "?#");

	while (*at == '?' || *at == '&')
		at = read_pair(list, at + 1, "&#", &pair);
	cJSON_ArrayForEach(pair, list) {
		for (cJSON *word = pair->child; word; word = word->next) {
			decode(word->valuestring);
			text_clean(word->valuestring, word->valuestring, strlen(word->valuestring));
		}
	}
}

// RFC 6265: Cookie has many, Set-Cookie one and its attributes.
static void add_attributes(cJSON *cookie, const char *at)
{
	while (*at == ';') {
		cJSON *list = cJSON_CreateArray(), *pair;
		at = read_pair(list, at + 1, ";", &pair);
		const char *name = pair ? pair->child->valuestring : "", *value = pair ? pair->child->next->valuestring : "";
		if (!strcasecmp(name, "path") || !strcasecmp(name, "domain"))
			add_string(cookie, strcasecmp(name, "path") ? "domain" : "path", value);
		else if (!strcasecmp(name, "samesite"))
			add_string(cookie, "sameSite", value);
		else if (!strcasecmp(name, "httponly") || !strcasecmp(name, "secure"))
			cJSON_AddBoolToObject(cookie, strcasecmp(name, "secure") ? "httpOnly" : "secure", true);
		cJSON_Delete(list);
	}
}

static void add_cookies(cJSON *o, const struct exchange_message *m, const char *header)
{
	cJSON *list = cJSON_AddArrayToObject(o, "cookies"), *cookie;

	for (size_t i = 0; i < m->count; i++) {
		const char *at = m->fields[i].value;
		// Asterisks alone: it was redacted.
		if (strcasecmp(m->fields[i].name, header) != 0 || strspn(at, "*") == strlen(at))
			continue;
		at = read_pair(list, at, ";", &cookie);
		if (header[0] == 'S' && cookie)
			add_attributes(cookie, at);
		while (header[0] != 'S' && *at == ';')
			at = read_pair(list, at + 1, ";", &cookie);
	}
}

// --- bodies -----------------------------------------------------------------

// Of a decoded body: little coded can be much.
enum { DECODED_MOST = 8 << 20 };

static bool is_text(const uint8_t *bytes, size_t size)
{
	return !memchr(bytes, 0, size) && text_is_utf8((const char *)bytes, size);
}

static void add_base64(cJSON *o, const uint8_t *at, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc((size + 2) / 3 * 4 + 1), *to = text;

	if (!text)
		return;
	for (; size; at += 3, size -= size < 3 ? size : 3) {
		uint32_t n = (uint32_t)at[0] << 16 | (size > 1 ? (uint32_t)at[1] << 8 : 0) | (size > 2 ? at[2] : 0);
		*to++ = digits[n >> 18];
		*to++ = digits[n >> 12 & 63];
		*to++ = size > 1 ? digits[n >> 6 & 63] : '=';
		*to++ = size > 2 ? digits[n & 63] : '=';
	}
	*to = 0;
	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddStringToObject(o, "encoding", "base64");
	free(text);
}

static void add_bytes(cJSON *o, const uint8_t *bytes, size_t size)
{
	char *text = is_text(bytes, size) ? strndup((const char *)bytes, size) : NULL;

	if (text)
		cJSON_AddStringToObject(o, "text", text);
	else
		add_base64(o, bytes, size);
	free(text);
}

// What is not all there, or not as the browser would show it, is said.
static void add_body(cJSON *o, const struct exchange *e, int which)
{
	const struct exchange_message *m = &e->said[which];
	const char *encoding = exchange_find(e, which, "content-encoding");
	char cut[64] = "", coded[96] = "";
	size_t decoded = 0;
	bool whole = false;
	uint8_t *plain = decode_body(encoding, m->body, m->kept, DECODED_MOST, &decoded, &whole);

	if (plain)
		add_bytes(o, plain, decoded);
	else if (m->kept)
		add_bytes(o, m->body, m->kept);
	else if (which == REQUEST)
		cJSON_AddStringToObject(o, "text", "");
	if (plain && whole && which == RESPONSE) {
		cJSON_ReplaceItemInObject(o, "size", cJSON_CreateNumber((double)decoded));
		cJSON_AddNumberToObject(o, "compression", (double)decoded - (double)m->size);
	}
	if (m->kept < m->size)
		snprintf(cut, sizeof(cut), "the first %zu of %llu bytes", m->kept, (unsigned long long)m->size);
	else if (plain && !whole)
		snprintf(cut, sizeof(cut), "its first %zu bytes", decoded);
	if (encoding && m->kept && !plain)
		snprintf(coded, sizeof(coded), "%sas it was sent: %.64s", cut[0] ? ", " : "", encoding);
	if (cut[0] || coded[0]) {
		char comment[sizeof(cut) + sizeof(coded)];
		snprintf(comment, sizeof(comment), "%s%s", cut, coded);
		add_string(o, "comment", comment);
	}
	free(plain);
}

// --- an entry ---------------------------------------------------------------

static void add_request(cJSON *entry, const struct exchange *e, const char *url)
{
	const struct exchange_message *m = &e->said[REQUEST];
	cJSON *o = cJSON_AddObjectToObject(entry, "request");

	add_string(o, "method", e->method);
	add_string(o, "url", url);
	add_string(o, "httpVersion", e->version);
	add_cookies(o, m, "Cookie");
	add_headers(o, m);
	add_query(o, url);
	if (m->size) {
		cJSON *post = cJSON_AddObjectToObject(o, "postData");
		add_string(post, "mimeType", exchange_find(e, REQUEST, "content-type"));
		cJSON_AddArrayToObject(post, "params");
		add_body(post, e, REQUEST);
	}
	cJSON_AddNumberToObject(o, "headersSize", -1);
	cJSON_AddNumberToObject(o, "bodySize", (double)m->size);
}

// What Chromium's list shows and filters by; left to itself it calls all text a script.
static const char *resource_type(const char *type)
{
	static const char *const table[][2] = {
		{ "text/html", "document" }, { "text/css", "stylesheet" }, { "text/javascript", "script" },
		{ "application/javascript", "script" }, { "application/json", "fetch" }, { "application/xml", "fetch" },
		{ "application/wasm", "wasm" }, { "image/", "image" }, { "font/", "font" }, { "audio/", "media" },
		{ "video/", "media" }, { "text/event-stream", "eventsource" },
	};

	for (size_t i = 0; type && i < sizeof(table) / sizeof(*table); i++)
		if (!strncasecmp(type, table[i][0], strlen(table[i][0])))
			return table[i][1];
	return "other";
}

static void add_response(cJSON *entry, const struct exchange *e)
{
	const struct exchange_message *m = &e->said[RESPONSE];
	const char *type = exchange_find(e, RESPONSE, "content-type");
	cJSON *o = cJSON_AddObjectToObject(entry, "response"), *content;

	cJSON_AddNumberToObject(o, "status", e->status);
	add_string(o, "statusText", e->reason);
	add_string(o, "httpVersion", e->version);
	add_cookies(o, m, "Set-Cookie");
	add_headers(o, m);
	content = cJSON_AddObjectToObject(o, "content");
	cJSON_AddNumberToObject(content, "size", (double)m->size);
	add_string(content, "mimeType", type ? type : "x-unknown");
	add_body(content, e, RESPONSE);
	add_string(o, "redirectURL", exchange_find(e, RESPONSE, "location"));
	cJSON_AddNumberToObject(o, "headersSize", -1);
	cJSON_AddNumberToObject(o, "bodySize", (double)m->size);
	if (!e->status || !m->ended)
		cJSON_AddStringToObject(o, "_error", e->status ? "cut short" : "no answer");
}

static void add_timings(cJSON *entry, const struct exchange *e)
{
	const struct exchange_message *asked = &e->said[REQUEST], *answer = &e->said[RESPONSE];
	uint64_t sent = asked->ended ? asked->ended : asked->began;
	double send = milliseconds(asked->began, sent), wait = milliseconds(sent, answer->began),
	       receive = answer->began ? milliseconds(answer->began, answer->ended) : 0;
	cJSON *o;

	cJSON_AddNumberToObject(entry, "time", send + wait + receive);
	o = cJSON_AddObjectToObject(entry, "timings");
	cJSON_AddNumberToObject(o, "blocked", -1);
	cJSON_AddNumberToObject(o, "dns", -1);
	cJSON_AddNumberToObject(o, "connect", -1);
	cJSON_AddNumberToObject(o, "ssl", -1);
	cJSON_AddNumberToObject(o, "send", send);
	cJSON_AddNumberToObject(o, "wait", wait);
	cJSON_AddNumberToObject(o, "receive", receive);
}

// The browsers' developer tools write the server's port for `connection`, and read it so;
// theirs tell connections apart by the other.
static void add_connection(cJSON *entry, const struct flow *f)
{
	char text[ADDRESS_TEXT];

	cJSON_AddStringToObject(entry, "serverIPAddress", address_host(&f->peer, text));
	snprintf(text, sizeof(text), "%u", address_port(&f->peer));
	cJSON_AddStringToObject(entry, "connection", text);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)f->id);
	cJSON_AddStringToObject(entry, "_connectionId", text);
	if (!f->process)
		return;
	cJSON *o = cJSON_AddObjectToObject(entry, "_process");
	cJSON_AddNumberToObject(o, "pid", f->process->pid);
	add_string(o, "name", f->process->name);
	add_string(o, "path", f->process->path);
}

char *har_entry(const struct flow *f, const struct exchange *e, const char *url)
{
	cJSON *entry = cJSON_CreateObject();

	if (!entry)
		return NULL;
	add_time(entry, "startedDateTime", e->said[REQUEST].began);
	add_timings(entry, e);
	add_request(entry, e, url);
	add_response(entry, e);
	cJSON_AddObjectToObject(entry, "cache");
	cJSON_AddStringToObject(entry, "_resourceType", resource_type(exchange_find(e, RESPONSE, "content-type")));
	add_connection(entry, f);
	char *text = cJSON_PrintUnformatted(entry);
	cJSON_Delete(entry);
	return text;
}
