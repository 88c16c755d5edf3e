// SPDX-License-Identifier: GPL-3.0-or-later
// network - the new namespace's devices, addresses, routes and rules.
//
// Everything acts on the calling process's network namespace, so it is called
// in the keeper and nowhere else.

#ifndef EXTENSION_NETWORK_H
#define EXTENSION_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "extension/host.h"

#define NETWORK_TUNNEL "apptap0"

enum {
	// The tunnel's index is asked for, so that a socket bound to the
	// device can be looked up without asking for it.
	NETWORK_TUNNEL_INDEX = 100,
	NETWORK_MARK = 1,	// of packets that are to go in
};

// The tunnel's descriptor, or -errno. *opened tells whether /dev/net/tun itself
// could be opened.
int network_open_tunnel(bool *opened);
// One of another name, or of the first free one where it holds "%d"; `name` has
// IFNAMSIZ bytes and is written to. An index of 0 is the kernel's choice.
int network_open_device(char *name, unsigned int index, bool *opened);

// 0 or -errno; *what names the step that failed.
int network_set_up(const struct host *host, uint16_t mtu, const char **what);

// A packet socket by which ::1 takes packets, proven with one, and the routes
// that bring what is sent to ::1 to the tunnel. -errno where it does not work;
// ::1 is then the namespace's own.
int network_open_loopback6(const struct host *host);

// A NETLINK_SOCK_DIAG socket, nonblocking, or -errno.
int network_open_diag(void);

#endif
