// SPDX-License-Identifier: GPL-3.0-or-later
// issuer - builds and signs certificates (RFC 5280, RFC 5758).
//
// Everything is P-256 with SHA-256: every TLS client of the last ten years
// takes it, and it is the fastest to sign. SHA-1 is for showing that another used it.

#include "tls/issuer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/sha.h>
#include <wolfssl/wolfcrypt/sha256.h>

enum { POINT_SIZE = 65, INFO_HEAD = 26, SIGNATURE_MAX = 80 };

// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { point } }
static const uint8_t info_head[INFO_HEAD] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};
// SEQUENCE { ecdsa-with-SHA256 }
static const uint8_t with_sha256[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
};
// SEQUENCE { ecdsa-with-SHA1 }
static const uint8_t with_sha1[] = {
	0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01,
};

static struct der algorithm(const struct issuer_request *request)
{
	return request->sha1 ? (struct der){ with_sha1, sizeof(with_sha1) } :
			       (struct der){ with_sha256, sizeof(with_sha256) };
}

static int describe(struct issuer_key *key)
{
	word32 size = POINT_SIZE;

	memcpy(key->info, info_head, INFO_HEAD);
	if (wc_ecc_export_x963(&key->key, key->info + INFO_HEAD, &size) != 0 ||
	    size != POINT_SIZE || wc_ShaHash(key->info + INFO_HEAD, POINT_SIZE, key->id) != 0)
		return -EINVAL;
	key->ready = true;
	return 0;
}

int issuer_key_make(struct issuer_key *out, WC_RNG *random)
{
	int error = -EIO;

	memset(out, 0, sizeof(*out));
	if (wc_ecc_init(&out->key) != 0)
		return -ENOMEM;
	if (wc_ecc_make_key_ex(random, 32, &out->key, ECC_SECP256R1) == 0)
		error = describe(out);
	if (error)
		wc_ecc_free(&out->key);
	return error;
}

int issuer_key_read(struct issuer_key *out, const uint8_t *der, size_t size)
{
	word32 at = 0;
	int error = -EINVAL;

	memset(out, 0, sizeof(*out));
	if (wc_ecc_init(&out->key) != 0)
		return -ENOMEM;
	if (wc_EccPrivateKeyDecode(der, &at, &out->key, size) == 0 && out->key.dp &&
	    out->key.dp->id == ECC_SECP256R1) {
		// The public half may be missing from the file, or be a lie.
		if (wc_ecc_make_pub(&out->key, NULL) == 0)
			error = describe(out);
	}
	if (error)
		wc_ecc_free(&out->key);
	return error;
}

void issuer_key_close(struct issuer_key *key)
{
	if (key->ready)
		wc_ecc_free(&key->key);
	key->ready = false;
}

// Extension { id-ce `arc`, OCTET STRING { everything since `mark` } }
static void wrap_extension(struct der_writer *writer, uint8_t arc, size_t mark)
{
	uint8_t object[3] = { 0x55, 0x1d, arc };

	der_wrap(writer, DER_OCTETS, mark);
	der_element(writer, DER_OBJECT, object, sizeof(object));
	der_wrap(writer, DER_SEQUENCE, mark);
}

static void put_extensions(struct der_writer *writer, const struct issuer *issuer,
			   const struct issuer_request *request)
{
	size_t end = writer->at, mark = end;

	der_element(writer, DER_CONTEXT | 0, issuer->key->id, KEY_ID_SIZE);
	der_wrap(writer, DER_SEQUENCE, mark);
	wrap_extension(writer, 35, mark);
	mark = writer->at;
	der_element(writer, DER_OCTETS, request->key_id, KEY_ID_SIZE);
	wrap_extension(writer, 14, mark);
	for (size_t i = request->extension_count; i-- > 0;)
		der_put(writer, request->extensions[i].at, request->extensions[i].size);
	der_wrap(writer, DER_SEQUENCE, end);
	der_wrap(writer, DER_CONTEXT_SEQUENCE | 3, end);
}

static int put_serial(struct der_writer *writer, WC_RNG *random)
{
	uint8_t serial[SERIAL_SIZE];

	if (wc_RNG_GenerateBlock(random, serial, sizeof(serial)) != 0)
		return -EIO;
	serial[0] = (serial[0] & 0x7f) | 0x40;	// positive, and of one length
	der_element(writer, DER_INTEGER, serial, sizeof(serial));
	return 0;
}

static int sign(const struct issuer *issuer, bool sha1, struct der tbs, uint8_t *signature, word32 *size,
		WC_RNG *random)
{
	uint8_t hash[WC_SHA256_DIGEST_SIZE];
	word32 hash_size = sha1 ? WC_SHA_DIGEST_SIZE : WC_SHA256_DIGEST_SIZE;
	int error = sha1 ? wc_ShaHash(tbs.at, tbs.size, hash) : wc_Sha256Hash(tbs.at, tbs.size, hash);

	if (error || wc_ecc_sign_hash(hash, hash_size, signature, size, random, &issuer->key->key) != 0)
		return -EIO;
	return 0;
}

// TBSCertificate (RFC 5280 4.1).
static int put_body(struct der_writer *writer, const struct issuer *issuer,
		    const struct issuer_request *request, WC_RNG *random)
{
	static const uint8_t version[] = { DER_CONTEXT_SEQUENCE | 0, 3, DER_INTEGER, 1, 2 };
	size_t mark = writer->at;
	int error;

	put_extensions(writer, issuer, request);
	der_put(writer, request->key.at, request->key.size);
	der_put(writer, request->subject.at, request->subject.size);
	der_put(writer, request->validity.at, request->validity.size);
	der_put(writer, issuer->name.at, issuer->name.size);
	der_put(writer, algorithm(request).at, algorithm(request).size);
	error = put_serial(writer, random);
	der_put(writer, version, sizeof(version));
	der_wrap(writer, DER_SEQUENCE, mark);
	return error ? error : writer->full ? -ENOSPC : 0;
}

int issuer_sign(const struct issuer *issuer, const struct issuer_request *request,
		uint8_t *out, size_t size, WC_RNG *random)
{
	struct der_writer body = { .base = malloc(size), .at = size, .size = size };
	struct der_writer writer = { .base = out, .at = size, .size = size };
	uint8_t signature[1 + SIGNATURE_MAX] = { 0 };	// no unused bits
	word32 signature_size = SIGNATURE_MAX;
	struct der whole;
	int error;

	if (!body.base)
		return -ENOMEM;
	error = put_body(&body, issuer, request, random);
	if (!error)
		error = sign(issuer, request->sha1, der_written(&body), signature + 1, &signature_size, random);
	if (!error) {
		der_element(&writer, DER_BITS, signature, 1 + signature_size);
		der_put(&writer, algorithm(request).at, algorithm(request).size);
		der_put(&writer, der_written(&body).at, der_written(&body).size);
		der_wrap(&writer, DER_SEQUENCE, size);
		error = writer.full ? -ENOSPC : 0;
	}
	free(body.base);
	if (error)
		return error;
	whole = der_written(&writer);
	memmove(out, whole.at, whole.size);
	return (int)whole.size;
}
