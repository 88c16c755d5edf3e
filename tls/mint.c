// SPDX-License-Identifier: GPL-3.0-or-later
// mint - the leaf that the app is shown, made from the origin's.
//
// The app must judge this leaf as it would have judged the origin's, so what it
// judges by is copied byte for byte: subject, validity, alternative names, basic
// constraints, key usage and extended key usage. What ties a certificate to its
// real issuer (policies, CRL and OCSP places, transparency stamps) is left out.
//
// Who signs says the rest. A chain that held, or that nobody is to check, is
// signed by the authority; one that did not by a shadow: a key made for this
// house that nobody trusts, under the name of the origin's own issuer, so that
// the app's error names whom it would have named. A self-signed leaf signs
// itself again.
//
// Where an authority of the origin's chain is at fault itself (expired, none at all, its
// constraints broken), that one is shown with its fault: its dates and extensions on a
// key made for it alone, signed by apptap's authority and over the leaf. It bears the
// authority's own name, since certificates that are issued to oneself do not count
// for the authority's path length of 0 (RFC 5280 4.2.1.9). A leaf whose only fault is a
// short RSA key is shown on another short one, and one that was signed with SHA-1 is so again.

#include "tls/mint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SLACK = 2048,		// what the copies may be wrapped in, with a signature
	ROOM_MAX = 1 << 20,
	DAY = 86400,
	NAMES_MAX = 32768,
};

// CA:TRUE, critical; keyCertSign and cRLSign, critical
static const uint8_t shadow_constraints[] = {
	0x30, 0x0f, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x05,
	0x30, 0x03, 0x01, 0x01, 0xff,
};
static const uint8_t shadow_usage[] = {
	0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04,
	0x03, 0x02, 0x01, 0x06,
};

static void extend(struct issuer_request *request, struct der extension)
{
	if (extension.size > 0)
		request->extensions[request->extension_count++] = extension;
}

static void mirror(struct issuer_request *request, const struct certificate *origin)
{
	request->subject = origin->subject;
	request->validity = origin->validity;
	extend(request, origin->constraints);
	extend(request, origin->usage);
	extend(request, origin->extended_usage);
	extend(request, origin->alternative_names);
}

// --- mending what nobody is to check ----------------------------------------

static void put_time(struct der_writer *writer, time_t when)
{
	struct tm parts;
	char text[64];

	gmtime_r(&when, &parts);
	strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &parts);
	if (parts.tm_year < 150)		// RFC 5280 4.1.2.5: UTCTime to 2049
		der_element(writer, DER_UTC_TIME, text + 2, strlen(text) - 2);
	else
		der_element(writer, DER_TIME, text, strlen(text));
}

// The origin's names, and the one that was asked for.
static void put_names(struct der_writer *writer, const struct certificate *origin, const char *host)
{
	static const uint8_t object[] = { 0x55, 0x1d, 0x11 };
	size_t mark = writer->at;
	uint8_t address[16];

	der_put(writer, origin->names.at, origin->names.size);
	if (inet_pton(AF_INET, host, address) == 1)
		der_element(writer, DER_CONTEXT | 7, address, 4);
	else if (inet_pton(AF_INET6, host, address) == 1)
		der_element(writer, DER_CONTEXT | 7, address, 16);
	else
		der_element(writer, DER_CONTEXT | 2, host, strlen(host));
	der_wrap(writer, DER_SEQUENCE, mark);
	der_wrap(writer, DER_OCTETS, mark);
	der_element(writer, DER_OBJECT, object, sizeof(object));
	der_wrap(writer, DER_SEQUENCE, mark);
}

// Of a leaf that is taken as good whatever it says (-k), only the subject is
// kept where the rest would be found fault with.
static void mend(struct issuer_request *request, const struct certificate *origin, const char *host,
		 int64_t now, struct der_writer *names, struct der_writer *validity)
{
	put_names(names, origin, host);
	put_time(validity, now + DAY * 30);
	put_time(validity, now - DAY);
	der_wrap(validity, DER_SEQUENCE, validity->size);
	request->extension_count = 0;
	request->validity = der_written(validity);
	extend(request, der_written(names));
}

// --- signing ----------------------------------------------------------------

// A faulty authority once more, `key` being its own.
static int sign_faulty(uint8_t *out, size_t size, const struct mint *mint, const struct issuer *issuer,
		       const struct certificate *origin, struct der name, struct issuer_key *key)
{
	struct issuer_request request = {
		.key = { key->info, sizeof(key->info) }, .key_id = key->id,
	};

	mirror(&request, origin);
	request.subject = name;
	extend(&request, origin->name_constraints);
	return issuer_sign(issuer, &request, out, size, mint->random);
}

// `above` signs, where a faulty authority does.
static int sign_leaf(uint8_t *out, size_t size, const struct mint *mint,
		     const struct certificate *origin, const struct verdict *verdict,
		     const struct issuer *above, const char *host, int64_t now)
{
	struct issuer shadow = { origin->issuer, mint->shadow };
	const struct issuer *issuer = mint->authority;
	struct issuer_request request = { .key = mint->leaf, .key_id = mint->leaf_id };
	uint8_t *names = malloc(NAMES_MAX), times[64];
	struct der_writer name_writer = { .base = names, .at = NAMES_MAX, .size = NAMES_MAX };
	struct der_writer time_writer = { .base = times, .at = sizeof(times), .size = sizeof(times) };
	int used;

	if (!names)
		return -ENOMEM;
	mirror(&request, origin);
	if (above) {
		issuer = above;
	} else if (verdict->trust == TLS_BAD_CHAIN && verdict->weak_digest) {
		request.sha1 = true;
	} else if (verdict->trust == TLS_BAD_CHAIN && !verdict->weak_key) {
		if (verdict->self_signed && mint->leaf_signer)
			shadow.key = mint->leaf_signer;
		issuer = &shadow;
	} else if (verdict->trust == TLS_UNCHECKED && verdict->leaf_fault) {
		mend(&request, origin, host, now, &name_writer, &time_writer);
	}
	used = name_writer.full || time_writer.full ? -ENOSPC :
	       issuer_sign(issuer, &request, out, size, mint->random);
	free(names);
	return used;
}

// The self-signed certificate that the origin's chain ended at, in the shadow's
// hand.
static int sign_shadow(uint8_t *out, size_t size, const struct mint *mint,
		       const struct certificate *origin)
{
	struct issuer shadow = { origin->issuer, mint->shadow };
	struct issuer_request request = {
		.subject = origin->issuer,
		.validity = origin->validity,
		.key = { mint->shadow->info, sizeof(mint->shadow->info) },
		.key_id = mint->shadow->id,
	};

	extend(&request, (struct der){ shadow_constraints, sizeof(shadow_constraints) });
	extend(&request, (struct der){ shadow_usage, sizeof(shadow_usage) });
	return issuer_sign(&shadow, &request, out, size, mint->random);
}

// Leaf and faulty authorities, one or two of them. Bytes used or -errno.
static int sign_under_faulty(uint8_t *out, size_t size, const struct mint *mint, const struct der *sent,
			     size_t count, const struct verdict *verdict, const char *host, int64_t now)
{
	struct certificate leaf, faulty[2];
	struct issuer_key keys[2] = { 0 };
	struct issuer issuer = *mint->authority;
	size_t depth = verdict->faulty[1] ? 2 : 1, used = 0;
	uint8_t *authorities = malloc(size);
	int got = authorities && certificate_read(&leaf, sent[0].at, sent[0].size) ? 0 : -EINVAL;

	for (size_t i = depth; got >= 0 && i-- > 0;) {
		const struct der *at = &sent[verdict->faulty[i]];
		struct der name = mint->authority->name;

		got = verdict->faulty[i] < count && certificate_read(&faulty[i], at->at, at->size) ?
		      issuer_key_make(&keys[i], mint->random) : -EINVAL;
		if (got < 0)
			break;
		if (i + 1 < depth)
			name = faulty[i].subject;
		got = sign_faulty(authorities + used, size - used, mint, &issuer, &faulty[i], name, &keys[i]);
		issuer = (struct issuer){ name, &keys[i] };
		used += got > 0 ? got : 0;
	}
	if (got >= 0)
		got = sign_leaf(out, size, mint, &leaf, verdict, &issuer, host, now);
	if (got >= 0 && (size_t)got + used > size)
		got = -ENOSPC;
	if (got >= 0) {
		memcpy(out + got, authorities, used);
		got += (int)used;
	}
	for (size_t i = 0; i < depth; i++)
		issuer_key_close(&keys[i]);
	free(authorities);
	return got;
}

static int sign_chain(uint8_t *out, size_t size, const struct mint *mint, struct der origin_leaf,
		      const struct verdict *verdict, const char *host, int64_t now)
{
	struct certificate origin;
	int leaf, shadow = 0;

	if (!certificate_read(&origin, origin_leaf.at, origin_leaf.size))
		return -EINVAL;
	leaf = sign_leaf(out, size, mint, &origin, verdict, NULL, host, now);
	if (leaf > 0 && verdict->trust == TLS_BAD_CHAIN && verdict->closed && !verdict->self_signed)
		shadow = sign_shadow(out + leaf, size - leaf, mint, &origin);
	return leaf < 0 ? leaf : shadow < 0 ? shadow : leaf + shadow;
}

int mint_chain(uint8_t **out, size_t *size, const struct mint *mint, const struct der *sent,
	       size_t count, const struct verdict *verdict, const char *host, int64_t now)
{
	bool faulty = verdict->trust == TLS_BAD_CHAIN && verdict->faulty[0];
	size_t room = 2 * sent[0].size + 2 * SLACK + NAMES_MAX;
	uint8_t *chain;
	int used;

	for (size_t i = 0; faulty && i < 2; i++)
		room += verdict->faulty[i] < count ? sent[verdict->faulty[i]].size + SLACK : 0;
	if (room > ROOM_MAX)
		return -EINVAL;
	chain = malloc(room);
	if (!chain)
		return -ENOMEM;
	used = faulty ? sign_under_faulty(chain, room, mint, sent, count, verdict, host, now) :
			sign_chain(chain, room, mint, sent[0], verdict, host, now);
	if (used < 0) {
		free(chain);
		return used;
	}
	*out = chain;
	*size = used;
	return 0;
}
