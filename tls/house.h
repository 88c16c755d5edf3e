// SPDX-License-Identifier: GPL-3.0-or-later
// house - what all ends share.
//
// Within the room only. Not for several threads at once.

#ifndef TLS_HOUSE_H
#define TLS_HOUSE_H

#include <wolfssl/ssl.h>

#include "tls/credential.h"
#include "tls/leaves.h"
#include "tls/verify.h"

struct carrier_spare;
struct tls_house;

// The versions that an end offers for an app that offers so much. False: there are none.
bool house_versions(const struct tls_house *house, bool client, uint16_t *min, uint16_t *max);

// The context for an end towards an origin that speaks at most `version_max`.
// Owned by the house; NULL when it cannot be made.
WOLFSSL_CTX *house_client(struct tls_house *house, uint16_t version_max);

// What ends read ahead into.
struct carrier_spare *house_spare(struct tls_house *house);

// The sessions with origins.
struct leaves *house_sessions(struct tls_house *house);

// What to show to `host`, or NULL.
const struct credential *house_credential(const struct tls_house *house, const char *host);

// Judges the chain that an origin sent for `host`.
bool house_judge(struct tls_house *house, struct verdict *out, const struct der *chain,
		 size_t count, const char *host);

// The context for an end towards the app that speaks `version_max` and no other, with the leaf that
// mirrors the first of the chain that the origin sent, its key P-256 or RSA. Owned by the house,
// good until the next call. NULL when the leaf cannot be minted.
WOLFSSL_CTX *house_server(struct tls_house *house, const struct der *chain, size_t count,
			  const struct verdict *verdict, const char *host, uint16_t version_max,
			  bool rsa);

#endif
