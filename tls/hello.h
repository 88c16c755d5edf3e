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

enum {
	HELLO_SNI_MAX = 255, HELLO_ALPN_MAX = 255, HELLO_SIZE_MAX = 65536,
	HELLO_SUITES_MAX = 160, HELLO_NUMBERS_MAX = 32,
};

// Numbers of a registry in the client's order, GREASE among them; what does not fit is left out.
struct hello_numbers {
	bool given;			// the extension is there
	size_t count;
	uint16_t list[HELLO_NUMBERS_MAX];
};

struct hello {
	char sni[HELLO_SNI_MAX + 1];	// "" when there is none
	// The offered protocols as the extension has them (RFC 7301 3.1:
	// length, bytes, ...), alpn_size bytes; cut at a whole entry.
	uint8_t alpn[HELLO_ALPN_MAX];
	size_t alpn_size;
	uint16_t version_min, version_max;	// 0x0301 .. 0x0304, GREASE left out
	bool psk, early_data, encrypted_client_hello, quic_parameters;
	bool ecdsa;			// takes an ECDSA certificate
	bool tickets;			// takes session tickets before TLS 1.3 (RFC 5077)
	bool resumes;			// would take up an earlier session, by whatever means
	uint16_t suites[HELLO_SUITES_MAX];	// in the client's order, cut there
	size_t suite_count;
	struct hello_numbers groups;	// supported_groups (RFC 8446 4.2.7)
	struct hello_numbers shares;	// the groups that key shares came for (4.2.8)
	struct hello_numbers signatures;	// signature_algorithms (4.2.3)
	size_t size;			// bytes of the records that held it
};

// `bytes_so_far` is all that came on the connection. The hello may be cut into
// any number of records (RFC 8446 5.1). Answers HELLO_NOT as soon as it can be
// known, and at the latest when HELLO_SIZE_MAX bytes did not hold it.
// `out` is filled only with HELLO_WHOLE.
enum hello_verdict hello_read(const void *bytes_so_far, size_t size, struct hello *out);

#endif
