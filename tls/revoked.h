// SPDX-License-Identifier: GPL-3.0-or-later
// revoked - does a revocation list that was given name a certificate (RFC 5280 5)?
//
// Within the room only.

#ifndef TLS_REVOKED_H
#define TLS_REVOKED_H

#include <stdbool.h>
#include <wolfssl/ssl.h>

#include "tls/roots.h"

// `manager` knows the certificate's signers; a list counts only where one of them
// signed it. Without a list for it a certificate is as good as it was.
bool revoked(WOLFSSL_CERT_MANAGER *manager, const struct roots *roots,
	     const struct certificate *certificate);

#endif
