// SPDX-License-Identifier: GPL-3.0-or-later
// pem - RFC 7468 text to DER and back.
//
// Within the room only.

#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <stddef.h>
#include <stdint.h>

// Decodes the next block called `label` at or after *text (bounded by `end`)
// into `out`, and moves *text behind it. Bytes decoded; 0: no more blocks; -1: a
// block that is not PEM, or is larger than `size` (*text has moved on).
long pem_read(const char **text, const char *end, const char *label, uint8_t *out, size_t size);

// A whole block as text that free() takes, or NULL.
char *pem_write(const char *label, const uint8_t *der, size_t size);

// A whole file, at most `limit` bytes, with a NUL behind it; free() takes it.
// NULL with errno set.
char *pem_load(int fd, size_t limit, size_t *size);

#endif
