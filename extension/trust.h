// SPDX-License-Identifier: GPL-3.0-or-later
// trust - the command, and only it, trusts our authority beside its own roots.
//
// Answers with what is to be laid over which files inside the command's mount
// namespace, and with the environment the command gets. It changes nothing
// itself. Nothing is written outside the namespace.

#ifndef EXTENSION_TRUST_H
#define EXTENSION_TRUST_H

#include <stddef.h>

#include "extension/launch.h"

struct trust;

// `pem` and `der` are the authority's certificate; `folder` an existing empty
// folder that will be a tmpfs inside; `environment` the command's as it would
// have been, whose strings are borrowed. 0, or -errno with a sentence.
int trust_open(struct trust **out, const char *pem, size_t pem_size, const void *der, size_t der_size,
	       const char *folder, char *const *environment, char *why, size_t why_size);
// Fills overlays, folder, files and environment of `options`; they stay owned by
// the trust.
void trust_apply(const struct trust *trust, struct launch_options *options);
// A sentence about a store that the command will find without our authority, or NULL.
const char *trust_lacks(const struct trust *trust);
void trust_close(struct trust *trust);

#endif
