// SPDX-License-Identifier: GPL-3.0-or-later
// credential - certificates to show to origins that ask for one, by host.
//
// A file is read and tried once, when the house is opened: later the house opens
// none. It is parsed again for each connection that is asked for it, which only
// the few hosts with one pay for.

#include "tls/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tls/pem.h"

enum { FILE_MAX = 1 << 20 };

static char *load(const char *file, size_t *size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : pem_load(fd, FILE_MAX, size);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return text;
}

// Are a chain and the leaf's own key in there?
static bool fits(const struct credential *credential)
{
	WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_client_method());
	const unsigned char *pem = (const unsigned char *)credential->pem;
	bool good = context &&
		    wolfSSL_CTX_use_certificate_chain_buffer(context, pem, (long)credential->size) ==
			    WOLFSSL_SUCCESS &&
		    wolfSSL_CTX_use_PrivateKey_buffer(context, pem, (long)credential->size,
						      WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS &&
		    wolfSSL_CTX_check_private_key(context) == WOLFSSL_SUCCESS;

	wolfSSL_CTX_free(context);
	return good;
}

int credential_open(struct credential *out, const char *host, const char *file, char *why,
		    size_t why_size)
{
	int error;

	*out = (struct credential){ .host = strdup(host) };
	if (!out->host)
		return -ENOMEM;
	if (!file || !*file)
		return 0;
	out->pem = load(file, &out->size);
	if (!out->pem) {
		error = -errno;
		snprintf(why, why_size, "cannot read %s: %s", file, strerror(-error));
		goto fail;
	}
	if (!fits(out)) {
		error = -EINVAL;
		snprintf(why, why_size, "no certificate with its key, unencrypted, in %s", file);
		goto fail;
	}
	return 0;
fail:
	credential_close(out);
	return error;
}

void credential_close(struct credential *credential)
{
	if (credential->pem)
		explicit_bzero(credential->pem, credential->size);
	free(credential->pem);
	free(credential->host);
	memset(credential, 0, sizeof(*credential));
}

static bool is_for(const char *pattern, const char *host)
{
	if (pattern[0] == '*' && pattern[1] == '.') {
		host = strchr(host, '.');
		return host && strcasecmp(pattern + 1, host) == 0;
	}
	return strcasecmp(pattern, host) == 0;
}

const struct credential *credential_find(const struct credential *list, size_t count,
					 const char *host)
{
	for (size_t i = 0; i < count; i++)
		if (is_for(list[i].host, host))
			return &list[i];
	return NULL;
}

bool credential_show(const struct credential *credential, WOLFSSL *ssl)
{
	const unsigned char *pem = (const unsigned char *)credential->pem;

	return wolfSSL_use_certificate_chain_buffer(ssl, pem, (long)credential->size) == WOLFSSL_SUCCESS &&
	       wolfSSL_use_PrivateKey_buffer(ssl, pem, (long)credential->size, WOLFSSL_FILETYPE_PEM) ==
		       WOLFSSL_SUCCESS;
}
