// SPDX-License-Identifier: GPL-3.0-or-later
// keystore_fuzz - any file where a truststore, a bundle or a certificate should be.

#include "extension/bundle.h"
#include "extension/keystore.h"
#include "extension/subject.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle in = {(uint8_t *)data, size}, out, again, der = {0};
	size_t position = 0;
	uint32_t hash;

	while (bundle_next(&in, &position, &der) > 0)
		;
	bundle_free(&der);
	subject_hash(data, size, &hash);
	if (keystore_extend(&out, &in, &in, "der", 3))
		return 0;
	// What we write, we can read.
	if (keystore_extend(&again, &out, &in, "der", 3) || again.bytes[11] != (uint8_t)(out.bytes[11] + 1))
		abort();
	bundle_free(&again);
	bundle_free(&out);
	return 0;
}
