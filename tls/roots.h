// SPDX-License-Identifier: GPL-3.0-or-later
// roots - the certificates that an origin's chain may end at.
//
// Within the room only. Kept as DER with their names: a root is parsed in full
// only when a chain asks for it, so loading a system's bundle takes a few
// milliseconds.

#ifndef TLS_ROOTS_H
#define TLS_ROOTS_H

#include "tls/certificate.h"

struct roots {
	struct certificate *list;	// views into the blocks
	size_t count, room;
	uint8_t **blocks;		// one for each file
	size_t block_count;
	bool system_loaded;
	struct der *lists;		// revocation lists, views too
	size_t list_count;
};

// Adds every certificate of a PEM file; what cannot be parsed is left out.
// The number added, or -errno.
int roots_add_file(struct roots *roots, const char *path);
// Adds every revocation list of a file, PEM or one as DER. The number added, or -errno.
int roots_add_lists(struct roots *roots, const char *path);
// Adds the system's, once. SSL_CERT_FILE names them where it is set.
void roots_add_system(struct roots *roots);
void roots_close(struct roots *roots);

#endif
