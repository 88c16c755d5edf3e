// SPDX-License-Identifier: GPL-3.0-or-later
// pem - RFC 7468 text to DER and back.

#include "tls/pem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wolfssl/wolfcrypt/coding.h>

static const char *find(const char *text, const char *end, const char *what)
{
	return text < end ? memmem(text, end - text, what, strlen(what)) : NULL;
}

long pem_read(const char **text, const char *end, const char *label, uint8_t *out, size_t size)
{
	char begin[64], finish[64];
	const char *start, *stop;
	word32 decoded = size;

	snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
	snprintf(finish, sizeof(finish), "-----END %s-----", label);
	start = find(*text, end, begin);
	if (!start)
		return 0;
	start += strlen(begin);
	stop = find(start, end, finish);
	if (!stop) {
		*text = end;
		return -1;
	}
	*text = stop + strlen(finish);
	if (Base64_Decode((const byte *)start, stop - start, out, &decoded) != 0 || decoded == 0)
		return -1;
	return decoded;
}

char *pem_write(const char *label, const uint8_t *der, size_t size)
{
	word32 encoded = size / 48 * 65 + 70;	// 64 letters and a newline for 48 bytes
	size_t room = encoded + 2 * (strlen(label) + 20);
	char *text = malloc(room);
	byte *body = malloc(encoded);
	int ok = 0;

	if (text && body && Base64_Encode(der, size, body, &encoded) == 0) {
		int used = snprintf(text, room, "-----BEGIN %s-----\n%.*s-----END %s-----\n", label,
				    (int)encoded, body, label);

		ok = used > 0 && (size_t)used < room;
	}
	if (body)
		explicit_bzero(body, size / 48 * 65 + 70);
	free(body);
	if (!ok) {
		free(text);
		return NULL;
	}
	return text;
}

char *pem_load(int fd, size_t limit, size_t *size)
{
	size_t room = 16384, used = 0;
	char *text = malloc(room);

	while (text) {
		ssize_t got = read(fd, text + used, room - used - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || used + got > limit) {
			int error = got < 0 ? errno : got == 0 ? 0 : EFBIG;

			if (!error) {
				text[used] = '\0';
				*size = used;
				return text;
			}
			free(text);
			errno = error;
			return NULL;
		}
		used += got;
		if (used + 1 == room) {
			char *more = realloc(text, room *= 2);

			if (!more)
				free(text);
			text = more;
		}
	}
	errno = ENOMEM;
	return NULL;
}
