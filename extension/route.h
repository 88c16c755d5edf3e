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

#endif
