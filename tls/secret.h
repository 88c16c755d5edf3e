// SPDX-License-Identifier: GPL-3.0-or-later
// secret - a connection's secrets as lines of NSS key log.
//
// Within the room only.

#ifndef TLS_SECRET_H
#define TLS_SECRET_H

#include <stdbool.h>
#include <wolfssl/ssl.h>

struct secret_watch {
	void (*line)(void *context, const char *line);
	void *context;
	bool resumed;		// said so already
};

// Has every secret of `ssl` said to `watch`, which outlives it.
void secret_watch(WOLFSSL *ssl, struct secret_watch *watch);
// wolfSSL says nothing of a secret that it takes from an earlier session of TLS 1.2 or
// older: to be called before anything goes out in the handshake.
void secret_resumed(WOLFSSL *ssl, struct secret_watch *watch);

#endif
