// SPDX-License-Identifier: GPL-3.0-or-later
// certificate - the parts of an X.509 certificate as views, and its names.

#include "tls/certificate.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { NAME_DNS = DER_CONTEXT | 2, NAME_ADDRESS = DER_CONTEXT | 7 };

static int digits(const uint8_t *at, int count)
{
	int value = 0;

	while (count-- > 0) {
		if (*at < '0' || *at > '9')
			return -1;
		value = value * 10 + (*at++ - '0');
	}
	return value;
}

// RFC 5280 4.1.2.5: UTCTime to 2049, GeneralizedTime after, both to the second
// and in Zulu.
static bool take_time(struct der *from, int64_t *out)
{
	struct der text;
	struct tm parts = { 0 };
	int year, month;

	if (der_take(from, DER_UTC_TIME, NULL, &text)) {
		if (text.size != 13)
			return false;
		year = digits(text.at, 2);
		year += year < 50 ? 2000 : 1900;
		text.at += 2;
	} else {
		if (!der_take(from, DER_TIME, NULL, &text) || text.size != 15)
			return false;
		year = digits(text.at, 4);
		text.at += 4;
	}
	month = digits(text.at, 2);
	parts.tm_year = year - 1900;
	parts.tm_mon = month - 1;
	parts.tm_mday = digits(text.at + 2, 2);
	parts.tm_hour = digits(text.at + 4, 2);
	parts.tm_min = digits(text.at + 6, 2);
	parts.tm_sec = digits(text.at + 8, 2);
	if (year < 0 || month < 1 || month > 12 || parts.tm_mday < 1 || parts.tm_mday > 31 ||
	    parts.tm_hour < 0 || parts.tm_hour > 23 || parts.tm_min < 0 || parts.tm_min > 59 ||
	    parts.tm_sec < 0 || parts.tm_sec > 59 || text.at[10] != 'Z')
		return false;
	*out = timegm(&parts);
	return true;
}

// id-ce (2.5.29) extensions that are of use here, by the last arc.
static bool read_extension(struct certificate *out, struct der whole, struct der body)
{
	struct der object, value, critical = { 0 }, *place;

	if (!der_take(&body, DER_OBJECT, NULL, &object))
		return false;
	der_take(&body, DER_BOOLEAN, NULL, &critical);
	if (!der_take(&body, DER_OCTETS, NULL, &value) || body.size != 0)
		return false;
	if (object.size != 3 || object.at[0] != 0x55 || object.at[1] != 0x1d) {
		out->demanding = out->demanding || critical.size > 0;
		return true;
	}
	switch (object.at[2]) {
	case 15: place = &out->usage; break;
	case 17: place = &out->alternative_names; break;
	case 19: place = &out->constraints; break;
	case 30: place = &out->name_constraints; break;
	case 37: place = &out->extended_usage; break;
	case 32: case 33: case 36: case 54: return true;
	default:
		out->demanding = out->demanding || critical.size > 0;
		return true;
	}
	if (place->size)
		return false;		// RFC 5280 4.2: once
	*place = whole;
	if (place == &out->alternative_names)
		return der_take(&value, DER_SEQUENCE, NULL, &out->names);
	if (place == &out->extended_usage)
		return der_take(&value, DER_SEQUENCE, NULL, &out->purposes);
	return true;
}

static bool read_extensions(struct certificate *out, struct der body)
{
	struct der list, whole, one;

	if (!der_take(&body, DER_SEQUENCE, NULL, &list) || body.size != 0)
		return false;
	while (list.size > 0)
		if (!der_take(&list, DER_SEQUENCE, &whole, &one) || !read_extension(out, whole, one))
			return false;
	return true;
}

bool certificate_read(struct certificate *out, const void *der, size_t size)
{
	struct der all = { der, size }, outer, tbs, times, extensions;

	memset(out, 0, sizeof(*out));
	if (!der_take(&all, DER_SEQUENCE, &out->whole, &outer) || all.size != 0 ||
	    !der_take(&outer, DER_SEQUENCE, NULL, &tbs))
		return false;
	der_take(&tbs, DER_CONTEXT_SEQUENCE | 0, NULL, NULL);		// version
	if (!der_take(&tbs, DER_INTEGER, NULL, NULL) ||			// serial
	    !der_take(&tbs, DER_SEQUENCE, NULL, NULL) ||		// algorithm
	    !der_take(&tbs, DER_SEQUENCE, &out->issuer, NULL) ||
	    !der_take(&tbs, DER_SEQUENCE, &out->validity, &times) ||
	    !der_take(&tbs, DER_SEQUENCE, &out->subject, NULL) ||
	    !der_take(&tbs, DER_SEQUENCE, &out->key, NULL))
		return false;
	der_take(&tbs, DER_CONTEXT | 1, NULL, NULL);			// unique identifiers
	der_take(&tbs, DER_CONTEXT | 2, NULL, NULL);
	if (!take_time(&times, &out->not_before) || !take_time(&times, &out->not_after))
		return false;
	if (der_take(&tbs, DER_CONTEXT_SEQUENCE | 3, NULL, &extensions))
		return read_extensions(out, extensions) && tbs.size == 0;
	return tbs.size == 0;
}

static bool same_text(const uint8_t *a, const char *b, size_t size)
{
	return memchr(a, '\0', size) == NULL && strncasecmp((const char *)a, b, size) == 0;
}

static bool name_matches(struct der pattern, const char *host, size_t size)
{
	const char *dot;

	if (pattern.size > 0 && pattern.at[pattern.size - 1] == '.')
		pattern.size--;
	if (pattern.size == size)
		if (same_text(pattern.at, host, size))
			return true;
	if (pattern.size < 3 || pattern.at[0] != '*' || pattern.at[1] != '.')
		return false;
	dot = memchr(host, '.', size);
	if (!dot || dot == host)
		return false;
	size -= dot - host;
	// "*.com" would be for everyone under it.
	return pattern.size - 1 == size && memchr(pattern.at + 2, '.', pattern.size - 2) &&
	       same_text(pattern.at + 1, dot, size);
}

// The last common name (2.5.4.3) of the subject.
static bool common_name(const struct certificate *certificate, struct der *out)
{
	static const uint8_t object[] = { 0x55, 0x04, 0x03 };
	struct der subject = certificate->subject, rest, set, pair, type, value;
	bool found = false;
	uint8_t tag;

	if (!der_take(&subject, DER_SEQUENCE, NULL, &rest))
		return false;
	while (der_take(&rest, DER_SET, NULL, &set)) {
		while (der_take(&set, DER_SEQUENCE, NULL, &pair)) {
			if (der_take(&pair, DER_OBJECT, NULL, &type) &&
			    der_equal(type, (struct der){ object, sizeof(object) }) &&
			    der_next(&pair, &tag, NULL, &value)) {
				*out = value;
				found = true;
			}
		}
	}
	return found;
}

bool certificate_is_for(const struct certificate *certificate, const char *host)
{
	size_t size = strlen(host);
	struct der names = certificate->names, name;
	uint8_t address[16], tag;
	size_t address_size = inet_pton(AF_INET, host, address) == 1 ? 4 :
			      inet_pton(AF_INET6, host, address) == 1 ? 16 : 0;
	bool any = false;

	if (size > 0 && host[size - 1] == '.')
		size--;
	if (size == 0)
		return false;
	while (der_next(&names, &tag, NULL, &name)) {
		any = any || tag == NAME_DNS || tag == NAME_ADDRESS;
		if (tag == NAME_ADDRESS && address_size > 0 && name.size == address_size &&
		    memcmp(name.at, address, address_size) == 0)
			return true;
		if (tag == NAME_DNS && address_size == 0 && name_matches(name, host, size))
			return true;
	}
	return !any && common_name(certificate, &name) && name_matches(name, host, size);
}

bool certificate_is_rsa(const struct certificate *certificate)
{
	// rsaEncryption and id-RSASSA-PSS (RFC 4055 1.2, 3.1): all but the last arc
	static const uint8_t pkcs1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01 };
	struct der key = certificate->key, info, algorithm, object;

	return der_take(&key, DER_SEQUENCE, NULL, &info) &&
	       der_take(&info, DER_SEQUENCE, NULL, &algorithm) &&
	       der_take(&algorithm, DER_OBJECT, NULL, &object) &&
	       object.size == sizeof(pkcs1) + 1 && memcmp(object.at, pkcs1, sizeof(pkcs1)) == 0;
}

bool certificate_serves(const struct certificate *certificate)
{
	static const uint8_t server[] = { 0x2b, 6, 1, 5, 5, 7, 3, 1 };	// id-kp-serverAuth
	static const uint8_t any[] = { 0x55, 0x1d, 0x25, 0x00 };
	struct der purposes = certificate->purposes, purpose;

	if (certificate->extended_usage.size == 0)
		return true;
	while (der_take(&purposes, DER_OBJECT, NULL, &purpose))
		if (der_equal(purpose, (struct der){ server, sizeof(server) }) ||
		    der_equal(purpose, (struct der){ any, sizeof(any) }))
			return true;
	return false;
}
