// SPDX-License-Identifier: GPL-3.0-or-later
// ticket - the session of an origin's end: offered, kept, and the app given tickets alike.
//
// Within the room only.

#ifndef TLS_TICKET_H
#define TLS_TICKET_H

#include <stdint.h>

struct hello;
struct tls;

// Before the handshake with an origin: offers what the hello would take up, where such is kept.
void ticket_offer_session(struct tls *end, const struct hello *hello, const char *address, uint16_t port);
// After it.
void ticket_note_session(struct tls *end);
// After a ticket came.
void ticket_keep_session(struct tls *end);

#endif
