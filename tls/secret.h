// SPDX-License-Identifier: GPL-3.0-or-later
// secret - a connection's secrets as lines of NSS key log.
//
// Within the room only.

#ifndef TLS_SECRET_H
#define TLS_SECRET_H

#include <wolfssl/ssl.h>

struct secret_watch {
	void (*line)(void *context, const char *line);
	void *context;
};

// Has every secret of `ssl` said to `watch`, which outlives it.
void secret_watch(WOLFSSL *ssl, struct secret_watch *watch);

#endif
