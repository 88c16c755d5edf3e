// SPDX-License-Identifier: GPL-3.0-or-later
// names - which name the app looked up to get an address: RFC 1035 answers.

#ifndef TUNNEL_NAMES_H
#define TUNNEL_NAMES_H

#include <stddef.h>

#include "tunnel/packet.h"

struct names;

struct names *names_open(void);
void names_close(struct names *names);

// Reads a DNS answer as the app got it; `learned` is called for each address
// in it with the name that was asked for. Anything else is silently nothing.
void names_read(struct names *names, const void *bytes, size_t size,
		void (*learned)(void *context, const union address *address, const char *name),
		void *context);

// The name last looked up for the address's host, or NULL. Stays valid until
// names_close().
const char *names_find(const struct names *names, const union address *address);

#endif
