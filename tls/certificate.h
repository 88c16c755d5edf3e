// SPDX-License-Identifier: GPL-3.0-or-later
// certificate - the parts of an X.509 certificate (RFC 5280 4.1) as views.
//
// Within the room only. Reads, and judges nothing but the form.

#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include "tls/der.h"

struct certificate {
	struct der whole;
	struct der issuer, validity, subject, key;	// whole elements
	int64_t not_before, not_after;			// Unix seconds, both inclusive
	// Whole Extension elements, empty when absent.
	struct der constraints, usage, extended_usage, alternative_names, name_constraints;
	bool demanding;		// a critical extension is none of those, nor one of policies
	struct der names;	// the body of SubjectAltName: GeneralName elements
	struct der purposes;	// the body of ExtKeyUsage: object identifiers
};

// False when `size` bytes are not exactly one certificate. The views point into
// `der`.
bool certificate_read(struct certificate *out, const void *der, size_t size);

// Is it for this host? `host` is a name or a numeric address. As RFC 6125 6.4
// has it: wildcards stand for one whole leftmost label; the common name counts
// only where no alternative name is there.
bool certificate_is_for(const struct certificate *certificate, const char *host);
// Is its key an RSA one?
bool certificate_is_rsa(const struct certificate *certificate);
// May it be a TLS server's (RFC 5280 4.2.1.12)?
bool certificate_serves(const struct certificate *certificate);

#endif
