// SPDX-License-Identifier: GPL-3.0-or-later
// local - `apptap local`: programs that already run on this machine.

#ifndef TUNNEL_LOCAL_H
#define TUNNEL_LOCAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "extension/redirect.h"
#include "extension/store.h"
#include "tunnel/hall.h"

struct local_options {
	struct hall_options hall;
	const char *spec, *spec_file;	// both NULL: all; the file can be read again by SIGHUP
	const char *netns;		// PID or name of another network namespace, or NULL
	bool no_loopback;
	const struct redirect_cidr *only, *except;
	size_t only_count, except_count;
	const struct store_options *trust;	// the authority is in the stores meanwhile; or NULL
	// Who called: with `by_sudo` the files are theirs and the tap becomes
	// them; else it becomes nobody.
	bool by_sudo;
	uid_t uid;
	gid_t gid;
};

// The exit status: 0 when it was ended by a signal, or one of hall.h's.
int local(const struct local_options *options);

#endif
