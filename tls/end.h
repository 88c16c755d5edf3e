// SPDX-License-Identifier: GPL-3.0-or-later
// end - one end of a connection, as the files that make it, move it and keep its sessions know it.
//
// Within the room only.

#ifndef TLS_END_H
#define TLS_END_H

#include <wolfssl/ssl.h>

#include "tls/carrier.h"
#include "tls/hello.h"
#include "tls/resumption.h"
#include "tls/secret.h"
#include "tls/tls.h"
#include "tls/verify.h"

struct tls_house;

enum { ALPN_TEXT_MAX = HELLO_ALPN_MAX + 1 };

struct tls {
	WOLFSSL *ssl;
	struct tls_house *house;
	struct carrier carrier;
	struct secret_watch watch;

	bool client;
	bool shaken;		// the handshake is done and its last flight is out
	bool finished;		// close_notify was made
	bool over;		// close_notify came
	bool asked;		// for a client certificate
	bool bare;		// it is to be answered that there is none
	bool resumed;
	bool ticketless;	// gives the app no ticket
	int broken;		// -errno for good

	uint16_t version_min, version_max;	// offered
	const char *version, *cipher;
	char group[24];
	char alpn[ALPN_TEXT_MAX];
	char host[HELLO_SNI_MAX + 1];	// what the certificate should be for
	int alert;
	char error[200];

	// Of an end towards the origin.
	struct verdict verdict;
	struct shown chain;		// what the verdict is about
	struct shown earlier;		// the chain of the session that is offered
	uint8_t session[LEAF_KEY_SIZE];	// where the house keeps this one
	bool has_session, ticketed;	// a ticket came that is not kept yet
	unsigned due;			// tickets that the app's end has yet to give
	uint16_t suite;
};

// The sentence, and that it is broken for good. Returns `error`.
int end_fail(struct tls *end, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
// What wolfSSL's refusal to go on means: -EAGAIN, or -errno, broken for good.
int end_settle(struct tls *end, int result);
// What became of the chain that an origin showed; one whose leaf cannot be read is no chain.
void end_judge(struct tls *end);
// A step of the handshake with an origin, as wolfSSL_connect().
int end_connect(struct tls *end);

#endif
