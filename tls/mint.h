// SPDX-License-Identifier: GPL-3.0-or-later
// mint - the leaf that the app is shown, made from the origin's.
//
// Within the room only.

#ifndef TLS_MINT_H
#define TLS_MINT_H

#include "tls/issuer.h"
#include "tls/verify.h"

struct mint {
	const struct issuer *authority;		// what the app trusts
	struct issuer_key *shadow;		// what it does not
	struct der leaf;			// the leaf's SubjectPublicKeyInfo
	const uint8_t *leaf_id;
	struct issuer_key *leaf_signer;		// its key, where it can sign itself, or NULL
	WC_RNG *random;
};

// The chain as DER, leaf first, one behind the other, in memory that free()
// takes; -errno on failure. `host` serves only to mend a leaf that nobody is
// to check (TLS_UNCHECKED); otherwise nothing is added to what the origin's says.
// `sent` is what the verdict's `faulty` counts in, leaf first. The authority never signs for
// a chain that failed but with the faulty certificates between, or where the verdict blames
// the leaf's key, on the key given here: whether the app can see the fault in what is made is
// for the caller to make sure of.
int mint_chain(uint8_t **out, size_t *size, const struct mint *mint, const struct der *sent,
	       size_t count, const struct verdict *verdict, const char *host, int64_t now);

#endif
