// SPDX-License-Identifier: GPL-3.0-or-later
// cc - what lwIP must know of the compiler and the platform.

#ifndef NETSTACK_ARCH_CC_H
#define NETSTACK_ARCH_CC_H

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// <netinet/in.h> has these, and lwIP's macros would hide them.
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

#define LWIP_PLATFORM_DIAG(x) do { } while (0)
// No input reaches one of lwIP's assertions (inside.h tells how each that it
// could is kept away); if one fails all the same, memory is no longer ours.
#define LWIP_PLATFORM_ASSERT(what) do {							\
	fprintf(stderr, "netstack: lwIP: %s (%s:%d)\n", what, __FILE__, __LINE__);	\
	abort();									\
} while (0)

uint32_t netstack_random(void);

#endif
