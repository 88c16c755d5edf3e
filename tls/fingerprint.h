// SPDX-License-Identifier: GPL-3.0-or-later
// fingerprint - JA3, JA4, JA3S and JA4S of the two hellos.
//
// Pure, like tls/hello: looks at the bytes as they came on the connection, from
// its first record on, and keeps nothing. The verdicts are hello's.

#ifndef TLS_FINGERPRINT_H
#define TLS_FINGERPRINT_H

#include "tls/hello.h"

enum { JA3_SIZE = 33, JA4_SIZE = 37, JA4S_SIZE = 26 };	// with the final NUL

struct fingerprint_app {
	char ja3[JA3_SIZE];		// MD5 in hex
	char ja4[JA4_SIZE];		// t13d1516h2_8daaf6152771_e5627efa2ab1
};

struct fingerprint_origin {
	char ja3s[JA3_SIZE];
	char ja4s[JA4S_SIZE];		// t120400_c030_4e8089b08790
};

// The app's ClientHello; HELLO_NOT and HELLO_MORE are hello_read()'s answers, and
// HELLO_NOT also when an extension that is looked into is broken.
enum hello_verdict fingerprint_app(const void *bytes_so_far, size_t size, struct fingerprint_app *out);

// The origin's ServerHello. A HelloRetryRequest and the change_cipher_spec behind
// it are stepped over: the hello that the origin means is the second. HELLO_NOT
// for an alert and all else that is no hello, and when HELLO_SIZE_MAX bytes did
// not hold it.
enum hello_verdict fingerprint_origin(const void *bytes_so_far, size_t size, struct fingerprint_origin *out);

#endif
