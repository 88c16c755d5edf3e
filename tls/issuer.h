// SPDX-License-Identifier: GPL-3.0-or-later
// issuer - a name and a key that certificates are signed with.
//
// Within the room only: the authority is one, and so is the shadow under whose
// signature an origin's bad chain reaches the app.

#ifndef TLS_ISSUER_H
#define TLS_ISSUER_H

#include "tls/certificate.h"

#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

enum { KEY_ID_SIZE = 20, KEY_DER_MAX = 160, SERIAL_SIZE = 16 };

// A P-256 key, and what certificates say of it.
struct issuer_key {
	ecc_key key;
	uint8_t info[91];		// SubjectPublicKeyInfo (RFC 5480)
	uint8_t id[KEY_ID_SIZE];	// RFC 5280 4.2.1.2 method (1)
	bool ready;
};

// 0 or -errno. `issuer_key_close` takes a zeroed one too.
int issuer_key_make(struct issuer_key *out, WC_RNG *random);
int issuer_key_read(struct issuer_key *out, const uint8_t *der, size_t size);
void issuer_key_close(struct issuer_key *key);

struct issuer {
	struct der name;		// Name element
	struct issuer_key *key;
};

// A certificate's fields in the order in which they are asked for here.
// Extensions are whole Extension elements, put behind each other; SKID and AKID
// are made from the keys.
struct issuer_request {
	struct der subject, validity;
	struct der key;			// SubjectPublicKeyInfo
	const uint8_t *key_id;		// KEY_ID_SIZE bytes
	bool sha1;			// signed with that digest, as nobody should be
	struct der extensions[6];
	size_t extension_count;
};

// Signs into `out`: bytes used, or -errno. -ENOSPC: `size` was too small.
int issuer_sign(const struct issuer *issuer, const struct issuer_request *request,
		uint8_t *out, size_t size, WC_RNG *random);

struct authority;
const struct issuer *authority_issuer(const struct authority *authority);

#endif
