// SPDX-License-Identifier: GPL-3.0-or-later
// authority - apptap's own certificate authority: its key on disk, and no more.
//
// Two files, and two starts may meet while neither is there. The first that is
// put in place stands, and is never replaced (placed.h). The key comes
// first; a certificate is then made from whatever key is in place, by whoever
// finds none, and the first one placed is everybody's: whichever start made it,
// it fits the key. So there is nothing to lock, and a start that was killed
// half way is mended by the next.

#include "tls/authority.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "tls/issuer.h"
#include "tls/pem.h"
#include "tls/placed.h"

enum {
	KEY_FILE_MAX = 4096, CERTIFICATE_MAX = 4096,
	DAY = 86400, YEARS = 10,
};

static const char key_label[] = "EC PRIVATE KEY";
static const char certificate_label[] = "CERTIFICATE";

struct authority {
	char *certificate_path, *key_path;
	char *pem;
	uint8_t der[CERTIFICATE_MAX];
	size_t pem_size, der_size;
	char fingerprint[2 * WC_SHA256_DIGEST_SIZE + 1];
	struct certificate certificate;
	struct issuer_key key;
	struct issuer issuer;
	WC_RNG random;
	bool random_ready;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 3, 4)))
static int refuse(struct authority *authority, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above
	vsnprintf(authority->why, authority->why_size, format, arguments);
	va_end(arguments);
	return error;
}

// --- the key ----------------------------------------------------------------

static int make_key(struct authority *authority)
{
	struct issuer_key key;
	uint8_t der[KEY_DER_MAX];
	char *text = NULL;
	int size, error = issuer_key_make(&key, &authority->random);

	if (error)
		return refuse(authority, error, "cannot make a key for apptap's authority");
	size = wc_EccKeyToDer(&key.key, der, sizeof(der));
	if (size > 0)
		text = pem_write(key_label, der, size);
	error = text ? placed_write(authority->key_path, 0600, text, authority->why, authority->why_size)
		     : refuse(authority, -ENOMEM, "cannot encode the key of apptap's authority");
	explicit_bzero(der, sizeof(der));
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	issuer_key_close(&key);
	return error;
}

static int read_key(struct authority *authority)
{
	char *text = NULL;
	const char *at;
	uint8_t der[KEY_FILE_MAX];
	size_t size = 0;
	long got;
	int error = placed_read(authority->key_path, true, &text, &size, authority->why, authority->why_size);

	if (error || !text)
		return error;
	at = text;
	got = pem_read(&at, text + size, key_label, der, sizeof(der));
	if (got == 0) {
		at = text;
		got = pem_read(&at, text + size, "PRIVATE KEY", der, sizeof(der));
	}
	if (got <= 0 || issuer_key_read(&authority->key, der, got) != 0)
		error = refuse(authority, -EINVAL,
			       "%s is not a P-256 key: restore it, or remove it and %s and apptap "
			       "makes a new authority", authority->key_path,
			       authority->certificate_path);
	explicit_bzero(der, sizeof(der));
	explicit_bzero(text, size);
	free(text);
	return error;
}

static int open_key(struct authority *authority)
{
	int error = read_key(authority);

	if (error != -ENOENT)
		return error;
	// A certificate without its key is somebody's accident, or another
	// start's doing a moment ago, which placed the key first.
	if (access(authority->certificate_path, F_OK) == 0) {
		error = read_key(authority);
		if (error != -ENOENT)
			return error;
		return refuse(authority, -EINVAL,
			      "%s is there but its key %s is missing: restore the key, or remove the "
			      "certificate and apptap makes a new authority",
			      authority->certificate_path, authority->key_path);
	}
	error = make_key(authority);
	if (!error)
		error = read_key(authority);
	if (error == -ENOENT)
		refuse(authority, error, "%s was removed again", authority->key_path);
	return error;
}

// --- the certificate --------------------------------------------------------

// Letters that need no quoting anywhere.
static void plain(char *text)
{
	for (; *text; text++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *text))
			*text = '-';
}

// Name { O = apptap, CN = apptap authority (who@where, when) }, so that several
// machines' authorities can be told apart in one trust store. At most 64 bytes
// (RFC 5280, ub-common-name).
static void put_name(struct der_writer *writer, time_t now)
{
	static const uint8_t cn[] = { 0x55, 0x04, 0x03 }, o[] = { 0x55, 0x04, 0x0a };
	char host[256] = "", user[64] = "", name[80];
	const struct passwd *entry = getpwuid(geteuid());
	struct tm date;
	size_t end = writer->at, mark;

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	snprintf(user, sizeof(user), "%s", entry ? entry->pw_name : "");
	if (!user[0])
		snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
	plain(user);
	plain(host);
	gmtime_r(&now, &date);
	snprintf(name, sizeof(name), "apptap authority (%.12s@%.20s, %04d-%02d-%02d)", user, host,
		 (date.tm_year + 1900) % 10000, date.tm_mon + 1, date.tm_mday);
	der_element(writer, DER_UTF8, name, strlen(name));
	der_element(writer, DER_OBJECT, cn, sizeof(cn));
	der_wrap(writer, DER_SEQUENCE, end);
	der_wrap(writer, DER_SET, end);
	mark = writer->at;
	der_element(writer, DER_UTF8, "apptap", 6);
	der_element(writer, DER_OBJECT, o, sizeof(o));
	der_wrap(writer, DER_SEQUENCE, mark);
	der_wrap(writer, DER_SET, mark);
	der_wrap(writer, DER_SEQUENCE, end);
}

static void put_time(struct der_writer *writer, time_t when)
{
	struct tm parts;
	char text[64];

	gmtime_r(&when, &parts);
	strftime(text, sizeof(text), parts.tm_year < 150 ? "%y%m%d%H%M%SZ" : "%Y%m%d%H%M%SZ", &parts);
	der_element(writer, parts.tm_year < 150 ? DER_UTC_TIME : DER_TIME, text, strlen(text));
}

static int make_certificate(struct authority *authority)
{
	// CA:TRUE, pathlen:0, critical
	static const uint8_t constraints[] = {
		0x30, 0x12, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x08,
		0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00,
	};
	// keyCertSign, cRLSign, critical
	static const uint8_t usage[] = {
		0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04,
		0x03, 0x02, 0x01, 0x06,
	};
	uint8_t names[256], times[64], der[CERTIFICATE_MAX];
	struct der_writer name = { .base = names, .at = sizeof(names), .size = sizeof(names) };
	struct der_writer validity = { .base = times, .at = sizeof(times), .size = sizeof(times) };
	time_t now = time(NULL);
	struct issuer issuer = { .key = &authority->key };
	struct issuer_request request = {
		.key = { authority->key.info, sizeof(authority->key.info) },
		.key_id = authority->key.id,
		.extensions = { { constraints, sizeof(constraints) }, { usage, sizeof(usage) } },
		.extension_count = 2,
	};
	char *text = NULL;
	int size, error;

	put_name(&name, now);
	put_time(&validity, now + (time_t)YEARS * 365 * DAY);
	put_time(&validity, now - DAY);
	der_wrap(&validity, DER_SEQUENCE, validity.size);
	issuer.name = request.subject = der_written(&name);
	request.validity = der_written(&validity);
	size = issuer_sign(&issuer, &request, der, sizeof(der), &authority->random);
	if (size > 0)
		text = pem_write(certificate_label, der, size);
	error = text ? placed_write(authority->certificate_path, 0644, text, authority->why, authority->why_size)
		     : refuse(authority, size < 0 ? size : -ENOMEM,
			      "cannot make the certificate of apptap's authority");
	free(text);
	return error;
}

static int judge(struct authority *authority)
{
	const struct certificate *certificate = &authority->certificate;
	const char *path = authority->certificate_path;
	time_t now = time(NULL);

	if (!der_equal(certificate->key, (struct der){ authority->key.info, sizeof(authority->key.info) }))
		return refuse(authority, -EINVAL,
			      "%s and %s do not belong together: restore the right pair, or remove "
			      "both and apptap makes a new authority", path, authority->key_path);
	if (now > certificate->not_after)
		return refuse(authority, -EINVAL,
			      "%s has expired: remove it and %s, and apptap makes a new authority "
			      "(programs that were told to trust the old one must be told again)",
			      path, authority->key_path);
	if (now < certificate->not_before)
		return refuse(authority, -EINVAL,
			      "%s is not valid yet: the clock of this machine is wrong", path);
	return 0;
}

static int read_certificate(struct authority *authority)
{
	uint8_t hash[WC_SHA256_DIGEST_SIZE];
	const char *at;
	long got;
	int error = placed_read(authority->certificate_path, false, &authority->pem, &authority->pem_size,
				authority->why, authority->why_size);

	if (error)
		return error;
	at = authority->pem;
	got = pem_read(&at, authority->pem + authority->pem_size, certificate_label, authority->der,
		       sizeof(authority->der));
	if (got <= 0 || !certificate_read(&authority->certificate, authority->der, got))
		return refuse(authority, -EINVAL,
			      "%s is not a certificate: restore it, or remove it and apptap makes it "
			      "anew from its key", authority->certificate_path);
	authority->der_size = got;
	if (wc_Sha256Hash(authority->der, got, hash) != 0)
		return refuse(authority, -EIO, "cannot hash %s", authority->certificate_path);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(authority->fingerprint + 2 * i, 3, "%02x", hash[i]);
	return judge(authority);
}

static int open_certificate(struct authority *authority)
{
	int error = read_certificate(authority);

	if (error != -ENOENT)
		return error;
	error = make_certificate(authority);
	if (!error)
		error = read_certificate(authority);
	if (error == -ENOENT)
		refuse(authority, error, "%s was removed again", authority->certificate_path);
	return error;
}

// --- the door ---------------------------------------------------------------

int authority_open(struct authority **out, const char *folder, char *why, size_t why_size)
{
	struct authority *authority = calloc(1, sizeof(*authority));
	int error = -ENOMEM;

	*out = NULL;
	if (why_size > 0)
		why[0] = '\0';
	if (!authority)
		return -ENOMEM;
	if (wolfSSL_Init() != WOLFSSL_SUCCESS) {
		free(authority);
		return -ENOMEM;
	}
	authority->why = why;
	authority->why_size = why_size;
	if (wc_InitRng(&authority->random) != 0) {
		error = refuse(authority, -EIO, "no random numbers to be had");
		goto fail;
	}
	authority->random_ready = true;
	if (asprintf(&authority->certificate_path, "%s/ca.pem", folder) < 0) {
		authority->certificate_path = NULL;
		goto fail;
	}
	if (asprintf(&authority->key_path, "%s/ca-key.pem", folder) < 0) {
		authority->key_path = NULL;
		goto fail;
	}
	error = placed_folder(folder, why, why_size);
	if (!error)
		error = open_key(authority);
	if (!error)
		error = open_certificate(authority);
	if (error)
		goto fail;
	authority->issuer = (struct issuer){ authority->certificate.subject, &authority->key };
	authority->why = NULL;
	*out = authority;
	return 0;
fail:
	authority_close(authority);
	return error;
}

void authority_close(struct authority *authority)
{
	if (!authority)
		return;
	issuer_key_close(&authority->key);
	if (authority->random_ready)
		wc_FreeRng(&authority->random);
	free(authority->pem);
	free(authority->certificate_path);
	free(authority->key_path);
	free(authority);
	wolfSSL_Cleanup();
}

const struct issuer *authority_issuer(const struct authority *authority)
{
	return &authority->issuer;
}

const char *authority_pem(const struct authority *authority, size_t *size)
{
	*size = authority->pem_size;
	return authority->pem;
}

const char *authority_path(const struct authority *authority)
{
	return authority->certificate_path;
}

const void *authority_der(const struct authority *authority, size_t *size)
{
	*size = authority->der_size;
	return authority->der;
}

const char *authority_fingerprint(const struct authority *authority)
{
	return authority->fingerprint;
}
