// SPDX-License-Identifier: GPL-3.0-or-later
// handshake - TLS with the origin, then with the app as the origin's came out.

#ifndef TUNNEL_HANDSHAKE_H
#define TUNNEL_HANDSHAKE_H

#include "tunnel/packet.h"

struct policy_target;
struct session;

// Who said the hello, and to whom; `host` is what target->address points at.
void handshake_target(const struct session *s, struct policy_target *target, char host[ADDRESS_TEXT]);

// With s->hello read: SHAKING_ORIGIN, or a relay where that cannot be.
void handshake_begin(struct session *s);

// A step of each state that is a handshake's.
void handshake_shaking_origin(struct session *s);
void handshake_calling_again(struct session *s);
void handshake_shaking_app(struct session *s);
void handshake_refusing(struct session *s);
// A relay ends: did the app turn away at the sight of our certificate?
void handshake_left(struct session *s);
// It took too long.
void handshake_overdue(struct session *s);

#endif
