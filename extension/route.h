// SPDX-License-Identifier: GPL-3.0-or-later
// route - rtnetlink(7): links, addresses, routes and rules, each by one request.
//
// All answer 0 or -errno. Routes lead to the tunnel unless their name says otherwise.

#ifndef EXTENSION_ROUTE_H
#define EXTENSION_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "extension/host.h"

struct mnl_socket;

enum {
	ROUTE_OUT = 10,		// the table for what is sent
	ROUTE_LO = 1,		// the loopback device's index, in every namespace
};

struct route {
	struct mnl_socket *socket;
	unsigned int sequence;
	char buffer[1024];
	int device;		// the tunnel's index where it is not NETWORK_TUNNEL_INDEX
};

// Begins with an empty struct; closing one that did not open is fine.
int route_open(struct route *r);
void route_close(struct route *r);

// `settings`: of the tunnel; an MTU of 0 leaves it.
int route_set_link(struct route *r, int index, uint32_t mtu, bool up, bool settings, bool ipv6);
// On the tunnel; `deprecated` is never a source by itself.
int route_add_address(struct route *r, const struct host_address *address, bool deprecated);
int route_add(struct route *r, unsigned char table, const struct host_address *to, int prefix,
	      const struct host_address *source);
// In ROUTE_OUT, to this very host, by lo.
int route_add_local(struct route *r, const struct host_address *to);

struct route_rule {
	uint32_t preference;
	uint8_t table;
	const char *from;	// device
	uint32_t mark;
};
// RTM_NEWRULE or RTM_DELRULE.
int route_set_rule(struct route *r, int type, int family, const struct route_rule *rule);

// The one IPv6 nexthop object: makes it on a device, or with NLM_F_REPLACE moves
// it there; and a route in ROUTE_OUT by it.
int route_set_nexthop(struct route *r, int device, int flags);
int route_add_by_nexthop(struct route *r, const struct host_address *to, const struct host_address *source);

// For a tunnel beside the host's own devices, which must not draw what is not bound
// to it. Answers come in with any source, the host's own addresses too.
int route_set_open(struct route *r, uint32_t rp_filter);
// An IPv4 address that only what leaves by the tunnel takes for its source.
int route_add_apart(struct route *r, const struct host_address *address);
// An IPv6 default for sockets bound to the tunnel alone: for all others "throw" by a
// nexthop on the device `shadow` stands before it, as if neither were there. Both
// routes end with those devices.
int route_add_bound_default6(struct route *r, int shadow, uint32_t metric, const struct host_address *source);

#endif
