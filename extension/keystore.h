// SPDX-License-Identifier: GPL-3.0-or-later
// keystore - Java's truststore, extended by one certificate.

#ifndef EXTENSION_KEYSTORE_H
#define EXTENSION_KEYSTORE_H

#include <stddef.h>
#include <stdint.h>

#include "extension/bundle.h"

// `store` is a JKS or PKCS #12 truststore; what replaces it is a JKS that holds its
// certificates and `der`. Where its own cannot be read (an encrypted PKCS #12),
// those of `roots` (PEM) stand in. 0, -EINVAL if it is no truststore, or -errno.
int keystore_extend(struct bundle *out, const struct bundle *store, const struct bundle *roots,
		    const void *der, size_t der_size);

#endif
