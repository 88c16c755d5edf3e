// SPDX-License-Identifier: GPL-3.0-or-later
// sniff - the first bytes decide: a ClientHello is opened, anything else is relayed.

#ifndef TUNNEL_SNIFF_H
#define TUNNEL_SNIFF_H

struct session;

// SNIFFING, moved on by the bytes of either side.
void sniff_step(struct session *s);

#endif
