// SPDX-License-Identifier: GPL-3.0-or-later
// starttls - watches the turns of a cleartext conversation for a ClientHello.
//
// What all protocols with a STARTTLS have in common is that the app asks, waits
// for the answer, and then speaks TLS. So no protocol is followed: at a boundary,
// which is the beginning of the app's first turn and of each after the origin spoke,
// hello_read() is asked about the bytes. Text is refused by its first byte, so only
// an 0x16 is ever held. The protocols are recognised for their names alone.
//
// MySQL alone needs more: its app sends the SSLRequest and the hello with no answer
// between. What has the form of one, in answer to what has the form of a greeting,
// is a preamble with a boundary behind it.
//
// An app that sends its hello before it has the answer is not seen (the protocols
// forbid it, RFC 3207 4.2 and its like), because the middle of a turn is not looked at.
// Relays of bulk leave soon: after STARTTLS_WINDOW bytes or STARTTLS_TURNS turns the
// answer is NEVER.

#include "tls/starttls.h"

#include <ctype.h>
#include <string.h>

enum {
	MYSQL_HEADER = 4,
	MYSQL_REQUEST = 32,		// SSLRequest's payload
	MYSQL_CLIENT_SSL = 0x0800,
	MYSQL_PROTOCOL = 10,
	MYSQL_GREETING_MIN = 32,
};

static const char *const names[] = {
	[STARTTLS_UNKNOWN] = "", [STARTTLS_SMTP] = "smtp", [STARTTLS_LMTP] = "lmtp", [STARTTLS_IMAP] = "imap",
	[STARTTLS_POP3] = "pop3", [STARTTLS_FTP] = "ftp", [STARTTLS_XMPP] = "xmpp", [STARTTLS_LDAP] = "ldap",
	[STARTTLS_POSTGRESQL] = "postgresql", [STARTTLS_MYSQL] = "mysql", [STARTTLS_NNTP] = "nntp",
	[STARTTLS_SIEVE] = "sieve", [STARTTLS_CONNECT] = "connect",
};

struct starttls starttls_open(uint16_t port)
{
	return (struct starttls){ .port = port, .boundary = true };
}

const char *starttls_protocol(const struct starttls *starttls)
{
	return names[starttls->protocol];
}

// --- names ----------------------------------------------------------------------

// Does the beginning of a turn hold `word`, its letters in either case?
static bool holds(const char *bytes, size_t size, const char *word)
{
	size_t length = strlen(word);

	for (size_t at = 0; at + length <= size; at++) {
		size_t i = 0;

		while (i < length && tolower((unsigned char)bytes[at + i]) == word[i])
			i++;
		if (i == length)
			return true;
	}
	return false;
}

static bool begins(const char *bytes, size_t size, const char *word)
{
	size_t length = strlen(word);

	return size >= length && holds(bytes, length, word);
}

// Several commands are spelt alike; the greeting tells whose they are.
static enum starttls_protocol named_by_lines(const struct starttls *starttls)
{
	const char *app = starttls->app, *greeting = starttls->greeting;
	size_t size = starttls->app_size, greeting_size = starttls->greeting_size;

	if (begins(app, size, "stls\r"))
		return STARTTLS_POP3;
	if (begins(app, size, "auth tls") || begins(app, size, "auth ssl"))
		return STARTTLS_FTP;
	if (holds(app, size, "<starttls"))
		return STARTTLS_XMPP;
	if (begins(app, size, "connect "))
		return STARTTLS_CONNECT;
	if (!holds(app, size, "starttls"))
		return STARTTLS_UNKNOWN;
	if (begins(greeting, greeting_size, "* "))
		return STARTTLS_IMAP;
	if (begins(greeting, greeting_size, "20") || starttls->port == 119)
		return STARTTLS_NNTP;
	if (begins(greeting, greeting_size, "\""))
		return STARTTLS_SIEVE;
	if (begins(greeting, greeting_size, "220"))
		return starttls->lhlo || starttls->port == 24 ? STARTTLS_LMTP : STARTTLS_SMTP;
	return STARTTLS_UNKNOWN;
}

static enum starttls_protocol named(const struct starttls *starttls)
{
	// RFC 4511 4.14.1: the name of the extended operation.
	static const char ldap[] = "1.3.6.1.4.1.1466.20037";
	// PostgreSQL's "Message Formats": SSLRequest.
	static const uint8_t postgresql[8] = { 0, 0, 0, 8, 4, 210, 22, 47 };

	if (starttls->app_size == sizeof(postgresql) && memcmp(starttls->app, postgresql, sizeof(postgresql)) == 0)
		return STARTTLS_POSTGRESQL;
	if (starttls->app_size > 0 && starttls->app[0] == 0x30 && holds(starttls->app, starttls->app_size, ldap))
		return STARTTLS_LDAP;
	return named_by_lines(starttls);
}

// --- MySQL ----------------------------------------------------------------------

// Handshake v10, sequence 0: its length, 10, and a version in text.
static bool mysql_greeting(const struct starttls *starttls)
{
	const uint8_t *at = (const uint8_t *)starttls->greeting;

	return starttls->greeting_size > MYSQL_HEADER + 1 && at[0] >= MYSQL_GREETING_MIN && at[2] == 0 &&
	       at[3] == 0 && at[MYSQL_HEADER] == MYSQL_PROTOCOL && isdigit(at[MYSQL_HEADER + 1]);
}

// How many of the bytes are an SSLRequest, sequence 1: 0 when they are none, and
// `*more` when they are the beginning of one.
static size_t mysql_request(const uint8_t *at, size_t size, bool *more)
{
	static const uint8_t header[MYSQL_HEADER] = { MYSQL_REQUEST, 0, 0, 1 };

	*more = false;
	if (memcmp(at, header, size < sizeof(header) ? size : sizeof(header)) != 0 ||
	    (size > MYSQL_HEADER + 1 && !(at[MYSQL_HEADER + 1] & MYSQL_CLIENT_SSL >> 8)))
		return 0;
	*more = size < MYSQL_HEADER + MYSQL_REQUEST;
	return *more ? 0 : MYSQL_HEADER + MYSQL_REQUEST;
}

// --- turns ----------------------------------------------------------------------

static void remember(char *line, size_t most, uint8_t *line_size, const void *bytes, size_t size)
{
	size_t part = most - *line_size;

	part = part < size ? part : size;
	memcpy(line + *line_size, bytes, part);
	*line_size = (uint8_t)(*line_size + part);
}

// Counts what is relayed, so that held bytes count once.
static enum starttls_verdict relayed(struct starttls *starttls, size_t size)
{
	starttls->shown += (uint32_t)(size > STARTTLS_WINDOW ? STARTTLS_WINDOW + 1 : size);
	starttls->never = starttls->shown > STARTTLS_WINDOW || starttls->turns > STARTTLS_TURNS;
	return starttls->never ? STARTTLS_NEVER : STARTTLS_CLEAR;
}

static enum starttls_verdict cleartext(struct starttls *starttls, const void *bytes, size_t size)
{
	starttls->boundary = starttls->holding = false;
	if (starttls->app_size < STARTTLS_LINE) {
		enum starttls_protocol asked;

		remember(starttls->app, STARTTLS_LINE, &starttls->app_size, bytes, size);
		starttls->lhlo = starttls->lhlo || begins(starttls->app, starttls->app_size, "lhlo ");
		asked = named(starttls);
		starttls->protocol = asked ? asked : starttls->protocol;
	}
	return relayed(starttls, size);
}

enum starttls_verdict starttls_app(struct starttls *starttls, const void *bytes, size_t size, size_t *hello)
{
	const uint8_t *at = bytes;
	struct hello unused;
	size_t before = 0;
	bool more = false;

	*hello = 0;
	if (starttls->never)
		return STARTTLS_NEVER;
	if (size == 0)
		return starttls->holding ? STARTTLS_HELD : STARTTLS_CLEAR;
	if (!starttls->boundary)
		return cleartext(starttls, bytes, size);
	if (!starttls->holding) {
		starttls->turns++;
		starttls->app_size = 0;
	}
	starttls->greeting_over = starttls->greeting_size > 0;
	if (starttls->turns == 1 && mysql_greeting(starttls))
		before = mysql_request(at, size, &more);
	starttls->holding = more;
	if (more)
		return STARTTLS_HELD;
	if (before > 0) {
		starttls->protocol = STARTTLS_MYSQL;
		relayed(starttls, before);
	}
	if (before > 0 && before == size)
		return STARTTLS_CLEAR;
	switch (hello_read(at + before, size - before, &unused)) {
	case HELLO_WHOLE:
		starttls->never = true;
		*hello = before;
		return STARTTLS_HELLO;
	case HELLO_MORE:
		starttls->holding = true;
		*hello = before;
		return STARTTLS_HELD;
	case HELLO_NOT:
		break;
	}
	return cleartext(starttls, at + before, size - before);
}

enum starttls_verdict starttls_release(struct starttls *starttls, const void *bytes, size_t size)
{
	return starttls->never ? STARTTLS_NEVER : cleartext(starttls, bytes, size);
}

enum starttls_verdict starttls_origin(struct starttls *starttls, const void *bytes, size_t size)
{
	if (starttls->never)
		return STARTTLS_NEVER;
	if (size == 0)
		return STARTTLS_CLEAR;
	if (!starttls->greeting_over)
		remember(starttls->greeting, STARTTLS_GREETING, &starttls->greeting_size, bytes, size);
	starttls->boundary = true;
	return relayed(starttls, size);
}
