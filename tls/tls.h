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

// What to show an origin that asks for a client certificate.
struct tls_client_certificate {
	const char *host;	// the hello's name, a numeric address, or *.name for one label
	const char *file;	// PEM: chain, leaf first, and key; "" answers with none
};

struct tls_options {
	struct authority *authority;	// outlives the house
	const char *upstream_ca;	// PEM file of roots beside the system's, or NULL
	bool insecure;			// -k: the origin's certificate is taken as good
	const char *crl;		// file of revocation lists (PEM, or one as DER), or NULL
	// 0x0301 to 0x0304, or 0: what the app offers, and 1.0 and 1.1 only to an app that
	// offers nothing better. A minimum is also offered to origins by apps that know less.
	uint16_t version_min, version_max;
	const struct tls_client_certificate *client_certificates;	// first match counts
	size_t client_certificate_count;
};

// Loads the roots at the first connect, not here, unless asked to. 0, or -errno with a
// sentence.
int tls_open(struct tls_house **out, const struct tls_options *options, char *why, size_t why_size);
void tls_close_house(struct tls_house *house);
// Reads the system's roots now: after it the house opens no file.
void tls_load_roots(struct tls_house *house);

// --- the two ends -----------------------------------------------------------

// The end towards the origin: offers what the hello does, as far as it can: SNI, ALPN, suites,
// groups, and no newer version (see version_min). `address` (numeric text) is what the name is
// checked against where there is no SNI. Where the hello would take up a session, one that was
// had with the same origin, at this address and port, is offered. 0 or -errno, here and below;
// `wire` is copied, `context` borrowed for as long as the end stands.
int tls_connect(struct tls **out, struct tls_house *house, const struct hello *hello,
		const char *address, uint16_t port, const struct tls_wire *wire, void *context);

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
// ended without close_notify; -EPROTO. Only after -EAGAIN will the wire have news: until
// then there may be bytes inside that it has no more. write: bytes taken (> 0), may be less
// than `size`; after -EAGAIN nothing of it was taken.
ssize_t tls_read(struct tls *end, void *bytes, size_t size);
ssize_t tls_write(struct tls *end, const void *bytes, size_t size);
// After a read at `origin`: the app is given a ticket for each that came there, so that it can take
// up its session where the origin's can be, and reads no more than it would without apptap. (An
// app that closes with bytes unread resets its connection.) 0, or -errno as for tls_write().
int tls_pass_tickets(struct tls *origin, struct tls *app);
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
// Was an earlier session taken up again? Then no certificate was shown this time: the app goes by
// the one it saw before, and the origin's from then is judged again.
bool tls_resumed(const struct tls *end);
// The key exchange's group, as the IANA registry has it ("x25519"); "" where there was none.
const char *tls_group(const struct tls *end);
// Did the origin ask for a certificate of the client's, which only the app has? Then the
// handshake failed (but see tls_has_no_certificate): whether it insists cannot be known before
// it is answered. False where a client certificate was given for the host.
bool tls_wants_certificate(const struct tls *origin);
// Before the handshake: asked for one, and none was given for the host, it says that it has none.
void tls_has_no_certificate(struct tls *origin);
// The last alert that the far end sent, as number; 0 for none.
int tls_alert(const struct tls *end);
// A fatal alert, as the first thing that a server says to the client that sent `hello`: a
// whole record in the clear (RFC 8446 6, RFC 5246 7.2). For an app whose origin answered so.
enum { TLS_ALERT_SIZE = 7 };
void tls_alert_record(uint8_t out[TLS_ALERT_SIZE], const struct hello *hello, int alert);
// Sends a fatal alert on an end, in the clear or encrypted as its handshake stands, and breaks
// the end off. For what the other end met after its handshake. 0 when it is on the wire,
// -EAGAIN (tls_flush() again), -errno.
int tls_abort(struct tls *end, int alert);
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
