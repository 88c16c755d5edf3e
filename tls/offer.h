// SPDX-License-Identifier: GPL-3.0-or-later
// offer - what an end towards an origin offers, and one towards an app takes.
//
// Within the room only.

#ifndef TLS_OFFER_H
#define TLS_OFFER_H

#include <wolfssl/ssl.h>

#include "tls/hello.h"

// Has a client's `ssl` offer what the hello does, in its order, as far as wolfSSL
// speaks it and nothing else: suites, groups, key shares, signature algorithms.
// NULL, or the sentence why nothing is left to offer up to `version_max`.
const char *offer_hello(WOLFSSL *ssl, const struct hello *hello, uint16_t version_max);

// Has a server's `ssl`, whose certificate has an RSA key or a P-256 one, take this suite alone,
// unless it is for the other kind of key, and this group (as tls_group() has it; "": any).
void offer_choice(WOLFSSL *ssl, uint16_t suite, const char *group, bool rsa);

#endif
