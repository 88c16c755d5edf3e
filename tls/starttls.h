// SPDX-License-Identifier: GPL-3.0-or-later
// starttls - sees a cleartext conversation turn to TLS.
//
// Pure and without a heap: it is shown what each side sends and keeps some
// seventy bytes. It never keeps the app's bytes: while it says HELD the caller
// does, and shows them again from there with what has come behind them.

#ifndef TLS_STARTTLS_H
#define TLS_STARTTLS_H

#include "tls/hello.h"

enum starttls_verdict {
	STARTTLS_CLEAR,		// relay all of it; show the next bytes too
	STARTTLS_HELD,		// relay up to `hello`; what is behind may be a ClientHello
	STARTTLS_HELLO,		// at `hello` a whole ClientHello begins: relay up to there, open TLS
	STARTTLS_NEVER,		// relay all of it and show no more
};

enum {
	STARTTLS_WINDOW = 65536,	// bytes of both sides, after which it is NEVER
	STARTTLS_TURNS = 64,		// times that the app speaks, likewise
	STARTTLS_LINE = 48,
	STARTTLS_GREETING = 8,
};

enum starttls_protocol {
	STARTTLS_UNKNOWN, STARTTLS_SMTP, STARTTLS_LMTP, STARTTLS_IMAP, STARTTLS_POP3, STARTTLS_FTP,
	STARTTLS_XMPP, STARTTLS_LDAP, STARTTLS_POSTGRESQL, STARTTLS_MYSQL, STARTTLS_NNTP, STARTTLS_SIEVE,
	STARTTLS_CONNECT,		// through an HTTP proxy
};

// Its insides are for starttls.c alone; open by value, nothing to close.
struct starttls {
	uint32_t shown;
	uint16_t port;
	uint8_t turns, app_size, greeting_size;
	enum starttls_protocol protocol : 8;
	bool never, boundary, holding, lhlo, greeting_over;
	char app[STARTTLS_LINE];		// how its turn began
	char greeting[STARTTLS_GREETING];	// how the origin's first turn began
};

// `port` is the origin's, a hint for the name alone: 0 when unknown.
struct starttls starttls_open(uint16_t port);

// The app's next bytes. `*hello` is an offset into `bytes`, set with HELD and HELLO and
// not 0 only behind MySQL's preamble. After HELD the caller relays what is before it
// and shows what is behind it again, first, with what came since.
enum starttls_verdict starttls_app(struct starttls *starttls, const void *bytes, size_t size, size_t *hello);

// The origin's next bytes, all of which are to be relayed: CLEAR or NEVER.
enum starttls_verdict starttls_origin(struct starttls *starttls, const void *bytes, size_t size);

// After HELD: the caller waits no longer (its clock, or the app finished) and relays
// these held bytes as cleartext. A lone 0x16 is also what Ctrl-V sends.
enum starttls_verdict starttls_release(struct starttls *starttls, const void *bytes, size_t size);

// "smtp", "postgresql", ... and "" while it is none that is known. What the app asked
// for last may have been refused: it means something only with HELLO.
const char *starttls_protocol(const struct starttls *starttls);

#endif
