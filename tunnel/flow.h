// SPDX-License-Identifier: GPL-3.0-or-later
// flow - what is known of one conversation, from its first packet to its line.
//
// A record and the table that finds it by its two addresses. Who moves bytes
// (session, datagram) fills it in; tap reads it for each packet; report prints
// it. A flow that ended stays findable for a moment, because its last
// acknowledgements are still on their way and belong in its name.

#ifndef TUNNEL_FLOW_H
#define TUNNEL_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "extension/process.h"
#include "tls/fingerprint.h"
#include "tunnel/packet.h"

enum side { APP, ORIGIN };

// verdict, word, sentence
#define FLOW_VERDICTS(X)                                                                           \
	X(FLOW_OPEN, "open", "not decided yet")                                                    \
	X(FLOW_OPENED, "opened", "TLS, decrypted on its way through")                              \
	X(FLOW_RELAYED, "relayed", "not TLS: passed on as it is")                                  \
	X(FLOW_PASSED, "passed", "TLS, passed on unopened; the reason says why")                   \
	X(FLOW_PINNED, "pinned", "TLS, passed on unopened: the app refused our certificate before")  \
	X(FLOW_INSIDE, "inside", "between two programs inside; not opened")                        \
	X(FLOW_BLOCKED, "blocked", "QUIC, refused so that the app takes TCP")                      \
	X(FLOW_REFUSED, "refused", "the origin refused the connection")                            \
	X(FLOW_UNREACHABLE, "unreachable", "no way to the origin")                                 \
	X(FLOW_TIMED_OUT, "timed out", "the origin did not answer")                                \
	X(FLOW_WITHDRAWN, "withdrawn", "the app gave up before the origin answered")               \
	X(FLOW_FAILED, "failed", "a TLS handshake failed; the reason says why")

#define FLOW_CLOSES(X)                                                                             \
	X(FLOW_RUNNING, "running", "not over yet")                                                 \
	X(FLOW_FINISHED, "finished", "both sides finished")                                        \
	X(FLOW_RESET_BY_APP, "reset by app", "the app reset it, or was killed")                    \
	X(FLOW_RESET_BY_ORIGIN, "reset by origin", "the origin reset it")                          \
	X(FLOW_NEVER_OPENED, "never opened", "it was not established")                             \
	X(FLOW_APP_SILENT, "app silent", "the app's side stopped answering")                       \
	X(FLOW_IDLE, "idle", "no datagram for a while")                                            \
	X(FLOW_TAP_ENDED, "tap ended", "apptap ended while it was open")

#define FLOW_ENUM(name, word, sentence) name,
enum flow_verdict { FLOW_VERDICTS(FLOW_ENUM) };
enum flow_close { FLOW_CLOSES(FLOW_ENUM) };

const char *flow_verdict_word(enum flow_verdict verdict);
const char *flow_close_word(enum flow_close close);

struct redacted;
struct stream;
struct watched;

// What was agreed on one leg.
struct flow_leg {
	char version[16], cipher[64], group[32];
	bool resumed;			// an earlier session was taken up again
};

struct flow_tls {
	struct flow_leg leg[2];		// by enum side
	char alpn[64], sni[256];
	const char *starttls;		// what was spoken before TLS; NULL where nothing was
	struct fingerprint_app app;	// "" where not looked at
	struct fingerprint_origin origin;
	const char *certificate;	// "trusted", "unchecked", "bad leaf", "bad chain"
	char fault[160];		// the certificate's, "" for none
};

// Thousands of them idle, so what few have is a pointer.
struct flow {
	uint64_t id;			// from 1, in the order of first packets
	union address app, peer;
	struct process *process;	// kept; NULL: not known
	const char *name;		// the peer's, as the app looked it up; NULL
	uint64_t started, ended;	// ns since the epoch
	uint64_t bytes[2];		// payload that each side sent, by enum side
	char *reason;			// a sentence beside the verdict; NULL
	struct flow_tls *tls;		// NULL until a ClientHello was seen
	struct prelude *prelude;	// what was said in the clear, while TLS may follow
	struct stream *plain;		// its plaintext, where that is wanted; NULL
	struct redacted *redacted;	// what tunnel/tap keeps to redact it
	struct watched *watched;	// what tunnel/watch keeps of it
	void *mover;			// the session or datagram socket that moves it
	struct flow *next;		// in its bucket
	uint32_t touched;		// monotonic ms, of the last packet; goes round
	int16_t descriptor;		// where the process holds the socket; -1: not known, or closed
	uint8_t protocol;
	enum flow_verdict verdict : 4;
	enum flow_close close : 4;
	uint8_t finished : 2;		// inside flows: sides that sent a FIN, as bits
	bool inside : 1;		// both ends are in the namespace
	bool named : 1;			// the capture has its comment
	bool plain_begun : 1;		// `plain` was asked for
};

struct flow_table;

struct flow_table *flow_table_open(void);
void flow_table_close(struct flow_table *table);

struct flow *flow_find(struct flow_table *table, uint8_t protocol, const union address *app,
		       const union address *peer);
// A new one; one that ended and has the same addresses goes. NULL: no memory,
// or FLOW_MOST stand.
enum { FLOW_MOST = 262144 };
struct flow *flow_add(struct flow_table *table, uint8_t protocol, const union address *app,
		      const union address *peer);

// `ended` for all that are still running, before the table goes.
void flow_each(struct flow_table *table, void (*call)(void *context, struct flow *flow), void *context);
// Frees what ended before `before` (monotonic ms, by `touched`). Looks at a
// part of the table at each call, all of it in some 8 calls.
// True where something was.
bool flow_sweep(struct flow_table *table, uint32_t before);

// Of the sentence FLOW_REASON - 1 bytes are kept.
enum { FLOW_REASON = 224 };
void flow_reason(struct flow *flow, const char *sentence);
struct flow_tls *flow_tls(struct flow *flow);

#endif
