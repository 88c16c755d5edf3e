// SPDX-License-Identifier: GPL-3.0-or-later
// subject - the name under which OpenSSL finds a certificate in a folder.

#ifndef EXTENSION_SUBJECT_H
#define EXTENSION_SUBJECT_H

#include <stddef.h>
#include <stdint.h>

// What `openssl x509 -subject_hash` prints, as a number. 0 or -EINVAL.
int subject_hash(const void *certificate, size_t size, uint32_t *out);

#endif
