// SPDX-License-Identifier: GPL-3.0-or-later
// names - which name the app looked up to get an address.
//
// The answers are read with libresolv's parser. The question's name is kept,
// not the record's own: between them may lie a chain of CNAMEs, and what the
// person knows is what was asked. The table is bounded; once it is full it
// learns no more.

#include "tunnel/names.h"

#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, MOST = 8192, ANSWERS = 64 };

struct entry {
	struct entry *next;
	union address host;
	const char *name;
};

// Names are never freed before the end: flows point at them.
struct text {
	struct text *next;
	char name[];
};

struct names {
	struct entry *bucket[BUCKETS];
	struct text *texts;
	size_t count, text_count;
};

struct names *names_open(void)
{
	return calloc(1, sizeof(struct names));
}

void names_close(struct names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (names->bucket[i]) {
			struct entry *e = names->bucket[i];
			names->bucket[i] = e->next;
			free(e);
		}
	while (names->texts) {
		struct text *t = names->texts;
		names->texts = t->next;
		free(t);
	}
	free(names);
}

static struct entry *find(const struct names *names, const union address *host)
{
	struct entry *e = names->bucket[address_hash(host) % BUCKETS];

	while (e && !address_same_host(&e->host, host))
		e = e->next;
	return e;
}

const char *names_find(const struct names *names, const union address *address)
{
	union address host = *address;

	if (host.any.sa_family == AF_INET)
		host.v4.sin_port = 0;
	else
		host.v6.sin6_port = 0;
	struct entry *e = find(names, &host);
	return e ? e->name : NULL;
}

static const char *keep_text(struct names *names, const char *name)
{
	size_t n = strlen(name) + 1;
	struct text *t = names->text_count < MOST ? malloc(sizeof(*t) + n) : NULL;

	if (!t)
		return NULL;
	memcpy(t->name, name, n);
	t->next = names->texts;
	names->texts = t;
	names->text_count++;
	return t->name;
}

static void learn(struct names *names, const union address *host, const char *name)
{
	struct entry *e = find(names, host);

	if (e && !strcmp(e->name, name))
		return;
	const char *kept = keep_text(names, name);
	if (!kept)
		return;
	if (!e && names->count < MOST && (e = calloc(1, sizeof(*e)))) {
		struct entry **at = &names->bucket[address_hash(host) % BUCKETS];
		e->host = *host;
		e->next = *at;
		*at = e;
		names->count++;
	}
	if (e)
		e->name = kept;
}

static bool record_address(const ns_rr *rr, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (ns_rr_type(*rr) == ns_t_a && ns_rr_rdlen(*rr) == 4) {
		out->v4.sin_family = AF_INET;
		memcpy(&out->v4.sin_addr, ns_rr_rdata(*rr), 4);
		return true;
	}
	if (ns_rr_type(*rr) == ns_t_aaaa && ns_rr_rdlen(*rr) == 16) {
		out->v6.sin6_family = AF_INET6;
		memcpy(&out->v6.sin6_addr, ns_rr_rdata(*rr), 16);
		return true;
	}
	return false;
}

void names_read(struct names *names, const void *bytes, size_t size,
		void (*learned)(void *context, const union address *address, const char *name),
		void *context)
{
	ns_msg message;
	ns_rr rr;

	if (size > 65535 || ns_initparse(bytes, (int)size, &message) ||
	    !ns_msg_getflag(message, ns_f_qr) || ns_msg_count(message, ns_s_qd) != 1 ||
	    ns_parserr(&message, ns_s_qd, 0, &rr))
		return;
	char name[NS_MAXDNAME];
	size_t length = strnlen(ns_rr_name(rr), sizeof(name) - 1);
	memcpy(name, ns_rr_name(rr), length);
	name[length] = 0;
	if (!length || !strcmp(name, "."))
		return;
	for (int i = 0; i < ns_msg_count(message, ns_s_an) && i < ANSWERS; i++) {
		union address host;
		if (ns_parserr(&message, ns_s_an, i, &rr))
			return;
		if (!record_address(&rr, &host))
			continue;
		learn(names, &host, name);
		learned(context, &host, name);
	}
}
