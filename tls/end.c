// SPDX-License-Identifier: GPL-3.0-or-later
// end - an end is made: a client as the app's hello has it, or a server as the origin answered.
//
// The handshake towards the origin verifies nothing: see verify.c. It stops when
// the origin asks for a client certificate, because only the app could answer.

#include "tls/end.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/house.h"
#include "tls/offer.h"
#include "tls/ticket.h"

enum { CHAIN_MAX = 16, EARLY_DATA_SKIPPED = 1 << 20 };

int end_fail(struct tls *end, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above
	vsnprintf(end->error, sizeof(end->error), format, arguments);
	va_end(arguments);
	end->broken = error;
	return error;
}

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
		end_fail(end, -EPROTO, "the app speaks no version of TLS that is allowed");
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
void end_judge(struct tls *end)
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
	end_judge(end);
	return 1;
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

// --- towards the origin -----------------------------------------------------

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
	ticket_offer_session(end, hello, address, port);
	// A session of an older version is offered in a hello of that version.
	if (end->earlier.bytes && wolfSSL_version(end->ssl) < TLS1_3_VERSION && version > 0x0303)
		version = 0x0303;
	// What is forced on both beyond the app's own means is ours to offer.
	why = end->version_max > hello->version_max ? NULL : offer_hello(end->ssl, hello, version);
	if (why) {
		end_fail(end, -EPROTO, "%s", why);
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

// --- towards the app --------------------------------------------------------

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
		end_fail(end, -EPROTO, "no leaf could be minted from the origin's certificate");
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

int end_connect(struct tls *end)
{
	wolfSSL_CTX_set_cert_cb(wolfSSL_get_SSL_CTX(end->ssl), certificate_asked, NULL);
	return wolfSSL_connect(end->ssl);
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
