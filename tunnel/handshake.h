// SPDX-License-Identifier: GPL-3.0-or-later
// handshake - TLS with the origin, then with the app as the origin's came out.

#ifndef TUNNEL_HANDSHAKE_H
#define TUNNEL_HANDSHAKE_H

#include <stdint.h>

struct hello;
struct session;

// With the app's hello read, which begins at `bytes` and is the next unread: SHAKING_ORIGIN,
// or a relay where that cannot be. `spoken` is the protocol whose STARTTLS it followed, a
// constant; NULL when it was the first that was said.
void handshake_hello(struct session *s, const struct hello *hello, const uint8_t *bytes, const char *spoken);

// A step of each state that is a handshake's.
void handshake_shaking_origin(struct session *s);
void handshake_calling_again(struct session *s);
void handshake_shaking_app(struct session *s);
void handshake_refusing(struct session *s);
// The app has spoken over what was opened.
void handshake_used(struct session *s);
// A relay ends: did the app turn away at the sight of our certificate?
void handshake_left(struct session *s);
// It took too long.
void handshake_overdue(struct session *s);

#endif
