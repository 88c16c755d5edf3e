// SPDX-License-Identifier: GPL-3.0-or-later
// keystore - Java's truststore, extended by one certificate.
//
// What is written is always a JKS: Java reads it from a file of any name and
// whatever the default type is (the property keystore.type.compat), and it is simple.
// All numbers are big-endian:
//
//	u32 0xFEEDFEED, u32 version (1 or 2), u32 entries
//	entry: u32 2 (a trusted certificate), text alias, u64 ms since the epoch,
//	       text "X.509" (from version 2 on), u32 size, certificate
//	20 bytes: SHA-1(password in UTF-16BE, "Mighty Aphrodite", all of the above)
//	text: u16 size, bytes
//
// The JDK's own truststore has the password "changeit" since ever, and the
// default trust manager asks for none. A PKCS #12 one has none from Java 18 on:
// its certificates stand in the clear, each an octet string in a [0] behind
// the object identifier x509Certificate (RFC 7292 section 4.2.3).

#include "extension/keystore.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "extension/asn1.h"
#include "extension/sha1.h"

enum {
	MAGIC = 0xFEEDFEED,
	TRUSTED = 2,
	DIGEST = SHA1_SIZE,
	HEADER = 12,
};

// --- reading --------------------------------------------------------------------

static bool skip_text(struct asn1 *r)
{
	uint64_t size;

	return asn1_take_number(r, 2, &size) && asn1_take(r, size);
}

static bool skip_entry(struct asn1 *r, uint64_t version)
{
	uint64_t tag, date, size;

	return asn1_take_number(r, 4, &tag) && tag == TRUSTED && skip_text(r) && asn1_take_number(r, 8, &date) &&
	       (version < 2 || skip_text(r)) && asn1_take_number(r, 4, &size) && asn1_take(r, size);
}

// The size of the entries, or 0 where it is no JKS of trusted certificates alone.
static size_t read_jks(const struct bundle *store, uint64_t *version, uint64_t *count)
{
	struct asn1 r = {store->bytes, store->size};
	uint64_t magic;

	if (!asn1_take_number(&r, 4, &magic) || magic != MAGIC || !asn1_take_number(&r, 4, version) ||
	    *version < 1 || *version > 2 || !asn1_take_number(&r, 4, count))
		return 0;
	for (uint64_t i = 0; i < *count; i++)
		if (!skip_entry(&r, *version))
			return 0;
	return r.left == DIGEST ? (size_t)(r.at - store->bytes) : 0;
}

// --- writing --------------------------------------------------------------------

static int put_number(struct bundle *out, int size, uint64_t value)
{
	uint64_t big = htobe64(value);

	return bundle_append(out, (uint8_t *)&big + 8 - size, (size_t)size);
}

static int put_text(struct bundle *out, const char *text)
{
	int error = put_number(out, 2, strlen(text));

	return error ? error : bundle_append(out, text, strlen(text));
}

static int put_entry(struct bundle *out, uint64_t version, const char *alias, const void *der, size_t size)
{
	int error = put_number(out, 4, TRUSTED);

	if (!error)
		error = put_text(out, alias);
	if (!error)
		error = put_number(out, 8, 0);
	if (!error && version >= 2)
		error = put_text(out, "X.509");
	if (!error)
		error = put_number(out, 4, size);
	return error ? error : bundle_append(out, der, size);
}

static int put_header(struct bundle *out, uint64_t version)
{
	int error = put_number(out, 4, MAGIC);

	if (!error)
		error = put_number(out, 4, version);
	return error ? error : put_number(out, 4, 0);
}

static void set_count(struct bundle *out, uint64_t count)
{
	uint32_t big = htobe32((uint32_t)count);

	memcpy(out->bytes + 8, &big, 4);
}

static int put_digest(struct bundle *out)
{
	static const char password[] = "\0c\0h\0a\0n\0g\0e\0i\0t", salt[] = "Mighty Aphrodite";
	struct bundle data = {0};
	uint8_t digest[DIGEST];
	int error = bundle_append(&data, password, sizeof password - 1);

	if (!error)
		error = bundle_append(&data, salt, sizeof salt - 1);
	if (!error)
		error = bundle_append(&data, out->bytes, out->size);
	if (!error) {
		sha1(data.bytes, data.size, digest);
		error = bundle_append(out, digest, sizeof digest);
	}
	bundle_free(&data);
	return error;
}

static int put_root(struct bundle *out, uint64_t *count, const void *der, size_t size)
{
	char alias[32];

	snprintf(alias, sizeof alias, "root-%llu", (unsigned long long)++*count);
	return put_entry(out, 2, alias, der, size);
}

// --- the sources ----------------------------------------------------------------

static int copy_pkcs12(struct bundle *out, const struct bundle *store, uint64_t *count)
{
	static const uint8_t x509[] = {6, 10, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 22, 1};
	struct asn1 r = {store->bytes, store->size};
	const uint8_t *found;
	size_t size;
	int error = 0;

	while (!error && (found = memmem(r.at, r.left, x509, sizeof x509))) {
		asn1_take(&r, (size_t)(found - r.at) + sizeof x509);
		struct asn1 bag = r;

		if (!asn1_take_value(&bag, 0xA0, &size) || !asn1_take_value(&bag, 0x04, &size))
			continue;
		error = put_root(out, count, bag.at, size);
		r = bag;
		asn1_take(&r, size);
	}
	return error;
}

static int copy_pem(struct bundle *out, const struct bundle *roots, uint64_t *count)
{
	size_t position = 0;
	int more = 1;

	while (more > 0) {
		struct bundle der = {0};

		more = bundle_next(roots, &position, &der);
		if (more > 0) {
			int error = put_root(out, count, der.bytes, der.size);
			if (error)
				more = error;
		}
		bundle_free(&der);
	}
	return more;
}

static int extend(struct bundle *out, const struct bundle *store, const struct bundle *roots,
		  const void *der, size_t der_size)
{
	uint64_t version = 2, count = 0;
	size_t size = read_jks(store, &version, &count);
	int error;

	if (size) {
		error = bundle_append(out, store->bytes, size);
	} else if (store->size && store->bytes[0] == 0x30) {
		version = 2;
		count = 0;
		error = put_header(out, version);
		if (!error)
			error = copy_pkcs12(out, store, &count);
		if (!error && !count)
			error = copy_pem(out, roots, &count);
	} else {
		return -EINVAL;
	}
	if (!error)
		error = put_entry(out, version, "apptap", der, der_size);
	if (error)
		return error;
	set_count(out, count + 1);
	return put_digest(out);
}

int keystore_extend(struct bundle *out, const struct bundle *store, const struct bundle *roots,
		    const void *der, size_t der_size)
{
	int error;

	*out = (struct bundle){0};
	error = extend(out, store, roots, der, der_size);
	if (error)
		bundle_free(out);
	return error;
}
