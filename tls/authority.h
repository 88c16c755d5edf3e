// SPDX-License-Identifier: GPL-3.0-or-later
// authority - apptap's own certificate authority: its key on disk, and no more.
//
// Made on first use: FOLDER/ca.pem (0644) and FOLDER/ca-key.pem (0600), the
// folder 0700. Two starts at once make one authority (written aside, then
// linked into place).

#ifndef TLS_AUTHORITY_H
#define TLS_AUTHORITY_H

#include <stddef.h>

struct authority;

// Loads the authority in `folder`, or makes it there (also the folder and its
// parents). A key that others can read, or files that do not match or are
// expired, are refused with a sentence that says what to do.
// 0, or -errno with the sentence in `why` (size `why_size`).
int authority_open(struct authority **out, const char *folder, char *why, size_t why_size);
void authority_close(struct authority *authority);

// The certificate as PEM text, and where it lies. Owned by the authority.
const char *authority_pem(const struct authority *authority, size_t *size);
const char *authority_path(const struct authority *authority);
// The certificate as DER, and its SHA-256 fingerprint as hex text.
const void *authority_der(const struct authority *authority, size_t *size);
const char *authority_fingerprint(const struct authority *authority);

#endif
