// SPDX-License-Identifier: GPL-3.0-or-later
// tls - one end of a TLS connection over whatever carries its bytes.
//
// wolfSSL is never told that the wire is full: what the wire does not take waits
// in the carrier, and no new record is made while something waits there. So wolfSSL
// has no half-written record of its own to be called again for with the same
// bytes, and "after -EAGAIN nothing was taken" is exact. Nor is it told that the
// wire has ended or broken: it sees a wire that is silent, and the end says what
// it knows. A wire that takes nothing more can still be read, and the other way
// round.
//
// The handshake towards the origin verifies nothing: see verify.c. It stops when
// the origin asks for a client certificate, because only the app could answer.

#include "tls/tls.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/error-ssl.h>

#include "tls/alert.h"
#include "tls/carrier.h"
#include "tls/hello.h"
#include "tls/house.h"
#include "tls/offer.h"
#include "tls/resumption.h"
#include "tls/secret.h"

enum {
	RECORD_PLAIN_MAX = 16384,
	CHAIN_MAX = 16,
	EARLY_DATA_SKIPPED = 1 << 20,
	DUE_MAX = 16,		// tickets at once, whatever an origin sends
	ALPN_TEXT_MAX = HELLO_ALPN_MAX + 1,
};

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

__attribute__((format(printf, 3, 4)))
static int fail(struct tls *end, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above
	vsnprintf(end->error, sizeof(end->error), format, arguments);
	va_end(arguments);
	end->broken = error;
	return error;
}

// --- the wire ---------------------------------------------------------------

static int receive(WOLFSSL *ssl, char *bytes, int size, void *context)
{
	struct tls *end = context;
	size_t got = carrier_read(&end->carrier, bytes, (size_t)size);

	(void)ssl;
	return got ? (int)got : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int transmit(WOLFSSL *ssl, char *bytes, int size, void *context)
{
	struct tls *end = context;

	// A client's hello goes out with a session that the origin may not take.
	if (!end->shaken && end->carrier.heard)
		secret_resumed(ssl, &end->watch);
	carrier_write(&end->carrier, bytes, (size_t)size);
	return size;
}

bool tls_unsent(const struct tls *end)
{
	return carrier_unsent(&end->carrier);
}

int tls_flush(struct tls *end)
{
	return carrier_flush(&end->carrier);
}

// --- what went wrong --------------------------------------------------------

// OpenSSL's client says in the clear that it does not like the certificate, as
// RFC 8446 leaves open, when the server's end already reads encrypted records.
// wolfSSL refuses such an alert by its header; the number is behind that. It is
// nobody's word for certain: it is good for a sentence only.
static void peek_clear_alert(struct tls *end)
{
	const uint8_t *header = end->carrier.last;
	uint8_t alert[2];

	if (!end->shaken && header[0] == 21 && header[1] == 3 && header[3] == 0 &&
	    header[4] == sizeof(alert) &&
	    carrier_read(&end->carrier, alert, sizeof(alert)) == sizeof(alert))
		end->alert = alert[1];
}

// What wolfSSL's refusal to go on means; nothing is wrong when it only wants
// more bytes.
static int settle(struct tls *end, int result)
{
	int error = wolfSSL_get_error(end->ssl, result);
	WOLFSSL_ALERT_HISTORY history;

	if (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE) {
		if (end->carrier.read_error)
			return fail(end, end->carrier.read_error, "the wire broke: %s",
				    strerror(-end->carrier.read_error));
		if (end->carrier.ended)
			return fail(end, -ECONNRESET, end->shaken ? "the wire ended without close_notify"
								  : "the wire ended in the handshake");
		return -EAGAIN;
	}
	if (wolfSSL_get_alert_history(end->ssl, &history) == WOLFSSL_SUCCESS &&
	    history.last_rx.code > 0)
		end->alert = history.last_rx.code;
	else if (error == PARSE_ERROR)
		peek_clear_alert(end);
	if (end->asked)
		return fail(end, -EPROTO, "the origin asks for a client certificate");
	if (end->alert > 0)
		return fail(end, -EPROTO, "the %s sent the alert %s", end->client ? "origin" : "app",
			    alert_name(end->alert));
	return fail(end, -EPROTO, "%s", wolfSSL_ERR_reason_error_string(error));
}

void tls_alert_record(uint8_t out[TLS_ALERT_SIZE], const struct hello *hello, int alert)
{
	uint16_t version = hello->version_max < 0x0303 ? hello->version_max : 0x0303;

	memcpy(out, (uint8_t[TLS_ALERT_SIZE]){ 21, version >> 8, version & 0xff, 0, 2, 2, alert },
	       TLS_ALERT_SIZE);
}

int tls_abort(struct tls *end, int alert)
{
	if (!end->ssl || end->finished)
		return end->broken ? end->broken : -EPIPE;
	end->finished = true;
	alert_send(end->ssl, alert);
	fail(end, -EPROTO, "broken off with the alert %s", alert_name(alert));
	return tls_flush(end);
}

void tls_has_no_certificate(struct tls *origin)
{
	origin->bare = true;
}

bool tls_wants_certificate(const struct tls *origin)
{
	return origin->asked;
}

int tls_alert(const struct tls *end)
{
	return end->alert;
}

const char *tls_error(const struct tls *end)
{
	return end->error;
}

// --- making an end ----------------------------------------------------------

static struct tls *make(struct tls_house *house, bool client, const struct hello *hello,
			const char *host, const struct tls_wire *wire, void *context)
{
	struct tls *end = calloc(1, sizeof(*end));

	if (!end)
		return NULL;
	end->house = house;
	carrier_open(&end->carrier, wire, context, house_spare(house));
	end->watch = (struct secret_watch){ .line = wire->secret, .context = context };
	end->version = end->cipher = "";
	snprintf(end->host, sizeof(end->host), "%s", host);
	end->client = client;
	end->version_min = hello->version_min;
	end->version_max = hello->version_max;
	if (!house_versions(house, client, &end->version_min, &end->version_max))
		fail(end, -EPROTO, "the app speaks no version of TLS that is allowed");
	return end;
}

static int equip(struct tls *end, WOLFSSL_CTX *context)
{
	wolfSSL_CTX_SetIORecv(context, receive);
	wolfSSL_CTX_SetIOSend(context, transmit);
	end->ssl = wolfSSL_new(context);
	if (!end->ssl)
		return -ENOMEM;
	wolfSSL_SetIOReadCtx(end->ssl, end);
	wolfSSL_SetIOWriteCtx(end->ssl, end);
	secret_watch(end->ssl, &end->watch);
	// wolfSSL derives the exporter secret only for those who keep what it
	// is derived from; tls_handshake() lets go of that.
	wolfSSL_KeepArrays(end->ssl);
	return 0;
}

// wolfSSL takes the protocols as text with commas, so a name with one, or with
// what is not text, cannot be offered.
static bool alpn_text(char *to, const uint8_t *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ',')
			return false;
	memcpy(to, name, size);
	return true;
}

static int offer_alpn(struct tls *end, const struct hello *hello)
{
	char list[HELLO_ALPN_MAX + 1];
	size_t used = 0;

	for (size_t at = 0; at < hello->alpn_size; at += 1 + hello->alpn[at]) {
		size_t size = hello->alpn[at];

		if (used > 0)
			list[used] = ',';
		if (alpn_text(list + used + (used > 0), hello->alpn + at + 1, size))
			used += size + (used > 0);
	}
	if (used == 0)
		return 0;
	return wolfSSL_UseALPN(end->ssl, list, used, WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) ==
	       WOLFSSL_SUCCESS ? 0 : -EPROTO;
}

// What became of the chain; a leaf that cannot be read is no chain.
static void judge(struct tls *end)
{
	struct der chain[CHAIN_MAX];
	size_t count = shown_views(end->chain, chain, CHAIN_MAX);

	if (count > 0 && house_judge(end->house, &end->verdict, chain, count, end->host))
		return;
	free(end->chain.bytes);
	end->chain = (struct shown){ 0 };
}

// Called with the origin's chain, whatever it is worth. 1: go on.
static int see_chain(int verified, WOLFSSL_X509_STORE_CTX *store)
{
	struct tls *end = store->userCtx;
	size_t size = 0;

	(void)verified;
	if (store->error_depth != 0 || end->chain.bytes)
		return 1;
	for (int i = 0; i < store->totalCerts && i < CHAIN_MAX; i++)
		size += store->certs[i].length;
	if (size == 0)
		return 1;
	end->chain.bytes = malloc(size);
	if (!end->chain.bytes)
		return 1;
	for (int i = 0; i < store->totalCerts && i < CHAIN_MAX; i++) {
		memcpy(end->chain.bytes + end->chain.size, store->certs[i].buffer, store->certs[i].length);
		end->chain.size += store->certs[i].length;
	}
	judge(end);
	return 1;
}

// --- sessions with origins --------------------------------------------------

static int see_ticket(WOLFSSL *ssl, const unsigned char *ticket, int size, void *context)
{
	struct tls *end = context;

	(void)ssl;
	(void)ticket;
	(void)size;
	end->ticketed = true;
	if (end->due < DUE_MAX)
		end->due++;
	return 0;
}

// The key holds for what comes of this connection too.
static void offer_session(struct tls *end, const struct hello *hello, const char *address, uint16_t port)
{
	wolfSSL_set_SessionTicket_cb(end->ssl, see_ticket, end);
	if (hello->tickets)
		wolfSSL_UseSessionTicket(end->ssl);
	wolfSSL_only_dhe_psk(end->ssl);
	end->has_session = resumption_key(end->session, hello, address, port);
	if (end->has_session && hello->resumes)
		resumption_offer(house_sessions(end->house), end->session, end->ssl, hello,
				 end->version_min, end->version_max, &end->earlier);
}

static void keep_session(struct tls *end)
{
	end->ticketed = false;
	if (end->has_session)
		resumption_keep(house_sessions(end->house), end->session, end->ssl, end->chain);
}

// Before TLS 1.3 the handshake's end is when it is known; later it comes with tickets.
static void note_session(struct tls *end)
{
	if (end->resumed && !end->chain.bytes) {
		end->chain = end->earlier;
		end->earlier = (struct shown){ 0 };
		judge(end);
	}
	if (end->ticketed || (!end->resumed && wolfSSL_version(end->ssl) < TLS1_3_VERSION))
		keep_session(end);
}

static int certificate_asked(WOLFSSL *ssl, void *unused)
{
	struct tls *end = wolfSSL_GetIOReadCtx(ssl);
	const struct credential *credential;

	(void)unused;
	if (!end->client)
		return 1;
	credential = house_credential(end->house, end->host);
	if (credential && credential->pem && credential_show(credential, ssl))
		return 1;
	end->asked = !credential;
	if (credential ? !credential->pem : end->bare) {
		// wolfSSL says "none" only where nobody is asked; step_client() asks again.
		wolfSSL_CTX_set_cert_cb(wolfSSL_get_SSL_CTX(ssl), NULL, NULL);
		return 1;
	}
	return 0;
}

static int dress_client(struct tls *end, const struct hello *hello, const char *address, uint16_t port)
{
	WOLFSSL_CTX *context = house_client(end->house, end->version_max);
	uint16_t version = end->version_max;
	const char *why;
	int error;

	if (!context)
		return -ENOMEM;
	error = equip(end, context);
	if (error)
		return error;
	wolfSSL_SetMinVersion(end->ssl, end->version_min - 0x0301 + WOLFSSL_TLSV1);
	wolfSSL_set_verify(end->ssl, WOLFSSL_VERIFY_NONE, see_chain);
	wolfSSL_SetCertCbCtx(end->ssl, end);
	if (hello->sni[0] && wolfSSL_UseSNI(end->ssl, WOLFSSL_SNI_HOST_NAME, hello->sni,
					    strlen(hello->sni)) != WOLFSSL_SUCCESS)
		return -EPROTO;
	offer_session(end, hello, address, port);
	// A session of an older version is offered in a hello of that version.
	if (end->earlier.bytes && wolfSSL_version(end->ssl) < TLS1_3_VERSION && version > 0x0303)
		version = 0x0303;
	// What is forced on both beyond the app's own means is ours to offer.
	why = end->version_max > hello->version_max ? NULL : offer_hello(end->ssl, hello, version);
	if (why) {
		fail(end, -EPROTO, "%s", why);
		return 0;
	}
	return offer_alpn(end, hello);
}

int tls_connect(struct tls **out, struct tls_house *house, const struct hello *hello,
		const char *address, uint16_t port, const struct tls_wire *wire, void *context)
{
	struct tls *end = make(house, true, hello, hello->sni[0] ? hello->sni : address, wire, context);
	int error;

	*out = NULL;
	if (!end)
		return -ENOMEM;
	error = end->broken ? 0 : dress_client(end, hello, address, port);
	if (error) {
		tls_close(end);
		return error;
	}
	*out = end;
	return 0;
}

static uint16_t version_number(const char *name)
{
	static const char *const names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
	uint16_t at = 3;

	while (at > 0 && strcmp(name, names[at]) != 0)
		at--;
	return 0x0301 + at;
}

// The origin's kind of key, unless the app takes none but RSA.
static bool shows_rsa(const struct hello *hello, struct der leaf)
{
	struct certificate certificate;

	return !hello->ecdsa || (certificate_read(&certificate, leaf.at, leaf.size) &&
				 certificate_is_rsa(&certificate));
}

static int dress_server(struct tls *end, const struct hello *hello, const struct tls *origin)
{
	struct der chain[CHAIN_MAX];
	size_t count = shown_views(origin->chain, chain, CHAIN_MAX);
	uint16_t agreed = version_number(origin->version);
	uint16_t version = agreed < end->version_max ? agreed : end->version_max;
	WOLFSSL_CTX *context = NULL;
	char alpn[ALPN_TEXT_MAX];
	bool rsa = false;
	int error;

	if (count > 0) {
		rsa = shows_rsa(hello, chain[0]);
		context = house_server(end->house, chain, count, &origin->verdict, origin->host, version, rsa);
	}
	if (!context) {
		fail(end, -EPROTO, "no leaf could be minted from the origin's certificate");
		return 0;
	}
	error = equip(end, context);
	if (error)
		return error;
	wolfSSL_set_verify(end->ssl, WOLFSSL_VERIFY_NONE, NULL);
	if (version == agreed)
		offer_choice(end->ssl, origin->suite, origin->group, rsa);
	if (hello->early_data) {
		// On the strength of a ticket from elsewhere: none is accepted, this much
		// is stepped over. A ticket given here would promise as much (tls_pass_tickets).
		wolfSSL_set_max_early_data(end->ssl, EARLY_DATA_SKIPPED);
		end->ticketless = true;
	}
	memcpy(alpn, origin->alpn, sizeof(alpn));
	if (alpn[0] && wolfSSL_UseALPN(end->ssl, alpn, strlen(alpn),
				       WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) != WOLFSSL_SUCCESS)
		return -EPROTO;
	return 0;
}

int tls_accept(struct tls **out, struct tls_house *house, const struct hello *hello,
	       const struct tls *origin, const struct tls_wire *wire, void *context)
{
	struct tls *end;
	int error;

	*out = NULL;
	if (!origin->shaken || !origin->chain.bytes)
		return -EINVAL;
	end = make(house, false, hello, origin->host, wire, context);
	if (!end)
		return -ENOMEM;
	error = end->broken ? 0 : dress_server(end, hello, origin);
	if (error) {
		tls_close(end);
		return error;
	}
	*out = end;
	return 0;
}

void tls_close(struct tls *end)
{
	if (!end)
		return;
	wolfSSL_free(end->ssl);
	carrier_close(&end->carrier);
	free(end->chain.bytes);
	free(end->earlier.bytes);
	free(end);
}

// --- the handshake ----------------------------------------------------------

static void note_agreement(struct tls *end)
{
	int suite = wolfSSL_get_current_cipher_suite(end->ssl);
	const char *cipher = wolfSSL_get_cipher_name_iana_from_suite(suite >> 8, suite & 0xff);
	const char *group = wolfSSL_get_curve_name(end->ssl);
	char *alpn = NULL;
	word16 size = 0;

	end->version = wolfSSL_get_version(end->ssl);
	end->resumed = wolfSSL_session_reused(end->ssl);
	end->cipher = cipher ? cipher : "";
	end->suite = (uint16_t)suite;
	for (size_t i = 0; group && group[i] && i + 1 < sizeof(end->group); i++)
		end->group[i] = (char)tolower((unsigned char)group[i]);
	if (wolfSSL_ALPN_GetProtocol(end->ssl, &alpn, &size) == WOLFSSL_SUCCESS && alpn &&
	    size < sizeof(end->alpn)) {
		memcpy(end->alpn, alpn, size);
		end->alpn[size] = '\0';
	}
}

static int step_client(struct tls *end)
{
	wolfSSL_CTX_set_cert_cb(wolfSSL_get_SSL_CTX(end->ssl), certificate_asked, NULL);
	return wolfSSL_connect(end->ssl);
}

int tls_handshake(struct tls *end)
{
	int result, error;

	if (end->broken || end->shaken)
		return end->broken;
	if (!end->version[0]) {
		result = end->client ? step_client(end) : wolfSSL_accept(end->ssl);
		if (result != WOLFSSL_SUCCESS) {
			error = settle(end, result);
			// An alert of ours may be among what is out; -EPROTO says more.
			if (error != -EPROTO && end->carrier.write_error)
				return fail(end, end->carrier.write_error, "the wire broke: %s",
					    strerror(-end->carrier.write_error));
			tls_flush(end);
			return error;
		}
		note_agreement(end);
		if (end->client)
			note_session(end);
		wolfSSL_FreeArrays(end->ssl);
		if (end->client && !end->chain.bytes)
			return fail(end, -EPROTO, "the origin showed no certificate that can be read");
	}
	error = tls_flush(end);
	if (error && error != -EAGAIN)
		return fail(end, error, "the wire broke: %s", strerror(-error));
	end->shaken = !error;
	return error;
}

// --- plain bytes ------------------------------------------------------------

ssize_t tls_read(struct tls *end, void *bytes, size_t size)
{
	int got;

	if (end->over)
		return 0;
	if (end->broken)
		return end->broken;
	if (!end->shaken)
		return -EAGAIN;
	got = wolfSSL_read(end->ssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
	if (end->ticketed && end->client)
		keep_session(end);
	if (got > 0)
		return got;
	if (wolfSSL_get_error(end->ssl, got) == WOLFSSL_ERROR_ZERO_RETURN) {
		end->over = true;
		return 0;
	}
	return settle(end, got);
}

ssize_t tls_write(struct tls *end, const void *bytes, size_t size)
{
	size_t taken = 0;
	int error;

	if (!end->shaken)
		return end->broken ? end->broken : -EAGAIN;
	if (end->finished)
		return -EPIPE;
	error = tls_flush(end);
	while (!error && taken < size) {
		size_t part = size - taken < RECORD_PLAIN_MAX ? size - taken : RECORD_PLAIN_MAX;
		int put = wolfSSL_write(end->ssl, (const char *)bytes + taken, (int)part);

		if (put <= 0)
			return settle(end, put);
		taken += put;
		if (end->carrier.write_error)
			return end->carrier.write_error;
		if (carrier_unsent(&end->carrier))
			break;
	}
	return error ? error : (ssize_t)taken;
}

int tls_pass_tickets(struct tls *origin, struct tls *app)
{
	int result;

	if (!app->shaken || app->finished || app->ticketless ||
	    wolfSSL_version(app->ssl) != TLS1_3_VERSION)
		origin->due = 0;
	for (; origin->due; origin->due--) {
		result = wolfSSL_send_SessionTicket(app->ssl);
		if (result != WOLFSSL_SUCCESS)
			return settle(app, result);
		if (app->carrier.write_error)
			return app->carrier.write_error;
	}
	return 0;
}

int tls_finish(struct tls *end)
{
	if (!end->shaken)
		return end->broken;
	if (!end->finished) {
		// Nothing may be read any more after both have finished: wolfSSL
		// clears itself then.
		end->finished = true;
		wolfSSL_shutdown(end->ssl);
	}
	return tls_flush(end);
}

// --- what was agreed --------------------------------------------------------

const char *tls_version(const struct tls *end)
{
	return end->version;
}

const char *tls_cipher(const struct tls *end)
{
	return end->cipher;
}

bool tls_resumed(const struct tls *end)
{
	return end->resumed;
}

const char *tls_group(const struct tls *end)
{
	return end->group;
}

const char *tls_alpn(const struct tls *end)
{
	return end->alpn;
}

enum tls_trust tls_verdict(const struct tls *origin)
{
	return origin->verdict.trust;
}

const char *tls_verdict_text(const struct tls *origin)
{
	return origin->verdict.text;
}
