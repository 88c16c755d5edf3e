// SPDX-License-Identifier: GPL-3.0-or-later
// sha1 - the digest that Java's truststores and OpenSSL's folders are made with.
//
// Both are file formats that know no other; nothing here rests on its strength.

#ifndef EXTENSION_SHA1_H
#define EXTENSION_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_SIZE = 20 };

// FIPS 180-4.
void sha1(const void *data, size_t size, uint8_t out[SHA1_SIZE]);

#endif
