// SPDX-License-Identifier: GPL-3.0-or-later
// hello_fuzz - hello_read() on anything: it holds to its bytes, and to its word.
//
// Once a prefix has an answer, more bytes do not change it.

#include <stdlib.h>
#include <string.h>

#include "tls/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static enum hello_verdict read_exactly(const uint8_t *bytes, size_t size, struct hello *hello)
{
	uint8_t *copy = malloc(size ? size : 1);
	enum hello_verdict verdict;

	if (!copy)
		abort();
	memcpy(copy, bytes, size);
	verdict = hello_read(copy, size, hello);
	free(copy);
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	enum hello_verdict last = HELLO_MORE;
	struct hello first, hello;
	size_t step = size / 64 + 1;

	for (size_t part = 0; part <= size; part = part == size ? size + 1 : part + step > size ? size : part + step) {
		enum hello_verdict verdict = read_exactly(bytes, part, &hello);

		if (verdict == HELLO_WHOLE && (hello.size > part || hello.size < 9 ||
		    strlen(hello.sni) > HELLO_SNI_MAX || hello.alpn_size > HELLO_ALPN_MAX ||
		    hello.version_min > hello.version_max || hello.version_min < 0x0301 ||
		    hello.version_max > 0x0304))
			abort();
		if (last != HELLO_MORE && verdict != last)
			abort();
		if (last == HELLO_WHOLE && memcmp(&first, &hello, sizeof(hello)) != 0)
			abort();
		if (verdict == HELLO_WHOLE && last != HELLO_WHOLE)
			memcpy(&first, &hello, sizeof(hello));
		last = verdict;
	}
	return 0;
}
