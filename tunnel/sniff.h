// SPDX-License-Identifier: GPL-3.0-or-later
// sniff - relays what is said in the clear, until a ClientHello is or none will be.

#ifndef TUNNEL_SNIFF_H
#define TUNNEL_SNIFF_H

struct session;

// SNIFFING, moved on by the bytes of either side.
void sniff_step(struct session *s);
// What began like a ClientHello went no further.
void sniff_release(struct session *s);

#endif
