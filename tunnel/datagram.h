// SPDX-License-Identifier: GPL-3.0-or-later
// datagram - UDP and pings between the app and the host's sockets.

#ifndef TUNNEL_DATAGRAM_H
#define TUNNEL_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "tunnel/packet.h"

struct datagrams;
struct events;
struct netstack;
struct netstack_datagram;
struct policy;
struct process_finder;
struct tap;

// All borrowed.
struct datagram_parts {
	struct events *events;
	struct netstack *stack;
	struct tap *tap;
	struct process_finder *finder;
	const struct policy *policy;
};

int datagrams_open(struct datagrams **out, const struct datagram_parts *parts);
void datagrams_close(struct datagrams *all);

// Before a packet of the app's is looked at, where owners are announced: what its port is
// to another process's by now ends.
void datagrams_owner(struct datagrams *all, const union address *app, const union address *peer);
// From the app: to whom it is for.
void datagrams_send(struct datagrams *all, uint8_t protocol, const struct netstack_datagram *d);
// Nothing is read from origins while paused.
void datagrams_pause(struct datagrams *all, bool paused);
// Lets go of what has been silent; about once a second.
void datagrams_sweep(struct datagrams *all);

#endif
