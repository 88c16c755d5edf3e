// SPDX-License-Identifier: GPL-3.0-or-later
// offer - what an end towards an origin offers, and one towards an app takes.
//
// An origin chooses from what it is offered, so it is offered what the app did: then
// it chooses as it would have, and both ends can have the same. What wolfSSL does not
// speak is left out; that can change an origin's choice (it would have taken what is
// missing), and never to anything that the app did not offer. A hello without the
// extension lets the origin choose freely (RFC 8422 4, RFC 5246 7.4.1.4.1), and then
// so does ours.

#include "tls/offer.h"

#include <stdio.h>
#include <string.h>
#include <wolfssl/wolfcrypt/dh.h>

enum { GROUPS_MAX = 8, SIGNATURES_TEXT_MAX = 256 };

// By number, as tls_group() has them and as wolfSSL's other half does; with octets of a key.
static const struct { uint16_t number; const char *name, *curve; uint16_t octets; } groups[] = {
	{ WOLFSSL_ECC_SECP256R1, "secp256r1", "P-256", 32 },
	{ WOLFSSL_ECC_SECP384R1, "secp384r1", "P-384", 48 },
	{ WOLFSSL_ECC_SECP521R1, "secp521r1", "P-521", 66 },
	{ WOLFSSL_ECC_X25519, "x25519", "X25519", 32 },
	{ WOLFSSL_FFDHE_2048, "ffdhe_2048", NULL, 0 },
};

// RFC 8446 4.2.3, and how wolfSSL says it.
static const struct { uint16_t number; const char *text; } signatures[] = {
	{ 0x0403, "ECDSA+SHA256" }, { 0x0503, "ECDSA+SHA384" }, { 0x0603, "ECDSA+SHA512" },
	{ 0x0804, "RSA-PSS+SHA256" }, { 0x0805, "RSA-PSS+SHA384" }, { 0x0806, "RSA-PSS+SHA512" },
	{ 0x0401, "RSA+SHA256" }, { 0x0501, "RSA+SHA384" }, { 0x0601, "RSA+SHA512" },
	{ 0x0807, "ED25519" }, { 0x0203, "ECDSA+SHA1" }, { 0x0201, "RSA+SHA1" },
};

static bool of_tls13(uint16_t suite)
{
	return suite >> 8 == 0x13;
}

static bool offer_suites(WOLFSSL *ssl, const struct hello *hello, uint16_t version_max)
{
	uint8_t list[2 * HELLO_SUITES_MAX];
	bool fits = false;
	int size = 0;

	if (hello->suite_count == 0)
		return true;
	for (size_t i = 0; i < hello->suite_count; i++) {
		uint8_t high = hello->suites[i] >> 8, low = hello->suites[i] & 0xff;

		if (strcmp(wolfSSL_get_cipher_name_from_suite(high, low), "None") == 0)
			continue;
		list[size++] = high;
		list[size++] = low;
		fits = fits || of_tls13(hello->suites[i]) == (version_max == 0x0304);
	}
	return fits && wolfSSL_set_cipher_list_bytes(ssl, list, size) == WOLFSSL_SUCCESS;
}

static bool speaks(uint16_t group)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (groups[i].number == group)
			return true;
	return false;
}

static bool holds(const int *list, int count, int number)
{
	while (count-- > 0)
		if (list[count] == number)
			return true;
	return false;
}

static int spoken(int list[GROUPS_MAX], const struct hello_numbers *of)
{
	int count = 0;

	for (size_t i = 0; i < of->count && count < GROUPS_MAX; i++)
		if (speaks(of->list[i]) && !holds(list, count, of->list[i]))
			list[count++] = of->list[i];
	return count;
}

// As many shares as the app sent, so that the origin asks for another one where it
// would have (RFC 8446 4.1.4). Where it sent none that can be made here, wolfSSL sends
// one of the first group.
static bool offer_groups(WOLFSSL *ssl, const struct hello *hello, uint16_t version_max)
{
	int list[GROUPS_MAX], shares[GROUPS_MAX], count, share_count;

	if (!hello->groups.given)
		return true;
	count = spoken(list, &hello->groups);
	// Older versions do without, where no suite needs one.
	if (count == 0 && version_max == 0x0304)
		return false;
	if (count > 0 && wolfSSL_set_groups(ssl, list, count) != WOLFSSL_SUCCESS)
		return false;
	share_count = version_max == 0x0304 ? spoken(shares, &hello->shares) : 0;
	for (int i = 0; i < share_count; i++)
		if (holds(list, count, shares[i]) &&
		    wolfSSL_UseKeyShare(ssl, (word16)shares[i]) != WOLFSSL_SUCCESS)
			return false;
	return true;
}

static bool offer_signatures(WOLFSSL *ssl, const struct hello *hello)
{
	char text[SIGNATURES_TEXT_MAX] = "";
	size_t used = 0;

	if (!hello->signatures.given)
		return true;
	for (size_t i = 0; i < hello->signatures.count; i++)
		for (size_t j = 0; j < sizeof(signatures) / sizeof(*signatures); j++)
			if (signatures[j].number == hello->signatures.list[i] &&
			    !strstr(text, signatures[j].text))
				used += snprintf(text + used, sizeof(text) - used, "%s%s",
						 used > 0 ? ":" : "", signatures[j].text);
	return used > 0 && wolfSSL_set1_sigalgs_list(ssl, text) == WOLFSSL_SUCCESS;
}

const char *offer_hello(WOLFSSL *ssl, const struct hello *hello, uint16_t version_max)
{
	if (!offer_suites(ssl, hello, version_max))
		return "the app offers no cipher suite that apptap speaks";
	if (!offer_groups(ssl, hello, version_max))
		return "the app offers no key exchange that apptap speaks";
	if (!offer_signatures(ssl, hello))		// wolfSSL_set_cipher_list_bytes() sets them too
		return "the app offers no signature algorithm that apptap speaks";
	return NULL;
}

// The suites of TLS 1.3 are for any key.
static bool suits(uint16_t suite, bool rsa)
{
	const char *name = wolfSSL_get_cipher_name_iana_from_suite(suite >> 8, suite & 0xff);

	return of_tls13(suite) || (name && strstr(name, rsa ? "DHE_RSA" : "ECDHE_ECDSA"));
}

// A server before TLS 1.3 goes by the size of a temporary key, and by what is not disabled.
static void take_group(WOLFSSL *ssl, size_t at)
{
	int number = groups[at].number;

	if (wolfSSL_version(ssl) >= TLS1_3_VERSION) {
		wolfSSL_set_groups(ssl, &number, 1);
	} else if (groups[at].curve) {
		wolfSSL_set1_curves_list(ssl, groups[at].curve);
		wolfSSL_SetTmpEC_DHE_Sz(ssl, groups[at].octets);
	}
}

void offer_choice(WOLFSSL *ssl, uint16_t suite, const char *group, bool rsa)
{
	const uint8_t list[2] = { suite >> 8, suite & 0xff };
	const DhParams *dh = wc_Dh_ffdhe2048_Get();

	if (suits(suite, rsa)) {
		// Where the suite is one of DHE (RFC 7919 A.1).
		wolfSSL_SetTmpDH(ssl, dh->p, (int)dh->p_len, dh->g, (int)dh->g_len);
		wolfSSL_set_cipher_list_bytes(ssl, list, sizeof(list));
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (strcmp(groups[i].name, group) == 0)
			take_group(ssl, i);
}
