// SPDX-License-Identifier: GPL-3.0-or-later
// hello - reads a ClientHello from whatever it was cut into.
//
// The message may be spread over records at any byte (RFC 8446 5.1), so the
// reader never sees it as one piece: `struct reader` hands out message bytes
// and steps over record headers as it meets them. It never copies more than a
// name. Everything that may still turn out well is a shortage (MORE); whatever
// can no longer is NOT, told apart as early as the bytes allow, because the
// hall holds a conversation back while the answer is MORE.
//
// Lengths inside the message are checked against the message's own length, and
// that against HELLO_SIZE_MAX, so a reader that runs short is always short of
// bytes that the far end promised.

#include "tls/hello.h"

#include <string.h>

enum {
	RECORD_HANDSHAKE = 22,
	RECORD_HEADER = 5,
	RECORD_MAX = 16384,		// RFC 8446 5.1: plaintext
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_HEADER = 4,

	EXTENSION_SERVER_NAME = 0,
	EXTENSION_GROUPS = 10,
	EXTENSION_SIGNATURES = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_SESSION_TICKET = 35,
	EXTENSION_PRE_SHARED_KEY = 41,
	EXTENSION_EARLY_DATA = 42,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_KEY_SHARE = 51,
	EXTENSION_QUIC_PARAMETERS = 57,
	EXTENSION_ENCRYPTED_CLIENT_HELLO = 0xfe0d,
};

enum trouble { FINE, SHORT, WRONG };

// A place in the message. `record` counts the bytes left in the record at hand,
// `message` those left in the ClientHello.
struct reader {
	const uint8_t *at, *end;
	size_t record, message;
	enum trouble trouble;
};

static size_t wrong(struct reader *reader)
{
	if (reader->trouble == FINE)
		reader->trouble = WRONG;
	return 0;
}

// Steps into the next record. Each header byte is judged as soon as it is
// there: bytes that cannot begin a record are not worth waiting for more.
static bool next_record(struct reader *reader)
{
	const uint8_t *at = reader->at;
	size_t left = reader->end - at;

	if ((left > 0 && at[0] != RECORD_HANDSHAKE) || (left > 1 && at[1] != 3) ||
	    (left > 2 && at[2] > 4) || (left > 3 && at[3] > RECORD_MAX >> 8)) {
		wrong(reader);
		return false;
	}
	if (left < RECORD_HEADER) {
		reader->trouble = SHORT;
		return false;
	}
	reader->record = at[3] << 8 | at[4];
	reader->at += RECORD_HEADER;
	// RFC 8446 5.1: no empty handshake fragments.
	if (reader->record == 0 || reader->record > RECORD_MAX)
		wrong(reader);
	return reader->trouble == FINE;
}

// One byte of the stream of handshake bytes.
static uint8_t byte(struct reader *reader)
{
	if (reader->trouble != FINE || (reader->record == 0 && !next_record(reader)))
		return 0;
	if (reader->at == reader->end) {
		reader->trouble = SHORT;
		return 0;
	}
	reader->record--;
	return *reader->at++;
}

// `size` (1 to 3) bytes of the message as a number.
static size_t number(struct reader *reader, int size)
{
	size_t value = 0;

	if (reader->message < (size_t)size)
		return wrong(reader);
	reader->message -= size;
	while (size-- > 0)
		value = value << 8 | byte(reader);
	return value;
}

// A length of `size` bytes that must fit into what is left of the message.
static size_t length(struct reader *reader, int size)
{
	size_t value = number(reader, size);

	return reader->trouble == FINE && value > reader->message ? wrong(reader) : value;
}

// Steps over `size` bytes of the message, copying them when `into` is set.
static void bytes(struct reader *reader, size_t size, uint8_t *into)
{
	if (reader->trouble != FINE)
		return;
	if (size > reader->message) {
		wrong(reader);
		return;
	}
	reader->message -= size;
	while (size > 0) {
		size_t part, left;

		if (reader->record == 0 && !next_record(reader))
			return;
		left = reader->end - reader->at;
		part = size < reader->record ? size : reader->record;
		if (part > left) {
			reader->trouble = SHORT;
			return;
		}
		if (into) {
			memcpy(into, reader->at, part);
			into += part;
		}
		reader->at += part;
		reader->record -= part;
		size -= part;
	}
}

// A host name as it may stand in SNI (RFC 6066 3: no IP literals): printable,
// no spaces. What is not one is no name rather than a reason to refuse: the
// origin is the judge of what it is sent.
static bool host_name(const char *name, size_t size)
{
	bool digits_only = true;

	for (size_t i = 0; i < size; i++) {
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':' || name[i] == '/')
			return false;
		if (name[i] != '.' && (name[i] < '0' || name[i] > '9'))
			digits_only = false;
	}
	return size > 0 && !digits_only;
}

// The bodies below read exactly `left` bytes or leave trouble behind.

static void server_name(struct reader *reader, size_t left, struct hello *out)
{
	size_t list;

	if (left < 2) {
		wrong(reader);
		return;
	}
	list = length(reader, 2);
	if (reader->trouble == FINE && list != left - 2)
		wrong(reader);
	while (reader->trouble == FINE && list > 0) {
		char name[HELLO_SNI_MAX + 1];
		size_t type, size;

		if (list < 3) {
			wrong(reader);
			return;
		}
		type = number(reader, 1);
		size = length(reader, 2);
		list -= 3;
		if (reader->trouble != FINE)
			return;
		if (size > list) {
			wrong(reader);
			return;
		}
		list -= size;
		if (type != 0 || size > HELLO_SNI_MAX || out->sni[0]) {
			bytes(reader, size, NULL);
			continue;
		}
		bytes(reader, size, (uint8_t *)name);
		if (reader->trouble == FINE && host_name(name, size)) {
			memcpy(out->sni, name, size);
			out->sni[size] = '\0';
		}
	}
}

static void alpn(struct reader *reader, size_t left, struct hello *out)
{
	bool keep = true;
	size_t list;

	if (left < 2) {
		wrong(reader);
		return;
	}
	list = length(reader, 2);
	if (reader->trouble == FINE && list != left - 2)
		wrong(reader);
	while (reader->trouble == FINE && list > 0) {
		size_t size = length(reader, 1);
		uint8_t *to = out->alpn + out->alpn_size;

		list--;
		if (reader->trouble != FINE)
			return;
		if (size == 0 || size > list) {
			wrong(reader);
			return;
		}
		list -= size;
		keep = keep && out->alpn_size + 1 + size <= sizeof(out->alpn);
		bytes(reader, size, keep ? to + 1 : NULL);
		if (keep && reader->trouble == FINE) {
			*to = size;
			out->alpn_size += 1 + size;
		}
	}
}

// RFC 8446 4.2.1: the list is the truth, the legacy field is not. GREASE values
// (RFC 8701) and versions still to come are not ours to speak of.
static void supported_versions(struct reader *reader, size_t left, struct hello *out)
{
	size_t list;

	if (left < 1) {
		wrong(reader);
		return;
	}
	list = length(reader, 1);
	if (reader->trouble == FINE && (list != left - 1 || list % 2 != 0))
		wrong(reader);
	out->version_min = out->version_max = 0;
	for (; reader->trouble == FINE && list > 0; list -= 2) {
		uint16_t version = number(reader, 2);

		if (version < 0x0301 || version > 0x0304)
			continue;
		if (version > out->version_max)
			out->version_max = version;
		if (out->version_min == 0 || version < out->version_min)
			out->version_min = version;
	}
}

static void append(struct hello_numbers *to, uint16_t value)
{
	if (to->count < HELLO_NUMBERS_MAX)
		to->list[to->count++] = value;
}

// Length and then numbers of two bytes each; with `bodies`, each with a length and
// so many bytes behind it.
static void numbers(struct reader *reader, size_t left, bool bodies, struct hello_numbers *to)
{
	size_t list;

	if (left < 2) {
		wrong(reader);
		return;
	}
	list = length(reader, 2);
	if (reader->trouble == FINE && list != left - 2)
		wrong(reader);
	*to = (struct hello_numbers){ .given = true };
	while (reader->trouble == FINE && list > 0) {
		size_t head = bodies ? 4 : 2, size;
		uint16_t value;

		if (list < head) {
			wrong(reader);
			return;
		}
		value = number(reader, 2);
		size = bodies ? length(reader, 2) : 0;
		if (reader->trouble != FINE)
			return;
		list -= head;
		if (size > list) {
			wrong(reader);
			return;
		}
		list -= size;
		append(to, value);
		bytes(reader, size, NULL);
	}
}

static void extension(struct reader *reader, struct hello *out)
{
	size_t type = number(reader, 2), size = length(reader, 2);

	if (reader->trouble != FINE)
		return;
	switch (type) {
	case EXTENSION_SERVER_NAME:
		server_name(reader, size, out);
		return;
	case EXTENSION_ALPN:
		alpn(reader, size, out);
		return;
	case EXTENSION_SUPPORTED_VERSIONS:
		supported_versions(reader, size, out);
		return;
	case EXTENSION_GROUPS:
		numbers(reader, size, false, &out->groups);
		return;
	case EXTENSION_SIGNATURES:
		numbers(reader, size, false, &out->signatures);
		return;
	case EXTENSION_KEY_SHARE:
		numbers(reader, size, true, &out->shares);
		return;
	case EXTENSION_SESSION_TICKET:		// RFC 5077 3.2: empty, it only says that it could
		out->tickets = true;
		out->resumes = out->resumes || size > 0;
		break;
	case EXTENSION_PRE_SHARED_KEY:
		out->psk = out->resumes = true;
		break;
	case EXTENSION_EARLY_DATA:
		out->early_data = true;
		break;
	case EXTENSION_QUIC_PARAMETERS:
		out->quic_parameters = true;
		break;
	case EXTENSION_ENCRYPTED_CLIENT_HELLO:
		out->encrypted_client_hello = true;
		break;
	}
	bytes(reader, size, NULL);
}

// The suites of TLS 1.3 leave the certificate's kind open; older ones name it
// (the IANA registry "TLS Cipher Suites"). What our end does not speak is not
// counted.
static bool takes_ecdsa(size_t suite)
{
	static const uint16_t older[] = {
		0xc009, 0xc00a, 0xc023, 0xc024, 0xc02b, 0xc02c, 0xcca9,
	};

	if (suite >= 0x1301 && suite <= 0x1303)
		return true;
	for (size_t i = 0; i < sizeof(older) / sizeof(*older); i++)
		if (suite == older[i])
			return true;
	return false;
}

// ecdsa_secp256r1_sha256 (RFC 8446 4.2.3): what our leaf signs with. Before TLS 1.3
// its number was "ECDSA with SHA-256".
static bool signs_p256(const struct hello_numbers *signatures)
{
	for (size_t i = 0; i < signatures->count; i++)
		if (signatures->list[i] == 0x0403)
			return true;
	return false;
}

static void cipher_suites(struct reader *reader, struct hello *out)
{
	size_t size = length(reader, 2);

	if (reader->trouble == FINE && (size == 0 || size % 2 != 0))
		wrong(reader);
	for (; reader->trouble == FINE && size > 0; size -= 2) {
		uint16_t suite = number(reader, 2);

		out->ecdsa = out->ecdsa || takes_ecdsa(suite);
		if (reader->trouble == FINE && out->suite_count < HELLO_SUITES_MAX)
			out->suites[out->suite_count++] = suite;
	}
}

static void extensions(struct reader *reader, struct hello *out)
{
	size_t size = length(reader, 2);

	if (reader->trouble == FINE && size != reader->message)
		wrong(reader);
	while (reader->trouble == FINE && reader->message > 0)
		extension(reader, out);
}

// RFC 8446 4.1.2. Repeated extensions are read over each other: the origin
// refuses such a hello by itself.
static void client_hello(struct reader *reader, struct hello *out)
{
	size_t legacy = number(reader, 2), id, size;

	if (reader->trouble == FINE && (legacy < 0x0301 || legacy > 0x0304))
		wrong(reader);
	// Before supported_versions the field meant "this or older".
	out->version_min = 0x0301;
	out->version_max = legacy > 0x0303 ? 0x0303 : legacy;

	bytes(reader, 32, NULL);			// random
	id = length(reader, 1);				// legacy session id
	if (reader->trouble == FINE && id > 32)
		wrong(reader);
	bytes(reader, id, NULL);
	cipher_suites(reader, out);
	size = length(reader, 1);			// compression methods
	if (reader->trouble == FINE && size == 0)
		wrong(reader);
	bytes(reader, size, NULL);
	if (reader->trouble == FINE && reader->message > 0)	// RFC 5246: there may be none
		extensions(reader, out);
	// RFC 8446 D.4: in a hello of TLS 1.3 it is there for others to see.
	if (id > 0 && out->version_max < 0x0304)
		out->resumes = true;
	if (out->signatures.given)
		out->ecdsa = out->ecdsa && signs_p256(&out->signatures);
}

enum hello_verdict hello_read(const void *bytes_so_far, size_t size, struct hello *out)
{
	const uint8_t *start = bytes_so_far;
	struct reader reader = { .at = start, .end = start + size, .message = MESSAGE_HEADER };
	struct hello hello = { 0 };

	if (size == 0)
		return HELLO_MORE;
	if (number(&reader, 1) != MESSAGE_CLIENT_HELLO)
		wrong(&reader);
	if (number(&reader, 1) != 0)		// 64 KB and more
		wrong(&reader);
	reader.message = number(&reader, 2);
	client_hello(&reader, &hello);
	// A hello ends its record: nothing may follow it before the answer.
	if (reader.trouble == FINE && reader.record != 0)
		wrong(&reader);
	if (reader.trouble == FINE && hello.version_max == 0)
		wrong(&reader);
	if (reader.trouble == SHORT && size >= HELLO_SIZE_MAX)
		return HELLO_NOT;
	if (reader.trouble != FINE)
		return reader.trouble == SHORT ? HELLO_MORE : HELLO_NOT;
	hello.size = reader.at - start;
	*out = hello;
	return HELLO_WHOLE;
}
