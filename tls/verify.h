// SPDX-License-Identifier: GPL-3.0-or-later
// verify - judges an origin's certificate chain.
//
// Within the room only.

#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include "tls/roots.h"
#include "tls/tls.h"

enum { VERIFY_TEXT_SIZE = 160 };

struct verdict {
	enum tls_trust trust;
	bool leaf_fault;	// dates, names or usage: also with TLS_UNCHECKED
	bool self_signed;	// the leaf is its own issuer
	bool weak_key;		// the leaf's RSA key is too short, and nothing else was found
	bool weak_digest;	// the leaf is signed with SHA-1, and nothing else was found
	bool closed;		// the chain that was sent ends at a self-signed certificate
	// Where the fault is an authority's own and can be shown as it is: its place among what
	// was sent, and that of the one above it where both are needed to see it. Or 0.
	uint8_t faulty[2];
	char text[VERIFY_TEXT_SIZE];
};

// `chain` is what the origin sent, leaf first, `count` at least 1. `host` is the
// name, or the numeric address, that it should be for; `now` is Unix seconds.
// False when the leaf cannot even be read.
bool verify_chain(struct verdict *out, const struct der *chain, size_t count,
		  const struct roots *roots, const char *host, bool insecure, int64_t now);

#endif
