// SPDX-License-Identifier: GPL-3.0-or-later
// tls - one end of a TLS connection over whatever carries its bytes.
//
// The origin's end is a client, the app's end a server that mirrors what the
// origin's end agreed on. Ends do no I/O: they call the wire they were given,
// from within tls_handshake(), tls_read(), tls_write() and tls_finish(), and
// everything answers -EAGAIN when the wire does. Whoever owns the wire calls
// again when it has more, or room.
//
// A house and its ends belong to one thread. When the wire itself broke, calls
// answer with the wire's own -errno where "-ECONNRESET" is said below; a wire that
// takes nothing more can still be read, and the other way round.

#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct authority;
struct hello;
struct tls_house;	// what all ends share: roots, authority, minted leaves
struct tls;		// one end

struct tls_wire {
	// Up to `size` bytes from the wire: > 0; 0: the far end finished;
	// -EAGAIN; another -errno: the wire broke.
	ssize_t (*read)(void *context, void *bytes, size_t size);
	// Bytes taken (> 0), -EAGAIN, or another -errno.
	ssize_t (*write)(void *context, const void *bytes, size_t size);
	// One line of NSS key log, no newline, the moment it is known. May be
	// NULL. (nss-crypto.org: "NSS Key Log Format")
	void (*secret)(void *context, const char *line);
};

struct tls_options {
	struct authority *authority;	// outlives the house
	const char *upstream_ca;	// PEM file of roots beside the system's, or NULL
	bool insecure;			// -k: the origin's certificate is taken as good
};

// Loads the roots at the first connect, not here, unless asked to.
int tls_open(struct tls_house **out, const struct tls_options *options, char *why, size_t why_size);
void tls_close_house(struct tls_house *house);
// Reads the system's roots now: after it the house opens no file.
void tls_load_roots(struct tls_house *house);

// --- the two ends -----------------------------------------------------------

// The end towards the origin: offers the hello's SNI, ALPN and no newer version
// than the hello's. `address` (numeric text) is what the name is checked
// against where there is no SNI.
int tls_connect(struct tls **out, struct tls_house *house, const struct hello *hello,
		const char *address, const struct tls_wire *wire, void *context);

// The end towards the app, once `origin` has shaken hands: with a leaf minted
// from the origin's certificate, the origin's ALPN choice, and a version the app
// offered, never newer than the origin's. Where the origin's certificate failed, the leaf fails
// at the app: see tls_verdict().
int tls_accept(struct tls **out, struct tls_house *house, const struct hello *hello,
	       const struct tls *origin, const struct tls_wire *wire, void *context);

// 0 when done and all of it is on the wire, -EAGAIN, or -errno: -EPROTO (see tls_error, tls_alert),
// -ECONNRESET (the wire ended).
int tls_handshake(struct tls *end);

// Plain bytes. read: > 0; 0: close_notify; -EAGAIN; -ECONNRESET: the wire
// ended without close_notify; -EPROTO. write: bytes taken (> 0), may be less
// than `size`; after -EAGAIN nothing of it was taken.
ssize_t tls_read(struct tls *end, void *bytes, size_t size);
ssize_t tls_write(struct tls *end, const void *bytes, size_t size);
// Plain bytes decrypted and waiting inside: the wire may be silent and
// tls_read() still have some.
bool tls_pending(const struct tls *end);
// Bytes of records made and not yet taken by the wire: tls_flush() again.
bool tls_unsent(const struct tls *end);
int tls_flush(struct tls *end);
// Sends close_notify: no more from here. 0 when it is on the wire, -EAGAIN, -errno.
// The other direction goes on: what comes can still be read, and after the other
// side's close_notify can still be written.
int tls_finish(struct tls *end);
void tls_close(struct tls *end);

// --- what was agreed --------------------------------------------------------

const char *tls_version(const struct tls *end);	// "TLSv1.3"
const char *tls_cipher(const struct tls *end);		// IANA name
const char *tls_alpn(const struct tls *end);		// "" for none
// Did the origin ask for a certificate of the client's, which only the app has?
bool tls_wants_certificate(const struct tls *origin);
// The last alert that the far end sent, as number; 0 for none.
int tls_alert(const struct tls *end);
// The sentence for the last error of this end.
const char *tls_error(const struct tls *end);

// What became of the origin's certificate.
enum tls_trust {
	TLS_TRUSTED,		// verified
	TLS_UNCHECKED,		// -k: also mended, so that the app takes it
	TLS_BAD_LEAF,		// dates, names or usage are wrong: mirrored exactly
	TLS_BAD_CHAIN,		// unknown authority, self-signed, incomplete: the
				// app's leaf comes from an authority it does not trust
};
enum tls_trust tls_verdict(const struct tls *origin);
// Why, as a sentence; "" when trusted.
const char *tls_verdict_text(const struct tls *origin);

#endif
