// SPDX-License-Identifier: GPL-3.0-or-later
// quic - is this the first datagram of a QUIC connection?

#ifndef TLS_QUIC_H
#define TLS_QUIC_H

#include <stdbool.h>
#include <stddef.h>

// A client's Initial packet, of version 1 (RFC 9000 section 17.2.2), version 2 (RFC 9369
// section 3) or one of the drafts before them. Pure; reads `size` bytes at most.
bool quic_is_initial(const void *datagram, size_t size);

#endif
