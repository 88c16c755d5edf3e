// SPDX-License-Identifier: GPL-3.0-or-later
// custodian - keeps the authority in the stores for as long as one run goes on.

#ifndef EXTENSION_CUSTODIAN_H
#define EXTENSION_CUSTODIAN_H

#include <stddef.h>
#include <sys/types.h>

#include "extension/store.h"

struct custodian {
	int socket;
	pid_t pid;
	const struct store_options *options;
};

// Forks it; it installs as store_install() does, for this process's run. Returns when
// that is done: how many places failed, or -errno with a sentence, and then nothing is
// installed. Call it with root's powers, and before anything is opened whose end matters.
// `options` (->run is not looked at) is borrowed until the close; news go to ->report,
// here and in custodian_close().
int custodian_open(struct custodian *custodian, const struct store_options *options, const char *pem, size_t size,
		   const char *fingerprint, char *why, size_t why_size);

// Has it take out what it put in, and waits for it: how many places failed, or -errno
// with a sentence, as -ESRCH where it was killed. One that is not open is fine.
int custodian_close(struct custodian *custodian, char *why, size_t why_size);

#endif
