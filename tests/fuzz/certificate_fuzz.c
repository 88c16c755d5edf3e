// SPDX-License-Identifier: GPL-3.0-or-later
// certificate_fuzz - an origin's certificate of any bytes: read, judged, mirrored.
//
// Whatever can be read can be mirrored, and the mirror says the same.

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <stdlib.h>
#include <string.h>

#include "tls/mint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct issuer_key authority_key, leaf_key, shadow_key;
static WC_RNG random_numbers;
static struct issuer authority;

static void set_up(void)
{
	static const uint8_t name[] = { 0x30, 0x00 };

	if (authority_key.ready)
		return;
	if (wolfSSL_Init() != WOLFSSL_SUCCESS || wc_InitRng(&random_numbers) != 0 ||
	    issuer_key_make(&authority_key, &random_numbers) != 0 ||
	    issuer_key_make(&leaf_key, &random_numbers) != 0 ||
	    issuer_key_make(&shadow_key, &random_numbers) != 0)
		abort();
	authority = (struct issuer){ { name, sizeof(name) }, &authority_key };
}

static void mirror(const struct der *chain, const struct certificate *origin,
		   const struct verdict *verdict)
{
	struct mint mint = {
		.authority = &authority, .shadow = &shadow_key, .random = &random_numbers,
		.leaf = { leaf_key.info, sizeof(leaf_key.info) }, .leaf_id = leaf_key.id,
		.leaf_signer = &leaf_key,
	};
	struct certificate leaf;
	struct der all, whole;
	uint8_t *minted;
	size_t size;

	if (mint_chain(&minted, &size, &mint, chain, 2, verdict, "a.example", 1700000000) != 0)
		return;
	all = (struct der){ minted, size };
	if (!der_take(&all, DER_SEQUENCE, &whole, NULL) ||
	    !certificate_read(&leaf, whole.at, whole.size) ||
	    !der_equal(leaf.subject, origin->subject))
		abort();
	if (!(verdict->trust == TLS_UNCHECKED && verdict->leaf_fault) &&
	    (!der_equal(leaf.validity, origin->validity) ||
	     !der_equal(leaf.alternative_names, origin->alternative_names) ||
	     !der_equal(leaf.usage, origin->usage) ||
	     !der_equal(leaf.extended_usage, origin->extended_usage) ||
	     !der_equal(leaf.constraints, origin->constraints)))
		abort();
	free(minted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct roots roots = { 0 };
	struct certificate origin;
	struct verdict verdict;

	if (!copy)
		abort();
	memcpy(copy, bytes, size);
	set_up();
	if (certificate_read(&origin, copy, size)) {
		struct der chain[2] = { { copy, size }, { copy, size } };

		certificate_is_for(&origin, "127.0.0.1");
		for (int insecure = 0; insecure < 2; insecure++) {
			if (!verify_chain(&verdict, chain, 2, &roots, "a.example", insecure, 1700000000))
				abort();
			if (!insecure && verdict.trust != TLS_BAD_CHAIN)
				abort();		// there are no roots
			mirror(chain, &origin, &verdict);
		}
	}
	free(copy);
	return 0;
}
