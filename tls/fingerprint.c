// SPDX-License-Identifier: GPL-3.0-or-later
// fingerprint - what a hello's lists come to when they are hashed.
//
// A hello is copied out of its records into one piece first, bounded by
// HELLO_SIZE_MAX, so that its lists can be looked at twice and be sorted. Each
// list is a `struct span` of that piece. GREASE (RFC 8701) counts nowhere.
//
// JA3 is an MD5 over decimal numbers in the order of the wire. JA4 tells the
// counts apart in clear and hashes (SHA-256, 12 hex digits) sorted lists, so
// that a client that shuffles its extensions is still the same client; JA4S
// keeps the order, as servers do not shuffle.

#include "tls/fingerprint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/wolfcrypt/md5.h>
#include <wolfssl/wolfcrypt/sha256.h>

enum {
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_HANDSHAKE = 22,
	RECORD_HEADER = 5,
	RECORD_MAX = 16384,
	MESSAGE_SERVER_HELLO = 2,
	MESSAGE_HEADER = 4,
	RANDOM = 32,

	EXTENSION_SERVER_NAME = 0,
	EXTENSION_GROUPS = 10,
	EXTENSION_POINT_FORMATS = 11,
	EXTENSION_SIGNATURE_ALGORITHMS = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_SUPPORTED_VERSIONS = 43,

	DIGEST_HEX = 12,		// of a SHA-256 in JA4
	COUNT_MAX = 99,
};

// RFC 8446 4.1.3: the random that makes a ServerHello a HelloRetryRequest.
static const uint8_t retry_random[RANDOM] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

struct span {
	const uint8_t *at;
	size_t size;
};

// What both hellos are made of. Of the extensions' bodies an absent one has
// no place (at is NULL).
struct parts {
	uint16_t legacy;
	const uint8_t *random;
	struct span suites, extensions;
	struct span groups, formats, signatures, alpn, versions;
	bool server_name;
};

static size_t number(const uint8_t *at, size_t size)
{
	size_t value = 0;

	while (size-- > 0)
		// NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a span of that size has a place
		value = value << 8 | *at++;
	return value;
}

static bool take(struct span *from, size_t size, struct span *out)
{
	if (size > from->size)
		return false;
	*out = (struct span){ from->at, size };
	from->at += size;
	from->size -= size;
	return true;
}

// A list behind its own length of `width` bytes.
static bool take_list(struct span *from, size_t width, struct span *out)
{
	struct span head;

	return take(from, width, &head) && take(from, number(head.at, width), out);
}

// RFC 8701 2: 0x0a0a, 0x1a1a, ... 0xfafa.
static bool grease(size_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

// Steps through a list of 16-bit numbers, GREASE left out.
static bool next_number(struct span *list, uint16_t *out)
{
	struct span two;

	while (take(list, 2, &two)) {
		*out = number(two.at, 2);
		if (!grease(*out))
			return true;
	}
	return false;
}

// Steps through the extensions, GREASE left out; parts_read() saw them whole.
static bool next_extension(struct span *list, uint16_t *type, struct span *body)
{
	struct span head;

	while (take(list, 2, &head) && take_list(list, 2, body)) {
		*type = number(head.at, 2);
		if (!grease(*type))
			return true;
	}
	return false;
}

// --- hashing what is never held as text -----------------------------------------

struct md5 {
	wc_Md5 state;
	bool good;
};

static void md5_text(struct md5 *md5, const char *text)
{
	md5->good = md5->good && wc_Md5Update(&md5->state, (const byte *)text, strlen(text)) == 0;
}

static void md5_number(struct md5 *md5, const char *before, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%s%u", before, value);
	md5_text(md5, text);
}

static void md5_numbers(struct md5 *md5, struct span list)
{
	const char *before = "";

	for (uint16_t value; next_number(&list, &value); before = "-")
		md5_number(md5, before, value);
}

static void md5_extensions(struct md5 *md5, struct span list)
{
	const char *before = "";
	struct span body;

	for (uint16_t type; next_extension(&list, &type, &body); before = "-")
		md5_number(md5, before, type);
}

static void hex(const uint8_t *bytes, size_t digits, char *out)
{
	for (size_t i = 0; i < digits; i++)
		// NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the digest was closed into it
		out[i] = "0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
	out[digits] = '\0';
}

static bool md5_close(struct md5 *md5, char out[JA3_SIZE])
{
	byte digest[WC_MD5_DIGEST_SIZE];

	md5->good = md5->good && wc_Md5Final(&md5->state, digest) == 0;
	wc_Md5Free(&md5->state);
	if (md5->good)
		hex(digest, JA3_SIZE - 1, out);
	return md5->good;
}

// Two lists of hex words, "0005,000a_0403,0804". No numbers at all are twelve
// zeros; no second list has no underscore.
static bool sha_lists(const uint16_t *first, size_t firsts, const uint16_t *second, size_t seconds, char *out)
{
	byte digest[WC_SHA256_DIGEST_SIZE] = { 0 };
	bool good = true;
	wc_Sha256 sha;

	if (firsts == 0 && seconds == 0) {
		hex(digest, DIGEST_HEX, out);
		return true;
	}
	if (wc_InitSha256(&sha) != 0)
		return false;
	for (size_t i = 0; i < firsts + seconds; i++) {
		char text[8];
		int size = snprintf(text, sizeof(text), "%s%04x", i == firsts ? "_" : i ? "," : "",
				    i < firsts ? first[i] : second[i - firsts]);

		good = good && wc_Sha256Update(&sha, (const byte *)text, size) == 0;
	}
	good = good && wc_Sha256Final(&sha, digest) == 0;
	wc_Sha256Free(&sha);
	hex(digest, DIGEST_HEX, out);
	return good;
}

// --- the hello's parts ----------------------------------------------------------

// The lists inside of the bodies that are looked into. A server's bodies hold one
// value where a client's hold a list, ALPN excepted.
static bool extension_body(struct parts *parts, bool client, uint16_t type, struct span body)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
		parts->server_name = true;
		return true;
	case EXTENSION_ALPN:
		return take_list(&body, 2, &parts->alpn);
	case EXTENSION_SUPPORTED_VERSIONS:
		return client ? take_list(&body, 1, &parts->versions) : take(&body, 2, &parts->versions);
	case EXTENSION_GROUPS:
		return !client || take_list(&body, 2, &parts->groups);
	case EXTENSION_POINT_FORMATS:
		return !client || take_list(&body, 1, &parts->formats);
	case EXTENSION_SIGNATURE_ALGORITHMS:
		return !client || take_list(&body, 2, &parts->signatures);
	}
	return true;
}

// `message` is a hello without its header: RFC 8446 4.1.2 and 4.1.3.
static bool parts_read(struct span message, bool client, struct parts *parts)
{
	struct span piece, list;

	*parts = (struct parts){ 0 };
	if (!take(&message, 2, &piece))
		return false;
	parts->legacy = number(piece.at, 2);
	if (!take(&message, RANDOM, &piece))
		return false;
	parts->random = piece.at;
	if (!take_list(&message, 1, &piece) ||
	    !(client ? take_list(&message, 2, &parts->suites) : take(&message, 2, &parts->suites)) ||
	    !(client ? take_list(&message, 1, &piece) : take(&message, 1, &piece)))
		return false;
	if (message.size == 0)
		return true;
	if (!take_list(&message, 2, &parts->extensions) || message.size != 0)
		return false;
	for (list = parts->extensions; list.size > 0;) {
		struct span type, body;

		if (!take(&list, 2, &type) || !take_list(&list, 2, &body) ||
		    !extension_body(parts, client, number(type.at, 2), body))
			return false;
	}
	return true;
}

static const char *version_name(const struct parts *parts)
{
	struct span list = parts->versions;
	uint16_t best = parts->legacy, value;

	if (list.at)
		best = 0;
	while (next_number(&list, &value))
		best = value > best ? value : best;
	switch (best) {
	case 0x0304: return "13";
	case 0x0303: return "12";
	case 0x0302: return "11";
	case 0x0301: return "10";
	case 0x0300: return "s3";
	case 0x0002: return "s2";
	}
	return "00";
}

// The first and last character of the first protocol; of its hex when either is
// no letter or digit.
static void alpn_name(struct span list, char out[3])
{
	struct span name;
	uint8_t first, last;

	memcpy(out, "00", 3);
	if (!take_list(&list, 1, &name) || name.size == 0)
		return;
	first = name.at[0];
	last = name.at[name.size - 1];
	if (first < 0x80 && last < 0x80 && isalnum(first) && isalnum(last)) {
		out[0] = first;
		out[1] = last;
	} else {
		out[0] = "0123456789abcdef"[first >> 4];
		out[1] = "0123456789abcdef"[last & 15];
	}
}

static int at_most(size_t count)
{
	return count < COUNT_MAX ? count : COUNT_MAX;
}

static int by_value(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static size_t numbers(struct span list, uint16_t *out)
{
	size_t count = 0;

	while (next_number(&list, &out[count]))
		count++;
	return count;
}

// --- the four -------------------------------------------------------------------

static bool ja3(const struct parts *parts, char out[JA3_SIZE])
{
	struct md5 md5 = { .good = true };

	if (wc_InitMd5(&md5.state) != 0)
		return false;
	md5_number(&md5, "", parts->legacy);
	md5_text(&md5, ",");
	md5_numbers(&md5, parts->suites);
	md5_text(&md5, ",");
	md5_extensions(&md5, parts->extensions);
	md5_text(&md5, ",");
	md5_numbers(&md5, parts->groups);
	md5_text(&md5, ",");
	for (size_t i = 0; i < parts->formats.size; i++)
		md5_number(&md5, i ? "-" : "", parts->formats.at[i]);
	return md5_close(&md5, out);
}

static bool ja3s(const struct parts *parts, char out[JA3_SIZE])
{
	struct md5 md5 = { .good = true };

	if (wc_InitMd5(&md5.state) != 0)
		return false;
	md5_number(&md5, "", parts->legacy);
	md5_number(&md5, ",", number(parts->suites.at, 2));
	md5_text(&md5, ",");
	md5_extensions(&md5, parts->extensions);
	return md5_close(&md5, out);
}

// `room` holds as many numbers as a hello can have.
static bool ja4(const struct parts *parts, uint16_t *room, char out[JA4_SIZE])
{
	char suites_hash[DIGEST_HEX + 1], rest_hash[DIGEST_HEX + 1], protocol[3];
	size_t suites = numbers(parts->suites, room), hashed = 0, extensions = 0;
	struct span list = parts->extensions, body;

	qsort(room, suites, sizeof(*room), by_value);
	if (!sha_lists(room, suites, NULL, 0, suites_hash))
		return false;
	for (uint16_t type; next_extension(&list, &type, &body); extensions++)
		if (type != EXTENSION_SERVER_NAME && type != EXTENSION_ALPN)
			room[hashed++] = type;
	qsort(room, hashed, sizeof(*room), by_value);
	if (!sha_lists(room, hashed, room + hashed, numbers(parts->signatures, room + hashed), rest_hash))
		return false;
	alpn_name(parts->alpn, protocol);
	snprintf(out, JA4_SIZE, "t%s%c%02d%02d%s_%s_%s", version_name(parts), parts->server_name ? 'd' : 'i',
		 at_most(suites), at_most(extensions), protocol, suites_hash, rest_hash);
	return true;
}

static bool ja4s(const struct parts *parts, uint16_t *room, char out[JA4S_SIZE])
{
	struct span list = parts->extensions, body;
	char hash[DIGEST_HEX + 1], protocol[3];
	size_t extensions = 0;

	while (next_extension(&list, &room[extensions], &body))
		extensions++;
	if (!sha_lists(room, extensions, NULL, 0, hash))
		return false;
	alpn_name(parts->alpn, protocol);
	snprintf(out, JA4S_SIZE, "t%s%02d%s_%04zx_%s", version_name(parts), at_most(extensions), protocol,
		 number(parts->suites.at, 2), hash);
	return true;
}

// --- out of the records ---------------------------------------------------------

// The handshake bytes of the records so far, in one piece; what is cut off at the
// end comes as far as it is there. change_cipher_spec is stepped over, any other
// record ends the piece (`ended`): nothing that is no hello will follow it.
static size_t flatten(struct span wire, uint8_t *out, bool *ended)
{
	size_t size = 0;
	struct span head;

	*ended = false;
	while (wire.size > 0) {
		size_t left;

		*ended = (wire.at[0] != RECORD_HANDSHAKE && wire.at[0] != RECORD_CHANGE_CIPHER_SPEC) ||
			 (wire.size > 1 && wire.at[1] != 3);
		if (*ended || !take(&wire, RECORD_HEADER, &head))
			return size;
		left = number(head.at + 3, 2);
		*ended = left == 0 || left > RECORD_MAX;
		if (*ended)
			return size;
		left = left < wire.size ? left : wire.size;
		if (head.at[0] == RECORD_HANDSHAKE) {
			memcpy(out + size, wire.at, left);
			size += left;
		}
		wire.at += left;
		wire.size -= left;
	}
	return size;
}

enum hello_verdict fingerprint_app(const void *bytes_so_far, size_t size, struct fingerprint_app *out)
{
	uint16_t room[HELLO_SIZE_MAX / 2];
	uint8_t piece[HELLO_SIZE_MAX];
	struct hello hello;
	struct parts parts;
	enum hello_verdict verdict = hello_read(bytes_so_far, size, &hello);
	bool ended;

	if (verdict != HELLO_WHOLE)
		return verdict;
	if (hello.size > sizeof(piece))
		return HELLO_NOT;
	size = flatten((struct span){ bytes_so_far, hello.size }, piece, &ended);
	if (!parts_read((struct span){ piece + MESSAGE_HEADER, size - MESSAGE_HEADER }, true, &parts) ||
	    !ja3(&parts, out->ja3) || !ja4(&parts, room, out->ja4))
		return HELLO_NOT;
	return HELLO_WHOLE;
}

enum hello_verdict fingerprint_origin(const void *bytes_so_far, size_t size, struct fingerprint_origin *out)
{
	uint16_t room[HELLO_SIZE_MAX / 2];
	uint8_t piece[HELLO_SIZE_MAX];
	struct span left, message, head;
	struct parts parts;
	bool ended, full = size >= sizeof(piece);

	left.at = piece;
	left.size = flatten((struct span){ bytes_so_far, full ? sizeof(piece) : size }, piece, &ended);
	while (left.size > 0) {
		if (left.at[0] != MESSAGE_SERVER_HELLO)
			return HELLO_NOT;
		if (!take(&left, MESSAGE_HEADER, &head) || !take(&left, number(head.at + 1, 3), &message))
			break;
		if (!parts_read(message, false, &parts))
			return HELLO_NOT;
		if (memcmp(parts.random, retry_random, RANDOM) == 0)
			continue;
		return ja3s(&parts, out->ja3s) && ja4s(&parts, room, out->ja4s) ? HELLO_WHOLE : HELLO_NOT;
	}
	return ended || full ? HELLO_NOT : HELLO_MORE;
}
