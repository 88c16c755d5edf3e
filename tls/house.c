// SPDX-License-Identifier: GPL-3.0-or-later
// house - what all ends share: roots, authority, contexts, minted leaves.
//
// A context with its leaf is kept for each pair of an origin's leaf and what was
// made of it, so that a second connection costs a look-up. wolfSSL counts its
// contexts' users, so one that is dropped lives on in its connections. What a
// chain was found to be is kept as well, for a minute: judging costs more than
// all else in a handshake. The leaf's own dates need no such care, since the app
// reads them for itself.

#include "tls/house.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/sha.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "tls/authority.h"
#include "tls/carrier.h"
#include "tls/leaves.h"
#include "tls/mint.h"
#include "tls/resumption.h"

enum {
	LEAVES_MAX = 1024, VERDICTS_MAX = 1024,
	VERDICT_SECONDS = 60, MINTED_MAX = 4,
	RSA_BITS = 2048, RSA_BITS_SHORT = 1024, PAIR_SECRET_MAX = 1400, PAIR_INFO_MAX = 400,
};

// A chain that was judged, and for how long that stands.
struct judged {
	struct verdict verdict;
	time_t until;
};

// The key of all leaves of one kind. Made at first use, never on disk.
struct pair {
	uint8_t secret[PAIR_SECRET_MAX];	// DER
	uint8_t info[PAIR_INFO_MAX];		// SubjectPublicKeyInfo
	uint8_t id[KEY_ID_SIZE];
	int secret_size, info_size;
};

enum { PAIR_P256, PAIR_RSA, PAIR_SHORT, PAIRS };

struct tls_house {
	struct authority *authority;
	bool insecure, open;
	struct roots roots;
	WC_RNG random;
	struct issuer_key leaf, shadow;
	struct pair pairs[PAIRS];
	struct leaves *leaves, *verdicts, *sessions;
	WOLFSSL_CTX *client[4];			// up to TLS 1.0, 1.1, 1.2, 1.3
	uint16_t version_min, version_max;	// 0: not forced
	struct credential *credentials;
	size_t credential_count;
	struct carrier_spare spare;
};

static void drop_context(void *context)
{
	wolfSSL_CTX_free(context);
}

static int add_upstream(struct tls_house *house, const char *path, char *why, size_t why_size)
{
	int added = roots_add_file(&house->roots, path);

	if (added > 0)
		return 0;
	snprintf(why, why_size, added < 0 ? "cannot read %s: %s" : "no certificate in %s%s", path,
		 added < 0 ? strerror(-added) : "");
	return added < 0 ? added : -EINVAL;
}

static int add_lists(struct tls_house *house, const char *path, char *why, size_t why_size)
{
	int added = roots_add_lists(&house->roots, path);

	if (added > 0)
		return 0;
	snprintf(why, why_size, added < 0 ? "cannot read %s: %s" : "no revocation list in %s%s", path,
		 added < 0 ? strerror(-added) : "");
	return added < 0 ? added : -EINVAL;
}

static int add_credentials(struct tls_house *house, const struct tls_options *options, char *why,
			   size_t why_size)
{
	size_t count = options->client_certificate_count;
	int error = 0;

	house->credentials = calloc(count + 1, sizeof(*house->credentials));
	if (!house->credentials)
		return -ENOMEM;
	for (size_t i = 0; i < count && !error; i++) {
		const struct tls_client_certificate *one = &options->client_certificates[i];

		error = credential_open(&house->credentials[i], one->host, one->file, why, why_size);
		house->credential_count += !error;
	}
	return error;
}

int tls_open(struct tls_house **out, const struct tls_options *options, char *why, size_t why_size)
{
	struct tls_house *house = calloc(1, sizeof(*house));
	int error = -ENOMEM;

	*out = NULL;
	if (why_size > 0)
		snprintf(why, why_size, "out of memory");
	if (!house)
		return -ENOMEM;
	if (wolfSSL_Init() != WOLFSSL_SUCCESS) {
		free(house);
		return -ENOMEM;
	}
	if (wc_InitRng(&house->random) != 0) {
		free(house);
		wolfSSL_Cleanup();
		snprintf(why, why_size, "no random numbers to be had");
		return -EIO;
	}
	house->open = true;
	house->authority = options->authority;
	house->insecure = options->insecure;
	house->version_min = options->version_min;
	house->version_max = options->version_max;
	house->leaves = leaves_open(LEAVES_MAX, drop_context);
	house->verdicts = leaves_open(VERDICTS_MAX, free);
	house->sessions = resumption_open();
	if (!house->leaves || !house->verdicts || !house->sessions)
		goto fail;
	if (options->upstream_ca) {
		error = add_upstream(house, options->upstream_ca, why, why_size);
		if (error)
			goto fail;
	}
	if (options->crl) {
		error = add_lists(house, options->crl, why, why_size);
		if (error)
			goto fail;
	}
	error = add_credentials(house, options, why, why_size);
	if (error)
		goto fail;
	if (why_size > 0)
		why[0] = '\0';
	*out = house;
	return 0;
fail:
	tls_close_house(house);
	return error;
}

void tls_close_house(struct tls_house *house)
{
	if (!house)
		return;
	leaves_close(house->leaves);
	leaves_close(house->verdicts);
	leaves_close(house->sessions);
	for (size_t i = 0; i < 4; i++)
		wolfSSL_CTX_free(house->client[i]);
	for (size_t i = 0; i < house->credential_count; i++)
		credential_close(&house->credentials[i]);
	free(house->credentials);
	carrier_spare_free(&house->spare);
	issuer_key_close(&house->leaf);
	issuer_key_close(&house->shadow);
	explicit_bzero(house->pairs, sizeof(house->pairs));
	roots_close(&house->roots);
	wc_FreeRng(&house->random);
	free(house);
	wolfSSL_Cleanup();
}

// --- towards the origin -----------------------------------------------------

bool house_versions(const struct tls_house *house, bool client, uint16_t *min, uint16_t *max)
{
	uint16_t low = *min, high = *max;

	if (high < 0x0301)
		return false;
	if (client && house->version_max && high > house->version_max)
		high = house->version_max;
	if (client && house->version_min && high < house->version_min)
		high = house->version_min;
	if (low < 0x0301)
		low = 0x0301;
	if (client && house->version_min)
		low = house->version_min;
	else if (low < 0x0303)
		low = high < 0x0303 ? low : 0x0303;
	*min = low;
	*max = high;
	return low <= high;
}

WOLFSSL_CTX *house_client(struct tls_house *house, uint16_t version_max)
{
	static const struct { WOLFSSL_METHOD *(*method)(void); long without; } kinds[4] = {
		{ wolfTLSv1_client_method, 0 },
		{ wolfSSLv23_client_method, WOLFSSL_OP_NO_TLSv1_3 | WOLFSSL_OP_NO_TLSv1_2 },
		{ wolfSSLv23_client_method, WOLFSSL_OP_NO_TLSv1_3 },
		{ wolfSSLv23_client_method, 0 },
	};
	WOLFSSL_CTX **place = &house->client[version_max - 0x0301], *context = *place;

	if (context)
		return context;
	context = wolfSSL_CTX_new(kinds[version_max - 0x0301].method());
	if (!context)
		return NULL;
	wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1);
	wolfSSL_CTX_set_options(context, kinds[version_max - 0x0301].without);
	wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
	*place = context;
	return context;
}

struct carrier_spare *house_spare(struct tls_house *house)
{
	return &house->spare;
}

struct leaves *house_sessions(struct tls_house *house)
{
	return house->sessions;
}

const struct credential *house_credential(const struct tls_house *house, const char *host)
{
	return credential_find(house->credentials, house->credential_count, host);
}

// The same chain for the same host.
static bool chain_key(uint8_t key[LEAF_KEY_SIZE], const struct der *chain, size_t count,
		      const char *host)
{
	wc_Sha256 hash;
	bool good;

	if (wc_InitSha256(&hash) != 0)
		return false;
	good = wc_Sha256Update(&hash, (const byte *)host, strlen(host) + 1) == 0;
	for (size_t i = 0; good && i < count; i++)	// DER tells its own length
		good = wc_Sha256Update(&hash, chain[i].at, chain[i].size) == 0;
	good = good && wc_Sha256Final(&hash, key) == 0;
	wc_Sha256Free(&hash);
	return good;
}

void tls_load_roots(struct tls_house *house)
{
	if (!house->insecure)
		roots_add_system(&house->roots);
}

bool house_judge(struct tls_house *house, struct verdict *out, const struct der *chain,
		 size_t count, const char *host)
{
	uint8_t key[LEAF_KEY_SIZE];
	time_t now = time(NULL);
	struct judged *judged;

	tls_load_roots(house);
	if (!chain_key(key, chain, count, host))
		return false;
	judged = leaves_find(house->verdicts, key);
	if (judged && now < judged->until) {
		*out = judged->verdict;
		return true;
	}
	if (!verify_chain(out, chain, count, &house->roots, host, house->insecure, now))
		return false;
	if (!judged) {
		judged = malloc(sizeof(*judged));
		if (!judged || leaves_keep(house->verdicts, key, judged) != 0) {
			free(judged);
			return true;
		}
	}
	*judged = (struct judged){ *out, now + VERDICT_SECONDS };
	return true;
}

// --- towards the app --------------------------------------------------------

static bool make_rsa(struct pair *pair, int size, WC_RNG *random)
{
	RsaKey key;
	struct der info, bits;
	bool good;

	if (wc_InitRsaKey(&key, NULL) != 0)
		return false;
	good = wc_MakeRsaKey(&key, size, WC_RSA_EXPONENT, random) == 0;
	if (good) {
		pair->info_size = wc_RsaKeyToPublicDer(&key, pair->info, sizeof(pair->info));
		pair->secret_size = wc_RsaKeyToDer(&key, pair->secret, sizeof(pair->secret));
	}
	wc_FreeRsaKey(&key);
	if (!good || pair->info_size <= 0)
		return false;
	// RFC 5280 4.2.1.2 (1): of the bit string, without its count of unused bits.
	info = (struct der){ pair->info, pair->info_size };
	return der_take(&info, DER_SEQUENCE, NULL, &bits) && der_take(&bits, DER_SEQUENCE, NULL, NULL) &&
	       der_take(&bits, DER_BITS, NULL, &info) && info.size > 1 &&
	       wc_ShaHash(info.at + 1, info.size - 1, pair->id) == 0;
}

static bool make_p256(struct tls_house *house, struct pair *pair)
{
	if (!house->leaf.ready && issuer_key_make(&house->leaf, &house->random) != 0)
		return false;
	memcpy(pair->info, house->leaf.info, sizeof(house->leaf.info));
	memcpy(pair->id, house->leaf.id, sizeof(pair->id));
	pair->info_size = sizeof(house->leaf.info);
	pair->secret_size = wc_EccKeyToDer(&house->leaf.key, pair->secret, sizeof(pair->secret));
	return true;
}

// The pair of one kind, made if need be; NULL when it cannot be.
static struct pair *make_pair(struct tls_house *house, int kind)
{
	struct pair *pair = &house->pairs[kind];

	if (!house->shadow.ready && issuer_key_make(&house->shadow, &house->random) != 0)
		return NULL;
	if (pair->secret_size > 0)
		return pair;
	if (!(kind == PAIR_P256 ? make_p256(house, pair) :
	      make_rsa(pair, kind == PAIR_RSA ? RSA_BITS : RSA_BITS_SHORT, &house->random)))
		pair->secret_size = 0;
	return pair->secret_size > 0 ? pair : NULL;
}

static WOLFSSL_CTX *make_context(const uint8_t *chain, size_t size,
				 uint16_t version, const struct pair *pair)
{
	static WOLFSSL_METHOD *(*const methods[4])(void) = {
		wolfTLSv1_server_method, wolfTLSv1_1_server_method, wolfTLSv1_2_server_method,
		wolfTLSv1_3_server_method,
	};
	WOLFSSL_CTX *context = wolfSSL_CTX_new(methods[version - 0x0301]());

	if (!context)
		return NULL;
	wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
	wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
	// Tickets are sealed with a key of this context's own, so one opens only for
	// the same host, origin's leaf and verdict: where any of them has changed the
	// app shakes hands in full and sees the certificate. None allows early data.
	wolfSSL_CTX_set_max_early_data(context, 0);
	// In TLS 1.3 they follow the origin's: tls_pass_tickets().
	wolfSSL_CTX_set_num_tickets(context, 0);
	if (wolfSSL_CTX_use_certificate_chain_buffer_format(context, chain, (long)size,
			WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS ||
	    wolfSSL_CTX_use_PrivateKey_buffer(context, pair->secret, pair->secret_size,
			WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS) {
		wolfSSL_CTX_free(context);
		return NULL;
	}
	return context;
}

// Whatever the minted chain depends on.
static bool leaf_key(uint8_t key[LEAF_KEY_SIZE], const struct der *chain, size_t count,
		     const struct verdict *verdict, const char *host, uint16_t version_max, bool rsa)
{
	uint8_t facts[] = { verdict->trust, verdict->leaf_fault, verdict->self_signed,
			     verdict->closed, version_max >> 8, version_max & 0xff, rsa,
			     verdict->faulty[0], verdict->faulty[1], verdict->weak_key,
			     verdict->weak_digest };
	wc_Sha256 hash;
	bool good;

	if (wc_InitSha256(&hash) != 0)
		return false;
	good = wc_Sha256Update(&hash, facts, sizeof(facts)) == 0 &&
	       wc_Sha256Update(&hash, (const byte *)host, strlen(host) + 1) == 0 &&
	       wc_Sha256Update(&hash, chain[0].at, chain[0].size) == 0;
	for (size_t i = 0; good && i < 2; i++) {
		uint8_t at = verdict->faulty[i];

		if (at > 0 && at < count)
			good = wc_Sha256Update(&hash, chain[at].at, chain[at].size) == 0;
	}
	good = good && wc_Sha256Final(&hash, key) == 0;
	wc_Sha256Free(&hash);
	return good;
}

// Would apptap itself find the fault of a chain in what was minted from it, if it trusted
// its own authority as the app does?
static bool still_fails(struct tls_house *house, struct shown minted, const char *host, int64_t now)
{
	struct certificate authority;
	struct roots roots = { .list = &authority, .count = 1 };
	struct der chain[MINTED_MAX];
	size_t count = shown_views(minted, chain, MINTED_MAX), size;
	const void *der = authority_der(house->authority, &size);
	struct verdict verdict;

	return certificate_read(&authority, der, size) && count > 0 &&
	       verify_chain(&verdict, chain, count, &roots, host, false, now) &&
	       verdict.trust == TLS_BAD_CHAIN;
}

// The kind of key, and what is signed with and for it. NULL when no key can be made.
static struct pair *prepare(struct tls_house *house, struct mint *mint, int kind)
{
	struct pair *pair = make_pair(house, kind);

	if (!pair)
		return NULL;
	*mint = (struct mint){
		.authority = authority_issuer(house->authority),
		.shadow = &house->shadow, .random = &house->random,
		.leaf = { pair->info, pair->info_size }, .leaf_id = pair->id,
		.leaf_signer = kind == PAIR_P256 ? &house->leaf : NULL,
	};
	return pair;
}

// The chain and the pair it is for. A faulty authority, a short key or a weak digest is shown only where
// it is seen to be one: names that are held against other constraints may pass, say.
static struct pair *mint_minding(struct tls_house *house, struct shown *out, const struct der *chain,
				 size_t count, const struct verdict *verdict, const char *host, bool rsa)
{
	struct verdict plain = *verdict;
	time_t now = time(NULL);
	struct mint mint;
	struct pair *pair;

	if (verdict->trust == TLS_BAD_CHAIN && (verdict->faulty[0] || verdict->weak_key || verdict->weak_digest)) {
		pair = prepare(house, &mint, verdict->weak_key ? PAIR_SHORT : rsa ? PAIR_RSA : PAIR_P256);
		if (pair && mint_chain(&out->bytes, &out->size, &mint, chain, count, verdict, host, now) == 0) {
			if (still_fails(house, *out, host, now))
				return pair;
			free(out->bytes);
		}
	}
	plain.faulty[0] = plain.faulty[1] = 0;
	plain.weak_key = plain.weak_digest = false;
	pair = prepare(house, &mint, rsa ? PAIR_RSA : PAIR_P256);
	return pair && mint_chain(&out->bytes, &out->size, &mint, chain, count, &plain, host, now) == 0 ?
	       pair : NULL;
}

WOLFSSL_CTX *house_server(struct tls_house *house, const struct der *chain, size_t count,
			  const struct verdict *verdict, const char *host, uint16_t version_max,
			  bool rsa)
{
	uint8_t key[LEAF_KEY_SIZE];
	struct shown minted;
	struct pair *pair;
	WOLFSSL_CTX *context;

	if (!leaf_key(key, chain, count, verdict, host, version_max, rsa))
		return NULL;
	context = leaves_find(house->leaves, key);
	if (context)
		return context;
	pair = mint_minding(house, &minted, chain, count, verdict, host, rsa);
	if (!pair)
		return NULL;
	context = make_context(minted.bytes, minted.size, version_max, pair);
	free(minted.bytes);
	if (context && leaves_keep(house->leaves, key, context) != 0) {
		wolfSSL_CTX_free(context);
		return NULL;
	}
	return context;
}
