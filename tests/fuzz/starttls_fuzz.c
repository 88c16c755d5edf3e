// SPDX-License-Identifier: GPL-3.0-or-later
// starttls_fuzz - any conversation, in any pieces: every byte of the app's is relayed
// once or is the hello's, and what is called a hello is one.
//
// The input is turns: a byte that says who speaks (its lowest bit) and whether the
// caller lets go of what is held (the next), a length, and so many bytes.

#include <stdlib.h>
#include <string.h>

#include "tls/starttls.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint8_t held[1 << 17];

static void check(bool good)
{
	if (!good)
		abort();
}

// Answers whether the watch goes on.
static bool app(struct starttls *starttls, const uint8_t *bytes, size_t size, bool release, size_t *held_size)
{
	enum starttls_verdict verdict;
	struct hello hello;
	size_t at = ~(size_t)0, all = *held_size + size;
	uint8_t *copy = malloc(all + 1);

	check(copy != NULL);
	memcpy(held + *held_size, bytes, size);
	memcpy(copy, held, all);
	verdict = starttls_app(starttls, copy, all, &at);
	check(verdict != STARTTLS_HELLO || (at < all && hello_read(copy + at, all - at, &hello) == HELLO_WHOLE));
	if (verdict == STARTTLS_HELD) {
		check(at <= all && all - at <= HELLO_SIZE_MAX + 64);
		memmove(held, held + at, all - at);
		*held_size = all - at;
		if (release && *held_size) {
			verdict = starttls_release(starttls, held, *held_size);
			check(verdict == STARTTLS_CLEAR || verdict == STARTTLS_NEVER);
			*held_size = 0;
		}
	} else {
		*held_size = 0;
	}
	free(copy);
	return verdict != STARTTLS_NEVER && verdict != STARTTLS_HELLO;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct starttls starttls = starttls_open(0);
	size_t held_size = 0;
	bool on = true;

	while (on && size >= 2) {
		size_t part = bytes[1] < size - 2 ? bytes[1] : size - 2;
		uint8_t how = bytes[0];

		bytes += 2;
		size -= 2;
		on = how & 1 ? starttls_origin(&starttls, bytes, part) != STARTTLS_NEVER :
			       app(&starttls, bytes, part, how & 2, &held_size);
		check(starttls_protocol(&starttls) != NULL);
		check(starttls.shown <= STARTTLS_WINDOW || !on);
		bytes += part;
		size -= part;
	}
	return 0;
}
