// SPDX-License-Identifier: GPL-3.0-or-later
// bundle - a file of certificates, extended by one more.

#ifndef EXTENSION_BUNDLE_H
#define EXTENSION_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUNDLE_MAX = 16 << 20 };

struct bundle {
	uint8_t *bytes;
	size_t size;
};

// A regular file of at most BUNDLE_MAX bytes. 0 or -errno.
int bundle_read(struct bundle *bundle, const char *path);
void bundle_free(struct bundle *bundle);
int bundle_append(struct bundle *bundle, const void *bytes, size_t size);

// Does it hold a certificate in PEM (RFC 7468)?
bool bundle_is_pem(const struct bundle *bundle);
// Appends PEM text, on a line of its own.
int bundle_append_pem(struct bundle *bundle, const char *pem, size_t size);

// Appends to `der` the certificate at or after *position and moves *position
// behind it. 1, 0 when there is none, -errno. Those that are broken are passed over.
int bundle_next(const struct bundle *pem, size_t *position, struct bundle *der);

#endif
