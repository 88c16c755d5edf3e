// SPDX-License-Identifier: GPL-3.0-or-later
// conversation - what a session is, for the files that move it: its states, its
// place in the turn's queue, its only end.

#ifndef TUNNEL_CONVERSATION_H
#define TUNNEL_CONVERSATION_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/hello.h"
#include "tls/tls.h"
#include "tunnel/events.h"
#include "tunnel/relay.h"
#include "tunnel/tap.h"

struct policy;
struct policy_target;
struct sniff;

// What may be done in each state, and who moves it on:
enum state {
	CALLING,	// the origin's connect runs; the app waits. Origin's event.
	ANSWERED,	// the app is answered. News of the stack: opened.
	SNIFFING,	// cleartext so far, if any; it may turn to TLS. Bytes of either side.
	SHAKING_ORIGIN,	// TLS with the origin; the app's hello is still unread
	CALLING_AGAIN,	// could not be opened: a fresh connection to relay over
	SHAKING_APP,	// TLS with the app, as the origin's came out
	RELAYING,	// bytes both ways
	BREAKING,	// the origin broke; what it said before still goes to the app
	REFUSING,	// the app's handshake failed; the alert still goes to the app
	REFUSED,	// the origin cannot be reached; the app is told in a moment
};

struct session {
	struct sessions *all;
	struct session *next, *previous;	// of all
	struct session *queued_next;
	enum state state : 8;
	bool queued, dead, app_finished;
	bool alone;		// no second connection to the origin can be: cleartext turned to TLS, FTP's data
	bool used;		// opened, and the app has spoken over it
	int refused;		// REFUSED: the errno
	struct event event;	// the origin's socket's
	uint64_t deadline;
	uint64_t opened;	// monotonic ns: TLS stood on both sides; 0: it does not
	struct flow *record;
	struct relay relay;
	struct sniff *sniff;	// sniff's; SNIFFING only
	struct hello *hello;
	struct origin_hello *origin_hello;	// handshake's: what is still wanted of it
};

struct sessions {
	struct events *events;
	struct tap *tap;
	struct tls_house *house;	// NULL: TLS is never opened
	struct policy *policy;
	bool fingerprints;	// are to be in the record
	struct session *first;
	struct session *queue, **queue_end;
	uint64_t progress, next_deadline;
	bool paused;
	bool ftp;		// some conversation was FTP that turned to TLS
};

// Into the queue of the turn.
void session_touch(struct session *s);
// `time`: monotonic ns that the state may last without news, or SESSION_EVER.
#define SESSION_EVER UINT64_MAX
void session_state(struct session *s, enum state state, uint64_t time);

// Begins the origin's connect: CALLING or CALLING_AGAIN. 0 or -errno.
int session_call_origin(struct session *s);
// Leaves the origin it has, if any.
void session_leave_origin(struct session *s);

// Bytes both ways from now on, under that verdict; `reason` may be NULL.
void session_relay(struct session *s, enum flow_verdict verdict, const char *reason);
void session_drop_tls(struct session *s);
void session_drop_sniff(struct session *s);

// The only end: the flow's line, both wires, the memory.
void session_end(struct session *s, enum flow_close close);
// Frees what is dead already, once its turn in the queue came.
void session_free(struct session *s);

#endif
