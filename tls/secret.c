// SPDX-License-Identifier: GPL-3.0-or-later
// secret - a connection's secrets as lines of NSS key log.
//
// Said by wolfSSL in the midst of the handshake, as soon as each is derived: both
// callbacks are called before the keys made from the secret are put to use, so
// the lines stand before anything that they decrypt.

#include "tls/secret.h"

#include <stdio.h>
#include <string.h>

enum { RANDOM_SIZE = 32, SECRET_MAX = 64, LINE_ROOM = 320 };

static char *hex(char *to, const unsigned char *bytes, size_t size)
{
	static const char letters[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*to++ = letters[bytes[i] >> 4];
		*to++ = letters[bytes[i] & 15];
	}
	*to = '\0';
	return to;
}

static int say(WOLFSSL *ssl, const struct secret_watch *watch, const char *label,
	       const unsigned char *secret, int size)
{
	unsigned char random[RANDOM_SIZE];
	char line[LINE_ROOM], *at = line;

	if (size <= 0 || size > SECRET_MAX ||
	    wolfSSL_get_client_random(ssl, random, sizeof(random)) != sizeof(random))
		return 0;
	at += snprintf(line, sizeof(line), "%s ", label);
	at = hex(at, random, sizeof(random));
	*at++ = ' ';
	hex(at, secret, size);
	watch->line(watch->context, line);
	explicit_bzero(line, sizeof(line));
	return 0;
}

// The enum's order.
static const char *const labels[] = {
	[CLIENT_EARLY_TRAFFIC_SECRET] = "CLIENT_EARLY_TRAFFIC_SECRET",
	[CLIENT_HANDSHAKE_TRAFFIC_SECRET] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
	[SERVER_HANDSHAKE_TRAFFIC_SECRET] = "SERVER_HANDSHAKE_TRAFFIC_SECRET",
	[CLIENT_TRAFFIC_SECRET] = "CLIENT_TRAFFIC_SECRET_0",
	[SERVER_TRAFFIC_SECRET] = "SERVER_TRAFFIC_SECRET_0",
	[EARLY_EXPORTER_SECRET] = "EARLY_EXPORTER_SECRET",
	[EXPORTER_SECRET] = "EXPORTER_SECRET",
};

static int of_tls13(WOLFSSL *ssl, int id, const unsigned char *secret, int size, void *context)
{
	if (id < 0 || id >= (int)(sizeof(labels) / sizeof(*labels)))
		return 0;
	return say(ssl, context, labels[id], secret, size);
}

static int of_tls12(WOLFSSL *ssl, void *secret, int size, void *context)
{
	return say(ssl, context, "CLIENT_RANDOM", secret, size);
}

void secret_watch(WOLFSSL *ssl, struct secret_watch *watch)
{
	if (!watch->line)
		return;
	wolfSSL_set_tls13_secret_cb(ssl, of_tls13, watch);
	wolfSSL_set_secret_cb(ssl, of_tls12, watch);
}

void secret_resumed(WOLFSSL *ssl, struct secret_watch *watch)
{
	unsigned char *master, *ignored;
	unsigned int size, ignored_size;

	if (!watch->line || watch->resumed || wolfSSL_version(ssl) >= TLS1_3_VERSION ||
	    !wolfSSL_session_reused(ssl) ||
	    wolfSSL_get_keys(ssl, &master, &size, &ignored, &ignored_size, &ignored, &ignored_size) !=
		    WOLFSSL_SUCCESS)
		return;
	watch->resumed = true;
	say(ssl, watch, "CLIENT_RANDOM", master, (int)size);
}
