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

#include "tls/tls.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <wolfssl/error-ssl.h>

#include "tls/alert.h"
#include "tls/end.h"
#include "tls/ticket.h"

enum { RECORD_PLAIN_MAX = 16384 };

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
int end_settle(struct tls *end, int result)
{
	int error = wolfSSL_get_error(end->ssl, result);
	WOLFSSL_ALERT_HISTORY history;

	if (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE) {
		if (end->carrier.read_error)
			return end_fail(end, end->carrier.read_error, "the wire broke: %s",
					strerror(-end->carrier.read_error));
		if (end->carrier.ended)
			return end_fail(end, -ECONNRESET, end->shaken ? "the wire ended without close_notify" :
								    "the wire ended in the handshake");
		return -EAGAIN;
	}
	if (wolfSSL_get_alert_history(end->ssl, &history) == WOLFSSL_SUCCESS &&
	    history.last_rx.code > 0)
		end->alert = history.last_rx.code;
	else if (error == PARSE_ERROR)
		peek_clear_alert(end);
	if (end->asked)
		return end_fail(end, -EPROTO, "the origin asks for a client certificate");
	if (end->alert > 0)
		return end_fail(end, -EPROTO, "the %s sent the alert %s", end->client ? "origin" : "app",
				alert_name(end->alert));
	return end_fail(end, -EPROTO, "%s", wolfSSL_ERR_reason_error_string(error));
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
	end_fail(end, -EPROTO, "broken off with the alert %s", alert_name(alert));
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

int tls_handshake(struct tls *end)
{
	int result, error;

	if (end->broken || end->shaken)
		return end->broken;
	if (!end->version[0]) {
		result = end->client ? end_connect(end) : wolfSSL_accept(end->ssl);
		if (result != WOLFSSL_SUCCESS) {
			error = end_settle(end, result);
			// An alert of ours may be among what is out; -EPROTO says more.
			if (error != -EPROTO && end->carrier.write_error)
				return end_fail(end, end->carrier.write_error, "the wire broke: %s",
						strerror(-end->carrier.write_error));
			tls_flush(end);
			return error;
		}
		note_agreement(end);
		if (end->client)
			ticket_note_session(end);
		wolfSSL_FreeArrays(end->ssl);
		if (end->client && !end->chain.bytes)
			return end_fail(end, -EPROTO, "the origin showed no certificate that can be read");
	}
	error = tls_flush(end);
	if (error && error != -EAGAIN)
		return end_fail(end, error, "the wire broke: %s", strerror(-error));
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
		ticket_keep_session(end);
	if (got > 0)
		return got;
	if (wolfSSL_get_error(end->ssl, got) == WOLFSSL_ERROR_ZERO_RETURN) {
		end->over = true;
		return 0;
	}
	return end_settle(end, got);
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
			return end_settle(end, put);
		taken += put;
		if (end->carrier.write_error)
			return end->carrier.write_error;
		if (carrier_unsent(&end->carrier))
			break;
	}
	return error ? error : (ssize_t)taken;
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
