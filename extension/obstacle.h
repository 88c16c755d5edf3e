// SPDX-License-Identifier: GPL-3.0-or-later
// obstacle - which locked door stopped a launch, and who has the key.

#ifndef EXTENSION_OBSTACLE_H
#define EXTENSION_OBSTACLE_H

#include <stdbool.h>
#include <stddef.h>

enum obstacle_step {
	OBSTACLE_NAMESPACES,	// unshare
	OBSTACLE_MAPPING,	// uid_map and gid_map
	OBSTACLE_MOUNT,		// making mounts private
	OBSTACLE_TUN_OPEN,	// /dev/net/tun itself
	OBSTACLE_TUN_CREATE,	// a device from it
	OBSTACLE_NETWORK,	// addresses, routes, rules
	OBSTACLE_OVERLAY,	// a file laid over another
	OBSTACLE_OTHER,
};

// What the machine says of itself. -1: it does not say.
struct obstacle_facts {
	bool root;
	bool container;
	int max_user_namespaces;	// user.max_user_namespaces
	int max_net_namespaces;		// user.max_net_namespaces
	int userns_clone;		// kernel.unprivileged_userns_clone
	int apparmor_restricts;		// kernel.apparmor_restrict_unprivileged_userns
};

void obstacle_read(struct obstacle_facts *facts);

// `what` names the thing that failed, NULL where the step says it all.
void obstacle_sentence(const struct obstacle_facts *facts, enum obstacle_step step, int error,
		       const char *what, char *out, size_t size);

#endif
