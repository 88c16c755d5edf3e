// SPDX-License-Identifier: GPL-3.0-or-later
// hello - what a TLS client says first: RFC 8446 section 4.1.2, RFC 5246 7.4.1.2.
//
// Pure: looks at bytes, keeps nothing, allocates nothing, reads no further
// than it is given.

#ifndef TLS_HELLO_H
#define TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hello_verdict {
	HELLO_NOT,	// these bytes do not begin a TLS conversation
	HELLO_MORE,	// they may: call again when there are more
	HELLO_WHOLE,	// a whole ClientHello was read
};

enum { HELLO_SNI_MAX = 255, HELLO_ALPN_MAX = 255, HELLO_SIZE_MAX = 65536 };

struct hello {
	char sni[HELLO_SNI_MAX + 1];	// "" when there is none
	// The offered protocols as the extension has them (RFC 7301 3.1:
	// length, bytes, ...), alpn_size bytes; cut at a whole entry.
	uint8_t alpn[HELLO_ALPN_MAX];
	size_t alpn_size;
	uint16_t version_min, version_max;	// 0x0301 .. 0x0304, GREASE left out
	bool psk, early_data, encrypted_client_hello, quic_parameters;
	bool ecdsa;			// offers a suite for an ECDSA certificate
	size_t size;			// bytes of the records that held it
};

// `bytes_so_far` is all that came on the connection. The hello may be cut into
// any number of records (RFC 8446 5.1). Answers HELLO_NOT as soon as it can be
// known, and at the latest when HELLO_SIZE_MAX bytes did not hold it.
// `out` is filled only with HELLO_WHOLE.
enum hello_verdict hello_read(const void *bytes_so_far, size_t size, struct hello *out);

#endif
