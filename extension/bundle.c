// SPDX-License-Identifier: GPL-3.0-or-later
// bundle - a file of certificates, extended by one more.

#include "extension/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char begin[] = "-----BEGIN CERTIFICATE-----";
static const char end[] = "-----END CERTIFICATE-----";

static int read_whole(int fd, struct bundle *bundle)
{
	struct stat status;
	ssize_t n = 1;

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size > BUNDLE_MAX)
		return -EFBIG;
	bundle->bytes = malloc((size_t)status.st_size + 1);
	if (!bundle->bytes)
		return -ENOMEM;
	while (bundle->size < (size_t)status.st_size && n > 0) {
		n = read(fd, bundle->bytes + bundle->size, (size_t)status.st_size - bundle->size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			bundle->size += (size_t)n;
	}
	return 0;
}

int bundle_read(struct bundle *bundle, const char *path)
{
	// Not to wait for the other end of a pipe.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int error;

	*bundle = (struct bundle){0};
	if (fd < 0)
		return -errno;
	error = read_whole(fd, bundle);
	close(fd);
	if (error)
		bundle_free(bundle);
	return error;
}

void bundle_free(struct bundle *bundle)
{
	free(bundle->bytes);
	*bundle = (struct bundle){0};
}

int bundle_append(struct bundle *bundle, const void *bytes, size_t size)
{
	uint8_t *bigger;

	if (!size)
		return 0;
	bigger = realloc(bundle->bytes, bundle->size + size);
	if (!bigger)
		return -ENOMEM;
	memcpy(bigger + bundle->size, bytes, size);
	bundle->bytes = bigger;
	bundle->size += size;
	return 0;
}

static const uint8_t *find(const struct bundle *bundle, size_t from, const char *what)
{
	if (from >= bundle->size)
		return NULL;
	return memmem(bundle->bytes + from, bundle->size - from, what, strlen(what));
}

bool bundle_is_pem(const struct bundle *bundle)
{
	return find(bundle, 0, begin) != NULL;
}

int bundle_append_pem(struct bundle *bundle, const char *pem, size_t size)
{
	int error = 0;

	if (bundle->size && bundle->bytes[bundle->size - 1] != '\n')
		error = bundle_append(bundle, "\n", 1);
	return error ? error : bundle_append(bundle, pem, size);
}

// A digit of base 64 (RFC 4648 section 4), -1 for what is none.
static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// The bytes, of which there are at most 3 for 4 digits; 0 for broken text.
static size_t decode(const uint8_t *text, size_t size, uint8_t *out)
{
	uint32_t bits = 0;
	size_t written = 0;
	int have = 0;

	for (size_t i = 0; i < size && text[i] != '='; i++) {
		int value = digit(text[i]);

		if (text[i] == '\n' || text[i] == '\r' || text[i] == ' ' || text[i] == '\t')
			continue;
		if (value < 0)
			return 0;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[written++] = (uint8_t)(bits >> have);
		}
	}
	return written;
}

int bundle_next(const struct bundle *pem, size_t *position, struct bundle *der)
{
	for (;;) {
		const uint8_t *from = find(pem, *position, begin), *to;
		uint8_t *room;
		size_t size;
		int error = 0;

		if (!from)
			return 0;
		from += sizeof begin - 1;
		to = find(pem, (size_t)(from - pem->bytes), end);
		if (!to)
			return 0;
		*position = (size_t)(to - pem->bytes) + sizeof end - 1;
		room = malloc((size_t)(to - from) + 1);
		if (!room)
			return -ENOMEM;
		size = decode(from, (size_t)(to - from), room);
		if (size)
			error = bundle_append(der, room, size);
		free(room);
		if (error || size)
			return error ? error : 1;
	}
}
