// SPDX-License-Identifier: GPL-3.0-or-later
// host - what a program sees of the network on this host, to show it inside.

#ifndef EXTENSION_HOST_H
#define EXTENSION_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HOST_CONGESTION "ipv4/tcp_congestion_control"

enum {
	HOST_ADDRESSES = 64,
	HOST_SETTINGS = 24,
};

struct host_address {
	int family;		// AF_INET, AF_INET6; 0: none
	uint8_t bytes[16];
};

// A sysctl that a program can notice and that each namespace has for itself.
struct host_setting {
	const char *name;	// below /proc/sys/net/
	char value[1024];
};

struct host {
	bool ipv6;		// ::1 is there
	// The addresses that talk to the world; family 0 where there is none.
	struct host_address main4, main6;
	// All but loopback and link-local ones, the main interface's first.
	struct host_address address[HOST_ADDRESSES];
	int address_count;
	struct host_setting setting[HOST_SETTINGS];
	int setting_count;
};

void host_read(struct host *host);
// Is it loopback, or one of those in the list?
bool host_owns(const struct host *host, const struct sockaddr *address);
size_t host_address_size(const struct host_address *address);

#endif
