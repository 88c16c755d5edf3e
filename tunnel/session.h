// SPDX-License-Identifier: GPL-3.0-or-later
// session - one TCP conversation: two sides, one state, one close with a reason.

#ifndef TUNNEL_SESSION_H
#define TUNNEL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct events;
struct netstack_flow;
struct policy;
struct session;
struct sessions;
struct tap;
struct tls_house;

// All borrowed.
struct session_parts {
	struct events *events;
	struct tap *tap;
	struct tls_house *house;	// NULL: TLS is never opened
	struct policy *policy;
	bool fingerprints;		// JA3 and the like are wanted in the record
};

// All the sessions there are.
int sessions_open(struct sessions **out, const struct session_parts *parts);
// Aborts what is still open.
void sessions_close(struct sessions *all);

// Moves what the turn's news made movable; true: more is to do at once.
bool sessions_pump(struct sessions *all);
// No byte is taken from an origin while paused (the capture is full).
void sessions_pause(struct sessions *all, bool paused);

// Monotonic ns of the next session_tick() duty; UINT64_MAX: none.
uint64_t sessions_deadline(const struct sessions *all);
void sessions_tick(struct sessions *all, uint64_t now);

// How many still owe the origin something the app sent.
size_t sessions_owing(const struct sessions *all);
bool sessions_any(const struct sessions *all);
// Moves with every byte and state: two equal answers mean that nothing happened.
uint64_t sessions_progress(const struct sessions *all);

// --- news of the stack, as netstack/netstack.h tells it ----------------------

void session_call(struct sessions *all, struct netstack_flow *flow, const struct sockaddr *app,
		  const struct sockaddr *peer);
void session_opened(void *session);
void session_moved(void *session);	// data, room
void session_finished(void *session);
void session_closed(void *session, int reason);

#endif
