// SPDX-License-Identifier: GPL-3.0-or-later
// resumption - sessions with origins, kept to be taken up again.
//
// One for each key, the latest. A ticket of TLS 1.3 is used once (RFC 8446 C.4), a
// session of an older version until the origin tires of it. What is kept is a copy:
// wolfSSL's connections change the sessions that they hold.

#include "tls/resumption.h"

#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "tls/hello.h"

enum { SESSIONS_MAX = 512 };

struct kept {
	WOLFSSL_SESSION *session;	// NULL once it is used up
	uint16_t version, suite;
	struct shown chain;
};

// --- the chain --------------------------------------------------------------

static bool shown_copy(struct shown *out, struct shown from)
{
	*out = (struct shown){ .bytes = malloc(from.size ? from.size : 1) };
	if (!out->bytes)
		return false;
	memcpy(out->bytes, from.bytes, from.size);
	out->size = from.size;
	return true;
}

size_t shown_views(struct shown shown, struct der *out, size_t max)
{
	struct der rest = { shown.bytes, shown.size };
	size_t count = 0;

	while (count < max && der_take(&rest, DER_SEQUENCE, &out[count], NULL))
		count++;
	return count;
}

// --- the sessions -----------------------------------------------------------

static void drop(void *what)
{
	struct kept *kept = what;

	wolfSSL_SESSION_free(kept->session);
	free(kept->chain.bytes);
	free(kept);
}

struct leaves *resumption_open(void)
{
	return leaves_open(SESSIONS_MAX, drop);
}

bool resumption_key(uint8_t key[LEAF_KEY_SIZE], const struct hello *hello, const char *address,
		    uint16_t port)
{
	const uint16_t numbers[] = { port, hello->alpn_size };
	wc_Sha256 hash;
	bool good;

	if (wc_InitSha256(&hash) != 0)
		return false;
	good = wc_Sha256Update(&hash, (const byte *)numbers, sizeof(numbers)) == 0 &&
	       wc_Sha256Update(&hash, (const byte *)hello->sni, strlen(hello->sni) + 1) == 0 &&
	       wc_Sha256Update(&hash, (const byte *)address, strlen(address) + 1) == 0 &&
	       wc_Sha256Update(&hash, hello->alpn, hello->alpn_size) == 0 &&
	       wc_Sha256Final(&hash, key) == 0;
	wc_Sha256Free(&hash);
	return good;
}

static bool offers(const struct hello *hello, uint16_t suite)
{
	for (size_t i = 0; i < hello->suite_count; i++)
		if (hello->suites[i] == suite)
			return true;
	return hello->suite_count == 0;
}

bool resumption_offer(struct leaves *sessions, const uint8_t key[LEAF_KEY_SIZE], WOLFSSL *ssl,
		      const struct hello *hello, uint16_t version_min, uint16_t version_max,
		      struct shown *chain)
{
	struct kept *kept = leaves_find(sessions, key);
	WOLFSSL_SESSION *session;
	bool good;

	if (!kept || !kept->session || kept->version < version_min || kept->version > version_max ||
	    !offers(hello, kept->suite))
		return false;
	session = kept->version < TLS1_3_VERSION ? wolfSSL_SESSION_dup(kept->session) : kept->session;
	if (session == kept->session)
		kept->session = NULL;
	good = session && shown_copy(chain, kept->chain);
	if (good && wolfSSL_set_session(ssl, session) != WOLFSSL_SUCCESS) {	// too old
		free(chain->bytes);
		*chain = (struct shown){ 0 };
		good = false;
	}
	wolfSSL_SESSION_free(session);
	return good;
}

void resumption_keep(struct leaves *sessions, const uint8_t key[LEAF_KEY_SIZE], WOLFSSL *ssl,
		     struct shown chain)
{
	WOLFSSL_SESSION *session = wolfSSL_get1_session(ssl);
	struct kept *kept = leaves_find(sessions, key);
	struct kept fresh = { .version = (uint16_t)wolfSSL_version(ssl),
			      .suite = (uint16_t)wolfSSL_get_current_cipher_suite(ssl) };

	if (session && wolfSSL_SESSION_is_resumable(session))
		fresh.session = wolfSSL_SESSION_dup(session);
	wolfSSL_SESSION_free(session);
	if (!fresh.session || !shown_copy(&fresh.chain, chain))
		goto fail;
	if (kept) {
		wolfSSL_SESSION_free(kept->session);
		free(kept->chain.bytes);
	} else {
		kept = malloc(sizeof(*kept));
		if (!kept || leaves_keep(sessions, key, kept) != 0) {
			free(kept);
			goto fail;
		}
	}
	*kept = fresh;
	return;
fail:
	wolfSSL_SESSION_free(fresh.session);
	free(fresh.chain.bytes);
}
