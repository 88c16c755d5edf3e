// SPDX-License-Identifier: GPL-3.0-or-later
// wolfssl - read before every file of wolfSSL's.
//
// Its own ForceZero() writes eight bytes at a time over every record that was read, which
// cost a twentieth of a download. WOLFSSL_NO_FORCE_ZERO leaves it out, and this stands for it.
// Declared here, as configure fails where <string.h> has been included before its tests.

#ifndef SETUP_WOLFSSL_H
#define SETUP_WOLFSSL_H

#ifndef __ASSEMBLER__

void explicit_bzero(void *bytes, __SIZE_TYPE__ size);

static inline void wolfssl_zero(void *bytes, unsigned int size)
{
	explicit_bzero(bytes, size);
}
#define ForceZero wolfssl_zero

#endif
#endif
