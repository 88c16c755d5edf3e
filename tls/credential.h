// SPDX-License-Identifier: GPL-3.0-or-later
// credential - certificates to show to origins that ask for one, by host.
//
// Within the room only.

#ifndef TLS_CREDENTIAL_H
#define TLS_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <wolfssl/ssl.h>

struct credential {
	char *host;		// a name, a numeric address, or *.name
	char *pem;		// chain and key, or NULL: to answer with none
	size_t size;
};

// Reads `file` for `host`; an empty or NULL `file` stands for "has none, and says so".
// 0 or -errno with the sentence in `why`.
int credential_open(struct credential *out, const char *host, const char *file, char *why,
		    size_t why_size);
void credential_close(struct credential *credential);

// The first of `count` that is for `host`, or NULL.
const struct credential *credential_find(const struct credential *list, size_t count,
					 const char *host);
// Gives it to one connection.
bool credential_show(const struct credential *credential, WOLFSSL *ssl);

#endif
