// SPDX-License-Identifier: GPL-3.0-or-later
// origin - the host's sockets, in the app's stead.

#ifndef TUNNEL_ORIGIN_H
#define TUNNEL_ORIGIN_H

#include <stdint.h>

#include "netstack/netstack.h"
#include "tunnel/flow.h"

// A nonblocking TCP socket whose connect has begun. >= 0, or -errno as
// connect(2) gave it at once.
int origin_connect(const union address *peer);
// Once writable: 0 connected, or -errno.
int origin_result(int fd);
// The next close sends a RST.
void origin_abort(int fd);

// An unconnected socket that speaks to any peer of the family and is told of
// ICMP errors. >= 0 or -errno.
int origin_datagram(int family);
// For echo requests and their replies. Where the host lets this user have no
// datagram ICMP socket (net.ipv4.ping_group_range) but a raw one, it is that:
// *raw is true, identifiers are the caller's to choose, and IPv4 packets come
// with their IP header.
int origin_ping(int family, bool *raw);

// How the app is told what a connect or send failed with, and how it is called.
enum netstack_refusal origin_refusal(int error);
enum flow_verdict origin_verdict(int error);

// The next queued ICMP error of a datagram socket: what was sent to `peer` did
// not arrive. 0 with the errno in *error, the router in *reporter (family 0:
// not told) and the path's MTU in *mtu; -EAGAIN: no more.
int origin_error(int fd, union address *peer, union address *reporter, int *error, uint32_t *mtu);

#endif
