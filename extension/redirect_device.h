// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_device - a tunnel beside the host's own devices, felt only by what is bound to it.

#ifndef EXTENSION_REDIRECT_DEVICE_H
#define EXTENSION_REDIRECT_DEVICE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "extension/host.h"

struct redirect_device {
	int tunnel, shadow;		// descriptors, -1: none
	int index;
	char name[IFNAMSIZ];
	bool ipv6;
	struct host_address own4, own6;	// its addresses
	struct host_address entry4, entry6;	// lead to it by route
	struct host_address local6;	// is at hand as ::1's stand-in
	struct host host;		// as it was before
};

// All in the calling thread's network namespace. The device is made, and comes up
// only later, when its programs stand. 0 or -errno with a sentence; either way
// close it.
int redirect_device_open(struct redirect_device *device, char *why, size_t why_size);
int redirect_device_up(struct redirect_device *device, uint16_t mtu, char *why, size_t why_size);
void redirect_device_close(struct redirect_device *device);

#endif
