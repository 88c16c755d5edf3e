// SPDX-License-Identifier: GPL-3.0-or-later
// exchange - one HTTP request and its response, as an observer gathers them.
//
// All that is kept counts against its conversation's budget; what does not fit of a
// body is counted and not kept, what does not fit of a head is an error.

#ifndef PCAP_EXCHANGE_H
#define PCAP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUEST, RESPONSE };

struct exchange_field { char *name, *value; };

struct exchange_message {
	struct exchange_field *fields;	// and trailers, in order; h2's pseudo fields too
	size_t count;
	uint8_t *body;			// without framing, as encoded; its first `kept` bytes
	size_t kept, room;
	uint64_t size;			// of the body, all of it
	uint64_t began, ended;		// ns since the epoch; 0: not yet
};

struct exchange {
	struct exchange_message said[2];
	char *method, *target, *reason;	// `target` as the request has it; any may be NULL
	const char *version;		// "HTTP/1.1"
	int status;			// 0: none came
	uint32_t stream;		// h2's
	size_t *budget, taken;
	struct exchange *next;		// in its gatherer's list
};

// Where an observer brings what it found. `done` takes the exchange over; it is whole
// if said[RESPONSE].ended.
struct exchange_sink {
	size_t budget;			// bytes kept at a time; the gatherers count in it
	size_t body_most;		// bytes of each body that are kept
	void (*done)(void *context, struct exchange *exchange);
	void *context;
};

struct exchange *exchange_open(struct exchange_sink *sink, uint64_t now);
void exchange_close(struct exchange *exchange);

// 0 or -ENOMEM, also where the budget is used up. `text` is added to *into.
int exchange_text(struct exchange *exchange, char **into, const void *text, size_t size);
int exchange_field(struct exchange *exchange, int which, const void *name, size_t name_size, const void *value,
		   size_t value_size);
void exchange_body(struct exchange *exchange, int which, const void *bytes, size_t size, size_t most);
// Of a response that was not yet the one (1xx).
void exchange_forget(struct exchange *exchange, int which);

// The first of that name, or NULL.
const char *exchange_find(const struct exchange *exchange, int which, const char *name);
// To be freed; "https" and "localhost:8443" stand in for what the request does not say.
char *exchange_url(const struct exchange *exchange, const char *scheme, const char *authority);

#endif
