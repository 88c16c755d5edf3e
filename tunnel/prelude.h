// SPDX-License-Identifier: GPL-3.0-or-later
// prelude - what a conversation said in the clear, kept until it turns to TLS or does not.

#ifndef TUNNEL_PRELUDE_H
#define TUNNEL_PRELUDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of both sides: a little more than tls/starttls looks at. What does not fit is lost, and
// what comes behind it too.
enum { PRELUDE_MOST = 128 << 10 };

struct prelude;

// *prelude is NULL at first, and made. Without memory nothing is kept.
void prelude_add(struct prelude **prelude, bool outgoing, const void *bytes, size_t size, uint64_t time);
// In the order of their coming. NULL is empty.
void prelude_each(const struct prelude *prelude,
		  void (*call)(void *context, bool outgoing, const void *bytes, size_t size, uint64_t time), void *context);
// When it began; 0: there is none.
uint64_t prelude_time(const struct prelude *prelude);
void prelude_free(struct prelude *prelude);

#endif
