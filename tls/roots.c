// SPDX-License-Identifier: GPL-3.0-or-later
// roots - the certificates that an origin's chain may end at.

#include "tls/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls/pem.h"

enum { BUNDLE_MAX = 16 << 20 };

static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",			// Debian, Arch, Gentoo
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",	// Fedora, RHEL
	"/etc/pki/tls/certs/ca-bundle.crt",			// the same, older
	"/etc/ssl/ca-bundle.pem",				// SUSE
	"/etc/ssl/cert.pem",					// Alpine
};

static int add(struct roots *roots, const uint8_t *der, size_t size)
{
	struct certificate one;

	if (!certificate_read(&one, der, size))
		return 0;
	if (roots->count == roots->room) {
		size_t room = roots->room ? 2 * roots->room : 256;
		struct certificate *list = realloc(roots->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		roots->list = list;
		roots->room = room;
	}
	roots->list[roots->count++] = one;
	return 1;
}

// Room that lives as long as the roots.
static uint8_t *keep_block(struct roots *roots, size_t size)
{
	uint8_t **blocks = realloc(roots->blocks, (roots->block_count + 1) * sizeof(*blocks));
	uint8_t *block = malloc(size + 1);

	if (blocks)
		roots->blocks = blocks;
	if (!blocks || !block) {
		free(block);
		return NULL;
	}
	roots->blocks[roots->block_count++] = block;
	return block;
}

// DER is never longer than its PEM, so one block of the text's size holds all.
static int add_text(struct roots *roots, const char *text, size_t size)
{
	uint8_t *block = keep_block(roots, size);
	const char *at = text, *end = text + size;
	size_t used = 0;
	int added = 0;
	long got;

	if (!block)
		return -ENOMEM;
	while ((got = pem_read(&at, end, "CERTIFICATE", block + used, size - used)) != 0) {
		int error = got > 0 ? add(roots, block + used, got) : 0;

		if (error < 0)
			return error;
		added += error;
		used += error > 0 ? got : 0;
	}
	return added;
}

static int add_from(struct roots *roots, const char *path,
		    int (*take)(struct roots *roots, const char *text, size_t size))
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), added;
	size_t size = 0;
	char *text;

	if (fd < 0)
		return -errno;
	text = pem_load(fd, BUNDLE_MAX, &size);
	added = text ? take(roots, text, size) : -errno;
	free(text);
	close(fd);
	return added;
}

int roots_add_file(struct roots *roots, const char *path)
{
	return add_from(roots, path, add_text);
}

static int add_list(struct roots *roots, const uint8_t *der, size_t size)
{
	struct der *lists = realloc(roots->lists, (roots->list_count + 1) * sizeof(*lists));

	if (!lists)
		return -ENOMEM;
	roots->lists = lists;
	lists[roots->list_count++] = (struct der){ der, size };
	return 1;
}

static int add_lists(struct roots *roots, const char *text, size_t size)
{
	uint8_t *block = keep_block(roots, size);
	const char *at = text, *end = text + size;
	int added = 0;
	long got;

	if (!block)
		return -ENOMEM;
	if (size > 0 && text[0] == DER_SEQUENCE) {
		memcpy(block, text, size);
		return add_list(roots, block, size);
	}
	while ((got = pem_read(&at, end, "X509 CRL", block, size)) != 0) {
		int error = got > 0 ? add_list(roots, block, got) : 0;

		if (error < 0)
			return error;
		added += error;
		block += error > 0 ? got : 0;
		size -= error > 0 ? got : 0;
	}
	return added;
}

int roots_add_lists(struct roots *roots, const char *path)
{
	return add_from(roots, path, add_lists);
}

void roots_add_system(struct roots *roots)
{
	const char *chosen = getenv("SSL_CERT_FILE");

	if (roots->system_loaded)
		return;
	roots->system_loaded = true;
	if (chosen && *chosen) {
		roots_add_file(roots, chosen);
		return;
	}
	for (size_t i = 0; i < sizeof(system_bundles) / sizeof(*system_bundles); i++)
		if (roots_add_file(roots, system_bundles[i]) > 0)
			return;
}

void roots_close(struct roots *roots)
{
	for (size_t i = 0; i < roots->block_count; i++)
		free(roots->blocks[i]);
	free(roots->blocks);
	free(roots->list);
	free(roots->lists);
	memset(roots, 0, sizeof(*roots));
}
