// SPDX-License-Identifier: GPL-3.0-or-later
// exchange - one HTTP request and its response, as an observer gathers them.

#include "pcap/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// What a thing kept costs beside its bytes.
enum { OVERHEAD = 64, FIELDS_STEP = 16 };

static bool afford(struct exchange *e, size_t size)
{
	if (*e->budget < size)
		return false;
	*e->budget -= size;
	e->taken += size;
	return true;
}

struct exchange *exchange_open(struct exchange_sink *sink, uint64_t now)
{
	struct exchange *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->budget = &sink->budget;
	e->said[REQUEST].began = now;
	if (afford(e, sizeof(*e)))
		return e;
	free(e);
	return NULL;
}

static void clear(struct exchange_message *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->fields[i].name);
		free(m->fields[i].value);
	}
	free(m->fields);
	free(m->body);
	memset(m, 0, sizeof(*m));
}

void exchange_close(struct exchange *e)
{
	if (!e)
		return;
	*e->budget += e->taken;
	clear(&e->said[REQUEST]);
	clear(&e->said[RESPONSE]);
	free(e->method);
	free(e->target);
	free(e->reason);
	free(e);
}

void exchange_forget(struct exchange *e, int which)
{
	clear(&e->said[which]);
	free(e->reason);
	e->reason = NULL;
	e->status = 0;
}

int exchange_text(struct exchange *e, char **into, const void *text, size_t size)
{
	size_t before = *into ? strlen(*into) : 0;
	char *grown = afford(e, size + (*into ? 0 : OVERHEAD)) ? realloc(*into, before + size + 1) : NULL;

	if (!grown)
		return -ENOMEM;
	memcpy(grown + before, text, size);
	grown[before + size] = 0;
	*into = grown;
	return 0;
}

int exchange_field(struct exchange *e, int which, const void *name, size_t name_size, const void *value,
		   size_t value_size)
{
	struct exchange_message *m = &e->said[which];
	struct exchange_field field = {NULL, NULL};

	if (m->count % FIELDS_STEP == 0) {
		void *grown = reallocarray(m->fields, m->count + FIELDS_STEP, sizeof(field));
		if (!grown)
			return -ENOMEM;
		m->fields = grown;
	}
	if (exchange_text(e, &field.name, name, name_size) || exchange_text(e, &field.value, value, value_size)) {
		free(field.name);
		return -ENOMEM;
	}
	m->fields[m->count++] = field;
	return 0;
}

void exchange_body(struct exchange *e, int which, const void *bytes, size_t size, size_t most)
{
	struct exchange_message *m = &e->said[which];
	bool whole = m->kept == m->size;	// behind a gap nothing is kept

	m->size += size;
	if (!whole || m->kept >= most)
		return;
	size_t part = size < most - m->kept ? size : most - m->kept;
	if (m->kept + part > m->room) {
		size_t room = 2 * (m->kept + part) < most ? 2 * (m->kept + part) : most;
		void *grown = afford(e, room - m->room) ? realloc(m->body, room) : NULL;
		if (!grown)
			return;
		m->body = grown;
		m->room = room;
	}
	if (part)
		memcpy(m->body + m->kept, bytes, part);
	m->kept += part;
}

const char *exchange_find(const struct exchange *e, int which, const char *name)
{
	const struct exchange_message *m = &e->said[which];

	for (size_t i = 0; i < m->count; i++)
		if (!strcasecmp(m->fields[i].name, name))
			return m->fields[i].value;
	return NULL;
}

char *exchange_url(const struct exchange *e, const char *scheme, const char *authority)
{
	const char *target = e->target ? e->target : "";
	const char *said = exchange_find(e, REQUEST, ":scheme"), *host = exchange_find(e, REQUEST, ":authority");
	char *url;

	// Absolute (to a proxy), and CONNECT's authority (RFC 9112 section 3.2).
	if (strstr(target, "://") || (e->method && !strcmp(e->method, "CONNECT")))
		return strdup(target[0] || !host ? target : host);
	if (!host)
		host = exchange_find(e, REQUEST, "host");
	return asprintf(&url, "%s://%s%s%s", said && *said ? said : scheme, host && *host ? host : authority,
			*target && *target != '/' ? "/" : "", target) < 0 ? NULL : url;
}
